/* One list over many shards: each shard gives its own list, in pages; merged they are one list in
 * the order of bytes, with prefixes told once, our own markers, and one cut.  Pure: whoever does
 * the asking puts pages in and takes items out.
 *
 *     listing_open(&l, &options);
 *     for (;;) {
 *         while ((step = listing_next(&l, &item)) == LISTING_ITEM)
 *             ... write it; its slices are good until that shard's next page is opened ...
 *         if (step == LISTING_ENDED)
 *             break;                                        l.is_truncated, l.last_name
 *         for each shard:
 *             if (listing_wants(&l, shard, &ask))           ask it for a page: after, max
 *         ... a page came:
 *             arena = listing_page_open(&l, shard);
 *             TRY(listing_page_put(&l, shard, &item)); ...  item.payload in that arena
 *             TRY(listing_page_close(&l, shard, is_truncated));
 *     }
 *     listing_fini(&l);
 *
 * A shard is asked for its share of the list and a little more, and again only if that runs dry.
 * Stores that disagree with AWS are healed (markers repeated, prefixes not counted and repeated);
 * one that is out of order, repeats itself or makes no progress is an error, as a list that is
 * silently short makes tools delete data.
 *
 * Shards that keep several buckets of clients in one, under prefixes, are asked with the prefix
 * put before, and whoever puts the items in strips it: names here are always the client's.
 *
 * Of what is hidden a common prefix may still be told, if it ends within the hidden name: that
 * should have no delimiter in it that clients use.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum {
    LISTING_MAX_KEYS = 1000,              /* no list is longer, whatever is asked, and no page */
    LISTING_PAGE_ITEMS = 8192,            /* that a page may bring: some don't count prefixes */
    LISTING_PAGE_BYTES = 8 * 1024 * 1024, /* that a page may take in its arena */
    LISTING_NAME_BYTES = 4096,
    LISTING_ID_BYTES = 2048,
};

#define LISTING_NO_SHARD UINT32_MAX

enum listing_kind {
    LISTING_OBJECTS, /* each key once */
    LISTING_GROUPS,  /* versions, uploads: a key may come with several ids, in its shard's order */
};

struct listing_options {
    enum listing_kind kind;
    uint32_t shards;    /* at least one */
    uint32_t max_keys;  /* 0: nothing at all is listed, and nobody is asked */
    struct slice after; /* only what is greater; empty: from the start.  Borrowed: for the call */
    struct slice after_id; /* GROUPS: go on within the key `after`, behind this id; or empty */
    uint32_t after_shard;  /* GROUPS: where that key is, so whose id it is; or LISTING_NO_SHARD */
    struct slice hidden;   /* names that begin so are not told (our stamp).  Borrowed: all along */
    struct slab *slab;     /* borrowed: for the arenas; may be NULL */
};

struct listing_item {
    bool is_prefix;
    bool is_hidden;      /* not to be told: the key does not belong to this shard, say */
    uint32_t shard;      /* set by listing_next() */
    struct slice name;   /* key or common prefix */
    struct slice id;     /* GROUPS: of the version or upload; prefixes have none */
    const void *payload; /* whatever the caller keeps with it */
};

/* What to ask a shard for. */
struct listing_ask {
    struct slice after;    /* start-after, marker or key-marker; empty: from the start */
    struct slice after_id; /* version-id-marker, upload-id-marker; empty: none */
    uint32_t max;          /* max-keys */
};

enum listing_step {
    LISTING_ITEM,  /* here is one */
    LISTING_WAITS, /* first the shards that listing_wants() to be asked must answer */
    LISTING_ENDED, /* all is told that is to be told */
};

struct listing_shard; /* what is held of one shard */

struct listing {
    enum listing_kind kind;
    uint32_t shard_count, max_keys;
    struct slice hidden;           /* borrowed */
    struct listing_shard *shards;  /* owned */
    uint32_t *heap;                /* owned: the shards that have an item, the least on top */
    uint32_t heap_count;           /* of those */
    uint32_t dry;                  /* shards of which it is not known whether they have one */
    uint32_t count;                /* items told */
    bool is_ended, is_truncated;   /* truncated: once ended, there is more behind the last */
    struct buf last_name, last_id; /* owned: of the last item told; empty before */
    bool last_is_prefix;
    uint32_t last_shard;
    uint64_t fetched;    /* items that came, for the figures */
    uint64_t doubles;    /* keys that two shards have: on one of them it is not where it belongs */
    const char *problem; /* static: why a page was an error */
};

void listing_open(struct listing *l, const struct listing_options *options);
/* True if that shard must be asked now; it counts as asked then.  False while a page is on its way
 * or none is needed.  Slices of `ask` are good until that shard's page is closed. */
bool listing_wants(struct listing *l, uint32_t shard, struct listing_ask *ask);
/* The question failed and is to be put again: to another copy of the shard, or once more.  What
 * came of a page is void. */
void listing_unask(struct listing *l, uint32_t shard);

/* A page comes that was asked for; what was held of that shard is gone.  Payloads may be put in the
 * arena; names and ids are copied to it by listing_page_put(). */
struct arena *listing_page_open(struct listing *l, uint32_t shard);
/* Keys and prefixes may come mixed or one behind the other, each of them in order.  ERR_PROTOCOL:
 * out of order or repeated; ERR_LIMIT: too much.  l->problem says which. */
enum err listing_page_put(struct listing *l, uint32_t shard, const struct listing_item *item)
    MUST_CHECK;
/* ERR_PROTOCOL: a page that says there is more, but brings nothing further. */
enum err listing_page_close(struct listing *l, uint32_t shard, bool is_truncated) MUST_CHECK;

enum listing_step listing_next(struct listing *l, struct listing_item *item);
void listing_fini(struct listing *l);
