/* AWS Signature Version 4 as S3 has it: who sent a request, and was it changed on its way?  Signed
 * in fields (Authorization) or in the query (presigned).  No clock, no I/O; nothing is allocated
 * once the scratch has grown.
 *
 *     struct sigv4_verdict v;
 *     switch (sigv4_verify(&request, &rules, &v)) {
 *     case S3_NONE: if (v.is_anonymous) ..., else v.credential asks;
 *                   v.payload: what follows
 *     default: v.fault                   refuse; v.access_key is who he claims to be, for the log
 *     }
 *
 * The canonical request is made as S3 makes it, unlike other services: the path is decoded once and
 * encoded once, and never normalised. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/wire/digest.h"
#include "proxy/wire/http1.h"
#include "proxy/wire/s3_error.h"
#include "proxy/wire/sigv4_key.h"

enum {
    SIGV4_TIME = 16,        /* letters of "20260131T235959Z" */
    SIGV4_SKEW_S = 15 * 60, /* how wrong a clock may be */
    SIGV4_EXPIRES_MOST_S = 7 * 24 * 3600,
    SIGV4_CREDENTIAL_MOST = 384, /* letters of an access key's id with its scope */
    SIGV4_STARTS = 16,           /* of a few keys at a time */
    SIGV4_USUALS = 16,           /* and of as many clients */
    SIGV4_USUAL_MOST = 320,      /* letters, and names, of which is kept what is usual */
    SIGV4_USUAL_NAMES = 12,
    SIGV4_SCOPE_MOST = SIGV4_DATE + SIGV4_REGION_MOST + sizeof("//s3/aws4_request"),
    SIGV4_STRING_MOST =
        sizeof("AWS4-HMAC-SHA256") + SIGV4_TIME + 1 + SIGV4_SCOPE_MOST + 1 + DIGEST_SHA256_HEX,
};

/* What a client's requests of one day say alike in Authorization, taken apart; and what those of
 * one second sign alike.  Only good signatures leave it; see sigv4_claim.h. */
struct sigv4_usual {
    uint16_t len;                    /* of `text`, up to the signature; 0: empty */
    uint16_t id, id_len, region_len; /* the access key's place in it; date, region follow */
    uint16_t names_at, names_len;    /* and that of the fields' names: */
    uint8_t name_count, string_len;
    uint8_t names[SIGV4_USUAL_NAMES]; /* enum http1_name, each of one name only */
    char text[SIGV4_USUAL_MOST];
    char time[SIGV4_TIME]; /* of `string`, which ends before the hash */
    char string[SIGV4_STRING_MOST];
    struct hmac_sha256_start start;
};

/* A thread's, kept so that nothing is allocated for a request, and so that each second is read and
 * written once; empty when zero.  Some of it is as secret as keys: sigv4_scratch_fini() wipes. */
struct sigv4_scratch {
    struct buf canonical, query, names;
    struct sigv4_moment {
        int64_t seconds;
        char text[SIGV4_TIME];
    } read, written; /* the last ones */
    /* Of a second, a region and a key all texts that are signed begin alike. */
    struct hmac_sha256_start starts[SIGV4_STARTS];
    struct sigv4_usual usuals[SIGV4_USUALS];
};

void sigv4_scratch_fini(struct sigv4_scratch *scratch);

/* One access key that may come in. */
struct sigv4_credential {
    struct slice id, secret;
    const void *owner; /* the caller's */
};

/* NULL: there is none.  The answer stays valid as long as the verdict is used. */
typedef const struct sigv4_credential *sigv4_lookup_f(const void *directory, struct slice id);

struct sigv4_rules {
    uint64_t now_s;             /* since 1970 */
    const char *const *regions; /* that scopes may name, none: any */
    size_t region_count;
    sigv4_lookup_f *lookup;
    const void *directory;
    struct sigv4_keys *keys;
    struct sigv4_scratch *scratch;
};

/* What x-amz-content-sha256 says of the body. */
enum sigv4_payload {
    SIGV4_PAYLOAD_NONE,             /* anonymous, and it says nothing */
    SIGV4_PAYLOAD_HASH,             /* `payload_hash`: the body's, to be verified */
    SIGV4_PAYLOAD_UNSIGNED,         /* UNSIGNED-PAYLOAD */
    SIGV4_PAYLOAD_CHUNKS,           /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD */
    SIGV4_PAYLOAD_CHUNKS_TRAILER,   /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER */
    SIGV4_PAYLOAD_UNSIGNED_TRAILER, /* STREAMING-UNSIGNED-PAYLOAD-TRAILER */
};

static inline bool sigv4_payload_is_chunked(enum sigv4_payload payload)
{
    return payload >= SIGV4_PAYLOAD_CHUNKS;
}

/* From which signed chunks go on: see aws_chunked.h. */
struct sigv4_seed {
    struct hmac_sha256 key;
    char time[SIGV4_TIME];
    uint8_t scope_len;
    char scope[SIGV4_SCOPE_MOST]; /* "20260131/us-east-1/s3/aws4_request" */
    char signature[DIGEST_SHA256_HEX];
};

struct sigv4_verdict {
    bool is_anonymous; /* not signed at all: may be served where anyone may read */
    bool is_presigned;
    enum sigv4_payload payload;
    struct slice payload_hash; /* DIGEST_SHA256_HEX letters, borrowed from the request */
    struct slice access_key;   /* as claimed, borrowed from the request or from `id` */
    const struct sigv4_credential *credential; /* NULL: anonymous, or refused */
    struct sigv4_seed seed; /* of PAYLOAD_CHUNKS and PAYLOAD_CHUNKS_TRAILER only */
    struct s3_fault fault;
    char id[SIGV4_CREDENTIAL_MOST];
};

/* The error is that of `out->fault`; all of `out` is set either way.  Keys are in it:
 * sigv4_forget() where the request ends. */
enum s3_error sigv4_verify(const struct http1_request *request, const struct sigv4_rules *rules,
                           struct sigv4_verdict *out) MUST_CHECK;
void sigv4_forget(struct sigv4_verdict *verdict);

/* A form that a browser sends by POST: the fields of these names, empty where there is none. */
struct sigv4_form {
    struct slice policy; /* in base64, as it came: this is what is signed */
    struct slice algorithm, credential, date, signature, token;
};

/* Who signed the form's policy; what the policy asks for is for s3_policy.h. */
enum s3_error sigv4_verify_form(const struct sigv4_form *form, const struct sigv4_rules *rules,
                                struct sigv4_verdict *out) MUST_CHECK;
