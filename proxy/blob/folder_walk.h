/* Goes through the keys of a bucket in order, for the folder_*.c alone.  See folder_list.h.
 *
 *     folder_walk_begin(&walk, f, bucket, &request)
 *     while (folder_walk_next(&walk, wanted, &item) == FOLDER_OK && item.key.len > 0) ...
 *     folder_walk_end(&walk)
 */
#pragma once

#include "proxy/blob/folder_list.h"
#include "proxy/blob/folder_store.h"

/* A name in a directory that is worth a look; its texts are in the window's. */
struct folder_walk_entry {
    uint32_t at; /* the key's part, with '/' for a directory; the path behind it */
    uint16_t key_len, path_len;
    enum folder_walk_kind {
        FOLDER_WALK_OBJECT,
        FOLDER_WALK_PREFIX,   /* some object begins with it */
        FOLDER_WALK_MAYBE,    /* a directory that is a prefix if it holds an object */
        FOLDER_WALK_DIRECTORY /* to be gone through */
    } kind;
};

/* The next names of a directory, in order. */
struct folder_window {
    struct folder_walk_entry *entries; /* owned */
    size_t count, cap, next;
    struct buf text;
    bool more; /* the directory holds names past the last one */
};

struct folder_walk_level {
    size_t path_len, key_len; /* of the walk's path and key: the directory, with its '/' */
    struct folder_window window;
    struct buf floor; /* names up to here are past */
    bool has_floor, loaded;
};

struct folder_walk {
    struct folder *folder;                 /* borrowed */
    struct slice prefix, delimiter, after; /* borrowed */
    char path[FOLDER_PATH_BYTES + 256];
    uint8_t key[FOLDER_KEY_BYTES + 256];
    uint8_t told[FOLDER_KEY_BYTES + 256]; /* the last item's key */
    size_t told_len;
    bool told_prefix;
    size_t bucket;                    /* bytes of the path before keys begin */
    struct folder_walk_level *levels; /* owned */
    size_t depth, cap;
};

struct folder_walk_item {
    struct slice key; /* in the walk, until the next call; empty: the end */
    bool is_prefix;
    const char *path; /* in the walk; of an object */
};

enum folder_outcome folder_walk_begin(struct folder_walk *walk, struct folder *f,
                                      struct slice bucket,
                                      const struct folder_list_request *request);
/* `wanted`: so many more items will be asked for; decides how many names are kept. */
enum folder_outcome folder_walk_next(struct folder_walk *walk, size_t wanted,
                                     struct folder_walk_item *out);
void folder_walk_end(struct folder_walk *walk);
