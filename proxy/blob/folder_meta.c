/* The metadata of a file: its record (proxy/blob/folder_record.h) in the attribute user.sheaf.
 *
 * Where the record is too large for an attribute (ext4 has less than 4 KiB), the attribute holds
 * "side ID" and the record is in .sheaf/side/xx/ID.  Where the file system has no attributes, the
 * ID is made of the file's path, size and time of modification, so that a file and its record
 * become visible by one rename, too.  A side file begins with the path that it belongs to, so that
 * those of no object can be told; each is written before its object is named and removed after.
 *
 * A file without a record is an object, too: somebody else put it there.  It and one that was
 * changed since have an ETag of their size, time and number, marked as no MD5 by "-1". */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "proxy/base/log.h"
#include "proxy/blob/folder_parts.h"
#include "proxy/blob/folder_store.h"

#define ATTRIBUTE "user.sheaf"
static const char SIDE[] = "side ";

enum {
    SIDE_PATH_BYTES = 3 + FOLDER_ID_BYTES,
    SIDE_RECORD_BYTES = 3 * FOLDER_PATH_BYTES + 2 * FOLDER_RECORD_BYTES,
    SIDE_FILE_BYTES = SIDE_RECORD_BYTES + FOLDER_SPANS_BYTES,
    SIDE_AGE_S = 24 * 3600,       /* younger ones may be of an object that is being written */
    SIDE_FRONT_BYTES = 16 * 1024, /* enough for most records, without what parts there are */
    FIRST_READ_BYTES = 1024,
    PARTS_INSIDE_BYTES = 1024, /* more would make all who open the object read it */
    OPEN_TRIES = 16
};

static int64_t modified_ns(const struct stat *stat)
{
    return (int64_t)stat->st_mtim.tv_sec * 1000000000 + stat->st_mtim.tv_nsec;
}

/* Is that the time of a record?  Archives and some file systems keep less than nanoseconds. */
static bool is_time_of(int64_t found_ns, int64_t recorded_ns)
{
    static const int64_t UNITS[] = { 1, 100, 1000, 1000000000 };

    for (size_t i = 0; i < sizeof(UNITS) / sizeof(UNITS[0]); i++)
        if (found_ns % UNITS[i] == 0 && recorded_ns / UNITS[i] == found_ns / UNITS[i])
            return true;
    return false;
}

static void id_of_hash(XXH128_hash_t hash, char out[FOLDER_ID_BYTES])
{
    snprintf(out, FOLDER_ID_BYTES, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
             (uint64_t)hash.low64);
}

/* The ID of a side file where no attribute can name it. */
static void derived_id(const struct stat *stat, const char *path, char out[FOLDER_ID_BYTES])
{
    struct {
        int64_t modified;
        uint64_t size;
        XXH128_hash_t path;
    } seed = { modified_ns(stat), (uint64_t)stat->st_size, XXH3_128bits(path, strlen(path)) };

    id_of_hash(XXH3_128bits(&seed, sizeof(seed)), out);
}

static bool is_id(const char *text)
{
    return strlen(text) == FOLDER_ID_BYTES - 1 &&
           strspn(text, "0123456789abcdef") == FOLDER_ID_BYTES - 1;
}

static void side_path(const char *id, char out[SIDE_PATH_BYTES])
{
    snprintf(out, SIDE_PATH_BYTES, "%.2s/%s", id, id);
}

/* Reads the attribute; FOLDER_OK with nothing if there is none. */
static enum folder_outcome read_attribute(const struct folder *f, int fd, struct buf *out)
{
    size_t room = FIRST_READ_BYTES;

    for (;;) {
        ssize_t got = fgetxattr(fd, ATTRIBUTE, buf_reserve(out, room), room);

        if (got >= 0) {
            buf_grow(out, (size_t)got);
            return FOLDER_OK;
        }
        if (errno == ENODATA || errno == EOPNOTSUPP)
            return FOLDER_OK;
        if (errno != ERANGE || room > 2 * FOLDER_RECORD_BYTES)
            return folder_failed(f, "read an attribute", errno);
        room *= 8;
    }
}

static void read_side_id(struct slice attribute, char out[FOLDER_ID_BYTES])
{
    struct slice id = { 0 };

    out[0] = '\0';
    if (slice_starts(attribute, slice_text(SIDE)))
        id = slice_from(attribute, sizeof(SIDE) - 1);
    if (id.len == FOLDER_ID_BYTES - 1) {
        memcpy(out, id.at, id.len);
        out[id.len] = '\0';
        if (!is_id(out))
            out[0] = '\0';
    }
}

/* Has it all that stands before the parts? */
static bool is_whole_front(const struct buf *text, size_t asked)
{
    return text->len < asked || (text->len > 0 && memmem(text->at, text->len, "\n\n", 2) != NULL);
}

/* Reads a side file and leaves the record in `out`, with what parts there are if `with_parts`. */
static enum folder_outcome read_side(const struct folder *f, const char *id, bool with_parts,
                                     struct buf *out)
{
    char path[SIDE_PATH_BYTES];
    enum folder_outcome outcome;
    const uint8_t *end;
    size_t most = with_parts ? SIDE_FILE_BYTES : SIDE_FRONT_BYTES;

    side_path(id, path);
    outcome = folder_read_front(f, f->side, path, most, out);
    if (outcome == FOLDER_OK && !with_parts && !is_whole_front(out, most)) {
        buf_clear(out);
        outcome = folder_read_front(f, f->side, path, SIDE_RECORD_BYTES, out);
    }
    if (outcome != FOLDER_OK)
        return outcome;
    end = out->len == 0 ? NULL : memchr(out->at, '\n', out->len);
    buf_skip(out, end == NULL ? out->len : (size_t)(end - out->at) + 1);
    return FOLDER_OK;
}

/* Finds the record of an open file; nothing in `out`: there is none.  `lost`: its side file is not
 * there, since it has none or is just being replaced. */
static enum folder_outcome find_record(const struct folder *f, int fd, const struct stat *stat,
                                       const char *path, bool with_parts, struct buf *out,
                                       bool *lost)
{
    char id[FOLDER_ID_BYTES] = "";
    enum folder_outcome outcome = FOLDER_OK;

    if (f->has_attributes)
        outcome = read_attribute(f, fd, out);
    else
        derived_id(stat, path, id);
    if (outcome != FOLDER_OK)
        return outcome;
    if (f->has_attributes)
        read_side_id(buf_all(out), id);
    if (id[0] == '\0')
        return FOLDER_OK;
    buf_clear(out);
    outcome = read_side(f, id, with_parts, out);
    *lost = outcome == FOLDER_NO_SUCH_KEY;
    return *lost ? FOLDER_OK : outcome;
}

static void etag_of_stranger(const struct stat *stat, struct folder_object *out)
{
    uint64_t seed[3] = { (uint64_t)stat->st_size, (uint64_t)modified_ns(stat), stat->st_ino };
    char id[FOLDER_ID_BYTES];

    id_of_hash(XXH3_128bits(seed, sizeof(seed)), id);
    snprintf(out->etag, sizeof(out->etag), "%s-1", id);
}

static enum folder_outcome load(const struct folder *f, int fd, const char *path,
                                enum folder_depth depth, struct folder_object *out, bool *lost)
{
    struct buf text = { 0 };
    struct folder_record record = { 0 };
    struct slice rest = { 0 }, parts = { 0 };
    struct stat stat;
    enum folder_outcome outcome;
    bool known;

    if (fstat(fd, &stat) != 0)
        return folder_failed(f, "stat", errno);
    outcome = FOLDER_NO_SUCH_KEY;
    if (S_ISREG(stat.st_mode))
        outcome = find_record(f, fd, &stat, path, depth == FOLDER_DEPTH_PARTS, &text, lost);
    if (outcome != FOLDER_OK) {
        buf_fini(&text);
        return outcome;
    }
    *out = (struct folder_object){ .size = (uint64_t)stat.st_size,
                                   .modified_us = modified_ns(&stat) / 1000 };
    known = folder_record_read(buf_all(&text), &record, &rest) == ERR_NONE;
    if (known && is_time_of(modified_ns(&stat), record.modified_ns)) {
        memcpy(out->etag, record.etag, sizeof(out->etag));
        out->parts = record.parts;
        if (record.size != out->size)
            outcome = FOLDER_TORN;
    } else {
        etag_of_stranger(&stat, out);
    }
    /* What is no record of ours says nothing: the bytes are served without it. */
    folder_record_split(rest, &rest, &parts);
    if (known && depth >= FOLDER_DEPTH_PAIRS && outcome == FOLDER_OK)
        (void)(folder_pairs_read(rest, out) == ERR_NONE);
    if (depth == FOLDER_DEPTH_PARTS && out->parts > 0 && outcome == FOLDER_OK)
        buf_slice(&out->part_text, parts);
    buf_fini(&text);
    return outcome;
}

/* Does a path still name the file that is open? */
static bool is_same_file(const struct folder *f, int at, const char *path, int fd)
{
    struct stat here, there;
    int again = folder_open_at(f, at, path, O_PATH);
    bool same;

    if (again < 0)
        return false;
    same = fstat(fd, &here) == 0 && fstat(again, &there) == 0 && here.st_ino == there.st_ino;
    close(again);
    return same;
}

enum folder_outcome folder_meta_open(const struct folder *f, int at, const char *path,
                                     const char *where, enum folder_depth depth, int *out_fd,
                                     struct folder_object *out)
{
    enum folder_outcome outcome = FOLDER_OK;

    for (int i = 0; i < OPEN_TRIES; i++) {
        bool lost = false;
        int fd = folder_open_at(f, at, path, O_RDONLY | O_NONBLOCK);

        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
            return FOLDER_NO_SUCH_KEY;
        if (fd < 0)
            return folder_failed(f, "open", errno);
        outcome = load(f, fd, where, depth, out, &lost);
        if (outcome == FOLDER_OK && (!lost || is_same_file(f, at, path, fd))) {
            *out_fd = fd;
            return FOLDER_OK;
        }
        if (outcome == FOLDER_OK)
            folder_object_fini(out);
        close(fd);
        if (outcome != FOLDER_OK)
            return outcome;
    }
    return FOLDER_BUSY; /* replaced each time that it was opened */
}

/* Writes a side file; the directory for it is made when it is first needed. */
static enum folder_outcome write_side(struct folder *f, const char *id, const char *path,
                                      struct slice record)
{
    char directory[3] = { id[0], id[1], '\0' };
    struct buf text = { 0 };
    enum folder_outcome outcome;
    int at;

    folder_escape(slice_text(path), false, &text);
    buf_text(&text, "\n");
    buf_slice(&text, record);
    at = folder_make_directories(f, f->side, directory, 0);
    if (at < 0) {
        outcome = folder_failed(f, "make a directory", errno);
    } else {
        outcome = folder_write_file(f, at, id, buf_all(&text), true);
        close(at);
    }
    buf_fini(&text);
    return outcome;
}

/* Without attributes the time names the side file, so it must be finer than the clock of files. */
static enum folder_outcome stamp_time(const struct folder *f, int fd, struct stat *stat)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };

    clock_gettime(CLOCK_REALTIME, &times[1]);
    if (futimens(fd, times) != 0 || fstat(fd, stat) != 0)
        return folder_failed(f, "set the time", errno);
    return FOLDER_OK;
}

/* 0, or -1 with errno: ENOSPC and the like if it is too large for one. */
static int set_attribute(const struct folder *f, int fd, struct slice text, size_t part_bytes)
{
    if (folder_call_fails(f, FOLDER_CALL_ATTRIBUTE))
        return -1;
    errno = E2BIG;
    return part_bytes > PARTS_INSIDE_BYTES ? -1 : fsetxattr(fd, ATTRIBUTE, text.at, text.len, 0);
}

enum folder_outcome folder_meta_store(struct folder *f, int fd, const char *path, bool is_named,
                                      struct folder_record *record, const struct folder_pair *pairs,
                                      size_t count, struct slice parts, char side[FOLDER_ID_BYTES])
{
    struct buf text = { 0 };
    struct stat stat;
    char pointer[sizeof(SIDE) + FOLDER_ID_BYTES];
    enum folder_outcome outcome = FOLDER_OK;

    side[0] = '\0';
    if (fstat(fd, &stat) != 0)
        return folder_failed(f, "stat", errno);
    if (!f->has_attributes && !is_named)
        outcome = stamp_time(f, fd, &stat);
    record->modified_ns = modified_ns(&stat);
    if (outcome == FOLDER_OK)
        outcome = folder_record_write(record, pairs, count, &text);
    if (outcome != FOLDER_OK)
        goto out;
    if (parts.len > 0)
        buf_text(&text, "\n");
    buf_slice(&text, parts);
    if (f->has_attributes) {
        if (set_attribute(f, fd, buf_all(&text), parts.len) == 0)
            goto out;
        if (errno != ENOSPC && errno != E2BIG && errno != ERANGE && errno != EDQUOT) {
            outcome = folder_failed(f, "write an attribute", errno);
            goto out;
        }
        folder_random_id(side);
        snprintf(pointer, sizeof(pointer), "%s%s", SIDE, side);
        if (fsetxattr(fd, ATTRIBUTE, pointer, strlen(pointer), 0) != 0) {
            side[0] = '\0';
            outcome = folder_failed(f, "write an attribute", errno);
            goto out;
        }
    } else {
        derived_id(&stat, path, side);
    }
    outcome = write_side(f, side, path, buf_all(&text));
out:
    buf_fini(&text);
    return outcome;
}

void folder_meta_side(const struct folder *f, int fd, const char *path, char side[FOLDER_ID_BYTES])
{
    char pointer[sizeof(SIDE) + FOLDER_ID_BYTES];
    struct stat stat;
    ssize_t got;

    side[0] = '\0';
    if (!f->has_attributes) {
        if (fstat(fd, &stat) == 0)
            derived_id(&stat, path, side);
        return;
    }
    got = fgetxattr(fd, ATTRIBUTE, pointer, sizeof(pointer)); /* a record is longer: ERANGE */
    if (got > 0)
        read_side_id(slice_of(pointer, (size_t)got), side);
}

void folder_side_remove(const struct folder *f, const char *side)
{
    char path[SIDE_PATH_BYTES];

    if (side[0] == '\0')
        return;
    side_path(side, path);
    (void)folder_unlink(f, f->side, path); /* one that stays is swept some day */
}

/* Is a side file that of the object whose path it begins with? */
static bool side_is_used(const struct folder *f, int directory, const char *id)
{
    struct buf text = { 0 }, path = { 0 };
    char found[FOLDER_ID_BYTES] = "";
    const uint8_t *end = NULL;
    bool used = true; /* unless it is known to be not */
    int fd = -1;

    if (folder_read_front(f, directory, id, 3 * FOLDER_PATH_BYTES + 1, &text) == FOLDER_OK)
        end = text.len == 0 ? NULL : memchr(text.at, '\n', text.len);
    if (end != NULL &&
        folder_unescape(slice_of(text.at, (size_t)(end - text.at)), &path) == ERR_NONE) {
        buf_put(&path, "", 1);
        fd = folder_open_at(f, f->root, (const char *)path.at, O_RDONLY | O_NONBLOCK);
        used = fd >= 0 || errno != ENOENT;
    }
    if (fd >= 0) {
        folder_meta_side(f, fd, (const char *)path.at, found);
        used = strcmp(found, id) == 0;
        close(fd);
    }
    buf_fini(&text);
    buf_fini(&path);
    return used;
}

unsigned folder_side_sweep(struct folder *f, unsigned directory, unsigned most)
{
    char name[3];
    struct stat stat;
    int fd;
    DIR *dir;

    snprintf(name, sizeof(name), "%02x", directory & 255);
    fd = folder_open_at(f, f->side, name, O_RDONLY | O_DIRECTORY);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return most;
    }
    for (struct dirent *each; most > 0 && (each = readdir(dir)) != NULL;) { // NOLINT: own stream
        if (!is_id(each->d_name) || fstatat(fd, each->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        most--;
        if (time(NULL) - stat.st_mtim.tv_sec > SIDE_AGE_S && !side_is_used(f, fd, each->d_name) &&
            folder_unlink(f, fd, each->d_name) == 0)
            atomic_fetch_add(&f->shared.swept, 1);
    }
    closedir(dir);
    return most;
}
