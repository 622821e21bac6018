/* ram://SIZE: a store in the process's own memory, gone when it ends.
 *
 * It holds `size` bytes, with all that its tables take.  When more is put, either that is refused,
 * as Redis refuses with noeviction; or room is made, by a hand that goes round over all entries and
 * takes those that were not used since it came by last, which costs no list and no order.  What was
 * read survives a round more than what was only put: else the first round, in which all is new,
 * would take what is read all the time as soon as anything.  A hand that finds nothing but what was
 * used takes that: nobody waits until it came around.
 *
 * What is flushed is out of sight at once and given back little by little (shed()); what is put
 * meanwhile has its room before. */
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

#include "proxy/base/mem.h"
#include "proxy/memory/memory.h"
#include "proxy/memory/store.h"
#include "proxy/memory/store_table.h"

enum { ROUNDS_OF_PUT = 1, ROUNDS_OF_READ = 2 };

struct store {
    uint64_t seed;              /* of hashes: nobody else can tell which names would collide */
    struct store_table *tables; /* owned; by database */
    uint32_t count;
    uint64_t bytes_most;
    bool evicts;
    uint32_t hand_database;
    uint64_t hand_from; /* a hash: see store_table_step() */
    uint64_t evicted;
    struct store_table *flushed; /* owned; to be shed */
    uint32_t flushed_count;
    uint64_t flushed_bytes;
};

static enum err ram_open(const struct store_settings *settings, struct store **out, struct buf *why)
{
    struct store *s = mem_new(sizeof(*s));

    (void)why;
    if (getrandom(&s->seed, sizeof(s->seed), 0) != sizeof(s->seed))
        s->seed = (uintptr_t)s;
    s->bytes_most = settings->bytes_most;
    s->evicts = settings->evicts;
    *out = s;
    return ERR_NONE;
}

static void ram_close(struct store **where)
{
    struct store *s = *where;

    *where = NULL;
    for (uint32_t i = 0; i < s->count; i++)
        store_table_clear(&s->tables[i]);
    for (uint32_t i = 0; i < s->flushed_count; i++)
        store_table_clear(&s->flushed[i]);
    free(s->flushed);
    free(s->tables);
    free(s);
}

static struct store_table *table_of(struct store *s, uint32_t database)
{
    static struct store_table none; /* stays empty: nothing is ever put into it */

    return database < s->count ? &s->tables[database] : &none;
}

static uint64_t bytes_of(const struct store *s)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < s->count; i++)
        bytes += s->tables[i].bytes;
    return bytes + s->flushed_bytes;
}

static uint64_t hash_of(const struct store *s, const struct store_key *key)
{
    return XXH3_64bits_withSeed(key->name.at, key->name.len, s->seed);
}

static enum err ram_get(struct store *s, const struct store_key *key, struct store_value *out)
{
    struct store_entry *e =
        store_table_find(table_of(s, key->database), hash_of(s, key), key->name);

    if (e == NULL)
        return ERR_NOT_FOUND;
    e->rounds = ROUNDS_OF_READ;
    out->bytes = store_entry_value(e);
    out->expires_ms = e->expires_ms;
    return ERR_NONE;
}

/* ---- room ---- */

static bool ram_shed(struct store *s, uint32_t most)
{
    struct store_table *last;

    if (s->flushed_count == 0)
        return false;
    last = &s->flushed[s->flushed_count - 1];
    s->flushed_bytes -= last->bytes;
    s->flushed_count -= !store_table_shed(last, most);
    s->flushed_bytes += last->bytes;
    return s->flushed_count > 0;
}

struct hand {
    struct store_entry *found; /* not used since; NULL: all were */
    struct store_entry *used;  /* of those that were the first whose rounds are the fewest */
    uint32_t used_database;
    const struct store_entry *spared;
};

static void point_at(void *arg, const struct store_entry *e)
{
    struct hand *hand = arg;
    struct store_entry *entry = (struct store_entry *)e;

    if (entry == hand->spared)
        return;
    if (entry->rounds == 0) {
        hand->found = entry;
        return;
    }
    entry->rounds--;
    if (hand->used == NULL || entry->rounds < hand->used->rounds)
        hand->used = entry;
}

/* False: there is nothing but what is spared. */
static bool evict_one(struct store *s, const struct store_entry *spared)
{
    enum { LOOKS_MOST = 64 };
    struct hand hand = { .spared = spared };
    uint32_t ends = 0;

    for (int looks = 0; hand.found == NULL && ends <= 2 * s->count; looks++) {
        struct store_table *t = &s->tables[s->hand_database];
        const struct store_entry *used = hand.used;
        bool goes_on = t->count > 0 && store_table_step(t, &s->hand_from, point_at, &hand);

        if (hand.used != used)
            hand.used_database = s->hand_database;
        if (hand.found == NULL && hand.used != NULL && looks > LOOKS_MOST)
            break;
        if (goes_on)
            continue;
        ends++;
        s->hand_from = 0;
        if (hand.found == NULL)
            s->hand_database = (s->hand_database + 1) % s->count;
    }
    if (hand.found != NULL)
        store_table_drop(&s->tables[s->hand_database], hand.found);
    else if (hand.used != NULL)
        store_table_drop(&s->tables[hand.used_database], hand.used);
    else
        return false;
    s->evicted++;
    return true;
}

/* True: there is room for so much more.  What a table's new buckets are too much is made up for a
 * little with each put: they are used as slowly. */
static bool make_room(struct store *s, uint64_t more, const struct store_entry *spared)
{
    enum { AT_ONCE = 32 };
    uint64_t before = bytes_of(s);

    for (int i = 0; bytes_of(s) + more > s->bytes_most; i++) {
        if (i >= AT_ONCE && bytes_of(s) + more <= before)
            return true;
        if (!ram_shed(s, 1) && bytes_of(s) + more > s->bytes_most &&
            (!s->evicts || !evict_one(s, spared)))
            return false;
    }
    return true;
}

/* A little at a time; what does not wait for that is made room for when it is put. */
static void ram_resize(struct store *s, const struct store_settings *settings)
{
    enum { AT_ONCE = 4096 };

    s->bytes_most = settings->bytes_most;
    s->evicts = settings->evicts;
    for (int i = 0; i < AT_ONCE && s->evicts && bytes_of(s) > s->bytes_most; i++)
        if (!evict_one(s, NULL))
            return;
}

static void have_table(struct store *s, uint32_t database)
{
    uint32_t count = database + 1;

    if (database < s->count)
        return;
    s->tables = mem_resize(s->tables, count * sizeof(*s->tables));
    memset(&s->tables[s->count], 0, (count - s->count) * sizeof(*s->tables));
    s->count = count;
}

static enum err ram_put(struct store *s, const struct store_key *key,
                        const struct store_value *value)
{
    enum { TABLE_BYTES = 16 }; /* an entry's share of the buckets */
    struct store_table *t;
    struct store_entry *e;
    uint64_t hash = hash_of(s, key);
    size_t need = sizeof(*e) + TABLE_BYTES + key->name.len + value->bytes.len;

    have_table(s, key->database);
    t = &s->tables[key->database];
    e = store_table_find(t, hash, key->name);
    if (e != NULL) /* it takes the place of what is there: only what it needs besides counts */
        need = need > sizeof(*e) + TABLE_BYTES + e->room ? need - sizeof(*e) - TABLE_BYTES - e->room
                                                         : 0;
    if (need > 0 && !make_room(s, need, e))
        return ERR_LIMIT;
    e = store_table_put(t, e, hash, key->name, value->bytes);
    e->expires_ms = value->expires_ms;
    if (e->rounds < ROUNDS_OF_PUT)
        e->rounds = ROUNDS_OF_PUT;
    return ERR_NONE;
}

static enum err ram_drop(struct store *s, const struct store_key *key)
{
    struct store_table *t = table_of(s, key->database);
    struct store_entry *e = store_table_find(t, hash_of(s, key), key->name);

    if (e == NULL)
        return ERR_NOT_FOUND;
    store_table_drop(t, e);
    return ERR_NONE;
}

/* ---- walking ---- */

struct walk {
    store_visit_f *visit;
    void *arg;
    bool is_enough;
};

static void show(void *arg, const struct store_entry *e)
{
    struct walk *walk = arg;
    struct store_value value = { store_entry_value(e), e->expires_ms };

    if (!walk->visit(walk->arg, store_place(e->hash), store_entry_key(e), &value))
        walk->is_enough = true;
}

static enum err ram_walk(struct store *s, uint32_t database, uint64_t *place, uint64_t most,
                         store_visit_f *visit, void *arg)
{
    struct walk walk = { visit, arg, false };
    uint64_t from = *place << (64 - STORE_PLACE_BITS);
    bool goes_on = true;

    for (uint64_t i = 0; goes_on && !walk.is_enough && i < most; i++)
        goes_on = store_table_step(table_of(s, database), &from, show, &walk);
    *place = goes_on ? store_place(from) : 0;
    return ERR_NONE;
}

static void set_aside(struct store *s, struct store_table *t)
{
    s->flushed = mem_resize(s->flushed, (s->flushed_count + 1) * sizeof(*s->flushed));
    s->flushed[s->flushed_count++] = *t;
    s->flushed_bytes += t->bytes;
    *t = (struct store_table){ 0 };
}

static enum err ram_flush(struct store *s, int64_t database)
{
    enum { AT_ONCE = 1000 };
    uint64_t cleared = 0;

    for (uint32_t i = 0; i < s->count; i++) {
        if (database != STORE_ALL_DATABASES && database != i)
            continue;
        cleared += s->tables[i].count;
        if (cleared <= AT_ONCE)
            store_table_clear(&s->tables[i]);
        else
            set_aside(s, &s->tables[i]);
    }
    s->hand_from = 0;
    return ERR_NONE;
}

static void ram_measure(struct store *s, uint32_t database, struct store_size *out)
{
    *out = (struct store_size){ .keys = table_of(s, database)->count,
                                .bytes = bytes_of(s),
                                .evicted = s->evicted };
}

static uint32_t ram_databases(struct store *s)
{
    return s->count;
}

static const char *ram_why(struct store *s)
{
    (void)s;
    return "";
}

static const struct store_engine engine = {
    .open = ram_open,
    .close = ram_close,
    .get = ram_get,
    .put = ram_put,
    .drop = ram_drop,
    .resize = ram_resize,
    .walk = ram_walk,
    .flush = ram_flush,
    .shed = ram_shed,
    .measure = ram_measure,
    .databases = ram_databases,
    .why = ram_why,
};

const struct memory_back memory_back_ram = { .name = "ram", .engine = &engine };
