/* See listing.h.  A shard is in one of four states, which its fields tell:
 *
 *     has items  --listing_next() takes the last-->  dry, or finished
 *     dry        --listing_wants()-->                asked
 *     asked      --listing_page_close()-->           has items, dry or finished
 *     asked      --listing_unask()-->                dry
 *
 * dry and asked are counted together in `dry`; while it is not zero nothing can be told, since what
 * is not known might be the least.  The heap holds those that have items. */
#include "shard/listing.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/mem.h"

enum {
    PAGE_SLACK = 4, /* items beyond the share and its deviation */
    FIRST_ROOM = 64,
};

struct row {
    struct listing_item *items; /* owned */
    size_t count, room, next;
    size_t descent; /* where a second run begins that was behind the first; 0: nowhere */
};

struct listing_shard {
    struct arena arena; /* of the page: names, ids, payloads */
    struct row keys, prefixes;
    struct buf after, after_id; /* where its next page begins */
    uint32_t asked;             /* how many were asked for; 0: none, no page is on its way */
    bool is_truncated;          /* it has more behind its page */
    uint64_t taken;             /* of its items */
};

/* ---- order ---- */

static inline int compare(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.at, b.at, len) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static inline const struct listing_item *row_head(const struct row *row)
{
    return row->next < row->count ? &row->items[row->next] : NULL;
}

/* The row that has the shard's least item; NULL if there is none. */
static struct row *least_row(struct listing_shard *s)
{
    const struct listing_item *key = row_head(&s->keys), *prefix = row_head(&s->prefixes);

    if (key == NULL)
        return prefix != NULL ? &s->prefixes : NULL;
    return prefix == NULL || compare(key->name, prefix->name) <= 0 ? &s->keys : &s->prefixes;
}

static inline const struct listing_item *shard_head(struct listing_shard *s)
{
    if (s->prefixes.next == s->prefixes.count)
        return row_head(&s->keys);
    return row_head(least_row(s));
}

/* Equal keys stay together by shard. */
static bool is_before(const struct listing *l, uint32_t a, uint32_t b)
{
    const struct listing_item *x = shard_head(&l->shards[a]), *y = shard_head(&l->shards[b]);
    int order = compare(x->name, y->name);

    if (order == 0)
        order = x->is_prefix - y->is_prefix;
    return order < 0 || (order == 0 && a < b);
}

/* ---- the heap ---- */

static void heap_swap(struct listing *l, uint32_t a, uint32_t b)
{
    uint32_t shard = l->heap[a];

    l->heap[a] = l->heap[b];
    l->heap[b] = shard;
}

static void heap_sink(struct listing *l)
{
    for (uint32_t at = 0, least;; at = least) {
        uint32_t left = 2 * at + 1, right = left + 1;

        least = left < l->heap_count && is_before(l, l->heap[left], l->heap[at]) ? left : at;
        if (right < l->heap_count && is_before(l, l->heap[right], l->heap[least]))
            least = right;
        if (least == at)
            return;
        heap_swap(l, at, least);
    }
}

static void heap_add(struct listing *l, uint32_t shard)
{
    uint32_t at = l->heap_count++;

    l->heap[at] = shard;
    while (at > 0 && is_before(l, l->heap[at], l->heap[(at - 1) / 2])) {
        heap_swap(l, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

/* The top's item is done with. */
static void heap_advance(struct listing *l)
{
    struct listing_shard *s = &l->shards[l->heap[0]];

    least_row(s)->next++;
    s->taken++;
    if (shard_head(s) == NULL) {
        l->dry += s->is_truncated;
        l->heap[0] = l->heap[--l->heap_count];
    }
    heap_sink(l);
}

/* ---- asking ---- */

void listing_open(struct listing *l, const struct listing_options *options)
{
    uint32_t max = options->max_keys < LISTING_MAX_KEYS ? options->max_keys : LISTING_MAX_KEYS;

    assert(options->shards > 0);
    *l = (struct listing){ .kind = options->kind,
                           .shard_count = options->shards,
                           .max_keys = max,
                           .hidden = options->hidden,
                           .shards = mem_new(options->shards * sizeof(*l->shards)),
                           .heap = mem_new(options->shards * sizeof(*l->heap)),
                           .dry = options->shards };
    for (uint32_t i = 0; i < options->shards; i++) {
        struct listing_shard *s = &l->shards[i];

        s->arena.slab = options->slab;
        s->is_truncated = true; /* as behind an empty page */
        buf_slice(&s->after, options->after);
        if (i == options->after_shard && options->kind == LISTING_GROUPS)
            buf_slice(&s->after_id, options->after_id);
    }
}

static uint32_t square_root(uint32_t n)
{
    uint32_t root = 0;

    while ((uint64_t)(root + 1) * (root + 1) <= n)
        root++;
    return root;
}

/* What the shard will probably have among the items that are still to be told: an equal share, or
 * what it had so far; and two and a half deviations, so that few must be asked again. */
static uint32_t page_size(const struct listing *l, const struct listing_shard *s)
{
    uint32_t left = l->max_keys - l->count;
    uint64_t share = (left + l->shard_count - 1) / l->shard_count, seen = 0;

    if (s->after.len > 0)
        left++; /* some repeat what is asked to be left out */
    if (l->count > 0)
        seen = (uint64_t)left * s->taken / l->count;
    if (seen > share)
        share = seen;
    if (share < left)
        share += 5 * square_root((uint32_t)share) / 2 + PAGE_SLACK;
    if (share > left)
        share = left;
    return share < LISTING_MAX_KEYS ? (uint32_t)share : LISTING_MAX_KEYS;
}

static void row_clear(struct row *row)
{
    row->count = row->next = row->descent = 0;
}

bool listing_wants(struct listing *l, uint32_t shard, struct listing_ask *ask)
{
    struct listing_shard *s = &l->shards[shard];

    assert(shard < l->shard_count);
    if (l->is_ended || l->count == l->max_keys || s->asked > 0 || !s->is_truncated ||
        shard_head(s) != NULL)
        return false;
    s->asked = page_size(l, s);
    *ask = (struct listing_ask){ .after = buf_all(&s->after),
                                 .after_id = buf_all(&s->after_id),
                                 .max = s->asked };
    return true;
}

void listing_unask(struct listing *l, uint32_t shard)
{
    struct listing_shard *s = &l->shards[shard];

    assert(shard < l->shard_count);
    s->asked = 0;
    row_clear(&s->keys);
    row_clear(&s->prefixes);
    l->problem = NULL;
}

/* ---- pages ---- */

static void row_add(struct row *row, const struct listing_item *item)
{
    if (row->count == row->room) {
        row->room = row->room == 0 ? FIRST_ROOM : 2 * row->room;
        row->items = mem_resize(row->items, row->room * sizeof(*row->items));
    }
    row->items[row->count++] = *item;
}

static enum err fail(struct listing *l, enum err err, const char *problem)
{
    l->problem = problem;
    return err;
}

struct arena *listing_page_open(struct listing *l, uint32_t shard)
{
    struct listing_shard *s = &l->shards[shard];

    assert(shard < l->shard_count && s->asked > 0 && shard_head(s) == NULL);
    arena_fini(&s->arena);
    row_clear(&s->keys);
    row_clear(&s->prefixes);
    return &s->arena;
}

/* Some stores list all versions and then all delete markers: so that one step back is allowed where
 * a key may come again. */
static enum err check_order(struct listing *l, struct row *row, const struct listing_item *item)
{
    const struct listing_item *last = row->count > 0 ? &row->items[row->count - 1] : NULL;
    int order = last != NULL ? compare(last->name, item->name) : -1;
    bool may_repeat = l->kind == LISTING_GROUPS && !item->is_prefix;

    if (order < 0)
        return ERR_NONE;
    if (order == 0 && (!may_repeat || slice_is(last->id, item->id)))
        return fail(l, ERR_PROTOCOL, "it lists a name twice");
    if (order == 0)
        return ERR_NONE;
    if (!may_repeat || row->descent > 0)
        return fail(l, ERR_PROTOCOL, "its list is not in the order of bytes");
    row->descent = row->count;
    return ERR_NONE;
}

enum err listing_page_put(struct listing *l, uint32_t shard, const struct listing_item *item)
{
    struct listing_shard *s = &l->shards[shard];
    struct row *row = item->is_prefix ? &s->prefixes : &s->keys;
    struct listing_item copy = *item;

    assert(shard < l->shard_count && s->asked > 0);
    if (item->name.len == 0)
        return fail(l, ERR_PROTOCOL, "it lists an empty name");
    if (item->name.len > LISTING_NAME_BYTES || item->id.len > LISTING_ID_BYTES)
        return fail(l, ERR_LIMIT, "it lists a name that is too long");
    if (s->keys.count + s->prefixes.count == LISTING_PAGE_ITEMS ||
        s->arena.held > LISTING_PAGE_BYTES)
        return fail(l, ERR_LIMIT, "a page of its list is too large");
    TRY(check_order(l, row, item));
    copy.shard = shard;
    copy.name = arena_copy(&s->arena, item->name);
    copy.id = item->id.len > 0 ? arena_copy(&s->arena, item->id) : (struct slice){ 0 };
    row_add(row, &copy);
    l->fetched++;
    return ERR_NONE;
}

/* Merges the two runs; equal names keep their order. */
static void row_join_runs(struct row *row)
{
    struct row joined = { 0 };
    size_t a = 0, b = row->descent;

    if (row->descent == 0)
        return;
    while (a < row->descent || b < row->count) {
        bool takes_second = a == row->descent ||
                            (b < row->count && compare(row->items[b].name, row->items[a].name) < 0);

        row_add(&joined, &row->items[takes_second ? b++ : a++]);
    }
    free(row->items);
    *row = joined;
}

/* The last item up to which a page that is not the last tells everything.  A store that does not
 * count prefixes gives too many, and some far ahead: its keys alone tell how far it came. */
static const struct listing_item *page_end(const struct listing_shard *s)
{
    const struct row *keys = &s->keys, *prefixes = &s->prefixes;
    const struct listing_item *key = keys->count > 0 ? &keys->items[keys->count - 1] : NULL;
    const struct listing_item *prefix =
        prefixes->count > 0 ? &prefixes->items[prefixes->count - 1] : NULL;

    if (prefix == NULL || keys->count + prefixes->count > s->asked)
        return key;
    return key == NULL || compare(key->name, prefix->name) < 0 ? prefix : key;
}

/* Whether the item is behind what was asked to be left out. */
static bool is_new(const struct listing_shard *s, const struct listing_item *item)
{
    int order = compare(item->name, buf_all(&s->after));

    if (order != 0 || item->is_prefix || s->after_id.len == 0)
        return order > 0;
    return !slice_is(item->id, buf_all(&s->after_id));
}

/* Leaves in the row what is to be told. */
static void row_filter(const struct listing *l, const struct listing_shard *s, struct row *row,
                       const struct listing_item *end)
{
    size_t kept = 0;

    for (size_t i = 0; i < row->count; i++) {
        const struct listing_item *item = &row->items[i];
        bool is_hidden =
            item->is_hidden || (l->hidden.len > 0 && slice_starts(item->name, l->hidden));

        if (is_hidden || !is_new(s, item) || (end != NULL && compare(item->name, end->name) > 0))
            continue;
        row->items[kept++] = *item;
    }
    row->count = kept;
}

enum err listing_page_close(struct listing *l, uint32_t shard, bool is_truncated)
{
    struct listing_shard *s = &l->shards[shard];
    struct listing_item end = { 0 };

    assert(shard < l->shard_count && s->asked > 0);
    if (is_truncated && s->keys.descent > 0)
        return fail(l, ERR_PROTOCOL, "its list is not in the order of bytes");
    row_join_runs(&s->keys);
    if (s->keys.count > 0 && compare(s->keys.items[0].name, buf_all(&s->after)) < 0)
        return fail(l, ERR_PROTOCOL, "it lists keys before the one to begin behind");
    if (is_truncated) {
        const struct listing_item *last = page_end(s);

        if (last == NULL || !is_new(s, last))
            return fail(l, ERR_PROTOCOL, "a page of its list leads no further");
        end = *last;
    }
    row_filter(l, s, &s->keys, is_truncated ? &end : NULL);
    row_filter(l, s, &s->prefixes, is_truncated ? &end : NULL);
    buf_clear(&s->after);
    buf_clear(&s->after_id);
    buf_slice(&s->after, end.name);
    if (!end.is_prefix)
        buf_slice(&s->after_id, end.id);
    s->is_truncated = is_truncated;
    s->asked = 0;
    if (shard_head(s) != NULL)
        heap_add(l, shard);
    if (shard_head(s) != NULL || !is_truncated)
        l->dry--;
    return ERR_NONE;
}

/* ---- telling ---- */

/* Whether another shard told this already. */
static bool is_told(const struct listing *l, const struct listing_item *item)
{
    if (l->count == 0 || item->is_prefix != l->last_is_prefix ||
        !slice_is(item->name, buf_all(&l->last_name)))
        return false;
    return item->is_prefix || l->kind == LISTING_OBJECTS;
}

static void skip_told(struct listing *l)
{
    while (l->heap_count > 0) {
        const struct listing_item *item = shard_head(&l->shards[l->heap[0]]);

        if (!is_told(l, item))
            return;
        l->doubles += !item->is_prefix;
        heap_advance(l);
    }
}

static void tell(struct listing *l, struct listing_item *item)
{
    *item = *shard_head(&l->shards[l->heap[0]]);
    buf_clear(&l->last_name);
    buf_clear(&l->last_id);
    buf_slice(&l->last_name, item->name);
    buf_slice(&l->last_id, item->id);
    l->last_is_prefix = item->is_prefix;
    l->last_shard = item->shard;
    l->count++;
    heap_advance(l);
}

enum listing_step listing_next(struct listing *l, struct listing_item *item)
{
    if (l->is_ended)
        return LISTING_ENDED;
    skip_told(l);
    if (l->count == l->max_keys) {
        l->is_truncated = l->max_keys > 0 && (l->heap_count > 0 || l->dry > 0);
        l->is_ended = true;
        return LISTING_ENDED;
    }
    if (l->dry > 0)
        return LISTING_WAITS;
    if (l->heap_count == 0) {
        l->is_ended = true;
        return LISTING_ENDED;
    }
    tell(l, item);
    return LISTING_ITEM;
}

void listing_fini(struct listing *l)
{
    for (uint32_t i = 0; i < l->shard_count; i++) {
        struct listing_shard *s = &l->shards[i];

        arena_fini(&s->arena);
        free(s->keys.items);
        free(s->prefixes.items);
        buf_fini(&s->after);
        buf_fini(&s->after_id);
    }
    free(l->shards);
    free(l->heap);
    buf_fini(&l->last_name);
    buf_fini(&l->last_id);
    *l = (struct listing){ 0 };
}
