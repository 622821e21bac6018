/* A list for stores that can only walk their keys in order: prefix, delimiter, marker and cut, with
 * hints that let the walk skip what can't matter (all below a common prefix that was told).
 *
 *     listing_fold_open(&fold, &options);
 *     key = first key >= listing_fold_start(&fold);
 *     while (there is a key) {
 *         step = listing_fold_key(&fold, key, &name);
 *         if (step == LISTING_FOLD_KEY)         the key is an item
 *         if (step == LISTING_FOLD_PREFIX)      `name`, a part of the key, is a common prefix
 *         if (step == LISTING_FOLD_ENDED)       no further key matters; fold.is_truncated
 *             break;
 *         key = listing_fold_skip(&fold, &to) ? first key >= to : next key;
 *     }
 *     listing_fold_fini(&fold);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

struct listing_fold_options {
    struct slice prefix, delimiter; /* empty: none.  Borrowed: all along */
    struct slice after;             /* only what is greater; empty: from the start.  Borrowed */
    bool takes_after; /* the key `after` itself is an item too: uploads, within a key */
    uint32_t max_keys;
};

enum listing_fold_step {
    LISTING_FOLD_KEY,
    LISTING_FOLD_PREFIX,
    LISTING_FOLD_NONE,  /* not an item */
    LISTING_FOLD_ENDED, /* no further key will be one; this is none either */
};

struct listing_fold {
    struct listing_fold_options options;
    uint32_t count;
    bool is_truncated; /* after ENDED: there would have been one more item */
    bool has_skip, is_over;
    struct buf start, skip; /* owned */
};

void listing_fold_open(struct listing_fold *fold, const struct listing_fold_options *options);
/* Nothing before this can be an item; empty: from the first key.  Good until fini. */
struct slice listing_fold_start(const struct listing_fold *fold);
/* Keys must come in the order of their bytes; the same key may come again (its uploads). */
enum listing_fold_step listing_fold_key(struct listing_fold *fold, struct slice key,
                                        struct slice *name);
/* True if nothing before `to` can be an item after the key shown last; good until the next key. */
bool listing_fold_skip(const struct listing_fold *fold, struct slice *to);
void listing_fold_fini(struct listing_fold *fold);

/* The least row of bytes that is greater than all that begin with `prefix`; false if there is none
 * (it is empty, or all 0xFF).  Appends it. */
bool listing_after_prefix(struct slice prefix, struct buf *out);
