/* See listing_fold.h. */
#include "shard/listing_fold.h"

#include <assert.h>

bool listing_after_prefix(struct slice prefix, struct buf *out)
{
    size_t len = prefix.len;

    while (len > 0 && prefix.at[len - 1] == 0xFF)
        len--;
    if (len == 0)
        return false;
    buf_put(out, prefix.at, len);
    out->at[out->len - 1]++;
    return true;
}

static int compare(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.at, b.at, len) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* The common prefix that the key is told as; empty if it is told itself. */
static struct slice common_prefix(const struct listing_fold_options *options, struct slice key)
{
    struct slice rest = slice_from(key, options->prefix.len);
    const uint8_t *found;

    if (options->delimiter.len == 0 || rest.len < options->delimiter.len)
        return (struct slice){ 0 };
    found = memmem(rest.at, rest.len, options->delimiter.at, options->delimiter.len);
    if (found == NULL)
        return (struct slice){ 0 };
    return slice_of(key.at, (size_t)(found - key.at) + options->delimiter.len);
}

static void set_skip(struct listing_fold *fold, struct slice prefix)
{
    buf_clear(&fold->skip);
    fold->has_skip = listing_after_prefix(prefix, &fold->skip);
    /* All that could follow begins with the prefix: there is nothing to skip to. */
    fold->is_over = !fold->has_skip;
}

/* Where `after` is below a common prefix, or is one, that prefix is told already. */
static void start_behind(struct listing_fold *fold)
{
    const struct listing_fold_options *o = &fold->options;
    struct slice common = { 0 };

    if (slice_starts(o->after, o->prefix))
        common = common_prefix(o, o->after);
    if (common.len > 0) {
        fold->is_over = !listing_after_prefix(common, &fold->start);
        return;
    }
    buf_slice(&fold->start, o->after);
    if (!o->takes_after)
        buf_put(&fold->start, "", 1); /* with a zero behind: the least that is greater */
}

void listing_fold_open(struct listing_fold *fold, const struct listing_fold_options *options)
{
    *fold = (struct listing_fold){ .options = *options };
    if (options->after.len > 0 && compare(options->after, options->prefix) >= 0)
        start_behind(fold);
    else
        buf_slice(&fold->start, options->prefix);
    fold->is_over |= options->max_keys == 0;
}

struct slice listing_fold_start(const struct listing_fold *fold)
{
    return buf_all(&fold->start);
}

static enum listing_fold_step end(struct listing_fold *fold, bool is_truncated)
{
    fold->is_over = true;
    fold->is_truncated = is_truncated;
    return LISTING_FOLD_ENDED;
}

enum listing_fold_step listing_fold_key(struct listing_fold *fold, struct slice key,
                                        struct slice *name)
{
    const struct listing_fold_options *o = &fold->options;
    struct slice common;

    if (fold->is_over)
        return LISTING_FOLD_ENDED;
    if (!slice_starts(key, o->prefix) && compare(key, o->prefix) > 0)
        return end(fold, false);
    if (compare(key, listing_fold_start(fold)) < 0 ||
        (fold->has_skip && compare(key, buf_all(&fold->skip)) < 0))
        return LISTING_FOLD_NONE;
    if (fold->count == o->max_keys)
        return end(fold, true);
    fold->has_skip = false;
    fold->count++;
    common = common_prefix(o, key);
    if (common.len == 0) {
        *name = key;
        return LISTING_FOLD_KEY;
    }
    set_skip(fold, common);
    *name = common;
    return LISTING_FOLD_PREFIX;
}

bool listing_fold_skip(const struct listing_fold *fold, struct slice *to)
{
    if (!fold->has_skip)
        return false;
    *to = buf_all(&fold->skip);
    return true;
}

void listing_fold_fini(struct listing_fold *fold)
{
    buf_fini(&fold->start);
    buf_fini(&fold->skip);
    *fold = (struct listing_fold){ 0 };
}
