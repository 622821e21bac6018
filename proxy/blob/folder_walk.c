/* Goes through a bucket's keys in order: a stack of directories, each with a window of its next
 * names.  No file stays open between two calls; a directory that is gone when its turn comes is
 * empty. */
#include "proxy/blob/folder_walk.h"

#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/blob/folder_bucket.h"
#include "proxy/blob/folder_window.h"

enum {
    NAMES_BYTES = 2 * 1024 * 1024, /* of all windows; a window may be twice what it keeps */
    LEAST_BYTES = 4 * 1024,
    LEAST_NAMES = 16,
    DEEP_NAMES = 128 /* of a directory for which there are LEAST_BYTES alone */
};

static struct folder_walk_level *push(struct folder_walk *walk, size_t path_len, size_t key_len)
{
    struct folder_walk_level *level;

    if (walk->depth == walk->cap) {
        walk->cap = walk->cap == 0 ? 16 : walk->cap * 2;
        walk->levels = mem_resize(walk->levels, walk->cap * sizeof(*walk->levels));
    }
    level = &walk->levels[walk->depth++];
    *level = (struct folder_walk_level){ .path_len = path_len, .key_len = key_len };
    return level;
}

static void pop(struct folder_walk *walk)
{
    struct folder_walk_level *level = &walk->levels[--walk->depth];

    folder_window_fini(&level->window);
    buf_fini(&level->floor);
}

/* Does the walk not go into a directory, but tell it as a prefix? */
static bool is_folded(const struct folder_walk *walk, struct slice directory)
{
    return walk->delimiter.len > 0 && directory.len > walk->prefix.len &&
           memmem(directory.at + walk->prefix.len, directory.len - walk->prefix.len,
                  walk->delimiter.at, walk->delimiter.len) != NULL;
}

/* Steps into the directories that `after` is in, whose earlier names are past: those above it are
 * read only if the walk comes back to them. */
static void seek(struct folder_walk *walk)
{
    size_t len = walk->levels[0].key_len, path_len, used;
    const uint8_t *slash;

    if (walk->folder->settings.layout == FOLDER_LAYOUT_STALWART ||
        walk->after.len > FOLDER_KEY_BYTES ||
        !slice_starts(walk->after, slice_of(walk->prefix.at, len)))
        return;
    while (len < walk->after.len &&
           (slash = memchr(walk->after.at + len, '/', walk->after.len - len)) != NULL) {
        struct slice directory = slice_of(walk->after.at, (size_t)(slash - walk->after.at) + 1);
        struct folder_walk_level *level = &walk->levels[walk->depth - 1];

        if (is_folded(walk, directory) ||
            (!slice_starts(directory, walk->prefix) && !slice_starts(walk->prefix, directory)) ||
            folder_path_of_prefix(directory, walk->path + walk->bucket, &path_len, &used) !=
                FOLDER_OK)
            return;
        buf_put(&level->floor, directory.at + len, directory.len - len);
        level->has_floor = true;
        memcpy(walk->key, directory.at, directory.len);
        push(walk, walk->bucket + path_len, directory.len);
        len = directory.len;
    }
}

enum folder_outcome folder_walk_begin(struct folder_walk *walk, struct folder *f,
                                      struct slice bucket,
                                      const struct folder_list_request *request)
{
    size_t len = 0, used = 0;
    char path[FOLDER_BUCKET_BYTES + 2];
    enum folder_outcome outcome = folder_missing(f, bucket);

    if (outcome != FOLDER_NO_SUCH_KEY)
        return outcome;
    *walk = (struct folder_walk){ .folder = f,
                                  .prefix = request->prefix,
                                  .delimiter = request->delimiter,
                                  .after = request->after };
    outcome = folder_bucket_path(f, bucket, path, &walk->bucket);
    if (outcome != FOLDER_OK)
        return outcome;
    memcpy(walk->path, path, walk->bucket);
    if (f->settings.layout != FOLDER_LAYOUT_STALWART)
        outcome = folder_path_of_prefix(request->prefix, walk->path + walk->bucket, &len, &used);
    if (outcome != FOLDER_OK)
        return FOLDER_OK; /* no key begins like that */
    if (used > 0)
        memcpy(walk->key, request->prefix.at, used);
    push(walk, walk->bucket + len, used);
    seek(walk);
    return FOLDER_OK;
}

void folder_walk_end(struct folder_walk *walk)
{
    while (walk->depth > 0)
        pop(walk);
    free(walk->levels);
    walk->levels = NULL;
}

/* Reads the level's next names; those that were told are past. */
static enum folder_outcome load(struct folder_walk *walk, struct folder_walk_level *level,
                                size_t wanted)
{
    size_t held = 0, bytes = LEAST_BYTES;
    struct folder_window *w = &level->window;

    for (size_t i = 0; i + 1 < walk->depth; i++)
        held += walk->levels[i].window.text.len;
    if (held < NAMES_BYTES && (NAMES_BYTES - held) / 2 > bytes)
        bytes = (NAMES_BYTES - held) / 2;
    else if (wanted > DEEP_NAMES)
        wanted = DEEP_NAMES;
    if (w->count > 0) {
        const struct folder_walk_entry *last = &w->entries[w->count - 1];

        buf_clear(&level->floor);
        buf_put(&level->floor, w->text.at + last->at, last->key_len);
        level->has_floor = true;
    }
    level->loaded = true;
    walk->path[level->path_len] = '\0';
    return folder_window_load(walk, level, bytes, wanted < LEAST_NAMES ? LEAST_NAMES : wanted);
}

/* Puts the path and key of an entry behind those of its level. */
static void put_names(struct folder_walk *walk, const struct folder_walk_level *level,
                      const struct folder_walk_entry *entry, uint8_t *key, size_t *key_len)
{
    const uint8_t *at = level->window.text.at + entry->at;

    memmove(key, walk->key, level->key_len);
    memcpy(key + level->key_len, at, entry->key_len);
    *key_len = level->key_len + entry->key_len;
    memcpy(walk->path + level->path_len, at + entry->key_len, entry->path_len);
    walk->path[level->path_len + entry->path_len] = '\0';
}

/* Takes an entry; leaves `out` empty if it is nothing to tell. */
static enum folder_outcome take(struct folder_walk *walk, struct folder_walk_level *level,
                                const struct folder_walk_entry *entry, struct folder_walk_item *out)
{
    size_t key_len = 0, path_len = level->path_len + entry->path_len;
    bool found = entry->kind == FOLDER_WALK_PREFIX;

    if (entry->kind == FOLDER_WALK_DIRECTORY) {
        put_names(walk, level, entry, walk->key, &key_len);
        if (path_len + 2 < FOLDER_PATH_BYTES) {
            walk->path[path_len] = '/';
            push(walk, path_len + 1, key_len);
        }
        return FOLDER_OK;
    }
    if (entry->kind != FOLDER_WALK_OBJECT) {
        struct slice name = slice_of(level->window.text.at + entry->at, entry->key_len);
        struct slice told = slice_of(walk->told + level->key_len, walk->told_len - level->key_len);

        if (walk->told_prefix && walk->told_len >= level->key_len && slice_is(name, told) &&
            memcmp(walk->told, walk->key, level->key_len) == 0)
            return FOLDER_OK; /* another directory of the same prefix */
    }
    put_names(walk, level, entry, walk->told, &key_len);
    if (entry->kind == FOLDER_WALK_MAYBE) {
        enum folder_outcome outcome;

        walk->path[path_len] = '/';
        walk->path[path_len + 1] = '\0';
        outcome = folder_search(walk->folder, walk->path, walk->bucket, false, &found);
        if (outcome != FOLDER_OK || !found) {
            walk->told_len = 0;
            return outcome;
        }
    }
    walk->told_len = key_len;
    walk->told_prefix = found;
    *out = (struct folder_walk_item){ slice_of(walk->told, key_len), found, walk->path };
    return FOLDER_OK;
}

enum folder_outcome folder_walk_next(struct folder_walk *walk, size_t wanted,
                                     struct folder_walk_item *out)
{
    enum folder_outcome outcome = FOLDER_OK;

    *out = (struct folder_walk_item){ 0 };
    while (walk->depth > 0 && outcome == FOLDER_OK && out->key.len == 0) {
        struct folder_walk_level *level = &walk->levels[walk->depth - 1];
        struct folder_window *w = &level->window;

        if (!level->loaded || (w->next == w->count && w->more))
            outcome = load(walk, level, wanted);
        else if (w->next == w->count)
            pop(walk);
        else
            outcome = take(walk, level, &w->entries[w->next++], out);
    }
    return outcome;
}
