/* The login of a client, from his StartupMessage to AuthenticationOk, as bytes in and bytes out: no
 * I/O.  TLS is up before it, and how he is to prove who he is has been decided (a rule of hba, or
 * the pool's `auth`), as has which secret is his.
 *
 *     err = pg_admit_begin(&admit, &settings, &out);                  send what `out` holds
 *     while (err == ERR_AGAIN)
 *         err = pg_admit_feed(&admit, received, &used, &out);
 *         ...                                 forget `used` bytes, send `out`, receive more
 *     if (err == ERR_NONE)                                  `out` ends in AuthenticationOk
 *         ... admit.secret and admit.keys log in at servers as this user ...
 *     else                                                  `out` ends in ErrorResponse
 *         ... log admit.why; send, and close ...
 *     pg_admit_fini(&admit);
 *
 * What a client is told are PostgreSQL's own words, and the same whether he does not exist, has
 * no secret, one of the wrong kind, or has said the wrong one; `why` knows.  Messages are refused
 * by their headers if they are longer than they may be, so a client that is not in makes nobody
 * keep more than PG_ADMIT_MESSAGE_MOST bytes.
 *
 * The caller sees to it that clear passwords are asked for only where the way is safe, wipes what
 * he received when it is used, and bounds the time. */
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
    PG_ADMIT_MESSAGE_MOST = 64 * 1024, /* of a password, with its header */
    PG_ADMIT_SASL_MOST = 1024 + 64,    /* of SASL: a message of SCRAM, and what is around it */
    PG_ADMIT_WHY_BYTES = 256,
};

enum pg_admit_method {
    PG_ADMIT_TRUST,
    PG_ADMIT_PASSWORD, /* in clear */
    PG_ADMIT_MD5,      /* SCRAM if the secret is a verifier, as PostgreSQL does */
    PG_ADMIT_SCRAM,
    PG_ADMIT_CERT,    /* is_vouched, by his certificate */
    PG_ADMIT_PEER,    /* is_vouched, by the system */
    PG_ADMIT_REJECT,  /* a rule of hba says so */
    PG_ADMIT_NO_RULE, /* no rule of hba fits */
};

/* What is asked of the client's certificate besides. */
enum pg_admit_cert { PG_ADMIT_CERT_NOTHING, PG_ADMIT_CERT_VALID, PG_ADMIT_CERT_OF_USER };

/* Borrowed till the login ends. */
struct pg_admit_settings {
    enum pg_admit_method method;
    struct slice user;
    /* As pg_authid has it: "SCRAM-SHA-256$...", "md5...", else the clear password; empty: he has
     * none, or does not exist.  It may change once pg_admit_begin() is through: a copy is kept. */
    struct slice secret;
    /* Keys of a clear password, derived once and kept by the caller beside the secret: zero at
     * first, used by pg_admit_begin() only.  NULL: they are derived with each login.  The first one
     * takes 0.6 ms more so, which tells that this user exists: scram_salt_of_user() and
     * scram_keys_derive() can come before. */
    struct scram_keys *kept;
    /* 32 random bytes of the process, the same for all its threads: what is said to those who do
     * not exist depends on it. */
    struct slice process_secret;
    struct scram_form form; /* as most verifiers of the others are: of those that are made here */
    bool has_no_verifier;   /* the secrets of the others are none of SCRAM */

    struct slice
        endpoint; /* tls-server-end-point of our certificate; empty: no binding is offered */
    enum pg_admit_cert cert;
    bool has_cert;   /* a certificate was shown, and verified */
    bool is_vouched; /* the name in it, or the system's at the socket's other end, is this user's */

    /* For the words of REJECT and NO_RULE. */
    const char *host; /* the client's address; NULL: a Unix socket */
    struct slice database;
    bool is_tls, is_replication;
};

enum pg_admit_step {
    PG_ADMIT_BEGUN,
    PG_ADMIT_AWAIT_PASSWORD, /* clear, or the answer of md5 */
    PG_ADMIT_AWAIT_SASL,     /* the mechanism, and perhaps the first message of SCRAM */
    PG_ADMIT_AWAIT_FIRST,    /* the first message of SCRAM, where it was not with the mechanism */
    PG_ADMIT_AWAIT_FINAL,    /* the final one */
    PG_ADMIT_IN,
    PG_ADMIT_REFUSED,
};

/* Does not move while it is in use. */
struct pg_admit {
    const struct pg_admit_settings *settings; /* borrowed */
    enum pg_admit_step step;
    uint8_t salt[PG_MD5_SALT_BYTES];
    struct buf known;             /* the secret; owned */
    struct scram_keys known_keys; /* of a clear one; iterations 0: not derived */
    struct scram_verifier verifier;
    struct scram_checker checker;

    /* After ERR_NONE, what logs in at a server as this user: as pg_login.h takes it. */
    struct buf secret;      /* the clear password, or its md5 hash; empty: not known; owned */
    struct scram_keys keys; /* iterations 0: not known */

    /* After an error, for the log: printable, one line. */
    char sqlstate[PG_SQLSTATE_BYTES + 1];
    char why[PG_ADMIT_WHY_BYTES];
};

/* ERR_NONE: he is in; ERR_AGAIN: he is asked something; else he is refused:
 * ERR_LOGIN      by secret, certificate or rule
 * ERR_TLS        the channel binding is wrong: someone may be in between
 * ERR_PROTOCOL   what he said is not of the protocol
 * ERR_UNSUPPORTED, ERR_LIMIT, ERR_SYSTEM */
MUST_CHECK enum err pg_admit_begin(struct pg_admit *a, const struct pg_admit_settings *settings,
                                   struct buf *out);
/* Takes one message from the front of `in`, *used bytes, if it is whole.  Returns as above. */
MUST_CHECK enum err pg_admit_feed(struct pg_admit *a, struct slice in, size_t *used,
                                  struct buf *out);
/* Wipes the secrets. */
void pg_admit_fini(struct pg_admit *a);
