/* What is written beside an object's bytes, as text that a person can read (getfattr -n
 * user.sheaf):
 *
 *     1 400 18d3a0b1c2d3e4f5 5d41402abc4b2a76b9719d911017c592 0
 *     hcontent-type text/plain
 *     hx-amz-meta-color red
 *     cx-amz-checksum-crc32 y9ThSQ==
 *     tproject Sheaf
 *
 *     1-119 8388608
 *
 * The first line: version, size, time of modification in nanoseconds (both hexadecimal), ETag,
 * number of parts.  Size and time tell whether the bytes are still those that were written.  Behind
 * an empty line are the parts, if they are known (folder_parts.h).  '%' and control bytes (and a
 * name's blanks) are written %XX.  What is read may be anything. */
#pragma once

#include "proxy/blob/folder.h"

struct folder_record {
    uint64_t size;
    int64_t modified_ns;
    char etag[FOLDER_ETAG_BYTES];
    unsigned parts;
};

/* META_TOO_LARGE past FOLDER_RECORD_BYTES or FOLDER_PAIRS. */
MUST_CHECK enum folder_outcome folder_record_write(const struct folder_record *record,
                                                   const struct folder_pair *pairs, size_t count,
                                                   struct buf *out);
/* Appends the lines of pairs alone. */
MUST_CHECK enum folder_outcome folder_pairs_write(const struct folder_pair *pairs, size_t count,
                                                  struct buf *out);
/* The first line; what follows it is `rest`. */
MUST_CHECK enum err folder_record_read(struct slice text, struct folder_record *out,
                                       struct slice *rest);
/* Parts that from the pairs before them. */
void folder_record_split(struct slice rest, struct slice *pairs, struct slice *parts);
/* Puts the pairs into the object, which then owns a copy of their text. */
MUST_CHECK enum err folder_pairs_read(struct slice text, struct folder_object *object);

/* Escapes '%', control bytes and, in names, blanks. */
void folder_escape(struct slice text, bool is_name, struct buf *out);
/* Appends what was escaped; ERR_SYNTAX if it was not. */
MUST_CHECK enum err folder_unescape(struct slice text, struct buf *out);
