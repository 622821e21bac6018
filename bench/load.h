/* What a protocol gives to the load generator: one constant table per protocol, `load_NAME` in
 * load_NAME.c, found by the scheme of the target's URL.  Drivers turn calls into bytes and bytes
 * into verdicts; sockets, clocks, threads and figures exist once, in lane.c and crew.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/keyspace.h"
#include "bench/mix.h"
#include "bench/payload.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/parse.h"
#include "proxy/base/slice.h"

struct ledger;
struct target;
struct load_login; /* a driver's own */

/* SQL: how a statement is sent. */
enum load_query_mode {
    LOAD_QUERY_SIMPLE,   /* as text with its values */
    LOAD_QUERY_EXTENDED, /* parsed each time, values apart */
    LOAD_QUERY_PREPARED, /* parsed once a connection */
};

/* What is asked, the same for all threads and constant while they run. */
struct load {
    const struct load_driver *driver;
    const struct target *target; /* borrowed */
    struct mix *mix;             /* borrowed */
    struct keyspace keys;
    struct payload values;
    struct ledger *ledger; /* borrowed; NULL: acknowledged writes are not remembered */
    uint32_t lanes;        /* connections that carry load; with a ledger each has its own keys */
    uint32_t resp;         /* Redis: the protocol version */
    enum load_query_mode query_mode;
    bool verify, fill;
};

#define LOAD_ANY_KEY UINT64_MAX

/* One thing that was asked.  Its keys and sizes are not kept: they follow from the seed. */
struct load_call {
    uint64_t due_us;  /* when it was to be sent; its latency counts from here */
    uint64_t sent_us; /* when it was written */
    uint64_t seed;
    uint64_t key;     /* LOAD_ANY_KEY, or the one it must use */
    uint32_t lane;    /* number of the connection */
    uint32_t version; /* of the values that it writes */
    uint32_t command; /* entry of the mix */
};

enum load_verdict {
    LOAD_FINE,
    LOAD_MISS,    /* fine, but there was no value */
    LOAD_ERROR,   /* the other side said so: `text` */
    LOAD_FOREIGN, /* verify: a value of another key, or none at all: `text` */
    LOAD_LOST,    /* verify: an acknowledged write is not there: `text` */
};

struct load_outcome {
    enum load_verdict verdict;
    struct slice text; /* borrowed: the reply, or constant */
    uint64_t key;      /* FOREIGN, LOST: which */
};

/* A driver's own progress within a partial reply; zero at its start. */
struct load_scan {
    size_t passed; /* bytes of the reply that need not be looked at again */
    bool keeps;    /* said to it: judge() needs all of the reply */
    uint64_t words[8];
};

/* Looks at one entry of the mix and makes what encode needs of it; `why` says what is wrong. */
typedef enum err load_prepare_f(const struct load *load, struct mix_entry *entry, char *why,
                                size_t why_size);
typedef void load_release_f(struct mix_entry *entry);
/* A login that goes back and forth, before the greeting.  feed() takes *used bytes from the front
 * of `in`, may append to `out`, and says ERR_AGAIN until it is over; on another error *why is a
 * sentence, which is valid until the login's end. */
typedef struct load_login *load_login_begin_f(const struct load *load, struct buf *out);
typedef enum err load_login_feed_f(struct load_login *login, struct slice in, size_t *used,
                                   struct buf *out, const char **why);
typedef void load_login_end_f(struct load_login **login);
/* What to say after connecting: the requests, and how many replies they have; 0: nothing. */
typedef uint32_t load_greet_f(const struct load *load, struct buf *out);
typedef void load_encode_f(const struct load *load, const struct load_call *call, struct buf *out);
/* Finds the end of the first reply in `in`, which always begins at a reply's start.  PARSE_MORE:
 * the last *len bytes of `in`, 0 if it says nothing, need not be kept. */
typedef enum parse load_bound_f(struct load_scan *scan, struct slice in, size_t *len);
/* While no reply is due: the bytes at the front of `in` that need no request, such as a notice.
 * PARSE_BAD: they are something else. */
typedef enum parse load_aside_f(struct slice in, size_t *len);
/* Judges one whole reply.  `call` is NULL for replies to a greeting. */
typedef void load_judge_f(const struct load *load, const struct load_call *call, struct slice reply,
                          struct load_outcome *out);
/* A call that wrote will have no (good) reply: whether it was done is unknown. */
typedef void load_forget_f(const struct load *load, const struct load_call *call);

struct load_driver {
    const char *scheme; /* of URLs; with "+unix" behind it a path follows instead of a host */
    uint16_t port;
    load_prepare_f *prepare;
    load_release_f *release;
    load_login_begin_f *login_begin; /* these three NULL: the greeting is enough */
    load_login_feed_f *login_feed;
    load_login_end_f *login_end;
    load_greet_f *greet;
    load_encode_f *encode;
    load_bound_f *bound;
    load_aside_f *aside; /* NULL: nothing comes unasked */
    load_judge_f *judge;
    load_forget_f *forget;
};

static inline struct dice load_dice(const struct load_call *call)
{
    return (struct dice){ call->seed };
}

/* The next key of this call. */
static inline uint64_t load_key(const struct load *load, const struct load_call *call,
                                struct dice *dice)
{
    uint64_t key;

    if (call->key != LOAD_ANY_KEY)
        return call->key;
    key = keyspace_pick(&load->keys, dice);
    if (load->ledger == NULL)
        return key;
    /* The lane's own keys are those with its number as remainder. */
    key = key - key % load->lanes + call->lane;
    return key < load->keys.count ? key : call->lane;
}
