/* Reading, removing and changing objects that are there. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/blob/folder_store.h"

void folder_object_fini(struct folder_object *object)
{
    free(object->pairs);
    buf_fini(&object->text);
    buf_fini(&object->part_text);
    object->pairs = NULL;
    object->pair_count = 0;
}

struct slice folder_object_find(const struct folder_object *object, enum folder_kind kind,
                                const char *name)
{
    for (size_t i = 0; i < object->pair_count; i++)
        if (object->pairs[i].kind == kind && slice_is_text(object->pairs[i].name, name))
            return object->pairs[i].value;
    return (struct slice){ 0 };
}

static struct slice trimmed(struct slice text)
{
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = slice_from(text, 1);
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    if (text.len > 2 && text.at[0] == 'W' && text.at[1] == '/')
        text = slice_from(text, 2);
    if (text.len > 1 && text.at[0] == '"' && text.at[text.len - 1] == '"')
        text = slice_of(text.at + 1, text.len - 2);
    return text;
}

static bool names_etag(struct slice list, const char *etag)
{
    while (list.len > 0) {
        const uint8_t *comma = memchr(list.at, ',', list.len);
        size_t len = comma == NULL ? list.len : (size_t)(comma - list.at);
        struct slice each = trimmed(slice_of(list.at, len));

        if (slice_is_text(each, "*") || slice_is_text(each, etag))
            return true;
        list = slice_from(list, comma == NULL ? len : len + 1);
    }
    return false;
}

enum folder_outcome folder_conditions_hold(const struct folder_conditions *conditions,
                                           const struct folder_object *object)
{
    if (conditions->if_match.len > 0) {
        if (object == NULL)
            return FOLDER_NO_SUCH_KEY;
        if (!names_etag(conditions->if_match, object->etag))
            return FOLDER_PRECONDITION;
    }
    if (conditions->if_none_match.len > 0 && object != NULL &&
        names_etag(conditions->if_none_match, object->etag))
        return FOLDER_PRECONDITION;
    return FOLDER_OK;
}

/* Opens an object; a name that is missing is told from a bucket that is. */
static enum folder_outcome open_object(struct folder *f, struct slice bucket, struct slice key,
                                       enum folder_depth depth, int *fd, struct folder_object *out)
{
    struct folder_place place;
    enum folder_outcome outcome = folder_find_place(f, bucket, key, &place);

    if (outcome != FOLDER_OK)
        return outcome;
    outcome = folder_meta_open(f, f->root, place.path, place.path, depth, fd, out);
    return outcome == FOLDER_NO_SUCH_KEY ? folder_missing(f, bucket) : outcome;
}

enum folder_outcome folder_get(struct folder *f, struct slice bucket, struct slice key,
                               struct folder_reader *out)
{
    return open_object(f, bucket, key, FOLDER_DEPTH_PAIRS, &out->fd, &out->object);
}

enum folder_outcome folder_get_with_parts(struct folder *f, struct slice bucket, struct slice key,
                                          struct folder_reader *out)
{
    return open_object(f, bucket, key, FOLDER_DEPTH_PARTS, &out->fd, &out->object);
}

enum folder_outcome folder_head(struct folder *f, struct slice bucket, struct slice key,
                                struct folder_object *out)
{
    int fd = -1;
    enum folder_outcome outcome = open_object(f, bucket, key, FOLDER_DEPTH_PAIRS, &fd, out);

    if (outcome == FOLDER_OK)
        close(fd);
    return outcome;
}

void folder_reader_close(struct folder_reader *reader)
{
    if (reader->fd >= 0)
        close(reader->fd);
    reader->fd = -1;
    folder_object_fini(&reader->object);
}

enum folder_outcome folder_read(struct folder *f, const struct folder_reader *reader,
                                uint64_t offset, void *at, size_t len, size_t *got)
{
    uint64_t size = reader->object.size;
    size_t have = 0;

    if (offset > size)
        return FOLDER_RANGE;
    if (len > size - offset)
        len = (size_t)(size - offset);
    while (have < len) {
        ssize_t read = pread(reader->fd, (char *)at + have, len - have, (off_t)(offset + have));

        if (read < 0 && errno == EINTR)
            continue;
        if (read <= 0)
            return folder_failed(f, "read", read < 0 ? errno : EIO); /* it became shorter */
        have += (size_t)read;
    }
    *got = have;
    return FOLDER_OK;
}

enum folder_outcome folder_read_pipe(struct folder *f, const struct folder_reader *reader,
                                     uint64_t offset, size_t len, int pipe, size_t *moved)
{
    uint64_t size = reader->object.size;
    loff_t at = (loff_t)offset;
    ssize_t got;

    if (offset > size)
        return FOLDER_RANGE;
    if (len > size - offset)
        len = (size_t)(size - offset);
    if (len == 0) {
        *moved = 0;
        return FOLDER_OK;
    }
    do
        got = splice(reader->fd, &at, pipe, NULL, len, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno != EAGAIN)
        return folder_failed(f, "splice", errno);
    if (got == 0)
        return folder_failed(f, "splice", EIO);
    *moved = got < 0 ? 0 : (size_t)got;
    return FOLDER_OK;
}

/* Removes the directories above a name that went, as far as they are empty, and makes sure on the
 * disk of the one that is left.  The bucket stays. */
static int prune(const struct folder *f, struct folder_place *place)
{
    size_t end = place->name, begin;
    int fd, result;

    for (; end > place->bucket; end = begin) {
        bool removed;

        place->path[end - 1] = '\0';
        for (begin = end - 1; begin > place->bucket && place->path[begin - 1] != '/';)
            begin--;
        fd = folder_open_directory(f, place->path, begin);
        removed = fd >= 0 && folder_rmdir(f, fd, place->path + begin) == 0;
        if (fd >= 0)
            close(fd);
        if (!removed)
            break; /* it holds something, or others are at it */
    }
    if (f->settings.sync != FOLDER_SYNC_ALWAYS)
        return 0;
    if (end > 0)
        place->path[end - 1] = '/';
    fd = folder_open_directory(f, place->path, end);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    result = folder_sync_directory(f, fd);
    close(fd);
    return result;
}

/* Removes the name, if conditions hold; the stripe is locked. */
static enum folder_outcome delete_locked(struct folder *f, const struct folder_place *place,
                                         const struct folder_conditions *conditions, char *side,
                                         bool *existed)
{
    struct folder_object object = { 0 };
    enum folder_outcome outcome;
    int fd = -1, at;

    outcome =
        folder_meta_open(f, f->root, place->path, place->path, FOLDER_DEPTH_LINE, &fd, &object);
    *existed = outcome == FOLDER_OK || outcome == FOLDER_TORN;
    if (*existed || outcome == FOLDER_NO_SUCH_KEY)
        outcome = conditions == NULL
                      ? FOLDER_OK
                      : folder_conditions_hold(conditions, *existed ? &object : NULL);
    if (fd >= 0) {
        folder_meta_side(f, fd, place->path, side);
        close(fd);
    }
    if (outcome != FOLDER_OK || !*existed)
        return outcome;
    at = folder_open_directory(f, place->path, place->name);
    if (at < 0)
        return errno == ENOENT ? FOLDER_OK : folder_failed(f, "open", errno);
    if (folder_unlink(f, at, place->path + place->name) != 0 && errno != ENOENT)
        outcome = folder_failed(f, "unlink", errno);
    close(at);
    return outcome;
}

enum folder_outcome folder_delete(struct folder *f, struct slice bucket, struct slice key,
                                  const struct folder_conditions *conditions, bool *existed)
{
    struct folder_place place;
    char side[FOLDER_ID_BYTES] = "";
    bool was = false;
    enum folder_outcome outcome = folder_find_place(f, bucket, key, &place);

    if (outcome == FOLDER_KEY_REFUSED || outcome == FOLDER_KEY_TOO_LONG)
        outcome = folder_missing(f, bucket); /* no object has that name */
    else if (outcome == FOLDER_OK) {
        pthread_mutex_lock(place.stripe);
        outcome = delete_locked(f, &place, conditions, side, &was);
        pthread_mutex_unlock(place.stripe);
        if (outcome == FOLDER_OK && !was)
            outcome = folder_missing(f, bucket);
    }
    if (outcome == FOLDER_NO_SUCH_KEY && (conditions == NULL || conditions->if_match.len == 0))
        outcome = FOLDER_OK;
    if (outcome == FOLDER_OK && was) {
        folder_side_remove(f, side);
        if (prune(f, &place) != 0)
            outcome = folder_failed(f, "remove directories", errno);
    }
    if (outcome == FOLDER_OK && existed != NULL)
        *existed = was;
    return outcome;
}

/* The pairs of other kinds that stay, and the new ones behind them. */
static enum folder_outcome change_pairs(struct folder *f, int fd, const char *path,
                                        const struct folder_object *object, enum folder_kind kind,
                                        const struct folder_pair *pairs, size_t count)
{
    struct folder_pair all[FOLDER_PAIRS];
    struct folder_record record = { .size = object->size, .parts = object->parts };
    char side[FOLDER_ID_BYTES], before[FOLDER_ID_BYTES];
    enum folder_outcome outcome;
    size_t used = 0;

    memcpy(record.etag, object->etag, sizeof(record.etag));
    for (size_t i = 0; i < object->pair_count && used < FOLDER_PAIRS; i++)
        if (object->pairs[i].kind != kind)
            all[used++] = object->pairs[i];
    if (count > FOLDER_PAIRS - used)
        return FOLDER_META_TOO_LARGE;
    for (size_t i = 0; i < count; i++) {
        all[used] = pairs[i];
        all[used++].kind = kind;
    }
    folder_meta_side(f, fd, path, before);
    outcome =
        folder_meta_store(f, fd, path, true, &record, all, used, buf_all(&object->part_text), side);
    if (outcome == FOLDER_OK && strcmp(side, before) != 0)
        folder_side_remove(f, before);
    if (outcome == FOLDER_OK && folder_sync_file(f, fd) != 0)
        outcome = folder_failed(f, "sync", errno);
    return outcome;
}

enum folder_outcome folder_replace_pairs(struct folder *f, struct slice bucket, struct slice key,
                                         enum folder_kind kind, const struct folder_pair *pairs,
                                         size_t count)
{
    struct folder_place place;
    struct folder_object object = { 0 };
    enum folder_outcome outcome = folder_find_place(f, bucket, key, &place);
    int fd = -1;

    if (outcome != FOLDER_OK)
        return outcome;
    pthread_mutex_lock(place.stripe);
    outcome =
        folder_meta_open(f, f->root, place.path, place.path, FOLDER_DEPTH_PARTS, &fd, &object);
    if (outcome == FOLDER_OK) {
        outcome = change_pairs(f, fd, place.path, &object, kind, pairs, count);
        folder_object_fini(&object);
        close(fd);
    }
    pthread_mutex_unlock(place.stripe);
    return outcome == FOLDER_NO_SUCH_KEY ? folder_missing(f, bucket) : outcome;
}
