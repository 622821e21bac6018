/* SCRAM-SHA-256 (RFC 5802 and 7677) as PostgreSQL speaks it, for both sides.  Nothing here does I/O
 * or allocates, but for what is written to a buffer.
 *
 * Who logs in, the prover:
 *
 *     struct scram_prover p = { .binding = SCRAM_BINDING_NONE };
 *     TRY(scram_prove_first(&p, out));              send; the server's first message comes
 *     TRY(scram_prove_challenge(&p, message));      now p.salt and p.iterations are known
 *     TRY(scram_keys_derive(password, p.salt, p.salt_len, p.iterations, &keys));  or kept keys
 *     TRY(scram_prove_final(&p, &keys, out));       send; the server's final message comes
 *     TRY(scram_prove_end(&p, message));            the server knows the password too
 *     scram_prover_fini(&p);
 *
 * Who is logged in to, the checker:
 *
 *     struct scram_checker c = { .verifier = &verifier };
 *     TRY(scram_check_first(&c, message, out));     send; the client's final message comes
 *     TRY(scram_check_final(&c, message, &keys, out));     send; keys.client_key is recovered
 *
 * On failure p.why or c.why holds what is wrong, a text of static storage.  Errors of both sides:
 * ERR_PROTOCOL     the message is not well formed, or another one was due
 * ERR_LOGIN        the proof, or the server's signature, is wrong
 * ERR_TLS          the channel binding is not what it should be: someone may be in between
 * ERR_UNSUPPORTED  a mandatory extension, or an authorization identity
 * ERR_LIMIT        more iterations, or a longer salt, than we are ready for
 * ERR_SYSTEM       no random bytes */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"
#include "proxy/wire/hmac_sha256.h"

enum {
    SCRAM_KEY_BYTES = 32,
    SCRAM_SALT_BYTES = 16, /* of the salts that we make */
    SCRAM_SALT_MOST = 64,
    SCRAM_ITERATIONS = 4096,        /* of the verifiers that we make, as PostgreSQL does */
    SCRAM_ITERATIONS_MOST = 100000, /* of those that we derive keys for: 15 ms and more */
    SCRAM_NONCE_BYTES = 24,         /* of our own nonces, as text */
    SCRAM_NONCE_MOST = 256,         /* of the other side's */
    SCRAM_MESSAGE_MOST = 1024,
    SCRAM_ENDPOINT_MOST = 64,
};

#define SCRAM_MECHANISM      "SCRAM-SHA-256"
#define SCRAM_MECHANISM_PLUS "SCRAM-SHA-256-PLUS"

/* What a server keeps of a password: enough to check a proof, not enough to make one. */
struct scram_verifier {
    uint32_t iterations; /* 0: there is none */
    uint8_t salt_len;
    bool is_mock; /* no proof fits */
    uint8_t salt[SCRAM_SALT_MOST];
    uint8_t stored_key[SCRAM_KEY_BYTES], server_key[SCRAM_KEY_BYTES];
};

/* Enough to log in where the verifier is the same: as good as the password, to be wiped. */
struct scram_keys {
    struct scram_verifier verifier; /* iterations 0: there are none */
    uint8_t client_key[SCRAM_KEY_BYTES];
};

/* What verifiers look like from outside: those that are made for want of one are to look like the
 * others of a pool. */
struct scram_form {
    uint32_t iterations; /* 0: as PostgreSQL makes them, as below */
    uint8_t salt_len;
};

/* Is it a verifier's text by its first letters? */
bool scram_is_verifier(struct slice text);
/* "SCRAM-SHA-256$4096:SALT$STOREDKEY:SERVERKEY".  ERR_SYNTAX; ERR_LIMIT if the salt is too long. */
enum err scram_verifier_parse(struct slice text, struct scram_verifier *out) MUST_CHECK;
void scram_verifier_print(const struct scram_verifier *v, struct buf *out);
/* The same salt for this user each time, by a secret of the process: 32 random bytes, the same for
 * all its threads.  For verifiers that are made of a plain password when it is needed, and so that
 * those who do not exist have one as well. */
void scram_salt_of_user(struct slice user, struct slice secret, uint8_t *salt, size_t len);
struct scram_form scram_form_or_default(struct scram_form form);
/* Of a user who does not exist, or has no verifier. */
void scram_verifier_mock(struct slice user, struct slice secret, struct scram_form form,
                         struct scram_verifier *out);
bool scram_verifier_is(const struct scram_verifier *a, const struct scram_verifier *b);

/* The keys of a password: 0.6 ms of CPU at 4096 iterations, so keep them.  Non-ASCII passwords are
 * prepared by SASLprep if that accepts them, and taken as they are otherwise, like PostgreSQL's. */
enum err scram_keys_derive(struct slice password, const uint8_t *salt, size_t salt_len,
                           uint32_t iterations, struct scram_keys *out) MUST_CHECK;
/* With a new salt: what a server would keep of this password.  ERR_SYSTEM: no random bytes. */
enum err scram_keys_make(struct slice password, struct scram_keys *out) MUST_CHECK;
/* Whether this is the password, as costly as deriving the keys.  ERR_LOGIN: it is not; ERR_LIMIT.
 * The keys are set if it is. */
enum err scram_keys_of_password(struct slice password, const struct scram_verifier *v,
                                struct scram_keys *out) MUST_CHECK;
void scram_keys_wipe(struct scram_keys *keys);

/* Channel binding as a client sees it, by the first letter of its first message. */
enum scram_binding {
    SCRAM_BINDING_NONE,     /* "n": the client cannot, or there is no TLS */
    SCRAM_BINDING_WOULD,    /* "y": it could, but the server did not offer it */
    SCRAM_BINDING_ENDPOINT, /* "p=tls-server-end-point": mechanism SCRAM-SHA-256-PLUS */
};

struct scram_prover {
    enum scram_binding binding;
    struct slice endpoint; /* borrowed till the end: hash of the server's certificate; ENDPOINT */

    char nonce[SCRAM_NONCE_BYTES + 1];
    struct slice challenge, both_nonces; /* borrowed from the challenge, till scram_prove_final() */
    uint32_t iterations;
    uint8_t salt_len;
    uint8_t salt[SCRAM_SALT_MOST];
    uint8_t signature[SCRAM_KEY_BYTES]; /* the server's, as it must be */
    uint8_t step;
    const char *why;
};

enum err scram_prove_first(struct scram_prover *p, struct buf *out) MUST_CHECK;
enum err scram_prove_challenge(struct scram_prover *p, struct slice message) MUST_CHECK;
/* Keys kept from another login fit if scram_prove_fits(): else the server has another verifier than
 * the one that they are for, and would refuse them. */
bool scram_prove_fits(const struct scram_prover *p, const struct scram_keys *keys);
enum err scram_prove_final(struct scram_prover *p, const struct scram_keys *keys, struct buf *out)
    MUST_CHECK;
enum err scram_prove_end(struct scram_prover *p, struct slice message) MUST_CHECK;
void scram_prover_fini(struct scram_prover *p);

/* To be wiped by its owner. */
struct scram_checker {
    const struct scram_verifier *verifier; /* borrowed till the end */
    /* Borrowed till the end: hash of our certificate, with which -PLUS was offered; empty: it was
     * not. */
    struct slice endpoint;
    bool is_plus; /* the client chose SCRAM-SHA-256-PLUS */

    enum scram_binding binding;
    uint16_t nonce_len;                               /* 0: to be made */
    char nonce[SCRAM_NONCE_MOST + SCRAM_NONCE_BYTES]; /* the client's, and ours behind it */
    struct hmac_sha256 by_stored, by_server;          /* of what was said so far */
    uint8_t step;
    const char *why;
};

enum err scram_check_first(struct scram_checker *c, struct slice message, struct buf *out)
    MUST_CHECK;
/* Keys and output are as they were on failure.  Takes the same time for a mock verifier. */
enum err scram_check_final(struct scram_checker *c, struct slice message, struct scram_keys *keys,
                           struct buf *out) MUST_CHECK;
