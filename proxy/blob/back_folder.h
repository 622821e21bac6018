/* A folder in the place of a store that speaks S3: one exchange with it, done on a thread that may
 * wait.  What it answers is what such a store would.
 *
 *     folder_exchange_begin(x)       all of it, but for bodies that stream:
 *     folder_exchange_write(x, ..)   of a put, piece by piece; then
 *     folder_exchange_commit(x)
 *     folder_exchange_read(x)        of a get: the next piece into x->body, or the pipe, while
 *                                    x->left > 0
 *     folder_exchange_end(x)         closes what is open; a put without commit leaves nothing */
#pragma once

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/blob/blob.h"
#include "proxy/blob/folder.h"
#include "proxy/wire/checksum.h"
#include "proxy/wire/s3_entry.h"

enum {
    FOLDER_PIECE_BYTES = 256 * 1024,
    FOLDER_PASS_BYTES = 64 * 1024, /* as much is worth a pipe */
    FOLDER_FIELDS_MOST = 160,
};

struct folder_exchange {
    struct arena arena;
    struct folder *folder; /* borrowed */
    struct blob_ask ask;   /* a copy, in the arena */
    bool is_stamp;
    int64_t now_s;

    uint16_t status; /* 0: there is no answer yet, the body is wanted */
    struct http1_field fields[FOLDER_FIELDS_MOST];
    size_t field_count;
    uint64_t length; /* of the answer's body */
    struct buf body; /* of it: all, or a piece */

    struct folder_reader reader;
    bool reads;
    uint64_t at, left; /* of the object that is read */
    size_t pass_most;  /* of a piece that may go by in the pipe; 0: there is none */
    size_t piped;      /* the piece is in it */
    int pipe;          /* borrowed: where it takes bytes */
    struct folder_put *put;
};

/* Copies what is asked. */
void folder_exchange_copy(struct folder_exchange *x, const struct blob_ask *ask);
void folder_exchange_begin(struct folder_exchange *x);
/* With an answer if it failed. */
void folder_exchange_write(struct folder_exchange *x, struct slice bytes);
void folder_exchange_commit(struct folder_exchange *x);
/* False: the object is shorter than it was. */
bool folder_exchange_read(struct folder_exchange *x);
void folder_exchange_end(struct folder_exchange *x);

/* For back_folder_*.c: answers. */
void folder_answer_error(struct folder_exchange *x, enum folder_outcome outcome);
void folder_answer_code(struct folder_exchange *x, uint16_t status, const char *code,
                        const char *message);
/* x->body is the XML. */
void folder_answer_xml(struct folder_exchange *x);
void folder_answer_nothing(struct folder_exchange *x, uint16_t status);
void folder_answer_field(struct folder_exchange *x, const char *name, struct slice value);
void folder_answer_date(struct folder_exchange *x, const char *name, int64_t seconds);
struct slice folder_param(const struct folder_exchange *x, const char *name);
struct slice folder_field(const struct folder_exchange *x, const char *name);
struct folder_conditions folder_conditions_of(const struct folder_exchange *x);
/* What of the fields is kept with an object. */
size_t folder_pairs(struct folder_exchange *x, struct folder_pair **out);
/* A copy in the arena. */
struct slice folder_keep(struct folder_exchange *x, struct slice s);
/* As elements of XML have it. */
struct s3_checksum folder_sum_as_element(enum checksum kind, struct slice value);
/* Of what is listed: at most so many, by a parameter. */
size_t folder_most_of(const struct folder_exchange *x, const char *name);
/* A put that copies is driven to its end. */
void folder_drive(struct folder_exchange *x, struct folder_commit *commit, const char *root);

/* back_folder_fields.c: true if something is asked that a folder does not have; that was said. */
bool folder_refuses_fields(struct folder_exchange *x);
/* back_folder_parts.c: what partNumber asks, in the place of a range.  False: it is not there, and
 * that was said. */
bool folder_take_part(struct folder_exchange *x, const struct folder_object *object);

void folder_do_attributes(struct folder_exchange *x);
void folder_do_list(struct folder_exchange *x);
void folder_do_uploads(struct folder_exchange *x);
void folder_do_buckets(struct folder_exchange *x);
void folder_do_delete_many(struct folder_exchange *x);
void folder_do_create_upload(struct folder_exchange *x);
void folder_do_parts(struct folder_exchange *x);
void folder_do_complete(struct folder_exchange *x);
void folder_do_abort(struct folder_exchange *x);
void folder_do_copy(struct folder_exchange *x);
