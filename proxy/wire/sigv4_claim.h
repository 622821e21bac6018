/* What a request says of its signature, taken apart: every part of it is what anyone may have
 * written. */
#pragma once

#include "proxy/wire/sigv4_canonical.h"

enum { SIGV4_NAMES_MOST = 4096 }; /* letters of the signed fields' names in a query */

struct sigv4_claim {
    bool is_in_query;        /* presigned: errors are called otherwise */
    struct slice credential; /* access key and scope */
    struct slice names;      /* of the signed fields, with ';' between them */
    struct slice signature;
    struct slice time; /* x-amz-date, as it came */
    struct slice expires;

    struct slice access_key, scope; /* of the credential; and of the scope: */
    struct slice date, region;
};

enum sigv4_claimed {
    SIGV4_CLAIMED_NOTHING, /* anonymous */
    SIGV4_CLAIMED_IN_FIELDS,
    SIGV4_CLAIMED_IN_QUERY,
    SIGV4_CLAIMED_BADLY, /* see the fault */
};

/* Where the signature is.  Older and newer ways of signing than SigV4 are refused here. */
enum sigv4_claimed sigv4_claim_where(const struct http1_request *request,
                                     const struct sigv4_query *query, struct s3_fault *fault);
/* The parts up to `expires`.  What is in a query is decoded, into the rooms. */
enum s3_error sigv4_claim_of_fields(struct slice authorization, struct sigv4_claim *out,
                                    struct s3_fault *fault) MUST_CHECK;
enum s3_error sigv4_claim_of_query(const struct sigv4_query *query,
                                   char credential_room[SIGV4_CREDENTIAL_MOST],
                                   char names_room[SIGV4_NAMES_MOST], struct sigv4_claim *out,
                                   struct s3_fault *fault) MUST_CHECK;
/* The names of a claim, one after the other; false: no more. */
bool sigv4_claim_name_next(struct slice *rest, struct slice *name);
/* What is usual begins as the value does: `out` is as the two functions beside make it, if the
 * signature is of hexadecimal digits, and but that the date, and the region where not any will do,
 * are still to be compared.  NULL: it is not. */
struct sigv4_usual *sigv4_claim_usual(struct sigv4_scratch *scratch, struct slice authorization,
                                      struct sigv4_claim *out);
/* Is what was signed last of this time? */
static inline bool sigv4_claim_is_of(const struct sigv4_usual *u, struct slice time)
{
    return memcmp(u->time, time.at, SIGV4_TIME) == 0;
}

/* A claim that proved right will be usual. */
void sigv4_claim_keep(struct sigv4_scratch *scratch, struct slice authorization,
                      const struct sigv4_claim *claim);
enum s3_error sigv4_claim_date(const struct sigv4_claim *claim, struct slice time,
                               const struct sigv4_rules *rules, struct s3_fault *fault) MUST_CHECK;
/* The credential's parts, with the checks that need no secret: its form, its date, which must be
 * that of `time`, region, service. */
enum s3_error sigv4_claim_scope(struct sigv4_claim *claim, struct slice time,
                                const struct sigv4_rules *rules, struct s3_fault *fault) MUST_CHECK;
