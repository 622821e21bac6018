/* Buckets are directories of the folder; looking for whether one holds anything. */
#include "proxy/blob/folder_bucket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/mem.h"

enum { DELETE_TRIES = 8, ENTRY_BYTES = 32 * 1024 };

/* ---- is there any object below a directory? ---- */

/* A search from directory to directory, without an open file between its steps: a key of 1024
 * slashes makes as many directories. */
struct search {
    const struct folder *f;
    bool prune;    /* remove the directories that hold nothing */
    size_t bucket; /* bytes of the path that are no key's */
    char path[FOLDER_PATH_BYTES + 256];
    size_t len;
    struct step {
        size_t len; /* of the path of the directory above */
        off_t at;   /* where its reading goes on */
    } * steps;      /* owned */
    size_t depth, cap;
};

enum found { FOUND_NOTHING, FOUND_OBJECT, FOUND_DIRECTORY, FOUND_FAILURE };

/* Is the file with that name, in the directory of the search, an object? */
static bool is_object(const struct search *s, const char *name)
{
    char path[sizeof(s->path)];
    uint8_t key[FOLDER_KEY_BYTES];
    size_t len;

    if (s->len + strlen(name) >= FOLDER_PATH_BYTES)
        return false;
    snprintf(path, sizeof(path), "%.*s%s", (int)s->len, s->path, name);
    return folder_path_to_key(path + s->bucket, key, &len);
}

/* Takes one entry of a directory. */
static enum found look_at(struct search *s, int fd, const struct dirent64 *each)
{
    uint8_t bytes[256];
    size_t len;
    enum folder_name_kind kind;
    unsigned char type = each->d_type;
    struct stat stat;

    if (!folder_name_read(each->d_name, &kind, bytes, &len))
        return FOUND_NOTHING;
    if (type == DT_UNKNOWN && fstatat(fd, each->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0)
        type = S_ISREG(stat.st_mode) ? DT_REG : S_ISDIR(stat.st_mode) ? DT_DIR : DT_UNKNOWN;
    if (type == DT_REG && kind == FOLDER_NAME_FILE)
        return is_object(s, each->d_name) ? FOUND_OBJECT : FOUND_NOTHING;
    if (type != DT_DIR || kind == FOLDER_NAME_FILE || s->len + len + 4 >= FOLDER_PATH_BYTES)
        return FOUND_NOTHING;
    return FOUND_DIRECTORY;
}

static void descend(struct search *s, const char *name, off_t at)
{
    if (s->depth == s->cap) {
        s->cap = s->cap == 0 ? 16 : s->cap * 2;
        s->steps = mem_resize(s->steps, s->cap * sizeof(*s->steps));
    }
    s->steps[s->depth++] = (struct step){ s->len, at };
    s->len += (size_t)snprintf(s->path + s->len, sizeof(s->path) - s->len, "%s/", name);
}

/* Reads on in the directory of the search, until something is found. */
static enum found read_on(struct search *s, off_t from)
{
    _Alignas(struct dirent64) char entries[ENTRY_BYTES];
    int fd = folder_open_at(s->f, s->f->root, s->path, O_RDONLY | O_DIRECTORY);
    enum found found = FOUND_NOTHING;
    ssize_t got;

    if (fd < 0)
        return errno == ENOENT ? FOUND_NOTHING : FOUND_FAILURE;
    if (from != 0 && lseek(fd, from, SEEK_SET) < 0)
        found = FOUND_FAILURE;
    while (found == FOUND_NOTHING && (got = getdents64(fd, entries, sizeof(entries))) != 0) {
        if (got < 0) {
            found = FOUND_FAILURE;
            break;
        }
        for (ssize_t at = 0; at < got && found == FOUND_NOTHING;) {
            const struct dirent64 *each = (const struct dirent64 *)(entries + at);

            found = look_at(s, fd, each);
            if (found == FOUND_DIRECTORY)
                descend(s, each->d_name, (off_t)each->d_off);
            at += each->d_reclen;
        }
    }
    close(fd);
    return found;
}

/* Removes the directory that the search leaves; one that is not empty stays. */
static void remove_here(const struct search *s, size_t above)
{
    int fd = folder_open_directory(s->f, s->path, above);
    char name[256];

    if (fd < 0)
        return;
    snprintf(name, sizeof(name), "%.*s", (int)(s->len - above - 1), s->path + above);
    (void)folder_rmdir(s->f, fd, name);
    close(fd);
}

enum folder_outcome folder_search(const struct folder *f, const char *path, size_t bucket,
                                  bool prune, bool *found)
{
    struct search s = { .f = f, .prune = prune, .bucket = bucket };
    off_t from = 0;
    enum found now;

    s.len = (size_t)snprintf(s.path, sizeof(s.path), "%s", path);
    for (;;) {
        now = read_on(&s, from);
        from = 0;
        if (now == FOUND_DIRECTORY)
            continue;
        if (now != FOUND_NOTHING || s.depth == 0)
            break;
        s.depth--;
        if (prune)
            remove_here(&s, s.steps[s.depth].len);
        s.len = s.steps[s.depth].len;
        s.path[s.len] = '\0';
        from = s.steps[s.depth].at;
    }
    free(s.steps);
    if (now == FOUND_FAILURE)
        return folder_failed(f, "read a directory", errno);
    *found = now == FOUND_OBJECT;
    return FOLDER_OK;
}

/* ---- buckets ---- */

enum folder_outcome folder_bucket_create(struct folder *f, struct slice bucket)
{
    char path[FOLDER_BUCKET_BYTES + 2];
    size_t len = 0;
    enum folder_outcome outcome = folder_bucket_path(f, bucket, path, &len);

    if (outcome != FOLDER_OK)
        return outcome == FOLDER_NO_SUCH_BUCKET ? FOLDER_DENIED : outcome;
    if (len == 0)
        return FOLDER_BUCKET_EXISTS;
    path[len - 1] = '\0';
    if (folder_mkdir(f, f->root, path) != 0)
        return errno == EEXIST ? FOLDER_BUCKET_EXISTS : folder_failed(f, "make a bucket", errno);
    return folder_sync_directory(f, f->root) == 0 ? FOLDER_OK : folder_failed(f, "sync", errno);
}

enum folder_outcome folder_bucket_head(struct folder *f, struct slice bucket)
{
    enum folder_outcome outcome = folder_missing(f, bucket);

    return outcome == FOLDER_NO_SUCH_KEY ? FOLDER_OK : outcome;
}

/* The uploads of a bucket go to where a sweep finds them, if they cannot be removed now. */
static void remove_uploads(struct folder *f, const char *bucket)
{
    char away[FOLDER_TEMPORARY_BYTES];
    unsigned most = 100000;

    folder_next_temporary(f, away);
    if (folder_rename(f, f->uploads, bucket, f->tmp, away) == 0)
        (void)folder_remove_tree(f, f->tmp, away, 2, &most);
}

enum folder_outcome folder_bucket_delete(struct folder *f, struct slice bucket)
{
    char path[FOLDER_BUCKET_BYTES + 2];
    size_t len = 0;
    bool found = false;
    enum folder_outcome outcome = folder_bucket_path(f, bucket, path, &len);

    if (outcome != FOLDER_OK || len == 0)
        return outcome != FOLDER_OK ? outcome : FOLDER_DENIED; /* a mail server's own */
    outcome = folder_bucket_head(f, bucket);
    for (int i = 0; outcome == FOLDER_OK && i < DELETE_TRIES; i++) {
        path[len - 1] = '\0';
        if (folder_rmdir(f, f->root, path) == 0) {
            remove_uploads(f, path);
            return folder_sync_directory(f, f->root) == 0 ? FOLDER_OK
                                                          : folder_failed(f, "sync", errno);
        }
        if (errno == ENOENT)
            return FOLDER_NO_SUCH_BUCKET;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return folder_failed(f, "remove a bucket", errno);
        path[len - 1] = '/';
        outcome = folder_search(f, path, len, true, &found);
        if (found)
            return FOLDER_BUCKET_NOT_EMPTY;
    }
    return outcome == FOLDER_OK ? FOLDER_BUCKET_NOT_EMPTY : outcome; /* files of others are in it */
}

static int by_name(const void *a, const void *b)
{
    const struct folder_bucket *one = a, *other = b;

    return strcmp(one->name, other->name);
}

static int64_t created_us(int at, const char *name)
{
    struct statx stat;

    if (statx(at, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_MTIME, &stat) != 0)
        return -1;
    if (!S_ISDIR(stat.stx_mode))
        return -1;
    if ((stat.stx_mask & STATX_BTIME) != 0)
        return stat.stx_btime.tv_sec * 1000000 + stat.stx_btime.tv_nsec / 1000;
    return stat.stx_mtime.tv_sec * 1000000 + stat.stx_mtime.tv_nsec / 1000;
}

/* Keeps the `most` first buckets, and one more to know of it, in a row twice as long. */
static size_t keep_first(struct folder_bucket *row, size_t count, size_t most)
{
    qsort(row, count, sizeof(*row), by_name);
    return count < most + 1 ? count : most + 1;
}

enum folder_outcome folder_buckets(struct folder *f, struct slice after, size_t most,
                                   struct folder_bucket **out, size_t *count, bool *more)
{
    size_t used = 0, room;
    struct folder_bucket *row;
    DIR *dir;
    int fd = folder_open_at(f, f->root, "", O_RDONLY | O_DIRECTORY);

    if (most > FOLDER_LIST_BUCKETS)
        most = FOLDER_LIST_BUCKETS;
    room = 2 * (most + 1);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int error = errno;

        if (fd >= 0)
            close(fd);
        return folder_failed(f, "read the folder", error);
    }
    row = mem_new(room * sizeof(*row));
    for (struct dirent *each; (each = readdir(dir)) != NULL;) { // NOLINT: own stream
        const char *name = f->bucket[0] != '\0' ? f->bucket : each->d_name;
        struct slice text = slice_text(name);
        int64_t created = created_us(fd, each->d_name);

        if (f->bucket[0] != '\0' && strcmp(each->d_name, ".") != 0)
            continue;
        if (created < 0 || !folder_bucket_is_valid(text) || !folder_name_is_after(text, after))
            continue;
        snprintf(row[used].name, sizeof(row[used].name), "%s", name);
        row[used++].created_us = created;
        if (used == room)
            used = keep_first(row, used, most);
    }
    closedir(dir);
    used = keep_first(row, used, most);
    *more = used > most;
    *count = used > most ? most : used;
    *out = row;
    return FOLDER_OK;
}
