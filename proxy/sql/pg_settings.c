/* Vectors of settings, each once in a worker.  See pg_settings.h.
 *
 * A vector is one block: the struct, its entries, their bytes.  Other vectors that it refers to are
 * smaller ones: its `meaning`, and for a setting that not everybody may set the identity (role and
 * session_authorization) of who did.  Both have no references of their own but to themselves, so
 * nothing here is recursive by more than a step. */
#include "proxy/sql/pg_settings.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "proxy/base/mem.h"
#include "proxy/sql/pg_settings_pool.h"
#include "replica/statement.h"

enum { FIRST_BUCKETS = 64, MOST_ENTRIES = 1024 };

struct pg_settings_pool {
    struct pg_settings_limits limits;
    struct pg_settings **buckets; /* owned; the vectors are owned by their references */
    size_t bucket_count, count, bytes;
    uint64_t last_number;
};

struct pg_settings_pool *pg_settings_pool_new(const struct pg_settings_limits *limits)
{
    struct pg_settings_pool *pool = mem_new(sizeof(*pool));

    pool->limits = (struct pg_settings_limits){
        .count = limits->count > 0 ? limits->count : PG_SETTINGS_COUNT,
        .value_bytes = limits->value_bytes > 0 ? limits->value_bytes : PG_SETTINGS_VALUE_BYTES,
        .bytes = limits->bytes > 0 ? limits->bytes : PG_SETTINGS_BYTES,
    };
    if (pool->limits.count > MOST_ENTRIES)
        pool->limits.count = MOST_ENTRIES;
    pool->bucket_count = FIRST_BUCKETS;
    pool->buckets = mem_new(FIRST_BUCKETS * sizeof(struct pg_settings *));
    return pool;
}

void pg_settings_pool_free(struct pg_settings_pool **pool)
{
    if (*pool == NULL)
        return;
    assert((*pool)->count == 0);
    free((*pool)->buckets);
    free(*pool);
    *pool = NULL;
}

void pg_settings_pool_count(const struct pg_settings_pool *pool, size_t *vectors, size_t *bytes)
{
    *vectors = pool->count;
    *bytes = pool->bytes;
}

const struct pg_settings *pg_settings_ref(const struct pg_settings *v)
{
    if (v != NULL)
        ((struct pg_settings *)v)->refs++; /* the count is no part of the value */
    return v;
}

static struct pg_settings **bucket_of(const struct pg_settings_pool *pool, uint64_t hash)
{
    return &pool->buckets[hash & (pool->bucket_count - 1)];
}

/* The last reference is gone. */
static void end(struct pg_settings_pool *pool, struct pg_settings *v)
{
    struct pg_settings **link = bucket_of(pool, v->hash);

    while (*link != v)
        link = &(*link)->next;
    *link = v->next;
    pool->count--;
    pool->bytes -= v->bytes;
    if (v->meaning != v)
        pg_settings_unref(pool, &v->meaning);
    for (size_t i = 0; i < v->count; i++)
        pg_settings_unref(pool, &v->entries[i].under);
    free(v);
}

void pg_settings_unref(struct pg_settings_pool *pool, const struct pg_settings **v)
{
    struct pg_settings *ends = (struct pg_settings *)*v;

    *v = NULL;
    if (ends == NULL)
        return;
    assert(ends->refs > 0);
    if (--ends->refs == 0)
        end(pool, ends);
}

static void grow(struct pg_settings_pool *pool)
{
    struct pg_settings **old = pool->buckets;
    size_t old_count = pool->bucket_count;

    pool->bucket_count *= 2;
    pool->buckets = mem_new(pool->bucket_count * sizeof(struct pg_settings *));
    for (size_t i = 0; i < old_count; i++)
        for (struct pg_settings *v = old[i], *next; v != NULL; v = next) {
            struct pg_settings **bucket = bucket_of(pool, v->hash);

            next = v->next;
            v->next = *bucket;
            *bucket = v;
        }
    free(old);
}

static uint64_t hash_of(const struct pg_settings_entry *entries, size_t count)
{
    uint64_t hash = count;

    for (size_t i = 0; i < count; i++) {
        const struct pg_settings_entry *e = &entries[i];
        uint64_t under = pg_settings_number(e->under);

        hash = XXH3_64bits_withSeed(e->name.at, e->name.len, hash);
        hash = XXH3_64bits_withSeed(e->value.at, e->value.len, hash + e->name.len);
        hash = XXH3_64bits_withSeed(&under, sizeof(under), hash + e->value.len + e->traits);
    }
    return hash;
}

static bool is_same(const struct pg_settings *v, uint64_t hash,
                    const struct pg_settings_entry *entries, size_t count)
{
    if (v->hash != hash || v->count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct pg_settings_entry *a = &v->entries[i], *b = &entries[i];

        if (a->under != b->under || a->traits != b->traits || !slice_is(a->name, b->name) ||
            !slice_is(a->value, b->value))
            return false;
    }
    return true;
}

static bool is_foreign(struct slice value)
{
    uint8_t all = 0;

    for (size_t i = 0; i < value.len; i++)
        all |= value.at[i];
    return all >= 0x80;
}

static bool is_prefix(struct slice value, const char *word, size_t least)
{
    return value.len >= least && value.len <= strlen(word) &&
           strncasecmp((const char *)value.at, word, value.len) == 0;
}

/* As PostgreSQL reads a boolean: the beginning of a word is enough. */
static uint8_t switch_of(struct slice value)
{
    if (is_prefix(value, "true", 1) || is_prefix(value, "yes", 1) || is_prefix(value, "on", 2) ||
        slice_is_text(value, "1"))
        return PG_SWITCH_ON;
    if (is_prefix(value, "false", 1) || is_prefix(value, "no", 1) || is_prefix(value, "off", 2) ||
        slice_is_text(value, "0"))
        return PG_SWITCH_OFF;
    return PG_SWITCH_UNSAID;
}

static uint8_t isolation_of(struct slice value)
{
    if (slice_is_word(value, "serializable"))
        return PG_ISOLATION_SERIALIZABLE;
    if (slice_is_word(value, "repeatable read"))
        return PG_ISOLATION_REPEATABLE_READ;
    if (slice_is_word(value, "read uncommitted"))
        return PG_ISOLATION_READ_UNCOMMITTED;
    return PG_ISOLATION_READ_COMMITTED;
}

static bool is_lazy(struct slice synchronous_commit)
{
    return slice_is_word(synchronous_commit, "off") || slice_is_word(synchronous_commit, "false") ||
           slice_is_word(synchronous_commit, "no") || slice_is_text(synchronous_commit, "0");
}

static void note_facts(struct pg_settings *v, const struct pg_settings_entry *e)
{
    if (slice_is_text(e->name, "default_transaction_read_only"))
        v->read_only = switch_of(e->value);
    else if (slice_is_text(e->name, "default_transaction_deferrable"))
        v->deferrable = switch_of(e->value);
    else if (slice_is_text(e->name, "default_transaction_isolation"))
        v->isolation = isolation_of(e->value);
    else if (slice_is_text(e->name, "standard_conforming_strings"))
        v->conforming = switch_of(e->value);
    else if (slice_is_text(e->name, "synchronous_commit"))
        v->commits_lazily = is_lazy(e->value);
    else if (slice_is_text(e->name, "role") || slice_is_text(e->name, "session_authorization"))
        v->has_role = true;
    else if (slice_is_text(e->name, "client_encoding")) {
        v->has_encoding = true;
        v->hides_ascii = statement_encoding_hides_ascii(e->value);
    }
    if (is_foreign(e->value))
        v->has_foreign_bytes = true;
}

static struct slice keep(uint8_t **to, struct slice s)
{
    struct slice kept = { *to, s.len };

    if (s.len > 0)
        memcpy(*to, s.at, s.len);
    *to += s.len;
    return kept;
}

static struct pg_settings *build(const struct pg_settings_entry *entries, size_t count)
{
    size_t bytes = sizeof(struct pg_settings) + count * sizeof(entries[0]);
    struct pg_settings *v;
    uint8_t *to;

    for (size_t i = 0; i < count; i++)
        bytes += entries[i].name.len + entries[i].value.len;
    v = mem_new(bytes);
    v->entries = (struct pg_settings_entry *)(v + 1);
    v->count = (uint32_t)count;
    v->bytes = (uint32_t)bytes;
    to = (uint8_t *)(v->entries + count);
    for (size_t i = 0; i < count; i++) {
        v->entries[i] = (struct pg_settings_entry){
            .name = keep(&to, entries[i].name),
            .value = keep(&to, entries[i].value),
            .under = pg_settings_ref(entries[i].under),
            .traits = entries[i].traits,
        };
        note_facts(v, &v->entries[i]);
    }
    return v;
}

/* The entries with this trait, without who set them. */
static const struct pg_settings *part(struct pg_settings_pool *pool, struct pg_settings *v,
                                      unsigned trait)
{
    struct pg_settings_entry *entries;
    const struct pg_settings *result = v;
    size_t count = 0, others = 0;

    for (size_t i = 0; i < v->count; i++) {
        if (v->entries[i].traits & trait)
            count++;
        if (!(v->entries[i].traits & trait) || v->entries[i].under != NULL)
            others++;
    }
    if (others == 0 || count == 0)
        return count == 0 ? NULL : result;
    entries = mem_new(count * sizeof(entries[0]));
    count = 0;
    for (size_t i = 0; i < v->count; i++)
        if (v->entries[i].traits & trait) {
            entries[count] = v->entries[i];
            entries[count++].under = NULL;
        }
    result = pg_settings_intern(pool, entries, count);
    free(entries);
    return result;
}

const struct pg_settings *pg_settings_intern(struct pg_settings_pool *pool,
                                             const struct pg_settings_entry *entries, size_t count)
{
    uint64_t hash = hash_of(entries, count);
    struct pg_settings *v, **bucket;

    if (count == 0)
        return NULL;
    for (v = *bucket_of(pool, hash); v != NULL; v = v->next)
        if (is_same(v, hash, entries, count))
            return pg_settings_ref(v);
    v = build(entries, count);
    v->hash = hash;
    v->number = ++pool->last_number;
    v->refs = 1;
    if (pool->count >= pool->bucket_count)
        grow(pool);
    bucket = bucket_of(pool, hash);
    v->next = *bucket;
    *bucket = v;
    pool->count++;
    pool->bytes += v->bytes;
    v->meaning = part(pool, v, PG_TRAIT_MEANING);
    return v;
}

static int compare(struct slice a, struct slice b)
{
    int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

size_t pg_settings_place(const struct pg_settings *v, struct slice name, bool *found)
{
    size_t low = 0, high = pg_settings_count(v);

    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(v->entries[middle].name, name);

        if (order == 0)
            *found = true;
        if (order >= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

bool pg_settings_find(const struct pg_settings *v, struct slice name, struct slice *value)
{
    bool found;
    size_t place = pg_settings_place(v, name, &found);

    if (found)
        *value = v->entries[place].value;
    return found;
}

struct pg_setting pg_settings_at(const struct pg_settings *v, size_t i)
{
    assert(i < pg_settings_count(v));
    return (struct pg_setting){ v->entries[i].name, v->entries[i].value };
}

bool pg_settings_news(const struct pg_settings *told, const struct pg_settings *reported,
                      struct pg_settings_walk *walk, struct pg_setting *out)
{
    while (told != reported && walk->reported < pg_settings_count(reported)) {
        const struct pg_settings_entry *e = &reported->entries[walk->reported];
        int order = -1; /* as if told had only greater names */

        if (walk->told < pg_settings_count(told))
            order = compare(e->name, told->entries[walk->told].name);
        if (order > 0) {
            walk->told++;
            continue;
        }
        walk->reported++;
        if (order == 0 && slice_is(e->value, told->entries[walk->told++].value))
            continue;
        *out = (struct pg_setting){ e->name, e->value };
        return true;
    }
    return false;
}

/* --- Other vectors from one ------------------------------------------------------------------ */

/* A copy of v's entries, with room for one more at `place`. */
static struct pg_settings_entry *opened(const struct pg_settings *v, size_t place)
{
    size_t count = pg_settings_count(v);
    struct pg_settings_entry *entries = mem_new((count + 1) * sizeof(entries[0]));

    if (v != NULL && place > 0)
        memcpy(entries, v->entries, place * sizeof(entries[0]));
    if (v != NULL && place < count)
        memcpy(entries + place + 1, v->entries + place, (count - place) * sizeof(entries[0]));
    return entries;
}

static void put(struct pg_settings_pool *pool, const struct pg_settings **v,
                struct pg_settings_entry entry)
{
    bool found;
    size_t place = pg_settings_place(*v, entry.name, &found), count = pg_settings_count(*v);
    struct pg_settings_entry *entries = opened(*v, place);
    const struct pg_settings *other;

    if (found)
        memmove(entries + place, entries + place + 1, (count - place) * sizeof(entries[0]));
    else
        count++;
    entries[place] = entry;
    other = pg_settings_intern(pool, entries, count);
    free(entries);
    pg_settings_unref(pool, v);
    *v = other;
}

void pg_settings_take(struct pg_settings_pool *pool, const struct pg_settings **v,
                      struct slice name)
{
    bool found;
    size_t place = pg_settings_place(*v, name, &found), count = pg_settings_count(*v);
    struct pg_settings_entry *entries;
    const struct pg_settings *other;

    if (!found)
        return;
    entries = opened(*v, count);
    count--;
    memmove(entries + place, entries + place + 1, (count - place) * sizeof(entries[0]));
    other = pg_settings_intern(pool, entries, count);
    free(entries);
    pg_settings_unref(pool, v);
    *v = other;
}

static bool has_zero(struct slice s)
{
    return s.len > 0 && memchr(s.at, 0, s.len) != NULL;
}

const struct pg_settings *pg_settings_identity(struct pg_settings_pool *pool,
                                               const struct pg_settings *v)
{
    static const char *const NAMES[] = { "role", "session_authorization" };
    struct pg_settings_entry entries[2];
    size_t count = 0;

    if (v == NULL || !v->has_role)
        return NULL;
    for (size_t i = 0; i < 2; i++) {
        bool found;
        size_t place = pg_settings_place(v, slice_text(NAMES[i]), &found);

        if (found && !slice_is_text(v->entries[place].value, "none"))
            entries[count++] = v->entries[place];
    }
    return pg_settings_intern(pool, entries, count);
}

static enum err fits(const struct pg_settings_pool *pool, const struct pg_settings *v)
{
    size_t bytes = 0;

    for (size_t i = 0; i < pg_settings_count(v); i++) {
        if (v->entries[i].value.len > pool->limits.value_bytes)
            return ERR_LIMIT;
        bytes += v->entries[i].name.len + v->entries[i].value.len;
    }
    return pg_settings_count(v) > pool->limits.count || bytes > pool->limits.bytes ? ERR_LIMIT
                                                                                   : ERR_NONE;
}

/* Encodings that only clients have, in which a byte of a letter may look like a backslash.  Unsaid,
 * it is the database's, and that is none of these. */
static bool backslash_may_be_a_letter(const struct pg_settings *v)
{
    static const char *const PREFIXES[] = { "sjis",       "shift",      "mskanji",    "win932",
                                            "windows932", "big5",       "win950",     "windows950",
                                            "gbk",        "win936",     "windows936", "uhc",
                                            "win949",     "windows949", "gb18030",    "johab" };
    struct slice encoding;
    char plain[16];
    size_t len = 0;

    if (!pg_settings_find(v, slice_text("client_encoding"), &encoding))
        return false;
    for (size_t i = 0; i < encoding.len && len + 1 < sizeof(plain); i++) { /* as PostgreSQL does */
        uint8_t c = encoding.at[i];

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
            plain[len++] = (char)c;
    }
    plain[len] = 0;
    for (size_t i = 0; i < sizeof(PREFIXES) / sizeof(PREFIXES[0]); i++)
        if (strncasecmp(plain, PREFIXES[i], strlen(PREFIXES[i])) == 0)
            return true;
    return false;
}

/* Values stand in the encoding that the vector says; can `v` have come from `old` by one step? */
static enum err keeps_encoding(const struct pg_settings *old, const struct pg_settings *v)
{
    struct slice name = slice_text("client_encoding"), before = { 0 }, after = { 0 };

    if (v == NULL || !v->has_foreign_bytes)
        return ERR_NONE;
    if (backslash_may_be_a_letter(v))
        return ERR_UNSUPPORTED;
    if (old == NULL || !old->has_foreign_bytes)
        return ERR_NONE;
    pg_settings_find(old, name, &before);
    pg_settings_find(v, name, &after);
    return slice_is(before, after) ? ERR_NONE : ERR_UNSUPPORTED;
}

/* Exchanges *v for `next`, whose reference it takes, if that can be kept and said again. */
static enum err become(struct pg_settings_pool *pool, const struct pg_settings **v,
                       const struct pg_settings *next)
{
    enum err err = fits(pool, next);

    if (err == ERR_NONE)
        err = keeps_encoding(*v, next);
    if (err != ERR_NONE) {
        pg_settings_unref(pool, &next);
        return err;
    }
    pg_settings_unref(pool, v);
    *v = next;
    return ERR_NONE;
}

enum err pg_settings_set(struct pg_settings_pool *pool, const struct pg_settings **v,
                         struct slice name, struct slice value)
{
    const struct pg_settings *next, *under = NULL;
    char folded[PG_SETTINGS_NAME_BYTES], merged[PG_DATESTYLE_BYTES];
    unsigned traits;

    if (!pg_settings_fold(name, folded, &name) || value.len > pool->limits.value_bytes)
        return ERR_LIMIT;
    traits = pg_settings_traits(name);
    if (traits & PG_TRAIT_UNTRACKED)
        return ERR_NONE;
    if (traits & PG_TRAIT_STARTUP || has_zero(value) || is_foreign(name))
        return ERR_UNSUPPORTED;
    if (slice_is_text(name, "datestyle"))
        value = pg_settings_datestyle(*v, value, merged);
    if (traits & PG_TRAIT_PRIVILEGED)
        under = pg_settings_identity(pool, *v);
    next = pg_settings_ref(*v);
    put(pool, &next, (struct pg_settings_entry){ name, value, under, traits });
    pg_settings_unref(pool, &under);
    if (slice_is_text(name, "session_authorization")) { /* it ends SET ROLE */
        name = slice_text("role");
        put(pool, &next,
            (struct pg_settings_entry){ name, slice_text("none"), NULL, pg_settings_traits(name) });
    }
    return become(pool, v, next);
}

enum err pg_settings_drop(struct pg_settings_pool *pool, const struct pg_settings **v,
                          struct slice name)
{
    char folded[PG_SETTINGS_NAME_BYTES];
    const struct pg_settings *next;

    if (!pg_settings_fold(name, folded, &name))
        return ERR_NONE;
    next = pg_settings_ref(*v);
    pg_settings_take(pool, &next, name);
    if (slice_is_text(name, "session_authorization"))
        pg_settings_take(pool, &next, slice_text("role"));
    return become(pool, v, next);
}

void pg_settings_report(struct pg_settings_pool *pool, const struct pg_settings **v,
                        struct slice name, struct slice value)
{
    const struct pg_settings *next;

    if (name.len == 0 || name.len >= PG_SETTINGS_NAME_BYTES || has_zero(name) || has_zero(value) ||
        value.len > pool->limits.value_bytes)
        return;
    next = pg_settings_ref(*v);
    put(pool, &next, (struct pg_settings_entry){ name, value, NULL, 0 });
    if (fits(pool, next) != ERR_NONE) {
        pg_settings_unref(pool, &next);
        return;
    }
    pg_settings_unref(pool, v);
    *v = next;
}

void pg_settings_put(struct pg_settings_pool *pool, const struct pg_settings **v,
                     const struct pg_settings_entry *entry)
{
    put(pool, v, *entry);
}
