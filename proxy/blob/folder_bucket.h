/* Looking through directories, for the folder_*.c alone. */
#pragma once

#include "proxy/blob/folder_store.h"

enum { FOLDER_LIST_BUCKETS = 10000 };

/* Is there an object anywhere below a directory, whose path ends with '/' and has `bucket` bytes
 * before the keys begin?  `prune`: remove directories that hold nothing on the way. */
enum folder_outcome folder_search(const struct folder *f, const char *path, size_t bucket,
                                  bool prune, bool *found);

/* Byte order. */
static inline int folder_compare(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool folder_name_is_after(struct slice name, struct slice after)
{
    return after.len == 0 || folder_compare(name, after) > 0;
}
