/* An upload of bytes in the making, for the folder_*.c alone. */
#pragma once

#include "proxy/blob/folder_store.h"
#include "proxy/blob/folder_upload.h"
#include "proxy/wire/checksum_parts.h"

enum { FOLDER_UPLOAD_BYTES = FOLDER_BUCKET_BYTES + FOLDER_UPLOAD_ID_BYTES + 2 };

/* Bytes to copy: of an open file, or of a part that is opened when its turn comes. */
struct folder_source {
    int fd; /* borrowed; -1: `part` of the upload */
    unsigned part;
    uint64_t from, len;
    char etag[FOLDER_ETAG_BYTES]; /* that the part must still have */
};

struct folder_put {
    struct folder *folder; /* borrowed */
    struct folder_place place;
    char temporary[FOLDER_TEMPORARY_BYTES]; /* its name, or "" */
    int fd;
    uint64_t size, room;          /* bytes so far; at most */
    uint64_t reserved;            /* room on the disk was taken up to here */
    void *digest;                 /* owned: EVP_MD_CTX, or NULL */
    struct checksum_set *sums;    /* owned; NULL: none are computed */
    char etag[FOLDER_ETAG_BYTES]; /* given beforehand: of a copy, of an upload; or "" */
    unsigned parts;               /* of a completed upload */
    bool is_part, failed;

    struct folder_source *sources; /* owned */
    size_t source_count, source_at;
    int part_fd; /* owned: the part that is being copied, or -1 */

    char upload[FOLDER_UPLOAD_BYTES]; /* bucket/ID; or "" */
    struct folder_object kept;        /* the pairs of an upload that is being completed */
    struct buf part_text;             /* .. and where its parts lie */
    enum checksum sum_kind;           /* .. and its checksum, in sum_text[0] */
    size_t sum_len;                   /* 0: none */
    bool sum_is_composite;
    char sum_text[FOLDER_SUMS][CHECKSUM_PARTS_TEXT_MOST];
    char sum_name[FOLDER_SUMS][32];
};

/* A put to `place` of at most `room` bytes (or SIZE_UNKNOWN). */
enum folder_outcome folder_put_new(struct folder *f, const struct folder_place *place,
                                   uint64_t room, struct folder_put **out);
/* So many bytes will be written: has their digest computed, if the store does that, and takes room
 * for them, if they are many.  FULL: the put is freed. */
enum folder_outcome folder_put_expect(struct folder_put **put, uint64_t len);
/* Makes a put that copies out of an open object. */
void folder_put_source(struct folder_put *put, const struct folder_reader *reader, uint64_t from,
                       uint64_t len);
/* Opens a part of an upload (bucket/ID); NO_SUCH_KEY if it is not there. */
enum folder_outcome folder_part_open(const struct folder *f, const char *upload, unsigned number,
                                     int *fd, struct folder_object *out);
/* Reads what an upload is: its key and, if `object` is not NULL, its pairs. */
enum folder_outcome folder_upload_read(const struct folder *f, const char *upload, struct buf *key,
                                       struct folder_object *object);

/* Finds an upload of that bucket and key; `upload` becomes bucket/ID. */
enum folder_outcome folder_upload_find(struct folder *f, struct slice bucket, struct slice key,
                                       struct slice id, char *upload, size_t size,
                                       struct folder_object *object);
/* What is known of a part, with its checksum of that kind; CHECKSUMS: of none. */
enum folder_outcome folder_part_look(const struct folder *f, const char *upload, unsigned number,
                                     enum checksum kind, struct folder_part *out);
/* Microseconds since 1970, out of an ID. */
int64_t folder_upload_begun(const char *id);
/* Takes an upload (bucket/ID) away; what is in it is removed then, or by a sweep. */
enum folder_outcome folder_upload_remove(struct folder *f, const char *upload);
