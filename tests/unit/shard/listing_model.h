/* A simple model of a list over shards, to compare shard/listing with: sort everything, apply the
 * rules.  And stores that disagree with AWS as real ones do.  Where the draws come from, a
 * generator or a fuzzer, is the caller's matter; so is what a failed comparison does. */
#pragma once

#include <stdlib.h>

#include "proxy/base/mem.h"
#include "shard/listing.h"

enum {
    MODEL_KEYS = 160,
    MODEL_SHARDS = 9,
    MODEL_NAME_BYTES = 32,
    MODEL_PAGES = 2000, /* no list of so few keys takes so many questions */
};

struct draws {
    const uint8_t *at; /* first these, then from `state` */
    size_t len;
    uint64_t state;
};

static inline uint32_t draw(struct draws *d, uint32_t below)
{
    if (d->len > 0) {
        uint32_t value = d->at[0];

        d->at++;
        d->len--;
        return value % below;
    }
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return (uint32_t)((d->state >> 11) % below);
}

struct model_item {
    uint8_t name[MODEL_NAME_BYTES];
    size_t len;
    uint8_t id; /* of a version; 0 in lists of objects */
    uint32_t shard;
    bool is_prefix;
};

enum model_store {
    MODEL_AWS,   /* prefixes that are not behind the marker are left out */
    MODEL_SWIFT, /* a prefix comes again if keys below it are behind the marker */
    MODEL_MOTO,  /* prefixes are not counted, and all come each time */
    MODEL_STORES,
};

struct model {
    enum listing_kind kind;
    uint32_t shards;
    uint32_t skew; /* so many times as many keys as the others' has the first shard, or so */
    enum model_store stores[MODEL_SHARDS];
    struct model_item items[MODEL_KEYS]; /* all, in order of key, shard and id */
    size_t count;
    struct slice prefix, delimiter, hidden;
    uint64_t asked, fetched;
};

static inline struct slice model_name(const struct model_item *item)
{
    return slice_of(item->name, item->len);
}

static inline int model_order(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.at, b.at, len) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static inline int model_compare(const void *x, const void *y)
{
    const struct model_item *a = x, *b = y;
    int order = model_order(model_name(a), model_name(b));

    if (order == 0)
        order = (a->shard > b->shard) - (a->shard < b->shard);
    return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

/* Short names of letters that like to collide, to be prefixes of each other, and to be ordered
 * wrongly by those who count in UTF-16. */
static inline void model_draw_name(struct draws *d, struct model_item *item)
{
    static const char *const LETTERS[] = {
        "/",    "a",  "b", "-", ".", "/", "\x01", "\xC3\xA9", "\xEF\xBF\xAE", "\xF0\x9F\x98\x80",
        "\xFF", "%41"
    };
    size_t letters = 1 + draw(d, 6);

    item->len = 0;
    for (size_t i = 0; i < letters; i++) {
        struct slice letter = slice_text(LETTERS[draw(d, sizeof(LETTERS) / sizeof(LETTERS[0]))]);

        memcpy(item->name + item->len, letter.at, letter.len);
        item->len += letter.len;
    }
}

/* Where a key belongs: any rule does that all agree upon. */
static inline uint32_t model_place(const struct model *m, struct slice name)
{
    uint32_t sum = 7;

    for (size_t i = 0; i < name.len; i++)
        sum = sum * 31 + name.at[i];
    sum = sum / 8 % (m->shards * m->skew);
    return sum < m->shards ? sum : 0;
}

static inline void model_draw(struct draws *d, enum listing_kind kind, struct model *m)
{
    static const char *const DELIMITERS[] = { "", "/", "/", "a", "-a", "\xF0\x9F\x98\x80" };
    static const char *const PREFIXES[] = { "", "", "", "a", "a/", "/", "\xC3\xA9", "b" };
    size_t wanted = draw(d, MODEL_KEYS);

    *m = (struct model){ .kind = kind,
                         .shards = 1 + draw(d, MODEL_SHARDS),
                         .skew = 1 + 3 * draw(d, 3) };
    for (uint32_t i = 0; i < m->shards; i++)
        m->stores[i] =
            (enum model_store)draw(d, kind == LISTING_OBJECTS ? MODEL_STORES : MODEL_MOTO);
    m->delimiter = slice_text(DELIMITERS[draw(d, 6)]);
    m->prefix = slice_text(PREFIXES[draw(d, 8)]);
    m->hidden = slice_text(draw(d, 3) == 0 ? "a.b" : "");
    while (m->count < wanted) {
        struct model_item item = { 0 };
        uint32_t ids = kind == LISTING_GROUPS ? 1 + draw(d, 4) : 1;

        model_draw_name(d, &item);
        item.shard = model_place(m, model_name(&item));
        if (kind == LISTING_OBJECTS && draw(d, 40) == 0)
            item.shard = draw(d, m->shards);
        for (uint32_t i = 0; i < ids && m->count < wanted; i++) {
            item.id = (uint8_t)(kind == LISTING_GROUPS ? 'a' + i : 0);
            m->items[m->count++] = item;
        }
    }
    qsort(m->items, m->count, sizeof(m->items[0]), model_compare);
    wanted = m->count;
    m->count = 0;
    for (size_t i = 0; i < wanted; i++)
        if (m->count == 0 || model_compare(&m->items[m->count - 1], &m->items[i]) != 0)
            m->items[m->count++] = m->items[i];
}

/* The name as which the key is told. */
static inline struct slice model_fold(const struct model *m, struct slice key, bool *is_prefix)
{
    struct slice rest = slice_from(key, m->prefix.len);
    const uint8_t *found = NULL;

    if (m->delimiter.len > 0 && rest.len > 0)
        found = memmem(rest.at, rest.len, m->delimiter.at, m->delimiter.len);
    *is_prefix = found != NULL;
    return found != NULL ? slice_of(key.at, (size_t)(found - key.at) + m->delimiter.len) : key;
}

/* The whole list, as it should be: `out` has room for all.  GROUPS: as the shards have it. */
static inline size_t model_list(const struct model *m, struct model_item *out)
{
    size_t count = 0;

    for (size_t i = 0; i < m->count; i++) {
        const struct model_item *item = &m->items[i];
        struct slice name = model_name(item);
        bool is_prefix, is_same;

        if (!slice_starts(name, m->prefix))
            continue;
        name = model_fold(m, name, &is_prefix);
        if (m->hidden.len > 0 && slice_starts(name, m->hidden))
            continue;
        is_same = count > 0 && out[count - 1].is_prefix == is_prefix &&
                  slice_is(model_name(&out[count - 1]), name);
        if (is_same && (is_prefix || m->kind == LISTING_OBJECTS))
            continue;
        out[count] = *item;
        out[count].len = name.len;
        out[count].is_prefix = is_prefix;
        out[count].id = is_prefix ? 0 : item->id;
        count++;
    }
    return count;
}

/* ---- a store answers ---- */

struct model_page {
    const struct model *m;
    struct listing *l;
    uint32_t shard;
    struct listing_ask ask;
    uint32_t count; /* of what the store counts */
    bool is_truncated;
    enum err err;
};

static inline void model_put(struct model_page *page, struct slice name, bool is_prefix, uint8_t id)
{
    struct listing_item item = { .is_prefix = is_prefix,
                                 .name = name,
                                 .id = slice_of(&id, id != 0 ? 1 : 0) };
    uint8_t *payload;

    if (page->err != ERR_NONE)
        return;
    payload = malloc(name.len + 1); /* so that a sanitizer sees who keeps what it was shown */
    memcpy(payload, name.at, name.len);
    item.name.at = payload;
    page->err = listing_page_put(page->l, page->shard, &item);
    free(payload);
}

static inline bool model_is_behind(const struct model_page *page, const struct model_item *item)
{
    int order = model_order(model_name(item), page->ask.after);

    if (order != 0 || page->ask.after_id.len == 0)
        return order > 0;
    return item->id > page->ask.after_id.at[0];
}

/* AWS leaves out a prefix that is not behind the marker, even if keys below it are. */
static inline bool model_tells(const struct model_page *page, const struct model_item *item,
                               struct slice name, bool is_prefix)
{
    bool is_behind = model_is_behind(page, item);

    if (!is_prefix)
        return is_behind;
    switch (page->m->stores[page->shard]) {
    case MODEL_AWS:
        return model_order(name, page->ask.after) > 0;
    case MODEL_SWIFT:
        return is_behind && !slice_is(name, page->ask.after);
    case MODEL_MOTO:
        return true;
    case MODEL_STORES:
        break;
    }
    return false;
}

static inline void model_answer_rows(struct model_page *page, bool wants_prefixes)
{
    const struct model *m = page->m;
    bool is_moto = m->stores[page->shard] == MODEL_MOTO;
    struct slice last = { 0 };

    page->count = 0;
    for (size_t i = 0; i < m->count; i++) {
        const struct model_item *item = &m->items[i];
        struct slice name = model_name(item);
        bool is_prefix;

        if (item->shard != page->shard || !slice_starts(name, m->prefix))
            continue;
        name = model_fold(m, name, &is_prefix);
        if (!model_tells(page, item, name, is_prefix) || (is_prefix && slice_is(name, last)))
            continue;
        if (is_prefix && is_moto) {
            if (wants_prefixes)
                model_put(page, name, true, 0);
            last = name;
            continue;
        }
        if (page->count == page->ask.max) {
            page->is_truncated = true;
            if (!is_moto)
                break;
            continue;
        }
        page->count++;
        if (is_prefix)
            last = name;
        if (is_prefix == wants_prefixes)
            model_put(page, name, is_prefix, is_prefix ? 0 : item->id);
    }
}

/* Keys and then prefixes, as stores write them. */
static inline enum err model_answer(struct model *m, struct listing *l, uint32_t shard,
                                    const struct listing_ask *ask)
{
    struct model_page page = { .m = m, .l = l, .shard = shard, .ask = *ask };

    m->asked++;
    listing_page_open(l, shard);
    model_answer_rows(&page, false);
    model_answer_rows(&page, true);
    if (page.err != ERR_NONE)
        return page.err;
    return listing_page_close(l, shard, page.is_truncated);
}

/* One list of at most `max`, behind `after`; the shards answer in any order. */
static inline enum err model_ask(struct model *m, struct draws *d, struct listing *l,
                                 const struct listing_options *options, struct model_item *out,
                                 size_t *count)
{
    struct listing_item item;
    enum listing_step step;

    listing_open(l, options);
    *count = 0;
    while ((step = listing_next(l, &item)) != LISTING_ENDED) {
        if (step == LISTING_ITEM) {
            struct model_item *to = &out[(*count)++];

            to->len = item.name.len;
            memcpy(to->name, item.name.at, item.name.len);
            to->is_prefix = item.is_prefix;
            to->id = item.id.len > 0 ? item.id.at[0] : 0;
            continue;
        }
        for (uint32_t i = 0, first = draw(d, m->shards); i < m->shards; i++) {
            uint32_t shard = (first + i) % m->shards;
            struct listing_ask ask;

            if (listing_wants(l, shard, &ask))
                TRY(model_answer(m, l, shard, &ask));
        }
        if (m->asked > MODEL_PAGES)
            return ERR_LIMIT;
    }
    m->fetched += l->fetched;
    return ERR_NONE;
}

static inline bool model_is_same(const struct model_item *a, const struct model_item *b)
{
    return slice_is(model_name(a), model_name(b)) && a->is_prefix == b->is_prefix && a->id == b->id;
}

/* Goes on behind the last item, by pages of `max`, until the list says that it is whole.  NULL, or
 * what is not as in the model. */
static inline const char *model_differs(struct model *m, struct draws *d, uint32_t max)
{
    static struct model_item expected[MODEL_KEYS], found[2 * MODEL_KEYS];
    struct model_item last = { 0 };
    size_t total = model_list(m, expected), at = 0;
    bool is_truncated = true;

    while (is_truncated) {
        struct listing_options options = { .kind = m->kind,
                                           .shards = m->shards,
                                           .max_keys = max,
                                           .after = model_name(&last),
                                           .after_id = slice_of(&last.id, last.id != 0),
                                           .after_shard = model_place(m, model_name(&last)),
                                           .hidden = m->hidden };
        struct listing l;
        size_t count;
        enum err err = model_ask(m, d, &l, &options, found, &count);

        is_truncated = l.is_truncated;
        listing_fini(&l);
        if (err != ERR_NONE)
            return "an error";
        if (count > max || (is_truncated && count != max))
            return "the count of a page";
        if (at + count > total)
            return "too many items";
        for (size_t i = 0; i < count; i++)
            if (!model_is_same(&found[i], &expected[at++]))
                return "an item";
        if (count > 0)
            last = found[count - 1];
    }
    return at == total ? NULL : "too few items";
}
