/* The contract between the flow of blob pools and its stores: what is asked of a shard, and how the
 * answer comes.  It is S3's own exchange (a method, a bucket, a key, parameters, fields, a body; a
 * status, fields, a body) in the client's names, whatever the store is: a server that speaks S3,
 * or a folder, which answers in its place.
 *
 *     c->ask = (struct blob_ask){ .op = S3_OP_PUT_OBJECT, .bucket = .., .key = .., .length = .. };
 *     blob_call_start(c, shard, &EVENTS);
 *         EVENTS.room(c)         the store wants the body: blob_call_send() while has_room()
 *         EVENTS.head(c)         c->answer is there
 *         EVENTS.body(c, bytes)  a piece of its body, borrowed for the call
 *         EVENTS.ended(c, ..)    the call is over, and its owner's again
 *
 * Nothing of these comes from within blob_call_start(), send(), hold() or abort(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/base/list.h"
#include "proxy/base/slice.h"
#include "proxy/blob/s3_operation.h"
#include "proxy/wire/http1.h"

enum { BLOB_WHY_BYTES = 128 };

/* Whose buckets are, and what folders hold, as clients are told. */
#define BLOB_OWNER "sheaf"

struct blob_shard; /* a worker's side of one shard */
struct session;
struct upstream;

/* Of asks and answers: a name in small letters; its number is there if it was read from a head. */
static inline struct http1_field blob_field_of(struct slice name, struct slice value)
{
    return (struct http1_field){ .name = name, .value = value };
}

/* All slices are borrowed until the call has ended. */
struct blob_ask {
    enum s3_op op;
    struct slice bucket, key;        /* as clients name them, decoded */
    struct slice path;               /* "/bucket/key" of these, encoded; empty: not known */
    struct s3_source source;         /* of copies: in the same shard */
    const struct blob_param *params; /* decoded, "uploads" and the like included, in any order */
    size_t param_count;
    const struct http1_field
        *fields; /* what is asked besides: content-type, range, if-match, ... */
    size_t field_count;
    bool has_body;
    uint64_t length;   /* of the body */
    struct slice body; /* all of it; .at NULL: it comes by blob_call_send() */
    unsigned sums;     /* of the body: a bit for each of `enum checksum` that is verified here */
    struct slice
        request_id; /* what the client's request is called here, for a store that has none */
    struct slice payload_hash; /* SHA-256 of the body in hexadecimal letters, which the store is to
                                * verify; empty: not known */
};

/* Good until the call has ended. */
struct blob_answer {
    uint16_t status;
    const struct http1_field *fields; /* without those of framing and of the connection */
    size_t field_count;
    bool has_length;
    uint64_t length; /* of the body; in answers to HEAD what GET's would be */
};

struct blob_call;

struct blob_events {
    /* The store takes the body now, or takes more of it.  NULL: the ask has no body that
     * streams. */
    void (*room)(struct blob_call *c);
    void (*head)(struct blob_call *c);
    void (*body)(struct blob_call *c, struct slice bytes);
    /* Where the body of an answer that has a length may go by, and that so much of it did, instead
     * of body().  NULL: both, or neither. */
    struct session *(*through)(struct blob_call *c);
    void (*went)(struct blob_call *c, size_t len);
    /* ERR_NONE: the answer was whole.  Else `why` is for people, and nothing or only a part of an
     * answer came: c->answer.status is 0 if there was no head; it is borrowed for the call.
     * ERR_DOWN: it was not asked at all. The call may be started again from within. */
    void (*ended)(struct blob_call *c, enum err err, const char *why);
};

struct blob_call {
    struct blob_ask ask;       /* set by its owner */
    struct blob_answer answer; /* set by the store */
    struct blob_shard *shard;  /* borrowed; NULL: not under way */
    const struct blob_events *events;
    void *owner;          /* the owner's */
    struct list link;     /* the shard's or its store's: among those that wait, or are under way */
    struct list due;      /* the side's: its owner is told something when the turn ends */
    void *lease;          /* the store's: what serves it; NULL: nothing yet, it only waits */
    uint64_t started_us;  /* since 1970 it is not: the worker's clock */
    uint64_t deadline_us; /* of what it waits for now; 0: none */
    uint64_t sent;        /* bytes of the body, by blob_call_send() */
    uint64_t received;    /* of the answer's body */
    enum s3_error error;  /* that its answer tells, as far as its body did */
    enum err failed;      /* ended() is due, with this */
    char failed_why[BLOB_WHY_BYTES];
    bool is_stamp : 1; /* asks for the stamp itself, or writes it: not held up by it */
    bool holds : 1;
    bool has_room : 1; /* room() is due */
    bool retried : 1;
    bool was_asked : 1; /* the store may have heard of it */
};

void blob_call_start(struct blob_call *c, struct blob_shard *shard,
                     const struct blob_events *events);
/* Only after room() and while there is room.  The body's last byte ends it. */
void blob_call_send(struct blob_call *c, struct slice bytes);
bool blob_call_has_room(const struct blob_call *c);
/* Its body comes in pieces, and is not known before. */
bool blob_call_streams(const struct blob_call *c);
/* Without its last byte a store commits nothing. */
bool blob_call_is_all_sent(const struct blob_call *c);
/* Where bytes of the body may go by now, instead of blob_call_send(), or NULL; so many did. */
struct upstream *blob_call_through(const struct blob_call *c);
void blob_call_went(struct blob_call *c, size_t len);
/* body() comes no more (but for a little that was read already), or again. */
void blob_call_hold(struct blob_call *c, bool hold);
/* Gives it up: nothing more comes.  An upload that has not had its last byte leaves nothing behind.
 * Nothing happens if it is not under way. */
void blob_call_abort(struct blob_call *c);

/* What a kind of store does for those; only store_flow.c calls them. */
struct blob_back {
    const char *protocol; /* "s3", "file" */
    void (*start)(struct blob_call *c);
    void (*send)(struct blob_call *c, struct slice bytes);
    bool (*has_room)(const struct blob_call *c);
    struct upstream *(*through)(const struct blob_call *c); /* NULL, as the next: nothing goes by */
    void (*went)(struct blob_call *c, size_t len);
    void (*hold)(struct blob_call *c, bool hold);
    void (*abort)(struct blob_call *c);
    /* A shard of this kind appears, follows a reload, goes. */
    void (*open)(struct blob_shard *shard);
    void (*tick)(struct blob_shard *shard, uint64_t now_us);
    void (*close)(struct blob_shard *shard);
};
extern const struct blob_back blob_back_s3, blob_back_folder;
