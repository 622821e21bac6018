/* Our own login at a PostgreSQL server, as bytes in and bytes out: no I/O.  TLS is up before it.
 *
 *     pg_login_begin(&login, &settings, &out);                        send what `out` holds
 *     while ((err = pg_login_feed(&login, received, &used, &out)) == ERR_AGAIN)
 *         ...                                 forget `used` bytes, send `out`, receive more
 *     if (err == ERR_NONE)                                            the server is ready
 *         ... login.parameters, login.pid, login.secret, login.keys ...
 *     else
 *         ... login.why, login.sqlstate ...
 *     pg_login_fini(&login);
 *
 * Methods: trust, a clear password (over TLS or a Unix socket, if nothing else is said), md5,
 * SCRAM-SHA-256, and -PLUS where the hash of the server's certificate is given; GSSAPI by a deputy,
 * whose answers the caller sends to the server.  A server that asks for more than one, or lets us
 * in without the proof that SCRAM owes, is refused.
 *
 * Whatever a server sends, memory is bounded by the limits below, and so is the work: deriving keys
 * by scram.h's limit of iterations, all else by the bytes that a login may take. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"
#include "proxy/wire/pgwire.h"
#include "proxy/wire/scram.h"

enum {
    PG_LOGIN_MESSAGE_MOST = 32 * 1024,    /* a longer notice is passed by, all else is refused */
    PG_LOGIN_BYTES_MOST = 1024 * 1024,    /* from the server, in all */
    PG_LOGIN_PARAMETERS_MOST = 256,       /* ParameterStatus messages */
    PG_LOGIN_PARAMETER_BYTES = 16 * 1024, /* what is kept of them */
    PG_LOGIN_WHY_BYTES = 384,
    PG_LOGIN_ASKED_BYTES = 24, /* the server's request for SCRAM-SHA-256 */
};

/* Borrowed till the login ends. */
struct pg_login_settings {
    struct slice user, database; /* no database: the server takes the user's name */
    /* What else the StartupMessage says: application_name, client_encoding, replication... */
    const struct pg_parameter *parameters;
    size_t parameter_count;
    /* Clear, or its md5 hash as PostgreSQL keeps it ("md5..."), which serves for md5 only; empty:
     * there is none. */
    struct slice password;
    /* From an earlier login, ours or a client's: they spare deriving them.  Those that fit what the
     * server knows are taken.  NULL: none. */
    const struct scram_keys *keys, *other_keys;
    /* tls-server-end-point: the hash of the server's certificate; empty: no TLS, or no hash. */
    struct slice endpoint;
    bool is_private;        /* over TLS or a Unix socket: a clear password may be said */
    bool may_tell_password; /* it may be said in any case */
    bool must_bind;         /* nothing but SCRAM-SHA-256-PLUS will do */
    bool has_deputy;        /* what we can't prove ourselves goes to l->for_deputy */
    /* SCRAM's first message is sent before it is asked for, as it was at the last login there: it
     * tells nothing but a nonce.  Only with keys, and without TLS. */
    bool guesses_scram;
};

enum pg_login_step {
    PG_LOGIN_BEGUN,     /* how to prove who we are is to be said */
    PG_LOGIN_CHALLENGE, /* SCRAM: the server's first message is to come */
    PG_LOGIN_SIGNATURE, /* SCRAM: its last one */
    PG_LOGIN_ANSWERED,  /* all is said; we are to be let in */
    PG_LOGIN_DEPUTY,    /* another proves who we are: requests are for him */
    PG_LOGIN_IN,        /* parameters, the key, ReadyForQuery */
    PG_LOGIN_READY,
    PG_LOGIN_FAILED,
};

struct pg_login {
    const struct pg_login_settings *settings; /* borrowed */
    enum pg_login_step step;
    uint32_t passed;      /* bytes of the server's that are used */
    uint32_t notice_left; /* of a long notice, to be passed by */
    uint16_t parameter_messages;
    uint64_t parameter_names; /* a bit for each of them; two may share one */
    bool is_bound;            /* SCRAM-SHA-256-PLUS was done to its end */
    bool guessed; /* it was asked for nothing yet, and SCRAM's first message was sent: if the login
                     * fails without a word of the server's, one that guesses nothing may succeed */
    bool may_guess; /* SCRAM-SHA-256 was done to its end, without TLS: so may the next one be */
    struct scram_prover prover;

    struct buf for_deputy; /* requests of the server's, whole; the caller takes them; owned */

    /* After ERR_NONE. */
    struct buf parameters;  /* for pg_parameter_next(), each name once; owned */
    struct scram_keys keys; /* derived in this login, to be kept; iterations 0: none were */
    enum pg_status status;  /* I: a new connection is in no transaction */
    uint32_t pid;           /* for cancel requests */
    uint16_t secret_len;    /* 0: the server gave no key */
    uint8_t secret[PG_SECRET_MAX_BYTES];

    /* After an error. */
    char sqlstate[PG_SQLSTATE_BYTES + 1]; /* the server's; empty: we refused it */
    char why[PG_LOGIN_WHY_BYTES];         /* its message, or our sentence; printable, one line */
    /* The kept keys, or the password, are not (any more) what the server knows: 28P01, or keys of
     * another verifier and no password to make new ones from. */
    bool is_wrong_secret;
};

/* Appends the StartupMessage to `out`. */
void pg_login_begin(struct pg_login *l, const struct pg_login_settings *settings, struct buf *out);

/* Takes whole messages from the front of `in`, *used bytes, and appends what is to be sent to
 * `out`, which may be a password: the caller wipes it.
 * ERR_NONE       ReadyForQuery was read; what follows in `in` is not of the login
 * ERR_AGAIN      more is needed, behind what was not used
 * ERR_LOGIN      the server, or we, refused: see `why`
 * ERR_LIMIT      the server has no room (SQLSTATE 53xxx), or says more than it may
 * ERR_DOWN       it starts up, shuts down or recovers (57P0x): later it may do
 * ERR_PROTOCOL, ERR_UNSUPPORTED, ERR_TLS, ERR_SYSTEM */
MUST_CHECK enum err pg_login_feed(struct pg_login *l, struct slice in, size_t *used,
                                  struct buf *out);

/* Wipes the secrets. */
void pg_login_fini(struct pg_login *l);
