/* The next names of one directory in S3's order, with bounded memory: names are collected as the
 * directory has them; each time that there are twice as many as may be kept, they are sorted and
 * the first half stays, and from then on what lies past its last one is dropped at once.
 *
 * A name that goes on inside a directory (see folder_path.h) belongs to the directory above, so
 * those inner ones are read along with it.
 *
 * Names that fold into one common prefix become that prefix here, so that a million of them take
 * the room of one. */
#include "proxy/blob/folder_window.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/mem.h"
#include "proxy/blob/folder_bucket.h"

enum { NAMES_BYTES = 8 * 1024, FIRST_ENTRIES = 64 };

void folder_window_fini(struct folder_window *w)
{
    free(w->entries);
    buf_fini(&w->text);
    *w = (struct folder_window){ 0 };
}

static struct slice entry_key(const struct folder_window *w, const struct folder_walk_entry *e)
{
    return slice_of(w->text.at + e->at, e->key_len);
}

static int in_order(const void *a, const void *b, void *window)
{
    const struct folder_walk_entry *one = a, *other = b;
    int order = folder_compare(entry_key(window, one), entry_key(window, other));

    return order != 0 ? order : (int)one->kind - (int)other->kind;
}

/* Sorts, and drops what is a prefix once more. */
static void sort(struct folder_window *w)
{
    size_t kept = 0;

    if (w->count == 0)
        return;
    qsort_r(w->entries, w->count, sizeof(*w->entries), in_order, w);
    for (size_t i = 1; i < w->count; i++) {
        const struct folder_walk_entry *last = &w->entries[kept];

        if (last->kind == FOLDER_WALK_PREFIX &&
            slice_is(entry_key(w, last), entry_key(w, &w->entries[i])))
            continue;
        w->entries[++kept] = w->entries[i];
    }
    w->count = kept + 1;
}

/* Keeps the first names, and their texts alone. */
static void cut(struct folder_collect *c)
{
    struct folder_window *w = c->window;
    struct buf text = { 0 };
    size_t i;

    sort(w);
    for (i = 0; i < w->count && i < c->most && text.len < c->bytes; i++) {
        struct folder_walk_entry *e = &w->entries[i];
        const uint8_t *from = w->text.at + e->at;

        e->at = (uint32_t)text.len;
        buf_put(&text, from, (size_t)e->key_len + e->path_len + 1);
    }
    if (i < w->count) {
        w->more = true;
        w->count = i;
        c->cut = i;
    }
    buf_fini(&w->text);
    w->text = text;
}

/* Names that were kept by a cut are in order, and nothing past the last one is wanted any more. */
static bool is_past_cut(const struct folder_collect *c, struct slice key)
{
    const struct folder_window *w = c->window;

    return c->cut > 0 && w->entries != NULL &&
           folder_compare(key, entry_key(w, &w->entries[c->cut - 1])) > 0;
}

static void add(struct folder_collect *c, enum folder_walk_kind kind, struct slice key,
                struct slice path)
{
    struct folder_window *w = c->window;
    struct folder_walk_entry *last = w->count == 0 ? NULL : &w->entries[w->count - 1];

    if (is_past_cut(c, key))
        return;
    if (last != NULL && last->kind == FOLDER_WALK_PREFIX && kind != FOLDER_WALK_OBJECT &&
        slice_is(entry_key(w, last), key))
        return;
    if (w->count == w->cap) {
        w->cap = w->cap == 0 ? FIRST_ENTRIES : w->cap * 2;
        w->entries = mem_resize(w->entries, w->cap * sizeof(*w->entries));
    }
    assert(w->entries != NULL);
    w->entries[w->count++] = (struct folder_walk_entry){ .at = (uint32_t)w->text.len,
                                                         .key_len = (uint16_t)key.len,
                                                         .path_len = (uint16_t)path.len,
                                                         .kind = kind };
    buf_slice(&w->text, key);
    buf_slice(&w->text, path);
    buf_put(&w->text, "", 1);
    if (w->count >= 2 * c->most || w->text.len >= 2 * c->bytes)
        cut(c);
}

/* ---- which names are wanted ---- */

/* May names between `least...` and `last...` (all that begin with it) be wanted? */
bool folder_collect_range(struct folder_collect *c, struct slice least, struct slice last)
{
    struct slice floor = buf_all(&c->level->floor), prefix = c->prefix;
    size_t len;

    if (is_past_cut(c, least))
        return false;
    if (c->has_after && !slice_starts(c->after, last) && folder_compare(last, c->after) < 0)
        return false;
    if (c->level->has_floor && !slice_starts(floor, last) && folder_compare(last, floor) < 0)
        return false;
    len = prefix.len < last.len ? prefix.len : last.len;
    if (len > 0 && memcmp(prefix.at, last.at, len) > 0)
        return false;
    len = prefix.len < least.len ? prefix.len : least.len;
    return len == 0 || memcmp(prefix.at, least.at, len) >= 0;
}

static bool is_past_floor(const struct folder_collect *c, struct slice name)
{
    return !c->level->has_floor || folder_compare(name, buf_all(&c->level->floor)) > 0;
}

static bool is_past(struct folder_collect *c, struct slice name)
{
    return (!c->has_after || folder_compare(name, c->after) > 0) && is_past_floor(c, name);
}

/* How much of a name is a common prefix; 0: it is none.  A delimiter may begin in the directory's
 * own part of the key. */
static size_t folded(const struct folder_collect *c, struct slice name)
{
    const struct folder_walk *walk = c->walk;
    size_t above = c->level->key_len, all = above + name.len;
    uint8_t key[sizeof(walk->key)];
    const uint8_t *found;

    if (walk->delimiter.len == 0 || all <= walk->prefix.len || all > sizeof(key))
        return 0;
    memcpy(key, walk->key, above);
    memcpy(key + above, name.at, name.len);
    found = memmem(key + walk->prefix.len, all - walk->prefix.len, walk->delimiter.at,
                   walk->delimiter.len);
    if (found == NULL || (size_t)(found - key) + walk->delimiter.len <= above)
        return 0;
    return (size_t)(found - key) + walk->delimiter.len - above;
}

/* Is this the file that the key has, and no other's? */
static bool is_own_path(const struct folder_collect *c, struct slice path)
{
    const struct folder_walk *walk = c->walk;
    char whole[FOLDER_PATH_BYTES];
    uint8_t key[FOLDER_KEY_BYTES];
    size_t above = c->level->path_len - walk->bucket, len;

    if (walk->folder->settings.layout == FOLDER_LAYOUT_STALWART)
        return true; /* it was looked at there */
    if (above + path.len >= sizeof(whole))
        return false;
    memcpy(whole, walk->path + walk->bucket, above);
    memcpy(whole + above, path.at, path.len);
    whole[above + path.len] = '\0';
    return folder_path_to_key(whole, key, &len);
}

void folder_collect_object(struct folder_collect *c, struct slice key, struct slice path)
{
    size_t fold;

    if (!slice_starts(key, c->prefix) || c->level->key_len + key.len > FOLDER_KEY_BYTES)
        return;
    fold = folded(c, key);
    if (fold > 0)
        key.len = fold;
    if (!is_past(c, key) || is_past_cut(c, key) || !is_own_path(c, path))
        return;
    add(c, fold > 0 ? FOLDER_WALK_PREFIX : FOLDER_WALK_OBJECT, key, path);
}

static void collect_directory(struct folder_collect *c, struct slice key, struct slice path)
{
    size_t fold;

    if (!slice_starts(key, c->prefix) && !slice_starts(c->prefix, key))
        return;
    if (c->level->key_len + key.len > FOLDER_KEY_BYTES)
        return; /* no key is longer than this one and a name */
    fold = slice_starts(key, c->prefix) ? folded(c, key) : 0;
    if (fold > 0)
        key.len = fold;
    if (fold == 0 && c->has_after && slice_starts(c->after, key) ? is_past_floor(c, key)
                                                                 : is_past(c, key))
        add(c, fold > 0 ? FOLDER_WALK_MAYBE : FOLDER_WALK_DIRECTORY, key, path);
}

/* ---- reading ---- */

enum folder_outcome folder_read_names(const struct folder *f, const char *path,
                                      void (*take)(void *state, const char *name,
                                                   unsigned char type),
                                      void *state)
{
    _Alignas(struct dirent64) char entries[NAMES_BYTES];
    int fd = folder_open_at(f, f->root, path, O_RDONLY | O_DIRECTORY), error = 0;
    ssize_t got = 0;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return FOLDER_OK; /* it went meanwhile, or is somebody else's */
    if (fd < 0)
        return folder_failed(f, "open a directory", errno);
    while ((got = getdents64(fd, entries, sizeof(entries))) > 0)
        for (ssize_t at = 0; at < got;) {
            const struct dirent64 *each = (const struct dirent64 *)(entries + at);
            unsigned char type = each->d_type;
            struct stat stat;

            if (type == DT_UNKNOWN && fstatat(fd, each->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0)
                type = S_ISREG(stat.st_mode) ? DT_REG : S_ISDIR(stat.st_mode) ? DT_DIR : DT_UNKNOWN;
            if (each->d_name[0] != '.' && (type == DT_REG || type == DT_DIR))
                take(state, each->d_name, type);
            at += each->d_reclen;
        }
    error = errno;
    close(fd);
    return got < 0 && error != ENOENT ? folder_failed(f, "read a directory", error) : FOLDER_OK;
}

/* A directory that is being read: the level's own, or one inside where long names go on. */
struct reading {
    struct folder_collect *collect;
    char path[FOLDER_PATH_BYTES + 256]; /* from the level's directory on */
    uint8_t key[FOLDER_KEY_BYTES + 256];
    size_t path_len, key_len;
    enum folder_outcome outcome;
};

static void take_name(void *state, const char *name, unsigned char type);

static void read_here(struct reading *r)
{
    const struct folder_walk *walk = r->collect->walk;
    size_t above = r->collect->level->path_len;
    char path[2 * FOLDER_PATH_BYTES];
    enum folder_outcome outcome;

    memcpy(path, walk->path, above);
    memcpy(path + above, r->path, r->path_len);
    path[above + r->path_len] = '\0';
    outcome = folder_read_names(walk->folder, path, take_name, r);
    if (r->outcome == FOLDER_OK)
        r->outcome = outcome;
}

/* Into a directory where names go on: at most 13 deep, since each has 83 bytes of the key. */
static void read_inside(struct reading *r, size_t path_len, size_t key_len)
{
    struct slice key = slice_of(r->key, r->key_len + key_len);
    size_t path_was = r->path_len, key_was = r->key_len;

    if (r->collect->level->path_len + path_was + path_len + 1 >= FOLDER_PATH_BYTES ||
        r->collect->level->key_len + key.len >= FOLDER_KEY_BYTES || key_len == 0 ||
        !folder_collect_range(r->collect, key, key))
        return;
    r->path_len += path_len;
    r->path[r->path_len++] = '/';
    r->key_len = key.len;
    read_here(r);
    r->path_len = path_was;
    r->key_len = key_was;
}

static void take_name(void *state, const char *name, unsigned char type)
{
    struct reading *r = state;
    enum folder_name_kind kind;
    size_t path_len = strlen(name), key_len;
    struct slice path;

    if (r->path_len + path_len >= FOLDER_PATH_BYTES || r->key_len > FOLDER_KEY_BYTES - 1)
        return;
    if (!folder_name_read(name, &kind, r->key + r->key_len, &key_len) ||
        (kind == FOLDER_NAME_FILE) != (type == DT_REG))
        return;
    memcpy(r->path + r->path_len, name, path_len);
    path = slice_of(r->path, r->path_len + path_len);
    if (kind == FOLDER_NAME_FILE) {
        folder_collect_object(r->collect, slice_of(r->key, r->key_len + key_len), path);
    } else if (kind == FOLDER_NAME_DIRECTORY) {
        r->key[r->key_len + key_len] = '/';
        collect_directory(r->collect, slice_of(r->key, r->key_len + key_len + 1), path);
    } else {
        read_inside(r, path_len, key_len);
    }
}

enum folder_outcome folder_window_load(struct folder_walk *walk, struct folder_walk_level *level,
                                       size_t bytes, size_t most)
{
    struct slice above = slice_of(walk->key, level->key_len);
    struct folder_collect c = { walk, level, &level->window, .bytes = bytes, .most = most };
    struct reading reading = { .collect = &c };

    folder_window_fini(&level->window);
    if (walk->prefix.len > above.len)
        c.prefix = slice_from(walk->prefix, above.len); /* or else the level would not be here */
    c.has_after = walk->after.len > 0 && slice_starts(walk->after, above);
    if (c.has_after)
        c.after = slice_from(walk->after, above.len);
    else if (folder_compare(above, walk->after) < 0)
        return FOLDER_OK; /* all of it is past */
    if (walk->folder->settings.layout == FOLDER_LAYOUT_STALWART) {
        reading.outcome = folder_stalwart_collect(&c);
    } else {
        read_here(&reading);
    }
    sort(&level->window);
    if (level->window.count > most)
        cut(&c);
    return reading.outcome;
}
