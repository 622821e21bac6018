/* What was acknowledged: for each key the version that the other side confirmed last.  Each key is
 * written by one connection only, whose requests keep their order; so a later read must find that
 * version or a newer one.  Entries of different keys may be used by different threads at once. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ledger {
    struct ledger_entry {
        uint32_t acknowledged; /* newest version confirmed; 0: none */
        uint32_t unknown;      /* oldest version whose fate is not known; 0: none */
        bool lost;             /* a read did not find what it must */
    } * entries;               /* owned, one for each key */
    uint64_t count;
};

void ledger_init(struct ledger *l, uint64_t keys);
void ledger_fini(struct ledger *l);

static inline void ledger_acknowledge(struct ledger *l, uint64_t key, uint32_t version)
{
    struct ledger_entry *e = &l->entries[key];

    if (version > e->acknowledged)
        e->acknowledged = version;
}

static inline void ledger_doubt(struct ledger *l, uint64_t key, uint32_t version)
{
    struct ledger_entry *e = &l->entries[key];

    if (e->unknown == 0 || version < e->unknown)
        e->unknown = version;
}

static inline bool ledger_is_written(const struct ledger *l, uint64_t key)
{
    return l->entries[key].acknowledged > 0;
}

/* May a read find this version (0: nothing)?  A write of unknown fate may still arrive after later
 * ones that took another way; it is never held against the other side. */
static inline bool ledger_allows(const struct ledger *l, uint64_t key, uint32_t version)
{
    const struct ledger_entry *e = &l->entries[key];

    if (version >= e->acknowledged)
        return true;
    return e->unknown > 0 && version >= e->unknown;
}
