/* Writing an object, a part, a copy, or an upload's completion:
 *
 *     begin -> bytes to a file without a name -> metadata -> [sync] -> conditions -> name -> [sync]
 *
 * The name is given under the lock of the key's stripe: by link() if it is free, else by link() to
 * a temporary name and rename() over the old object; so whoever looks sees the old object or the
 * new one, whole, with its metadata.  A file system without O_TMPFILE gets a temporary name at
 * once. What a killed process leaves is in its directory of .sheaf/tmp and swept by the next one.
 *
 * Directories above the name are made when they are missing; a delete may remove them again at the
 * same time, since empty ones are not kept: then they are made once more. */
#include "proxy/blob/folder_put.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proxy/base/mem.h"

enum {
    NAME_TRIES = 64,
    PIECE_BYTES = 64 * 1024,
    RESERVE_BYTES = 8 * 1024 * 1024, /* room for uploads from this size is taken at once */
    MD5_BYTES = 16
};

static enum folder_outcome fail(struct folder_put *put, const char *what)
{
    put->failed = true;
    return folder_failed(put->folder, what, errno);
}

enum folder_outcome folder_put_new(struct folder *f, const struct folder_place *place,
                                   uint64_t room, struct folder_put **out)
{
    struct folder_put *put;

    if (room != FOLDER_SIZE_UNKNOWN && room > f->settings.max_object)
        return FOLDER_TOO_LARGE;
    put = mem_new(sizeof(*put));
    put->folder = f;
    put->place = *place;
    put->part_fd = -1;
    put->room = room < f->settings.max_object ? room : f->settings.max_object;
    put->fd = folder_temporary(f, put->temporary);
    if (put->fd < 0) {
        enum folder_outcome outcome = folder_failed(f, "make a file", errno);

        free(put);
        return outcome;
    }
    *out = put;
    return FOLDER_OK;
}

/* Takes room on the disk for the next `len` bytes, if they are many; FULL. */
static enum folder_outcome reserve(struct folder_put *put, uint64_t len)
{
    if (len == FOLDER_SIZE_UNKNOWN || len < RESERVE_BYTES)
        return FOLDER_OK;
    if ((folder_call_fails(put->folder, FOLDER_CALL_WRITE) ||
         fallocate(put->fd, FALLOC_FL_KEEP_SIZE, (off_t)put->size, (off_t)len) != 0) &&
        errno != EOPNOTSUPP)
        return fail(put, "reserve room");
    put->reserved = put->size + len;
    return FOLDER_OK;
}

/* Has its bytes' digest computed, if the store does that. */
static void begin_digest(struct folder_put *put)
{
    if (put->folder->md5 == NULL)
        return;
    put->digest = EVP_MD_CTX_new();
    if (put->digest != NULL && EVP_DigestInit_ex(put->digest, put->folder->md5, NULL) != 1) {
        EVP_MD_CTX_free(put->digest);
        put->digest = NULL;
    }
}

enum folder_outcome folder_put_expect(struct folder_put **put, uint64_t len)
{
    enum folder_outcome outcome;

    begin_digest(*put);
    outcome = reserve(*put, len);
    if (outcome != FOLDER_OK)
        folder_put_abort(put);
    return outcome;
}

void folder_put_sum(struct folder_put *put, unsigned kinds)
{
    for (int kind = CHECKSUM_CRC32; kind <= CHECKSUM_SHA256; kind++) {
        if ((kinds >> kind & 1) == 0)
            continue;
        if (put->sums == NULL)
            put->sums = mem_new(sizeof(*put->sums));
        checksum_set_want(put->sums, (enum checksum)kind);
    }
}

/* Of an upload that is being completed. */
static size_t sum_of_parts(struct folder_put *put, struct folder_pair *out)
{
    if (put->sum_len == 0)
        return 0;
    snprintf(put->sum_name[0], sizeof(put->sum_name[0]), "x-amz-checksum-%s",
             checksum_name(put->sum_kind));
    out[0] = (struct folder_pair){ FOLDER_SUM, slice_text(put->sum_name[0]),
                                   slice_of(put->sum_text[0], put->sum_len) };
    out[1] =
        (struct folder_pair){ FOLDER_SUM, slice_text("x-amz-checksum-type"),
                              slice_text(put->sum_is_composite ? "COMPOSITE" : "FULL_OBJECT") };
    return 2;
}

size_t folder_put_sums(struct folder_put *put, struct folder_pair out[FOLDER_SUMS])
{
    struct s3_fault fault = { 0 };
    size_t count = 0;

    if (put->sums == NULL)
        return sum_of_parts(put, out);
    (void)!checksum_set_end(put->sums, &fault); /* nothing was declared */
    for (int kind = CHECKSUM_CRC32; kind <= CHECKSUM_SHA256; kind++) {
        size_t len;

        if ((put->sums->wanted >> kind & 1) == 0)
            continue;
        len = checksum_set_text(put->sums, (enum checksum)kind, put->sum_text[count]);
        snprintf(put->sum_name[count], sizeof(put->sum_name[count]), "x-amz-checksum-%s",
                 checksum_name((enum checksum)kind));
        out[count] = (struct folder_pair){ FOLDER_SUM, slice_text(put->sum_name[count]),
                                           slice_of(put->sum_text[count], len) };
        count++;
    }
    free(put->sums); /* once */
    put->sums = NULL;
    return count;
}

/* Must its bytes be looked at? */
static bool is_read(const struct folder_put *put)
{
    return put->digest != NULL || put->sums != NULL;
}

/* The place of an object in a bucket that is there. */
static enum folder_outcome find_place(struct folder *f, struct slice bucket, struct slice key,
                                      struct folder_place *place)
{
    enum folder_outcome outcome = folder_find_place(f, bucket, key, place);

    if (outcome == FOLDER_OK)
        outcome = folder_missing(f, bucket);
    return outcome == FOLDER_NO_SUCH_KEY ? FOLDER_OK : outcome;
}

enum folder_outcome folder_put_begin(struct folder *f, struct slice bucket, struct slice key,
                                     uint64_t size, struct folder_put **out)
{
    struct folder_place place;
    enum folder_outcome outcome = find_place(f, bucket, key, &place);

    if (outcome == FOLDER_OK)
        outcome = folder_put_new(f, &place, size, out);
    return outcome == FOLDER_OK ? folder_put_expect(out, size) : outcome;
}

/* Counts bytes that are about to be written. */
static enum folder_outcome take(struct folder_put *put, size_t len)
{
    if (put->failed)
        return FOLDER_INTERNAL;
    if (len > put->room - put->size) {
        put->failed = true;
        return put->room == put->folder->settings.max_object ? FOLDER_TOO_LARGE : FOLDER_INCOMPLETE;
    }
    put->size += len;
    return FOLDER_OK;
}

enum folder_outcome folder_put_write(struct folder_put *put, struct slice bytes)
{
    enum folder_outcome outcome = take(put, bytes.len);

    if (outcome != FOLDER_OK)
        return outcome;
    if (put->digest != NULL && EVP_DigestUpdate(put->digest, bytes.at, bytes.len) != 1) {
        errno = EIO;
        return fail(put, "digest");
    }
    if (put->sums != NULL)
        checksum_set_add(put->sums, bytes);
    if (folder_write_all(put->folder, put->fd, bytes.at, bytes.len) != 0)
        return fail(put, "write");
    return FOLDER_OK;
}

enum folder_outcome folder_put_pipe(struct folder_put *put, int pipe, size_t len, size_t *moved)
{
    uint8_t piece[PIECE_BYTES];
    enum folder_outcome outcome;
    ssize_t got;

    if (put->failed)
        return FOLDER_INTERNAL;
    if (is_read(put) && len > sizeof(piece))
        len = sizeof(piece);
    do {
        if (folder_call_fails(put->folder, FOLDER_CALL_WRITE))
            return fail(put, "splice");
        got = is_read(put)
                  ? read(pipe, piece, len)
                  : splice(pipe, NULL, put->fd, NULL, len, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno != EAGAIN)
        return fail(put, "splice");
    *moved = got < 0 ? 0 : (size_t)got;
    if (is_read(put))
        return *moved == 0 ? FOLDER_OK : folder_put_write(put, slice_of(piece, *moved));
    outcome = take(put, *moved);
    return outcome;
}

/* ---- copies ---- */

void folder_put_source(struct folder_put *put, const struct folder_reader *reader, uint64_t from,
                       uint64_t len)
{
    put->sources = mem_new(sizeof(*put->sources));
    put->source_count = 1;
    put->sources[0] = (struct folder_source){ .fd = reader->fd, .from = from, .len = len };
    if (from == 0 && len == reader->object.size) {
        memcpy(put->etag, reader->object.etag, sizeof(put->etag));
    } else {
        begin_digest(put);
    }
}

enum folder_outcome folder_copy_begin(struct folder *f, const struct folder_reader *reader,
                                      uint64_t from, uint64_t len, struct slice bucket,
                                      struct slice key, struct folder_put **out)
{
    struct folder_place place;
    enum folder_outcome outcome = find_place(f, bucket, key, &place);

    if (outcome == FOLDER_OK && (from > reader->object.size || len > reader->object.size - from))
        outcome = FOLDER_RANGE;
    if (outcome == FOLDER_OK)
        outcome = folder_put_new(f, &place, len, out);
    if (outcome == FOLDER_OK)
        folder_put_source(*out, reader, from, len);
    return outcome;
}

/* Shares the blocks of a whole source with the file system; false if it cannot. */
static bool clone_blocks(struct folder_put *put, const struct folder_source *source, int fd)
{
    struct file_clone_range range = { .src_fd = fd,
                                      .src_offset = source->from,
                                      .src_length = source->len,
                                      .dest_offset = put->size };

    return !folder_call_fails(put->folder, FOLDER_CALL_CLONE) &&
           ioctl(put->fd, FICLONERANGE, &range) == 0 &&
           lseek(put->fd, (off_t)(put->size + source->len), SEEK_SET) >= 0;
}

/* Copies up to `len` bytes by reading them, since their digest is wanted. */
static enum folder_outcome copy_by_reading(struct folder_put *put,
                                           const struct folder_source *source, int fd, size_t len,
                                           size_t *moved)
{
    uint8_t piece[PIECE_BYTES];
    ssize_t got = pread(fd, piece, len < sizeof(piece) ? len : sizeof(piece), (off_t)source->from);

    if (got <= 0) {
        errno = got == 0 ? EIO : errno;
        return fail(put, "read");
    }
    *moved = (size_t)got;
    return folder_put_write(put, slice_of(piece, (size_t)got));
}

/* How much of a source's front is a hole, which stays one; 0: none, or it can't be known. */
static uint64_t hole_at(const struct folder_source *source, int fd)
{
    off_t data = lseek(fd, (off_t)source->from, SEEK_DATA);

    if (data < 0)
        return errno == ENXIO ? source->len : 0;
    if ((uint64_t)data - source->from > source->len)
        return source->len;
    return (uint64_t)data - source->from;
}

/* How much of it comes before the next hole. */
static uint64_t data_at(const struct folder_source *source, int fd)
{
    off_t hole = lseek(fd, (off_t)source->from, SEEK_HOLE);

    return hole <= (off_t)source->from || (uint64_t)hole - source->from > source->len
               ? source->len
               : (uint64_t)hole - source->from;
}

static enum folder_outcome skip_hole(struct folder_put *put, uint64_t len)
{
    enum folder_outcome outcome = take(put, len);

    if (outcome == FOLDER_OK && (ftruncate(put->fd, (off_t)put->size) != 0 ||
                                 lseek(put->fd, (off_t)put->size, SEEK_SET) < 0))
        return fail(put, "make a hole");
    return outcome;
}

static enum folder_outcome copy_some(struct folder_put *put, const struct folder_source *source,
                                     int fd, uint64_t most, size_t *moved)
{
    size_t len = source->len < most ? (size_t)source->len : (size_t)most;
    loff_t from = (loff_t)source->from;
    enum folder_outcome outcome = FOLDER_OK;
    uint64_t run;
    ssize_t got;

    if (is_read(put))
        return copy_by_reading(put, source, fd, len, moved);
    if (clone_blocks(put, source, fd)) {
        *moved = (size_t)source->len;
        return take(put, *moved);
    }
    run = hole_at(source, fd);
    if (run > 0) {
        *moved = (size_t)run;
        return skip_hole(put, run);
    }
    run = data_at(source, fd);
    if (put->size >= put->reserved)
        outcome = reserve(put, run);
    if (outcome != FOLDER_OK)
        return outcome;
    len = run < len ? (size_t)run : len;
    do
        got = folder_call_fails(put->folder, FOLDER_CALL_COPY)
                  ? -1
                  : copy_file_range(fd, &from, put->fd, NULL, len, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS))
        return copy_by_reading(put, source, fd, len, moved);
    if (got <= 0) {
        errno = got == 0 ? EIO : errno; /* the source became shorter */
        return fail(put, "copy");
    }
    *moved = (size_t)got;
    outcome = take(put, *moved);
    return outcome;
}

/* Opens the part whose turn it is; it must still be the one that was chosen. */
static enum folder_outcome open_part(struct folder_put *put, const struct folder_source *source)
{
    struct folder *f = put->folder;
    struct folder_object object = { 0 };
    enum folder_outcome outcome =
        folder_part_open(f, put->upload, source->part, &put->part_fd, &object);

    if (outcome == FOLDER_NO_SUCH_KEY)
        outcome = FOLDER_NO_SUCH_UPLOAD;
    else if (outcome == FOLDER_OK &&
             (strcmp(object.etag, source->etag) != 0 || object.size != source->len))
        outcome = FOLDER_INVALID_PART;
    folder_object_fini(&object);
    put->failed = outcome != FOLDER_OK;
    return outcome;
}

/* One piece of the source whose turn it is. */
static enum folder_outcome step(struct folder_put *put, uint64_t most, size_t *moved)
{
    struct folder_source *source = &put->sources[put->source_at];
    enum folder_outcome outcome = put->failed ? FOLDER_INTERNAL : FOLDER_OK;

    if (outcome == FOLDER_OK && source->fd < 0 && put->part_fd < 0)
        outcome = open_part(put, source);
    if (outcome == FOLDER_OK && source->len > 0)
        outcome = copy_some(put, source, source->fd < 0 ? put->part_fd : source->fd, most, moved);
    source->from += *moved;
    source->len -= *moved;
    return outcome;
}

enum folder_outcome folder_put_step(struct folder_put *put, uint64_t most, bool *done)
{
    while (put->source_at < put->source_count && most > 0) {
        size_t moved = 0;
        enum folder_outcome outcome = step(put, most, &moved);

        if (outcome != FOLDER_OK)
            return outcome;
        most -= moved < most ? moved : most;
        if (put->sources[put->source_at].len > 0)
            continue;
        put->source_at++;
        if (put->part_fd >= 0)
            close(put->part_fd);
        put->part_fd = -1;
    }
    *done = put->source_at == put->source_count;
    return FOLDER_OK;
}

/* ---- the end ---- */

static void put_free(struct folder_put **out)
{
    struct folder_put *put = *out;

    if (put->temporary[0] != '\0')
        (void)unlinkat(put->folder->tmp, put->temporary, 0); /* gone already after a rename */
    if (put->fd >= 0)
        close(put->fd);
    if (put->part_fd >= 0)
        close(put->part_fd);
    EVP_MD_CTX_free(put->digest);
    free(put->sums);
    buf_fini(&put->part_text);
    folder_object_fini(&put->kept);
    free(put->sources);
    free(put);
    *out = NULL;
}

void folder_put_abort(struct folder_put **put)
{
    if (*put != NULL)
        put_free(put);
}

static void hex(const uint8_t digest[MD5_BYTES], char out[FOLDER_ETAG_BYTES])
{
    static const char DIGITS[] = "0123456789abcdef";

    for (size_t i = 0; i < MD5_BYTES; i++) {
        out[2 * i] = DIGITS[digest[i] >> 4];
        out[2 * i + 1] = DIGITS[digest[i] & 15];
    }
    out[2 * MD5_BYTES] = '\0';
}

/* The ETag, and whether the bytes are those that the client meant. */
static enum folder_outcome settle_etag(struct folder_put *put, const uint8_t *declared)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char id[FOLDER_ID_BYTES];

    if (put->etag[0] != '\0')
        return FOLDER_OK;
    if (put->digest != NULL && EVP_DigestFinal_ex(put->digest, digest, NULL) == 1) {
        if (declared != NULL && memcmp(declared, digest, MD5_BYTES) != 0)
            return FOLDER_BAD_DIGEST;
        hex(digest, put->etag);
    } else if (declared != NULL) {
        hex(declared, put->etag);
    } else {
        folder_random_id(id);
        snprintf(put->etag, sizeof(put->etag), "%s-1", id);
    }
    return FOLDER_OK;
}

/* Do the conditions hold for what has the name now? */
static enum folder_outcome check_conditions(const struct folder_put *put,
                                            const struct folder_conditions *conditions)
{
    const struct folder *f = put->folder;
    struct folder_object object = { 0 };
    int fd = -1;
    enum folder_outcome outcome;

    if (put->is_part || (conditions->if_match.len == 0 && conditions->if_none_match.len == 0))
        return FOLDER_OK;
    outcome = folder_meta_open(f, f->root, put->place.path, put->place.path, FOLDER_DEPTH_LINE, &fd,
                               &object);
    if (fd >= 0)
        close(fd);
    if (outcome == FOLDER_NO_SUCH_KEY)
        return folder_conditions_hold(conditions, NULL);
    if (outcome != FOLDER_OK && outcome != FOLDER_TORN)
        return outcome;
    return folder_conditions_hold(conditions, &object);
}

/* What a rename replaces: its side file goes with it. */
static bool note_replaced(const struct folder_put *put, int at, const char *name,
                          char side[FOLDER_ID_BYTES])
{
    int fd = folder_open_at(put->folder, at, name, O_RDONLY | O_NONBLOCK);

    if (fd < 0)
        return false;
    folder_meta_side(put->folder, fd, put->place.path, side);
    close(fd);
    return true;
}

/* Gives the file its name in `at`; 0, or -1 with errno. */
static int name_in(struct folder_put *put, int at, const char *name, bool exclusive,
                   char side[FOLDER_ID_BYTES], bool *replaced)
{
    struct folder *f = put->folder;

    if (put->temporary[0] == '\0') {
        if (folder_link(f, put->fd, "", at, name) == 0)
            return 0;
        if (errno != EEXIST || exclusive)
            return -1;
        folder_next_temporary(f, put->temporary);
        if (folder_link(f, put->fd, "", f->tmp, put->temporary) != 0)
            return -1;
    }
    if (exclusive) /* put_free() removes the other name */
        return folder_link(f, put->fd, put->temporary, at, name);
    *replaced = note_replaced(put, at, name, side);
    if (folder_rename(f, f->tmp, put->temporary, at, name) != 0)
        return -1;
    put->temporary[0] = '\0';
    return 0;
}

static bool bucket_is_there(const struct folder *f, const struct folder_place *place)
{
    int fd = folder_open_directory(f, place->path, place->bucket);

    if (fd >= 0)
        close(fd);
    return fd >= 0 || errno != ENOENT;
}

/* Gives the file its name; the directory that has it stays open in `at`. */
static enum folder_outcome give_name(struct folder_put *put, bool exclusive,
                                     char side[FOLDER_ID_BYTES], bool *replaced, int *at)
{
    struct folder *f = put->folder;
    struct folder_place *place = &put->place;
    char directory[FOLDER_PATH_BYTES];

    memcpy(directory, place->path, place->name);
    directory[place->name] = '\0';
    for (int i = 0; i < NAME_TRIES; i++) {
        *at = folder_make_directories(f, f->root, directory, place->bucket);
        if (*at < 0 && errno != ENOENT)
            return folder_failed(f, "make directories", errno);
        if (*at < 0 && put->is_part)
            return FOLDER_NO_SUCH_UPLOAD;
        if (*at < 0 && !bucket_is_there(f, place))
            return FOLDER_NO_SUCH_BUCKET;
        if (*at < 0)
            continue; /* a directory was removed on the way */
        if (name_in(put, *at, place->path + place->name, exclusive, side, replaced) == 0)
            return FOLDER_OK;
        if (errno == EEXIST)
            return FOLDER_PRECONDITION;
        if (errno != ENOENT)
            return folder_failed(f, "give a name", errno);
        close(*at);
        *at = -1;
    }
    return FOLDER_BUSY;
}

static bool upload_is_there(const struct folder_put *put)
{
    struct stat stat;

    return put->upload[0] == '\0' || put->is_part ||
           fstatat(put->folder->uploads, put->upload, &stat, AT_SYMLINK_NOFOLLOW) == 0;
}

/* From conditions to name, one writer of a key at a time; then what is safe on the disk. */
static enum folder_outcome publish(struct folder_put *put, const struct folder_commit *commit,
                                   bool *replaced)
{
    const struct folder_conditions *conditions = &commit->conditions;
    struct folder *f = put->folder;
    char side[FOLDER_ID_BYTES] = "";
    int at = -1;
    enum folder_outcome outcome;

    pthread_mutex_lock(put->place.stripe);
    outcome = upload_is_there(put) ? check_conditions(put, conditions) : FOLDER_NO_SUCH_UPLOAD;
    if (outcome == FOLDER_OK)
        outcome = give_name(put, !put->is_part && slice_is_text(conditions->if_none_match, "*"),
                            side, replaced, &at);
    pthread_mutex_unlock(put->place.stripe);
    if (outcome == FOLDER_OK) {
        folder_side_remove(f, side);
        if (folder_sync_directory(f, at) != 0)
            outcome = folder_failed(f, "sync", errno);
    }
    if (at >= 0)
        close(at);
    return outcome;
}

static enum folder_outcome check_size(const struct folder_put *put, uint64_t promised)
{
    if (put->failed || put->source_at < put->source_count)
        return FOLDER_INTERNAL;
    return promised == FOLDER_SIZE_UNKNOWN || promised == put->size ? FOLDER_OK : FOLDER_INCOMPLETE;
}

enum folder_outcome folder_put_commit(struct folder_put **out_put,
                                      const struct folder_commit *commit,
                                      struct folder_written *out)
{
    struct folder_put *put = *out_put;
    struct folder *f = put->folder;
    bool is_completion = put->upload[0] != '\0' && !put->is_part;
    const struct folder_pair *pairs = is_completion ? put->kept.pairs : commit->pairs;
    size_t count = is_completion ? put->kept.pair_count : commit->pair_count;
    struct folder_record record = { .size = put->size, .parts = put->parts };
    char side[FOLDER_ID_BYTES] = "";
    bool replaced = false;
    enum folder_outcome outcome = check_size(put, commit->size);

    if (outcome == FOLDER_OK)
        outcome = settle_etag(put, commit->md5);
    memcpy(record.etag, put->etag, sizeof(record.etag));
    if (outcome == FOLDER_OK)
        outcome = folder_meta_store(f, put->fd, put->place.path, false, &record, pairs, count,
                                    buf_all(&put->part_text), side);
    if (outcome == FOLDER_OK && folder_sync_file(f, put->fd) != 0)
        outcome = folder_failed(f, "sync", errno);
    if (outcome == FOLDER_OK) {
        outcome = publish(put, commit, &replaced);
        if (outcome == FOLDER_OK && is_completion)
            folder_upload_remove(f, put->upload);
    } else {
        folder_side_remove(f, side);
    }
    if (outcome == FOLDER_OK) {
        *out = (struct folder_written){ .size = put->size,
                                        .modified_us = record.modified_ns / 1000,
                                        .replaced = replaced };
        memcpy(out->etag, put->etag, sizeof(out->etag));
    }
    put_free(out_put);
    return outcome;
}
