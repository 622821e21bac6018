/* Recent requests that were slow, for people: a small table that all workers write to, rarely. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SLOW_KEY_BYTES = 48, SLOW_ENTRIES_MOST = 1024 };

struct slow_entry {
    uint64_t id;
    int64_t wall_s;
    uint64_t took_us;
    uint32_t shard;
    char pool[64], command[32], endpoint[64];
    char class[65];                              /* the key's; "": none */
    char database[64], user[64], statement[224]; /* of SQL: literals are left out; "": none */
    char client[64], name[32]; /* who asked: its address, and what it calls itself */
    char key[SLOW_KEY_BYTES];  /* its first bytes */
    size_t key_len;
};

/* How many are kept; when that changes, those noted before are forgotten. */
void slow_configure(uint32_t entries);
/* Where all requests are slow, to note each would make them slower: of many in a short time the
 * first are noted, and then who is slower than those.  A worker has one for each pool. */
struct slow_watch {
    uint64_t since_us; /* the beginning of a time in which `notes` were noted, */
    uint64_t most_us;  /* this one the slowest */
    uint32_t notes;
};
bool slow_is_worth_noting(struct slow_watch *watch, uint64_t now_us, uint64_t took_us);
void slow_note(const struct slow_entry *entry);
/* What was noted of this pool is not told any more. */
void slow_forget(const char *pool);
/* The newest first; returns how many were copied. */
size_t slow_copy(struct slow_entry *out, size_t most);
