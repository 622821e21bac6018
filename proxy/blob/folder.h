/* A folder of files as a store of objects: what `file:///folder` is, a library and not a socket.
 * Calls block (they read and write a disk), so they are made on threads that may wait; each call
 * may be made by any thread at any time, and does a bounded amount of work.  What a call hands out
 * (a reader, a put, a page) is used by one thread at a time.
 *
 *     struct folder *folder;
 *     TRY(folder_open("/srv/blobs/1", &settings, &folder, &why));
 *
 *     struct folder_put *put;
 *     outcome = folder_put_begin(folder, bucket, key, size, &put);
 *     ... folder_put_write(put, bytes) ...
 *     outcome = folder_put_commit(&put, &commit, &written);    frees it, whatever comes out
 *
 *     struct folder_reader reader;
 *     outcome = folder_get(folder, bucket, key, &reader);
 *     ... reader.object.size, folder_read_pipe(folder, &reader, ...) ...
 *     folder_reader_close(&reader);
 *
 *     folder_close(&folder);                                   when no call runs and nothing is out
 *
 * A call needs up to 300 KiB of its thread's stack, and some files to open: three, as a rule.  The
 * folder is one file system: a bucket that is a mount of another cannot be written to.
 *
 * Lists are in proxy/blob/folder_list.h, multipart uploads in proxy/blob/folder_upload.h.
 *
 * On disk (proxy/blob/folder_path.h has the names):
 *
 *     bucket/photos+/2024+/cat.jpg     the object photos/2024/cat.jpg of `bucket`
 *     .sheaf/stamp                     what the shard says of itself
 *     .sheaf/tmp/INSTANCE/             what an open store is writing; swept when its owner is gone
 *     .sheaf/uploads/bucket/ID/        a multipart upload: `upload` and its parts
 *     .sheaf/side/xx/...               metadata that did not fit into an attribute
 *
 * An object is written to a file without a name (or in .sheaf/tmp) with its metadata, and then
 * gets its name by one link or rename: what is seen is the whole old object or the whole new one.
 * Conditions on writes are exact among the calls of one opened store; If-None-Match: * is exact
 * among all processes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum {
    FOLDER_KEY_BYTES = 1024,
    FOLDER_BUCKET_BYTES = 255,
    FOLDER_ETAG_BYTES = 48,          /* 32 digits, '-', the number of parts, the terminator */
    FOLDER_RECORD_BYTES = 24 * 1024, /* metadata, checksums and tags of an object, as stored */
    FOLDER_PAIRS = 256,
    FOLDER_STAMP_BYTES = 4096,
    FOLDER_STALWART_DEPTH = 5,
};

enum folder_outcome {
    FOLDER_OK,
#define FOLDER(name, status, code, text) FOLDER_##name,
#include "proxy/blob/folder_outcome.def"
#undef FOLDER
};

/* How an outcome is told to an S3 client; FOLDER_OK has 200 and empty texts. */
struct folder_outcome_words {
    unsigned status;
    const char *code, *text;
};
const struct folder_outcome_words *folder_outcome_words(enum folder_outcome outcome);

/* When an object that was written is safe from a loss of power.  A crash of the process alone loses
 * nothing in any of them. */
enum folder_sync {
    FOLDER_SYNC_ALWAYS,   /* file, then directory, before the call returns */
    FOLDER_SYNC_INTERVAL, /* by folder_sync(), which the owner calls now and then */
    FOLDER_SYNC_NEVER,    /* when the system does */
};

enum folder_layout {
    FOLDER_LAYOUT_KEYS,     /* as above: any key */
    FOLDER_LAYOUT_STALWART, /* the file store of that mail server: one bucket, its names alone */
};

enum folder_etag {
    FOLDER_ETAG_MD5,    /* of the bytes, as S3's; computed while they are written */
    FOLDER_ETAG_RANDOM, /* costs nothing; "-1" says that it is no MD5, unless one is given */
};

/* What a call is about to ask of the system; tests count, fail and kill at each. */
enum folder_call {
    FOLDER_CALL_OPEN,
    FOLDER_CALL_WRITE,
    FOLDER_CALL_ATTRIBUTE,
    FOLDER_CALL_SYNC_FILE,
    FOLDER_CALL_SYNC_DIRECTORY,
    FOLDER_CALL_LINK,
    FOLDER_CALL_RENAME,
    FOLDER_CALL_UNLINK,
    FOLDER_CALL_MKDIR,
    FOLDER_CALL_RMDIR,
    FOLDER_CALL_COPY,
    FOLDER_CALL_CLONE,
    FOLDER_CALLS
};

/* Zero is a good default: synced always, ETags by MD5, any key. */
struct folder_settings {
    enum folder_sync sync;
    enum folder_etag etag;
    enum folder_layout layout;
    unsigned stalwart_depth; /* 0: 2, as that server's default */
    const char
        *stalwart_bucket; /* borrowed for the call; the name of the one bucket, needed there */
    uint64_t max_object;  /* bytes; 0: 5 TiB */
    uint64_t min_part;    /* bytes of a part that is not the last; 0: 5 MiB */
    bool without_attributes, without_nameless, without_openat2; /* as if there were none: tests */
    /* Called before each call of the system; an errno that it returns is what came of it.  NULL
     * outside of tests. */
    int (*fault)(void *state, enum folder_call call);
    void *fault_state;
};

struct folder;

/* Opens the folder, which must be there; makes what it keeps in .sheaf and sweeps what the stores
 * of dead processes left in .sheaf/tmp.  ERR_CONFIG or ERR_SYSTEM with a sentence in `why`. */
MUST_CHECK enum err folder_open(const char *path, const struct folder_settings *settings,
                                struct folder **out, struct buf *why);
void folder_close(struct folder **folder);
/* Writes all that was written so far to the disk; for FOLDER_SYNC_INTERVAL. */
MUST_CHECK enum folder_outcome folder_sync(struct folder *folder);
/* Removes up to `most` files of dead processes and side files of no object; true: there may be
 * more.  folder_open() has done a first round. */
bool folder_sweep(struct folder *folder, unsigned most);
/* How many files sweeps have removed since it was opened, the first round's counted. */
uint64_t folder_swept(const struct folder *folder);

/* ---- objects ---- */

enum folder_kind {
    FOLDER_HEADER = 'h', /* content-type, cache-control, x-amz-meta-...: names in lower case */
    FOLDER_SUM = 'c',    /* a checksum: x-amz-checksum-crc32 and the like */
    FOLDER_TAG = 't',
};

struct folder_pair {
    enum folder_kind kind;
    struct slice name, value; /* borrowed */
};

/* What is known of an object without reading it. */
struct folder_object {
    uint64_t size;
    int64_t modified_us;          /* since 1970 */
    char etag[FOLDER_ETAG_BYTES]; /* without quotes */
    unsigned parts;               /* of a multipart upload; 0: it was none */
    struct folder_pair *pairs;    /* owned, like the text that they point into */
    size_t pair_count;
    struct buf text;
    struct buf part_text; /* by folder_get_with_parts(): as proxy/blob/folder_parts.h reads it */
};
void folder_object_fini(struct folder_object *object);
/* The value of the first pair of that kind and name, or an empty slice at NULL. */
struct slice folder_object_find(const struct folder_object *object, enum folder_kind kind,
                                const char *name);

/* As in the headers: `*` or ETags, with quotes or without, separated by commas; empty: no
 * condition.  For GET, too: folder_conditions_hold(). */
struct folder_conditions {
    struct slice if_match, if_none_match; /* borrowed */
};
/* `object` is NULL if there is none: then If-Match gives NO_SUCH_KEY. */
enum folder_outcome folder_conditions_hold(const struct folder_conditions *conditions,
                                           const struct folder_object *object);

struct folder_reader {
    int fd; /* owned */
    struct folder_object object;
};
MUST_CHECK enum folder_outcome folder_get(struct folder *folder, struct slice bucket,
                                          struct slice key, struct folder_reader *out);
/* The same with the places of its parts, if it was put in parts. */
MUST_CHECK enum folder_outcome folder_get_with_parts(struct folder *folder, struct slice bucket,
                                                     struct slice key, struct folder_reader *out);
/* Up to `len` bytes from `offset`; fewer only at the end of the object.  INTERNAL if the file is
 * shorter than it was. */
MUST_CHECK enum folder_outcome folder_read(struct folder *folder,
                                           const struct folder_reader *reader, uint64_t offset,
                                           void *at, size_t len, size_t *got);
/* The same into a pipe, without a copy; as much as it takes now. */
MUST_CHECK enum folder_outcome folder_read_pipe(struct folder *folder,
                                                const struct folder_reader *reader, uint64_t offset,
                                                size_t len, int pipe, size_t *moved);
void folder_reader_close(struct folder_reader *reader);

MUST_CHECK enum folder_outcome folder_head(struct folder *folder, struct slice bucket,
                                           struct slice key, struct folder_object *out);
/* FOLDER_OK if it is not there, too, unless If-Match was given.  `existed` may be NULL. */
MUST_CHECK enum folder_outcome folder_delete(struct folder *folder, struct slice bucket,
                                             struct slice key,
                                             const struct folder_conditions *conditions,
                                             bool *existed);
/* Replaces the pairs of one kind (tags, mostly) of an object that stays. */
MUST_CHECK enum folder_outcome folder_replace_pairs(struct folder *folder, struct slice bucket,
                                                    struct slice key, enum folder_kind kind,
                                                    const struct folder_pair *pairs, size_t count);

/* ---- writing: an object, a part of an upload, a copy, an upload's completion ---- */

struct folder_put;
#define FOLDER_SIZE_UNKNOWN UINT64_MAX

/* Says early what it can: NO_SUCH_BUCKET, KEY_TOO_LONG, TOO_LARGE, FULL (room for a known size is
 * taken at once). */
MUST_CHECK enum folder_outcome folder_put_begin(struct folder *folder, struct slice bucket,
                                                struct slice key, uint64_t size,
                                                struct folder_put **out);
/* After an outcome that is not FOLDER_OK the put can only be aborted. */
MUST_CHECK enum folder_outcome folder_put_write(struct folder_put *put, struct slice bytes);
/* Takes up to `len` bytes out of a pipe, as many as are there now. */
MUST_CHECK enum folder_outcome folder_put_pipe(struct folder_put *put, int pipe, size_t len,
                                               size_t *moved);

/* A copy within this folder: bytes `from` to `from + len` of `reader`, which stays open until the
 * commit.  A whole object's copy keeps its ETag.  Pairs are those of the commit. */
MUST_CHECK enum folder_outcome folder_copy_begin(struct folder *folder,
                                                 const struct folder_reader *reader, uint64_t from,
                                                 uint64_t len, struct slice bucket,
                                                 struct slice key, struct folder_put **out);
/* Copies up to `most` bytes (at once, if the file system shares blocks) of a put that has something
 * to copy: folder_copy_begin(), folder_part_copy_begin(), folder_complete_begin().  To be called
 * until `done`, then commit. */
MUST_CHECK enum folder_outcome folder_put_step(struct folder_put *put, uint64_t most, bool *done);

enum { FOLDER_SUMS = 5 };
/* Has checksums of what will be put computed, before its first byte: a bit for each of `enum
 * checksum`. */
void folder_put_sum(struct folder_put *put, unsigned kinds);
/* Behind the last byte: those, as pairs that are borrowed from the put.  Of a completion that of
 * the object and its type. */
MUST_CHECK size_t folder_put_sums(struct folder_put *put, struct folder_pair out[FOLDER_SUMS]);

struct folder_commit {
    struct folder_conditions conditions; /* not for parts */
    const struct folder_pair *pairs; /* borrowed for the call, and may be of folder_put_sums(); not
                                      * for a completion: its upload's */
    size_t pair_count;
    uint64_t size;      /* what was promised: INCOMPLETE if it is not what came; or SIZE_UNKNOWN */
    const uint8_t *md5; /* borrowed: 16 bytes that the client declared or that were computed before:
                         * becomes the ETag.  Compared where the store computed one: BAD_DIGEST */
};

struct folder_written {
    uint64_t size;
    int64_t modified_us;
    char etag[FOLDER_ETAG_BYTES];
    bool replaced; /* there was an object of this key */
};
/* Frees the put and clears `put`, whatever comes out; but FOLDER_OK nothing is changed. */
MUST_CHECK enum folder_outcome folder_put_commit(struct folder_put **put,
                                                 const struct folder_commit *commit,
                                                 struct folder_written *out);
void folder_put_abort(struct folder_put **put); /* NULL inside is fine */

/* ---- buckets ---- */

MUST_CHECK enum folder_outcome folder_bucket_create(struct folder *folder, struct slice bucket);
MUST_CHECK enum folder_outcome folder_bucket_head(struct folder *folder, struct slice bucket);
/* Uploads that were not completed go with it. */
MUST_CHECK enum folder_outcome folder_bucket_delete(struct folder *folder, struct slice bucket);

struct folder_bucket {
    char name[FOLDER_BUCKET_BYTES + 1];
    int64_t created_us;
};
/* All buckets by name, at most `most`, those after `after`; `out` is to be freed. */
MUST_CHECK enum folder_outcome folder_buckets(struct folder *folder, struct slice after,
                                              size_t most, struct folder_bucket **out,
                                              size_t *count, bool *more);

/* ---- the stamp ---- */

/* NO_SUCH_KEY if there is none. */
MUST_CHECK enum folder_outcome folder_stamp_read(struct folder *folder, struct buf *out);
/* PRECONDITION if there is one and it is not to be replaced. */
MUST_CHECK enum folder_outcome folder_stamp_write(struct folder *folder, struct slice text,
                                                  bool replace);
