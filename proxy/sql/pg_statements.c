/* The statements of a worker, each once.  See pg_statements.h.
 *
 * A statement whose last reference is given back stays, idle, so that a session that comes later
 * finds it with its number, and servers that have it prepared need no second Parse.  Idle ones go
 * when the bytes of all reach their limit, those that were idle longest first; what servers still
 * have of them is then asked for by nobody and ages in their pg_prepared. */
#include "proxy/sql/pg_statements.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "proxy/base/mem.h"
#include "proxy/sql/pg_statements_store.h"

enum { FIRST_BUCKETS = 256, TYPE_BYTES = 4 };

static const size_t DEFAULT_BYTES = (size_t)256 << 20, DEFAULT_SESSION_BYTES = (size_t)16 << 20;
enum { DEFAULT_SESSION_NAMES = 10000 };

struct pg_statements {
    struct pg_statements_limits limits;
    struct pg_settings_pool *settings; /* borrowed */
    struct pg_statement **buckets;     /* owned */
    size_t bucket_count, count, bytes;
    struct list idle; /* the one that was idle longest comes first */
    uint64_t last_id;
};

struct pg_statements *pg_statements_new(const struct pg_statements_limits *limits,
                                        struct pg_settings_pool *settings)
{
    struct pg_statements *store = mem_new(sizeof(*store));

    store->limits = *limits;
    if (store->limits.session_names == 0)
        store->limits.session_names = DEFAULT_SESSION_NAMES;
    if (store->limits.session_bytes == 0)
        store->limits.session_bytes = DEFAULT_SESSION_BYTES;
    if (store->limits.bytes == 0)
        store->limits.bytes = DEFAULT_BYTES;
    if (store->limits.note_free == NULL)
        store->limits.note_free = free;
    store->settings = settings;
    store->bucket_count = FIRST_BUCKETS;
    store->buckets = mem_new(FIRST_BUCKETS * sizeof(struct pg_statement *));
    list_init(&store->idle);
    store->last_id = limits->first_id;
    return store;
}

const struct pg_statements_limits *pg_statements_limits_of(const struct pg_statements *store)
{
    return &store->limits;
}

static struct pg_statement **bucket_of(const struct pg_statements *store, uint64_t hash)
{
    return &store->buckets[hash & (store->bucket_count - 1)];
}

size_t pg_statement_bytes(const struct pg_statement *st)
{
    return sizeof(*st) + (size_t)st->type_count * TYPE_BYTES + st->text_len + 1;
}

static void unlink_bucket(struct pg_statements *store, struct pg_statement *st)
{
    struct pg_statement **link = bucket_of(store, st->hash);

    while (*link != st)
        link = &(*link)->next;
    *link = st->next;
}

static void drop(struct pg_statements *store, struct pg_statement *st)
{
    assert(st->refs == 0);
    if (!st->is_retired)
        unlink_bucket(store, st);
    list_remove(&st->idle);
    store->count--;
    store->bytes -= pg_statement_bytes(st);
    pg_settings_unref(store->settings, &st->meaning);
    if (st->note != NULL)
        store->limits.note_free(st->note);
    free(st);
}

void pg_statements_free(struct pg_statements **stores)
{
    struct pg_statements *store = *stores;

    if (store == NULL)
        return;
    LIST_EACH (&store->idle, link) {
        drop(store, LIST_ITEM(link, struct pg_statement, idle));
    }
    assert(store->count == 0);
    free(store->buckets);
    free(store);
    *stores = NULL;
}

void pg_statements_count(const struct pg_statements *store, size_t *statements, size_t *bytes)
{
    *statements = store->count;
    *bytes = store->bytes;
}

struct slice pg_statement_types(const struct pg_statement *st)
{
    return slice_of(st->bytes, (size_t)st->type_count * TYPE_BYTES);
}

struct slice pg_statement_text(const struct pg_statement *st)
{
    return slice_of(st->bytes + (size_t)st->type_count * TYPE_BYTES, st->text_len);
}

static bool is_same(const struct pg_statement *st, uint64_t hash,
                    const struct pg_statement_key *key)
{
    return st->hash == hash && st->scope == key->scope && st->edition == key->edition &&
           st->meaning == key->meaning && st->from_sql == key->from_sql &&
           slice_is(pg_statement_types(st), key->types) &&
           slice_is(pg_statement_text(st), key->text);
}

static uint64_t hash_of(const struct pg_statement_key *key)
{
    uint64_t rest[] = { key->scope, key->edition, pg_settings_number(key->meaning), key->types.len,
                        key->from_sql };
    uint64_t seed = XXH3_64bits(rest, sizeof(rest));

    if (key->types.len > 0)
        seed = XXH3_64bits_withSeed(key->types.at, key->types.len, seed);
    return XXH3_64bits_withSeed(key->text.at, key->text.len, seed);
}

static void grow(struct pg_statements *store)
{
    struct pg_statement **old = store->buckets;
    size_t old_count = store->bucket_count;

    store->bucket_count *= 2;
    store->buckets = mem_new(store->bucket_count * sizeof(struct pg_statement *));
    for (size_t i = 0; i < old_count; i++)
        for (struct pg_statement *st = old[i], *next; st != NULL; st = next) {
            struct pg_statement **bucket = bucket_of(store, st->hash);

            next = st->next;
            st->next = *bucket;
            *bucket = st;
        }
    free(old);
}

static enum err make_room(struct pg_statements *store, size_t bytes)
{
    LIST_EACH (&store->idle, link) {
        if (store->bytes + bytes <= store->limits.bytes)
            break;
        drop(store, LIST_ITEM(link, struct pg_statement, idle));
    }
    return store->bytes + bytes <= store->limits.bytes ? ERR_NONE : ERR_LIMIT;
}

static struct pg_statement *build(struct pg_statements *store, const struct pg_statement_key *key,
                                  size_t bytes)
{
    struct pg_statement *st = mem_new(bytes);

    st->type_count = (uint16_t)(key->types.len / TYPE_BYTES);
    st->text_len = (uint32_t)key->text.len;
    if (key->types.len > 0)
        memcpy(st->bytes, key->types.at, key->types.len);
    if (key->text.len > 0)
        memcpy(st->bytes + key->types.len, key->text.at, key->text.len);
    st->meaning = pg_settings_ref(key->meaning);
    st->scope = key->scope;
    st->edition = key->edition;
    st->from_sql = key->from_sql;
    st->id = ++store->last_id;
    st->refs = 1;
    return st;
}

enum err pg_statements_intern(struct pg_statements *store, const struct pg_statement_key *key,
                              struct pg_statement **out)
{
    uint64_t hash = hash_of(key);
    size_t bytes = sizeof(struct pg_statement) + key->types.len + key->text.len + 1;
    struct pg_statement *st, **bucket;

    assert(key->types.len % TYPE_BYTES == 0);
    for (st = *bucket_of(store, hash); st != NULL; st = st->next)
        if (is_same(st, hash, key)) {
            st->interned++;
            *out = pg_statement_ref(st);
            return ERR_NONE;
        }
    if (key->text.len > UINT32_MAX - 1 || key->types.len > (size_t)UINT16_MAX * TYPE_BYTES)
        return ERR_LIMIT;
    TRY(make_room(store, bytes));
    st = build(store, key, bytes);
    st->hash = hash;
    st->interned = 1;
    if (store->count >= store->bucket_count)
        grow(store);
    bucket = bucket_of(store, hash);
    st->next = *bucket;
    *bucket = st;
    store->count++;
    store->bytes += bytes;
    *out = st;
    return ERR_NONE;
}

struct pg_statement *pg_statement_ref(struct pg_statement *st)
{
    if (st->refs++ == 0)
        list_remove(&st->idle);
    return st;
}

void pg_statement_unref(struct pg_statements *store, struct pg_statement **statement)
{
    struct pg_statement *st = *statement;

    *statement = NULL;
    if (st == NULL)
        return;
    assert(st->refs > 0);
    if (--st->refs > 0)
        return;
    list_append(&store->idle, &st->idle);
    if (st->is_retired)
        drop(store, st);
}

void pg_statement_retire(struct pg_statements *store, struct pg_statement *st)
{
    if (st->is_retired)
        return;
    assert(st->refs > 0);
    unlink_bucket(store, st);
    st->is_retired = true;
}

/* --- Names that servers know ----------------------------------------------------------------- */

static const char PREFIX[] = "_sheaf_";

enum { PREFIX_BYTES = sizeof(PREFIX) - 1, DIGITS = 16 };

struct slice pg_statement_name(uint64_t id, char name[PG_STATEMENT_NAME_BYTES])
{
    static const char HEX[] = "0123456789abcdef";

    _Static_assert(PREFIX_BYTES + DIGITS + 1 == PG_STATEMENT_NAME_BYTES, "a fixed width");
    memcpy(name, PREFIX, PREFIX_BYTES);
    for (size_t i = 0; i < DIGITS; i++)
        name[PREFIX_BYTES + i] = HEX[id >> (4 * (DIGITS - 1 - i)) & 15];
    name[PG_STATEMENT_NAME_BYTES - 1] = 0;
    return slice_of(name, PG_STATEMENT_NAME_BYTES - 1);
}

bool pg_statement_is_reserved(struct slice name)
{
    return slice_starts(name, slice_of(PREFIX, PREFIX_BYTES));
}

bool pg_statement_find_name(struct slice text, size_t *at, uint64_t *id)
{
    const uint8_t *found = text.at, *end = text.at + text.len;

    while (found < end &&
           (found = memmem(found, (size_t)(end - found), PREFIX, PREFIX_BYTES)) != NULL) {
        uint64_t value = 0;
        size_t i = PREFIX_BYTES;

        for (; i < PREFIX_BYTES + DIGITS && found + i < end; i++) {
            uint8_t c = found[i];

            if (c >= '0' && c <= '9')
                value = value << 4 | (uint64_t)(c - '0');
            else if (c >= 'a' && c <= 'f')
                value = value << 4 | (uint64_t)(c - 'a' + 10);
            else
                break;
        }
        if (i == PREFIX_BYTES + DIGITS) {
            *at = (size_t)(found - text.at);
            *id = value;
            return true;
        }
        found++;
    }
    return false;
}
