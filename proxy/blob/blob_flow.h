/* The flow of blob pools: a request's head, and a stream.  The path of a PUT, by files:
 *
 *     session_flow.c    bytes of the client: heads, then bodies without their framings
 *     request_flow.c    who is it, what does he ask, may he; which deed does it
 *     heed_flow.c       what its fields ask besides: nothing of it is passed over
 *     body_flow.c       the body: decoded, verified, its last byte held back till then
 *     deed_stream_flow.c   the deed: one ask of the shard that has the key, bodies passed on
 *     store_flow.c      the call: is the shard up, has it its stamp
 *     back_s3_flow.c    a server: an upstream is leased, the ask is signed and sent
 *     back_folder_flow.c   a folder: a thread that may wait does it
 *     answer_flow.c     the answer's head and body to the client
 *     refusal_flow.c    a store's refusal, in our words
 *     log_flow.c        the access log
 *     side_flow.c       a worker's side of each pool; reload, clock
 *
 * Other deeds: deed_bucket_flow.c, deed_list_flow.c, deed_delete_flow.c, deed_upload_flow.c,
 * deed_copy_flow.c, deed_form_flow.c.
 *
 * A session has one request at a time; what its client sends behind it waits. */
#pragma once

#include "health/board.h"
#include "health/reason.h"
#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/list.h"
#include "proxy/base/slab.h"
#include "proxy/blob/blob.h"
#include "proxy/blob/blob_counts.h"
#include "proxy/blob/blob_works.h"
#include "proxy/core/session.h"
#include "proxy/core/slow.h"
#include "proxy/core/stats.h"
#include "proxy/core/worker.h"
#include "proxy/wire/aws_chunked.h"
#include "proxy/wire/checksum.h"
#include "proxy/wire/http1.h"
#include "proxy/wire/http1_body.h"
#include "proxy/wire/sigv4.h"

enum {
    BLOB_UNREAD_BYTES = 16 * 1024,      /* of an answer; then its store is not read from */
    BLOB_UNSENT_BYTES = 16 * 1024,      /* of a body; then its client is not read from */
    BLOB_SHORT_BYTES = 8 * 1024,        /* instead of the first, while memory is short */
    BLOB_THROUGH_BYTES = 16 * 1024,     /* pieces that are written at once rather than copied */
    BLOB_WHOLE_BYTES = 4 * 1024 * 1024, /* of a body that is read whole: 10,000 parts' names */
    BLOB_FORM_BYTES = 256 * 1024,       /* of a form, beside its file */
    BLOB_DROP_KEEP_BYTES = 64 * 1024,   /* of a refused body, to keep the connection for that */
    BLOB_DROP_BYTES = 64 * 1024 * 1024, /* and so that the answer is read, before it is closed */
    BLOB_LINGER_US = 10 * 1000 * 1000,
    BLOB_LATE_US = 5 * 1000 * 1000, /* see blob_answer_expect_late() */
    BLOB_ASK_US = 1000 * 1000,      /* then who sends no more is asked if he is there */
    BLOB_ID_BYTES = 17,
};

/* Keys of ours in each bucket: hidden from lists, refused to clients. */
#define BLOB_RESERVED  ".sheaf/"
#define BLOB_STAMP_KEY ".sheaf/stamp"

struct blob_request;
struct blob_side;
struct s3_entry;

/* ---- memory ---- */

/* Stops the bodies of all sessions once memory is short; see blob_bodies_go_on(). */
void blob_bodies_stop_if_short(struct worker *w);
/* By the clock: those that were stopped, a few at a time, as far as there is memory for what they
 * may bring at once. */
void blob_bodies_go_on(struct worker *w);
/* Near max_memory no request is begun (SlowDown), and streams hold less, so that it is not reached:
 * then sessions would be closed. */
static inline bool blob_memory_is_short(const struct worker *w)
{
    return worker_bytes(w) > w->max_bytes - w->max_bytes / 4;
}

/* ---- sides ---- */

struct blob_works {
    struct list sides;
    struct sigv4_keys *keys; /* owned */
    bool is_short;           /* of memory: bodies were stopped, and not all go on yet */
    struct sigv4_scratch scratch;
    struct sha256_pair pair;  /* of bodies that are verified here on their way by */
    struct http1_lines lines; /* of the head that was just found */
    struct buf head;          /* that is being put, of an answer or an ask; empty between two */
    struct buf list_room;     /* for a list's entries: of the last list, for the next */
    bool list_room_in_use;    /* it was taken since memory was last given back */
    /* What answers of the same second begin with, behind their first lines. */
    struct {
        int64_t second;
        struct buf lines;
    } now;
};

static inline struct blob_works *blob_works_of(const struct worker *w)
{
    return w->works[POOL_BLOB];
}

/* A listener, as its sessions know it. */
struct blob_gate {
    struct session_limits limits; /* first: a session's limits are its gate's */
    struct list link;
    struct blob_side *side;
    char *name;
    const struct listener_settings *settings; /* borrowed; NULL: it is gone */
};

/* A worker's side of one shard. */
struct blob_shard {
    struct list link; /* on side->past_shards once it is gone from the configuration */
    struct blob_side *side;
    const struct blob_back *back;
    const struct endpoint_settings *settings; /* of side->assembly */
    char *identity, *name;                    /* owned */
    uint32_t index;
    bool present;
    bool lists_plainly;     /* it does not heed encoding-type=url */
    bool is_known, is_ceph; /* by what it calls requests: see learn() in back_s3_flow.c */
    uint64_t past_since_us; /* not present: then requests that began before may know it */
    struct stats_row *stats;
    struct blob_counts_set *counts;
    struct list calls;       /* under way, or waiting for the store's stamp */
    uint32_t call_count;     /* of them */
    uint32_t upstream_count; /* connections to it */
    struct list stamps;      /* what is known of its buckets, the last used first */
    uint32_t stamp_count;
    void *state; /* the back's */
};

/* A worker's side of a blob pool. */
struct blob_side {
    struct list link;
    char *name;
    bool gone;
    struct worker *worker;
    struct assembly *assembly; /* counted reference */
    const struct blob_pool *settings;
    struct slab session_slab, request_slab, arena_slab;
    struct list gates;
    struct blob_shard **shards; /* by their index */
    uint32_t shard_count;
    bool has_folders; /* among them */
    struct list past_shards;
    struct list due;      /* calls whose owners are told something when the turn ends */
    struct list short_of; /* calls whose stores take more, while memory is short */
    uint32_t requests;    /* under way */
    struct stats_row *stats;
    struct blob_counts_pool *counts;
    struct slow_watch slow;
    struct buf log;   /* lines of the access log that this turn made */
    int log_fd;       /* -1: there is none */
    bool log_is_torn; /* its last line has no end */
};

/* Where a key lies. */
struct blob_shard *blob_shard_of(struct blob_side *side, struct slice key);

/* ---- sessions ---- */

enum blob_stage {
    BLOB_HEAD,     /* a request's head is read */
    BLOB_BODY,     /* its body, if the request takes it now */
    BLOB_ANSWERS,  /* nothing: what comes belongs to the next request */
    BLOB_DROPPING, /* a body that nobody wants */
};

struct blob_session {
    struct session base;
    struct blob_request *request; /* owned; NULL between two */
    struct http1_search search;
    struct http1_body dropped;
    uint64_t drop_until_us;
    uint64_t drop_left;
    enum blob_stage stage;
    bool closes; /* after this answer */
};

static inline struct blob_gate *blob_gate_of(const struct blob_session *s)
{
    return (struct blob_gate *)s->base.limits;
}

static inline struct blob_side *blob_side_of(const struct blob_session *s)
{
    return blob_gate_of(s)->side;
}

/* For requests: the session goes on. */
void blob_session_request_ended(struct blob_session *s);
/* What S3 calls a head that is no good. */
enum s3_error blob_error_of_head(enum http1_refusal why);
void blob_session_tick(struct blob_session *s, uint64_t now_us);
/* Its body is not wanted any more, were it still coming. */
void blob_session_drop_body(struct blob_session *s);

/* ---- requests ---- */

/* How an operation is done.  Each is called in this order, and after abandon() none. */
struct blob_deed {
    /* The head is there and allowed; if the operation's body is read whole, that too (r->whole). */
    void (*begin)(struct blob_request *r);
    /* A piece of the body; only after blob_body_wanted(), until blob_body_wait(). */
    void (*body)(struct blob_request *r, struct slice piece);
    /* All of it came, and is what the client said it is. */
    void (*body_ended)(struct blob_request *r);
    /* Which call takes the pieces as they come, unchanged.  NULL: none. */
    struct blob_call *(*taker)(struct blob_request *r);
    /* The client reads slower than the store gives (true), or again fast enough. */
    void (*hold)(struct blob_request *r, bool hold);
    /* The client is gone, or was refused: let go of all that is under way. */
    void (*abandon)(struct blob_request *r);
};

struct blob_gathered {
    struct buf body;
    bool is_too_long;
};

struct blob_request {
    struct arena arena;
    struct blob_session *session;
    struct blob_side *side;
    const struct blob_deed *deed;
    void *state; /* the deed's, in the arena */
    struct s3_operation op;
    const struct blob_access_key *key; /* of the assembly; NULL: anonymous */
    struct assembly *assembly;         /* counted: what it was begun with */
    uint64_t began_us;
    uint64_t heard_us;    /* when all of it had come */
    uint64_t answered_us; /* when the answer began; 0: it has not */
    char id[BLOB_ID_BYTES];

    /* The body, see body_flow.c. */
    struct http1_body body;
    struct aws_chunked *chunked; /* in the arena; NULL: it is not aws-chunked */
    struct checksum_set sums;
    struct buf whole;          /* of bodies that are read whole */
    uint64_t length;           /* of the payload */
    uint64_t taken;            /* of it */
    struct slice payload_hash; /* that the client declared; empty: none */
    uint8_t last_byte;
    bool has_body, waits, began, holds_last, is_verified_here, continues, chunks_ended,
        body_is_done, is_stopped; /* stopped: for want of memory */

    /* The answer, see answer_flow.c. */
    uint16_t status;
    struct http1_field *kept; /* of the store's answer, for ours; in the arena */
    size_t kept_count;
    bool head_is_out, is_chunked, has_no_body;
    bool may_be_late, is_late, was_asked;
    uint64_t late_us; /* when a blank is due */
    uint64_t answer_left, answer_bytes;
    uint64_t object_bytes; /* of the object that it is about, where that is known */
    enum s3_error error;   /* that the answer tells; S3_NONE: none */
    bool is_abandoned;     /* its client left before all was answered */

    /* What its store refuses with, see refusal_flow.c. */
    struct blob_gathered refusal;
    bool is_refused, has_waited;

    size_t deed_bytes; /* that its deed holds besides the arena; see blob_request_weigh() */
    size_t weight;     /* what of it is counted */

    struct sigv4_verdict verdict;
    struct http1_request http;
};

/* Of a whole head at the front of the session's input. */
void blob_request_begin(struct blob_session *s, struct slice head);
/* A form says late who sends it and which key it is for (r->op.key): who, and may he?  `form` NULL:
 * it is not signed. */
enum s3_error blob_permit_form(struct blob_request *r, const struct sigv4_form *form,
                               struct s3_fault *fault) MUST_CHECK;
/* heed_flow.c: what its fields ask is done, or the request is refused. */
bool blob_has_condition(const struct blob_request *r);
/* Does the store of its key encrypt where it is asked to? */
bool blob_heeds_encryption(const struct blob_request *r);
enum s3_error blob_heed(struct blob_request *r, struct s3_fault *fault) MUST_CHECK;
/* Its client is gone. */
void blob_request_abandon(struct blob_request *r);
/* Whether it is a write to folders whose client has reset the connection since; then it ends here.
 * Its client may have gone on to another write of that key, which this one must not overwrite. */
bool blob_took_back(struct blob_request *r);
/* May it touch this bucket? */
bool blob_may_bucket(const struct blob_access_key *key, struct slice bucket);
/* May its access key touch this key, by its prefixes?  NULL: anonymous, and allowed. */
bool blob_may_key(const struct blob_access_key *key, struct slice object);
/* Counts what it holds: after it became more, or less. */
void blob_request_weigh(struct blob_request *r);
/* By blob_answer_end(). */
void blob_request_free(struct blob_request *r);

/* ---- bodies ---- */

/* From the head: how it is framed, what is declared of it.  S3_NONE, or the fault is set. */
enum s3_error blob_body_begin(struct blob_request *r, struct s3_fault *fault) MUST_CHECK;
/* Takes what is there; returns how much. */
size_t blob_body_input(struct blob_request *r, struct slice in);
/* May what comes next of it go by; so much will, which was copied to the passage's view; so much
 * did. */
bool blob_body_passes(struct blob_request *r, struct session_passage *passage);
void blob_body_seen(struct blob_request *r, size_t len);
void blob_body_passed(struct blob_request *r, size_t len);
/* For deeds: pieces may come (and "100 Continue" is said), or not now. */
void blob_body_wanted(struct blob_request *r);
void blob_body_wait(struct blob_request *r);
/* Says "100 Continue" to who asked for it, once. */
void blob_body_continue(struct blob_request *r);

/* ---- answers ---- */

/* "100 Continue", which may come any number of times before an answer. */
void blob_answer_continue(struct blob_request *r);
/* The status line and the fields that all answers have; more may be put behind them, till: */
struct buf *blob_answer_begin(struct blob_request *r, unsigned status);
/* Ends the head, and sends it. */
#define BLOB_LENGTH_UNKNOWN UINT64_MAX
void blob_answer_head(struct blob_request *r, uint64_t length);
/* Pieces of the body; the request may be gone after it if the client's connection broke. */
void blob_answer_put(struct blob_request *r, struct slice bytes);
/* So many bytes of it went by, in an answer with a length. */
void blob_answer_went(struct blob_request *r, size_t len);
/* All is said: the request is over, and freed. */
void blob_answer_end(struct blob_request *r);
/* It can't be ended truly: the connection is closed, so that the client sees it.  Frees it. */
void blob_answer_cut(struct blob_request *r);
/* What a store's answer says in fields of Amazon's, for the XML that is ours to say. */
void blob_answer_keep(struct blob_request *r, const struct blob_answer *answer);
/* All of these at once; the body is XML; its deed is over. */
void blob_answer_xml(struct blob_request *r, unsigned status, struct slice body);
void blob_answer_nothing(struct blob_request *r, unsigned status);
/* What may take its store minutes: clients would not wait so long for a first byte.  If it does,
 * they hear 200 and blanks as from S3, and how it went in the document behind; deeds need not
 * know. */
void blob_answer_expect_late(struct blob_request *r);
void blob_answer_tick(struct blob_request *r, uint64_t now_us);
/* Refuses: abandons the deed and answers. */
void blob_refuse(struct blob_request *r, const struct s3_fault *fault);
void blob_refuse_with(struct blob_request *r, enum s3_error error);
/* What a store refuses with, as a refusal of ours; empty or no XML: by its status. */
void blob_answer_refusal(struct blob_request *r, const struct blob_shard *shard, unsigned status,
                         struct slice document);
/* False: it refuses the client.  True: Sheaf itself, whose keys it does not take, and that is no
 * fault of his. */
bool blob_fault_of_login(const struct blob_request *r, const struct blob_shard *shard,
                         enum s3_error error, struct s3_fault *fault);
enum s3_error blob_error_of_status(const struct blob_request *r, unsigned status);
/* The same of an answer that streams: in head(), body(), ended().  False: it is no refusal. */
bool blob_refusal_begins(struct blob_request *r, const struct blob_answer *answer);
bool blob_refusal_takes(struct blob_request *r, struct slice bytes);
bool blob_refusal_ends(struct blob_request *r);
/* What became of a call that failed, in S3's words: SlowDown and the shard's name, mostly. */
void blob_fault_of_call(const struct blob_call *c, const struct blob_shard *shard, enum err err,
                        const char *why, struct s3_fault *fault);
/* The store's fields that clients are given, as they are. */
void blob_answer_fields(const struct blob_answer *answer, struct buf *out);

/* ---- deeds ---- */

extern const struct blob_deed blob_deed_stream, blob_deed_bucket, blob_deed_list, blob_deed_delete,
    blob_deed_upload, blob_deed_copy, blob_deed_form;
/* The request's parameters, with the store's own upload id. */
void blob_upload_params(struct blob_request *r, struct slice id, struct blob_ask *ask);
/* For tokens of lists and uploads: of the request's bucket, and of the map. */
uint64_t blob_token_seed(const struct blob_request *r);
uint64_t blob_map_epoch(const struct blob_side *side);
/* A deed for each operation; NULL: not implemented. */
const struct blob_deed *blob_deed_of(enum s3_op op);

/* Fields of the request that are said to the store: those that mean something to it. */
void blob_ask_fields(struct blob_request *r, struct blob_ask *ask);
/* An answer's body as a whole: gathered up to a limit; for small ones. */
void blob_gather(struct blob_gathered *g, struct slice bytes);

/* fan_flow.c: small questions to several shards at once, or to one; answers are gathered.
 *
 *     fan = blob_fan_new(r, count, done);
 *     fan->parts[i].shard = ..; fan->parts[i].call.ask = ..;         for each
 *     blob_fan_start(fan);             done(fan) when all have answered; all may be started again
 *     blob_fan_free(fan);              by the deed's abandon(), and at its end */
struct blob_fan;
struct blob_fan_part {
    struct blob_call call;
    struct blob_fan *fan;
    struct blob_shard *shard;
    struct blob_gathered answer;
    uint16_t status; /* 0: it failed, by err and why */
    enum err err;
    const char *why;
};
struct blob_fan {
    struct blob_request *request;
    uint32_t count, pending;
    void (*done)(struct blob_fan *fan);
    void *owner;
    struct blob_fan_part parts[];
};
/* In the request's arena, but for the answers. */
struct blob_fan *blob_fan_new(struct blob_request *r, uint32_t count,
                              void (*done)(struct blob_fan *fan));
void blob_fan_start(struct blob_fan *fan);
void blob_fan_free(struct blob_fan *fan);
/* Refuses the request as the first part that failed has it, or with the first answer that is an
 * error; false: there is none such.  Frees the fan then. */
bool blob_fan_refuses(struct blob_fan *fan);
/* Gives the client a part's answer as it is; the fan is freed, and the request over. */
void blob_fan_answer(struct blob_fan *fan, const struct blob_fan_part *part);
struct s3_reply_xml;
enum s3_root;
/* What kind of document the answer is; S3_ROOT_NONE: it is none.  A success that turns out to be an
 * error gets that one's status. */
enum s3_root blob_fan_verify(struct blob_fan_part *part, struct s3_reply_xml *reply) MUST_CHECK;
/* What of an XML answer matters; ERR_SYNTAX: it is none. */
enum err blob_fan_read(struct blob_fan_part *part, struct s3_reply_xml *reply,
                       enum err (*take)(void *owner, const struct s3_entry *entry), void *owner)
    MUST_CHECK;

/* ---- the access log ---- */

void blob_log_follow(struct blob_side *side);
void blob_log_request(const struct blob_request *r);
void blob_log_write(struct blob_side *side);
void blob_log_end(struct blob_side *side);

/* ---- stores ---- */

/* Would it be asked at all, as far as is known? */
bool blob_shard_is_up(const struct blob_shard *shard);
/* For backs: the call is over; its owner is told when the turn ends, or now. */
void blob_call_ended(struct blob_call *c, enum err err, const char *why);
/* Before anything of it was sent; never tells its owner at once. */
void blob_call_fail_later(struct blob_call *c, enum err err, const char *why);
/* How long a store may take to answer: longer where it has to copy. */
uint64_t blob_call_patience_us(const struct blob_call *c);
/* room() is due when the turn ends. */
void blob_call_room_later(struct blob_call *c);
void blob_store_turn_ends(struct blob_side *side);
/* stamp_flow.c: may the call go to its store?  False: it waits until the stamp was seen, then
 * goes by blob_call_stamped(), or fails. */
bool blob_stamp_admits(struct blob_call *c);
void blob_call_stamped(struct blob_call *c);
/* Of one bucket: it was deleted. */
void blob_stamp_forget(struct blob_shard *shard, struct slice bucket);
void blob_stamps_forget(struct blob_shard *shard);
/* For backs: a piece of its answer's body, for its owner. */
void blob_call_body(struct blob_call *c, struct slice bytes);
/* tally_flow.c: what a call met, for the steward's judgement and for the counts; what became of one
 * that was not asked or was given up, for the counts alone; a request. */
void blob_tally(const struct blob_call *c, enum err err);
void blob_tally_unasked(const struct blob_call *c, enum err err);
void blob_tally_request(struct blob_request *r);
void blob_store_tick(struct blob_side *side, uint64_t now_us);
