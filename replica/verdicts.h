/* What is known of statements by their shape: a table that belongs to one worker, bounded in bytes.
 *
 *     key = (struct verdict_key){ .shape = shape, .path = interned_search_path, .role = interned };
 *     v = verdicts_find(table, &key, now_ms);
 *     if (v == NULL) {
 *         script_read(...);
 *         if (script.may_be_remembered)
 *             verdicts_keep(table, &key, &verdict);
 *     }
 *
 * When a replica has refused, verdicts_overrule() makes that the verdict for some time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replica/shape.h"
#include "replica/statement.h"

struct verdicts;

struct verdict_key {
    uint64_t low, high; /* the shape */
    uint32_t path;      /* the caller's number for the search_path */
    uint32_t role;      /* the caller's number for role and database */
};

struct statement_verdict {
    const char *reason; /* static */
    uint32_t effects;   /* enum statement_effect */
    uint8_t kind;       /* enum statement_kind */
    uint8_t route;      /* enum statement_route */
    bool is_certain;    /* as in statement.h, and these */
    bool is_chain;
    bool is_analyze;
    struct transaction_modes modes;
};

/* What SHOW VERDICTS shows of one. */
struct verdict_view {
    struct verdict_key key;
    struct statement_verdict verdict;
    uint64_t hits;
    uint64_t overruled;       /* how often a server did */
    char sqlstate[6];         /* by which code; "" if none did */
    uint64_t overruled_until; /* ms; 0: it is not overruled */
};

struct verdicts_counts {
    uint64_t hits, misses, kept, evicted, overruled;
    size_t entries, bytes;
};

/* At least one entry, however few bytes. */
struct verdicts *verdicts_new(size_t max_bytes);
void verdicts_free(struct verdicts **table);

/* NULL: not known.  Valid until the next call for this table. */
const struct statement_verdict *verdicts_find(struct verdicts *table, const struct verdict_key *key,
                                              uint64_t now_ms);
/* Remembers, in place of the one that was used least of those that stand in its way. */
void verdicts_keep(struct verdicts *table, const struct verdict_key *key,
                   const struct statement_verdict *v);
/* A server refused with this SQLSTATE what was thought to be a read: ROUTE_PRIMARY until then. */
void verdicts_overrule(struct verdicts *table, const struct verdict_key *key, const char *sqlstate,
                       uint64_t until_ms);
/* The catalog changed: nothing that was kept before counts. */
void verdicts_forget_all(struct verdicts *table);

void verdicts_count(const struct verdicts *table, struct verdicts_counts *out);
/* Each entry once; begin with *cursor 0; false when there are no more. */
bool verdicts_walk(const struct verdicts *table, uint64_t now_ms, size_t *cursor,
                   struct verdict_view *out);

/* Of the one statement of a script that may be remembered. */
struct statement_verdict verdict_of(const struct script *script);
