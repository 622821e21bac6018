/* The contract of embedded stores: keys and values that live in the process itself, in memory, in a
 * file or in a library's folder, and stand in a server's place as a shard.
 *
 *     verbs.c       one request's bytes -> gets and puts -> the reply's bytes, as Redis words it
 *     store_flow.c  whose thread that happens in, when it is made durable, when expired keys go
 *     back_ram.c, back_sqlite.c, back_rocksdb.c, back_postgresql.c: the stores
 *
 * A store is called by one thread at a time.  What is put between two commits is seen by gets at
 * once, and by others after a crash all or not at all.  Expiry is the caller's: a store keeps it
 * beside the value and shows keys whose time is over like any other. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

struct store; /* the engine's own */

/* Where walks come by a key: STORE_PLACE_BITS of its hash, so that a number is all that a cursor
 * has to remember, whatever was put or dropped meanwhile. */
enum { STORE_PLACE_BITS = 48 };

struct store_key {
    uint32_t database;
    uint64_t hash;
    struct slice name;
};

struct store_value {
    struct slice bytes; /* from a store: borrowed until the next call */
    int64_t expires_ms; /* since 1970; 0: never */
};

/* All borrowed for the call of open(). */
struct store_settings {
    const char *path;    /* of a file or folder; where the store is a server's, how it is reached */
    const char *table;   /* there; NULL: it is no server's */
    uint64_t bytes_most; /* of stores in memory */
    bool evicts;         /* when it is full */
    bool syncs;          /* most commits will be asked to */
    uint64_t connect_ms, timeout_ms; /* of servers, as the next */
    int stop_fd; /* readable: nothing is to be waited for any more; as long as the store */
};

struct store_size {
    uint64_t keys;  /* of the database asked for; those whose time is over count until they go */
    uint64_t bytes; /* of all databases, as far as the engine knows; 0: it does not */
    uint64_t evicted;
};

/* What is about to be asked of a key, one or several times. */
struct store_glance {
    struct store_key key;
    bool reads; /* its value is looked at: else it is only put */
    bool locks; /* what is done to others depends on it, or it is put or dropped */
};

/* ... and of the store, until the next commit. */
struct store_outlook {
    const struct store_glance *keys; /* a key may be there twice; in the order of its use */
    size_t count;
    bool writes;
    bool writes_any;    /* not only to those keys */
    bool at_one_moment; /* what is read is to be as of one moment */
};

/* False: enough, go no further than the keys of this place.  Must not change the store.  The
 * value's bytes may be left out. */
typedef bool store_visit_f(void *arg, uint64_t place, struct slice name,
                           const struct store_value *value);

enum { STORE_ALL_DATABASES = -1 };

struct store_engine {
    bool waits; /* its calls may wait for a disk, so they are made in a thread of the store's own */
    enum err (*open)(const struct store_settings *settings, struct store **out, struct buf *why);
    void (*close)(struct store **store);
    /* ERR_NOT_FOUND; ERR_SYSTEM: the store is in trouble, store_why() tells. */
    enum err (*get)(struct store *store, const struct store_key *key, struct store_value *out);
    /* ERR_LIMIT: it is full.  ERR_RANGE: the name is too long for it. */
    enum err (*put)(struct store *store, const struct store_key *key,
                    const struct store_value *value);
    /* ERR_NOT_FOUND. */
    enum err (*drop)(struct store *store, const struct store_key *key);
    /* From now on it may hold less or more, or evict; called again it goes on with what is too
     * much.  NULL: as it was opened, so it is. */
    void (*resize)(struct store *store, const struct store_settings *settings);
    /* All keys of a database from *place on, in the order of places; then *place is where to go
     * on, 0 if that was the last.  Looks at `most` groups of keys, however few keys they hold. */
    enum err (*walk)(struct store *store, uint32_t database, uint64_t *place, uint64_t most,
                     store_visit_f *visit, void *arg);
    enum err (*flush)(struct store *store, int64_t database);
    /* What was flushed is given back by this, with `most` looks at a time.  False: all of it is.
     * NULL: flush() has done it. */
    bool (*shed)(struct store *store, uint32_t most);
    void (*measure)(struct store *store, uint32_t database, struct store_size *out);
    /* Databases that may hold keys are below this. */
    uint32_t (*databases)(struct store *store);
    /* What was put is there after a crash of the process, and, if `sync`, of the machine, with all
     * that was committed before.  NULL, as the next: it has no such thing. */
    enum err (*commit)(struct store *store, bool sync);
    void (*abandon)(struct store *store); /* what was put since the last commit */
    /* In words, after ERR_SYSTEM. */
    const char *(*why)(struct store *store);

    /* Now and then, between commits: is all well?  NULL, as the next: it always is. */
    enum err (*tend)(struct store *store);
    /* After ERR_SYSTEM: it has to be closed and opened anew, and that may help. */
    bool (*is_lost)(const struct store *store);

    /* Of stores that others write to as well, all of the following; else NULL.  What is to be gets
     * and puts until the next commit; then nobody else changes what they depend on.  *now_ms: by
     * the store's own clock, the same for all who use it. */
    enum err (*foresee)(struct store *store, const struct store_outlook *outlook, int64_t *now_ms);
    /* How many keys of a database are not over; `measure` only guesses. */
    enum err (*count)(struct store *store, uint32_t database, uint64_t *keys);
    /* As a walk that drops what it finds over, and tells how much; by itself between commits. */
    enum err (*purge)(struct store *store, uint32_t database, uint64_t *place, uint64_t most,
                      uint64_t *looked_at, uint64_t *dropped);
};

/* XXH3 over the name: nothing of the pool's own `hash`, so a change of that moves no key here. */
uint64_t store_hash(struct slice name);

/* Memory that held something large is not kept for what comes next. */
static inline void store_trim(struct buf *b)
{
    enum { KEPT_BYTES = 1024 * 1024 };

    if (b->cap > KEPT_BYTES)
        buf_fini(b);
}

static inline uint64_t store_place(uint64_t hash)
{
    return hash >> (64 - STORE_PLACE_BITS);
}

static inline bool store_is_over(const struct store_value *value, int64_t now_ms)
{
    return value->expires_ms != 0 && value->expires_ms <= now_ms;
}
