/* Multipart uploads: .sheaf/uploads/BUCKET/ID/ holds `upload` (the key and the pairs that the
 * object will have) and the parts, each a file with a record of its own.  An ID begins with the
 * time, so uploads of a key sort by their beginning.
 *
 * An upload is made elsewhere and appears by one rename; it goes by one rename, too, and is removed
 * where a sweep finds what is left of it.  Completing is in folder_complete.c. */
#include "proxy/blob/folder_upload.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/mem.h"
#include "proxy/blob/folder_put.h"

#define UPLOADS     ".sheaf/uploads/"
#define UPLOAD_NAME "upload"
#define FIRST_LINE  "sheaf-upload 1\n"

enum {
    UPLOAD_FILE_BYTES = 4 * FOLDER_RECORD_BYTES,
    NAME_TRIES = 64,
    MOST_FILES = FOLDER_PARTS * 2
};

static void part_name(unsigned number, char out[16])
{
    snprintf(out, 16, "part.%05u", number);
}

int64_t folder_upload_begun(const char *id)
{
    char time[17];

    snprintf(time, sizeof(time), "%.16s", id);
    return (int64_t)strtoull(time, NULL, 16);
}

/* bucket/ID of what a client says is an upload; false if it cannot be one. */
static bool upload_path(struct slice bucket, struct slice id, char *out, size_t size)
{
    if (id.len != FOLDER_UPLOAD_ID_BYTES - 1 || !folder_bucket_is_valid(bucket))
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (strchr("0123456789abcdef", id.at[i]) == NULL || id.at[i] == '\0')
            return false;
    return (size_t)snprintf(out, size, "%.*s/%.*s", (int)bucket.len, (const char *)bucket.at,
                            (int)id.len, (const char *)id.at) < size;
}

enum folder_outcome folder_upload_read(const struct folder *f, const char *upload, struct buf *key,
                                       struct folder_object *object)
{
    char path[FOLDER_UPLOAD_BYTES + 16];
    struct buf text = { 0 };
    struct slice rest;
    const uint8_t *end;
    enum folder_outcome outcome;

    snprintf(path, sizeof(path), "%s/" UPLOAD_NAME, upload);
    outcome = folder_read_file(f, f->uploads, path, UPLOAD_FILE_BYTES, &text);
    if (outcome != FOLDER_OK) {
        buf_fini(&text);
        return outcome == FOLDER_NO_SUCH_KEY ? FOLDER_NO_SUCH_UPLOAD : outcome;
    }
    rest = buf_all(&text);
    outcome = FOLDER_NO_SUCH_UPLOAD; /* what is no upload of ours is none */
    if (slice_starts(rest, slice_text(FIRST_LINE))) {
        rest = slice_from(rest, sizeof(FIRST_LINE) - 1);
        end = rest.len == 0 ? NULL : memchr(rest.at, '\n', rest.len);
        if (end != NULL &&
            folder_unescape(slice_of(rest.at, (size_t)(end - rest.at)), key) == ERR_NONE &&
            (object == NULL ||
             folder_pairs_read(slice_from(rest, (size_t)(end - rest.at) + 1), object) == ERR_NONE))
            outcome = FOLDER_OK;
    }
    buf_fini(&text);
    return outcome;
}

enum folder_outcome folder_upload_find(struct folder *f, struct slice bucket, struct slice key,
                                       struct slice id, char *upload, size_t size,
                                       struct folder_object *object)
{
    struct folder_object found = { 0 };
    struct buf own_key = { 0 };
    enum folder_outcome outcome = folder_missing(f, bucket);

    if (outcome != FOLDER_NO_SUCH_KEY)
        return outcome;
    if (!upload_path(bucket, id, upload, size))
        return FOLDER_NO_SUCH_UPLOAD;
    outcome = folder_upload_read(f, upload, &own_key, object == NULL ? NULL : &found);
    if (outcome == FOLDER_OK && !slice_is(buf_all(&own_key), key))
        outcome = FOLDER_NO_SUCH_UPLOAD;
    if (outcome == FOLDER_OK && object != NULL)
        *object = found;
    else
        folder_object_fini(&found);
    buf_fini(&own_key);
    return outcome;
}

/* Writes the directory of an upload under a temporary name. */
static enum folder_outcome write_upload(struct folder *f, const char *temporary, struct slice text)
{
    enum folder_outcome outcome;
    int fd;

    if (folder_mkdir(f, f->tmp, temporary) != 0)
        return folder_failed(f, "make a directory", errno);
    fd = folder_open_at(f, f->tmp, temporary, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return folder_failed(f, "open", errno);
    outcome = folder_write_file(f, fd, UPLOAD_NAME, text, true);
    close(fd);
    return outcome;
}

/* Gives the upload its name; the bucket's directory of uploads is made when it is first needed, and
 * goes with the last one, perhaps right now. */
static enum folder_outcome name_upload(struct folder *f, struct slice bucket, const char *temporary,
                                       const char *id)
{
    char name[FOLDER_BUCKET_BYTES + 1];
    int error = ENOENT;

    snprintf(name, sizeof(name), "%.*s", (int)bucket.len, (const char *)bucket.at);
    for (int i = 0; i < NAME_TRIES && error == ENOENT; i++) {
        int at = folder_make_directories(f, f->uploads, name, 0);

        error = at < 0 ? errno : 0;
        if (at < 0)
            continue;
        if (folder_rename(f, f->tmp, temporary, at, id) != 0 || folder_sync_directory(f, at) != 0)
            error = errno;
        close(at);
    }
    return error == 0 ? FOLDER_OK : folder_failed(f, "name an upload", error);
}

enum folder_outcome folder_upload_create(struct folder *f, struct slice bucket, struct slice key,
                                         const struct folder_pair *pairs, size_t count,
                                         struct folder_upload_id *out)
{
    struct folder_place place;
    struct folder_upload_id id;
    char temporary[FOLDER_TEMPORARY_BYTES], random[FOLDER_ID_BYTES];
    struct buf text = { 0 };
    unsigned most = 4;
    enum folder_outcome outcome = folder_find_place(f, bucket, key, &place);

    if (outcome == FOLDER_OK)
        outcome = folder_missing(f, bucket);
    if (outcome != FOLDER_NO_SUCH_KEY)
        return outcome;
    outcome = folder_pairs_write(pairs, count, &text);
    buf_clear(&text);
    buf_text(&text, FIRST_LINE);
    folder_escape(key, false, &text);
    buf_text(&text, "\n");
    if (outcome == FOLDER_OK)
        outcome = folder_pairs_write(pairs, count, &text);
    if (outcome == FOLDER_OK) {
        folder_random_id(random);
        snprintf(id.text, sizeof(id.text), "%016" PRIx64 "%.16s", (uint64_t)clock_wall_us(),
                 random);
        folder_next_temporary(f, temporary);
        outcome = write_upload(f, temporary, buf_all(&text));
        if (outcome == FOLDER_OK)
            outcome = name_upload(f, bucket, temporary, id.text);
        if (outcome == FOLDER_OK)
            *out = id;
        else
            (void)folder_remove_tree(f, f->tmp, temporary, 1, &most);
    }
    buf_fini(&text);
    return outcome;
}

enum checksum folder_upload_sum(const struct folder_object *upload, bool *is_composite)
{
    enum checksum kind =
        checksum_of_algorithm(folder_object_find(upload, FOLDER_SUM, "x-amz-checksum-algorithm"));

    *is_composite = false;
    if (kind == CHECKSUMS ||
        !checksum_parts_type(kind, folder_object_find(upload, FOLDER_SUM, "x-amz-checksum-type"),
                             is_composite))
        return CHECKSUMS;
    return kind;
}

/* A put whose name will be that of a part. */
static enum folder_outcome begin_part(struct folder *f, struct slice bucket, struct slice key,
                                      struct slice id, unsigned number, uint64_t size,
                                      struct folder_put **out)
{
    char upload[FOLDER_UPLOAD_BYTES], name[16];
    struct folder_place place = { 0 };
    struct folder_object kept = { 0 };
    enum folder_outcome outcome;
    enum checksum kind;
    bool is_composite;

    if (number == 0 || number > FOLDER_PARTS)
        return FOLDER_INVALID_PART;
    outcome = folder_upload_find(f, bucket, key, id, upload, sizeof(upload), &kept);
    if (outcome != FOLDER_OK)
        return outcome;
    kind = folder_upload_sum(&kept, &is_composite);
    folder_object_fini(&kept);
    part_name(number, name);
    place.len = (size_t)snprintf(place.path, sizeof(place.path), UPLOADS "%s/%s", upload, name);
    place.name = place.bucket = place.len - strlen(name);
    place.stripe = folder_stripe(f, place.path);
    outcome = folder_put_new(f, &place, size, out);
    if (outcome == FOLDER_OK) {
        (*out)->is_part = true;
        memcpy((*out)->upload, upload, sizeof(upload));
        if (kind != CHECKSUMS)
            folder_put_sum(*out, 1U << kind);
    }
    return outcome;
}

enum folder_outcome folder_part_begin(struct folder *f, struct slice bucket, struct slice key,
                                      struct slice id, unsigned number, uint64_t size,
                                      struct folder_put **out)
{
    enum folder_outcome outcome = begin_part(f, bucket, key, id, number, size, out);

    return outcome == FOLDER_OK ? folder_put_expect(out, size) : outcome;
}

enum folder_outcome folder_part_copy_begin(struct folder *f, struct slice bucket, struct slice key,
                                           struct slice id, unsigned number,
                                           const struct folder_reader *reader, uint64_t from,
                                           uint64_t len, struct folder_put **out)
{
    enum folder_outcome outcome = FOLDER_RANGE;

    if (from <= reader->object.size && len <= reader->object.size - from)
        outcome = begin_part(f, bucket, key, id, number, len, out);
    if (outcome == FOLDER_OK)
        folder_put_source(*out, reader, from, len);
    return outcome;
}

enum folder_outcome folder_upload_head(struct folder *f, struct slice bucket, struct slice key,
                                       struct slice id, struct folder_object *out)
{
    char upload[FOLDER_UPLOAD_BYTES];

    return folder_upload_find(f, bucket, key, id, upload, sizeof(upload), out);
}

/* ---- parts ---- */

enum folder_outcome folder_part_open(const struct folder *f, const char *upload, unsigned number,
                                     int *fd, struct folder_object *out)
{
    char path[FOLDER_UPLOAD_BYTES + 32], name[16];

    part_name(number, name);
    snprintf(path, sizeof(path), UPLOADS "%s/%s", upload, name);
    return folder_meta_open(f, f->root, path, path, FOLDER_DEPTH_PAIRS, fd, out);
}

static void take_sum(const struct folder_object *object, enum checksum kind,
                     char out[CHECKSUM_TEXT_MOST + 1])
{
    char name[32];
    struct slice value = { 0 };

    if (kind != CHECKSUMS) {
        snprintf(name, sizeof(name), "x-amz-checksum-%s", checksum_name(kind));
        value = folder_object_find(object, FOLDER_SUM, name);
    }
    if (value.len > CHECKSUM_TEXT_MOST)
        value.len = 0;
    snprintf(out, CHECKSUM_TEXT_MOST + 1, "%.*s", (int)value.len, (const char *)value.at);
}

enum folder_outcome folder_part_look(const struct folder *f, const char *upload, unsigned number,
                                     enum checksum kind, struct folder_part *out)
{
    struct folder_object object = { 0 };
    int fd = -1;
    enum folder_outcome outcome = folder_part_open(f, upload, number, &fd, &object);

    if (outcome != FOLDER_OK)
        return outcome;
    close(fd);
    *out = (struct folder_part){ .number = number,
                                 .size = object.size,
                                 .modified_us = object.modified_us };
    memcpy(out->etag, object.etag, sizeof(out->etag));
    take_sum(&object, kind, out->sum);
    folder_object_fini(&object);
    return FOLDER_OK;
}

/* The numbers of an upload's parts, one bit each: a directory has them in no order. */
static enum folder_outcome part_numbers(const struct folder *f, const char *upload,
                                        bool found[FOLDER_PARTS + 1])
{
    int fd = folder_open_at(f, f->uploads, upload, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return errno == ENOENT ? FOLDER_NO_SUCH_UPLOAD : folder_failed(f, "open", errno);
    }
    for (struct dirent *each; (each = readdir(dir)) != NULL;) { // NOLINT: own stream
        char again[16];
        unsigned long number;

        if (strncmp(each->d_name, "part.", 5) != 0)
            continue;
        number = strtoul(each->d_name + 5, NULL, 10);
        if (number == 0 || number > FOLDER_PARTS)
            continue;
        part_name((unsigned)number, again);
        found[number] = found[number] || strcmp(again, each->d_name) == 0;
    }
    closedir(dir);
    return FOLDER_OK;
}

enum folder_outcome folder_parts(struct folder *f, struct slice bucket, struct slice key,
                                 struct slice id, unsigned after, size_t most,
                                 struct folder_part **out, size_t *count, bool *more)
{
    char upload[FOLDER_UPLOAD_BYTES];
    bool found[FOLDER_PARTS + 1] = { 0 }, is_more = false;
    struct folder_object kept = { 0 };
    struct folder_part *parts;
    size_t used = 0;
    enum folder_outcome outcome =
        folder_upload_find(f, bucket, key, id, upload, sizeof(upload), &kept);
    enum checksum kind = folder_upload_sum(&kept, &(bool){ 0 });

    folder_object_fini(&kept);
    if (outcome == FOLDER_OK)
        outcome = part_numbers(f, upload, found);
    if (outcome != FOLDER_OK)
        return outcome;
    if (most > FOLDER_PARTS)
        most = FOLDER_PARTS;
    parts = mem_new((most + 1) * sizeof(*parts));
    for (unsigned number = after + 1; number <= FOLDER_PARTS && after < FOLDER_PARTS; number++) {
        if (!found[number])
            continue;
        if (used == most) {
            is_more = true;
            break;
        }
        outcome = folder_part_look(f, upload, number, kind, &parts[used]);
        if (outcome == FOLDER_OK)
            used++;
        else if (outcome != FOLDER_NO_SUCH_KEY && outcome != FOLDER_TORN)
            break;
        outcome = FOLDER_OK;
    }
    if (outcome != FOLDER_OK) {
        free(parts);
        return outcome;
    }
    *out = parts;
    *count = used;
    *more = is_more && most > 0;
    return FOLDER_OK;
}

/* ---- the end of an upload ---- */

enum folder_outcome folder_upload_remove(struct folder *f, const char *upload)
{
    char away[FOLDER_TEMPORARY_BYTES], bucket[FOLDER_BUCKET_BYTES + 1];
    unsigned most = MOST_FILES;

    folder_next_temporary(f, away);
    if (folder_rename(f, f->uploads, upload, f->tmp, away) != 0)
        return errno == ENOENT ? FOLDER_NO_SUCH_UPLOAD : folder_failed(f, "rename", errno);
    (void)folder_remove_tree(f, f->tmp, away, 1, &most);
    snprintf(bucket, sizeof(bucket), "%.*s", (int)strcspn(upload, "/"), upload);
    (void)folder_rmdir(f, f->uploads, bucket); /* the last one takes it along */
    return FOLDER_OK;
}

enum folder_outcome folder_upload_abort(struct folder *f, struct slice bucket, struct slice key,
                                        struct slice id)
{
    char upload[FOLDER_UPLOAD_BYTES];
    struct folder_place place;
    enum folder_outcome outcome =
        folder_upload_find(f, bucket, key, id, upload, sizeof(upload), NULL);

    if (outcome == FOLDER_OK)
        outcome = folder_find_place(f, bucket, key, &place);
    if (outcome != FOLDER_OK)
        return outcome;
    pthread_mutex_lock(place.stripe); /* not between a completion's look and its name */
    outcome = folder_upload_remove(f, upload);
    pthread_mutex_unlock(place.stripe);
    return outcome;
}
