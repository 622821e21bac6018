/* See sigv4_claim.h. */
#include "proxy/wire/sigv4_claim.h"

#include <stdarg.h>
#include <stdio.h>

static const char ALGORITHM[] = "AWS4-HMAC-SHA256";

static enum s3_error say(struct s3_fault *fault, enum s3_error error, const char *message)
{
    s3_fault_set(fault, error);
    fault->message = message;
    return error;
}

/* A fault of a part that may stand in a field or in the query. */
static enum s3_error malformed(const struct sigv4_claim *claim, struct s3_fault *fault,
                               const char *format, ...) PRINTF_LIKE(3, 4);

static enum s3_error malformed(const struct sigv4_claim *claim, struct s3_fault *fault,
                               const char *format, ...)
{
    char text[S3_FAULT_TEXT_MOST];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (claim->is_in_query)
        s3_fault_say(fault, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR,
                     "Error parsing the X-Amz-Credential parameter; %s", text);
    else
        s3_fault_say(fault, S3_AUTHORIZATION_HEADER_MALFORMED,
                     "The authorization header is malformed; %s", text);
    return fault->error;
}

/* --- Where it is ------------------------------------------------------------------------------ */

static enum sigv4_claimed badly(enum s3_error error)
{
    (void)error;
    return SIGV4_CLAIMED_BADLY;
}

static enum s3_error old_mechanism(struct s3_fault *fault)
{
    return say(fault, S3_INVALID_REQUEST,
               "The authorization mechanism you have provided is not supported. Please use "
               "AWS4-HMAC-SHA256.");
}

static enum sigv4_claimed in_query(const struct sigv4_query *query, struct s3_fault *fault)
{
    const struct slice *algorithm;

    if (!query->may_sign)
        return SIGV4_CLAIMED_NOTHING;
    algorithm = sigv4_query_value(query, "X-Amz-Algorithm");
    if (sigv4_query_value(query, "AWSAccessKeyId") != NULL &&
        sigv4_query_value(query, "Signature") != NULL)
        return badly(old_mechanism(fault));
    if (algorithm == NULL && sigv4_query_value(query, "X-Amz-Signature") == NULL &&
        sigv4_query_value(query, "X-Amz-Credential") == NULL)
        return SIGV4_CLAIMED_NOTHING;
    if (algorithm != NULL && slice_starts(*algorithm, slice_text("AWS4-ECDSA-")))
        return badly(old_mechanism(fault));
    if (algorithm != NULL && !slice_is_text(*algorithm, ALGORITHM))
        return badly(say(fault, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR,
                         "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    return SIGV4_CLAIMED_IN_QUERY;
}

static bool is_scheme(struct slice authorization, const char *scheme)
{
    size_t len = strlen(scheme);

    return authorization.len > len && slice_is_word(slice_of(authorization.at, len), scheme) &&
           (authorization.at[len] == ' ' || authorization.at[len] == '\t');
}

enum sigv4_claimed sigv4_claim_where(const struct http1_request *request,
                                     const struct sigv4_query *query, struct s3_fault *fault)
{
    struct slice authorization = http1_value(&request->head, HTTP1_NAME_AUTHORIZATION);
    enum sigv4_claimed where = in_query(query, fault);

    if (authorization.at == NULL || where == SIGV4_CLAIMED_BADLY)
        return where;
    if (where == SIGV4_CLAIMED_IN_QUERY)
        return badly(say(fault, S3_INVALID_ARGUMENT,
                         "Only one auth mechanism allowed; only the X-Amz-Algorithm query "
                         "parameter, Signature query string parameter or the Authorization header "
                         "should be specified"));
    if (is_scheme(authorization, ALGORITHM))
        return SIGV4_CLAIMED_IN_FIELDS;
    if (is_scheme(authorization, "AWS") || slice_starts(authorization, slice_text("AWS4-")))
        return badly(old_mechanism(fault));
    say(fault, S3_INVALID_ARGUMENT, "Unsupported Authorization Type");
    s3_fault_detail(fault, "ArgumentName", slice_text("Authorization"));
    return SIGV4_CLAIMED_BADLY;
}

bool sigv4_claim_name_next(struct slice *rest, struct slice *name)
{
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->at, ';', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->at);

    if (rest->len == 0)
        return false;
    *name = slice_of(rest->at, len);
    *rest = slice_from(*rest, end == NULL ? len : len + 1);
    return true;
}

/* --- In fields -------------------------------------------------------------------------------- */

/* False: it is another, or came already. */
static inline bool take_named(struct slice element, struct slice name, struct slice *part)
{
    if (part->at != NULL || !slice_starts(element, name))
        return false;
    *part = slice_from(element, name.len);
    return true;
}

static bool take_part(struct sigv4_claim *claim, struct slice element)
{
    return take_named(element, slice_text("Credential="), &claim->credential) ||
           take_named(element, slice_text("SignedHeaders="), &claim->names) ||
           take_named(element, slice_text("Signature="), &claim->signature);
}

enum s3_error sigv4_claim_of_fields(struct slice authorization, struct sigv4_claim *out,
                                    struct s3_fault *fault)
{
    struct slice rest = slice_from(authorization, sizeof(ALGORITHM) - 1), element;

    *out = (struct sigv4_claim){ 0 };
    while (http1_element_next(&rest, &element)) {
        if (!take_part(out, element))
            return malformed(out, fault,
                             "a component is not one of Credential, "
                             "SignedHeaders and Signature, or came twice.");
    }
    if (out->credential.at == NULL || out->names.at == NULL || out->signature.at == NULL)
        return malformed(out, fault,
                         "the authorization header requires three components: "
                         "Credential, SignedHeaders, and Signature.");
    return S3_NONE;
}

/* --- In the query ----------------------------------------------------------------------------- */

/* What was encoded by us does decode. */
static bool decode(const struct slice *encoded, char *room, size_t most, struct slice *out)
{
    size_t len;

    if (encoded->len > most || uri_decode(*encoded, (uint8_t *)room, &len) != ERR_NONE)
        return false;
    *out = slice_of(room, len);
    return true;
}

enum s3_error sigv4_claim_of_query(const struct sigv4_query *query,
                                   char credential_room[SIGV4_CREDENTIAL_MOST],
                                   char names_room[SIGV4_NAMES_MOST], struct sigv4_claim *out,
                                   struct s3_fault *fault)
{
    const struct slice *algorithm = sigv4_query_value(query, "X-Amz-Algorithm");
    const struct slice *credential = sigv4_query_value(query, "X-Amz-Credential");
    const struct slice *signature = sigv4_query_value(query, "X-Amz-Signature");
    const struct slice *time = sigv4_query_value(query, "X-Amz-Date");
    const struct slice *names = sigv4_query_value(query, "X-Amz-SignedHeaders");
    const struct slice *expires = sigv4_query_value(query, "X-Amz-Expires");

    *out = (struct sigv4_claim){ .is_in_query = true };
    if (algorithm == NULL || credential == NULL || signature == NULL || time == NULL ||
        names == NULL || expires == NULL)
        return say(fault, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR,
                   "Query-string authentication version 4 requires the X-Amz-Algorithm, "
                   "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
                   "X-Amz-Expires parameters.");
    out->signature = *signature;
    out->time = *time;
    out->expires = *expires;
    if (!decode(credential, credential_room, SIGV4_CREDENTIAL_MOST, &out->credential))
        return malformed(out, fault, "the Credential is too long.");
    if (!decode(names, names_room, SIGV4_NAMES_MOST, &out->names))
        return say(fault, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR,
                   "X-Amz-SignedHeaders is too long.");
    return S3_NONE;
}

/* --- The credential --------------------------------------------------------------------------- */

static bool is_printable(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] <= ' ' || s.at[i] > '~')
            return false;
    }
    return true;
}

/* The part behind the last '/', which is cut off with it. */
static bool cut_last(struct slice *s, struct slice *last)
{
    const uint8_t *slash = s->len == 0 ? NULL : memrchr(s->at, '/', s->len);
    size_t before;

    if (slash == NULL)
        return false;
    before = (size_t)(slash - s->at);
    *last = slice_from(*s, before + 1);
    s->len = before;
    return true;
}

/* From its end: the access key may have slashes in it. */
static bool cut(struct sigv4_claim *claim, struct slice *service, struct slice *end)
{
    struct slice rest = claim->credential;

    if (rest.len > SIGV4_CREDENTIAL_MOST)
        return false;
    if (!cut_last(&rest, end) || !cut_last(&rest, service) || !cut_last(&rest, &claim->region) ||
        !cut_last(&rest, &claim->date))
        return false;
    claim->access_key = rest;
    claim->scope = slice_from(claim->credential, rest.len + 1);
    return rest.len > 0 && is_printable(rest) && claim->date.len == SIGV4_DATE &&
           claim->region.len > 0 && claim->region.len <= SIGV4_REGION_MOST && service->len <= 32 &&
           end->len <= 32;
}

static bool is_region(struct slice region, const struct sigv4_rules *rules)
{
    for (size_t i = 0; i < rules->region_count; i++) {
        if (slice_is_text(region, rules->regions[i]))
            return true;
    }
    return rules->region_count == 0;
}

/* Two arguments of a message; what has other bytes than a message may have is not told. */
#define PRINTED(slice) is_printable(slice) ? (int)(slice).len : 0, (const char *)(slice).at

enum s3_error sigv4_claim_date(const struct sigv4_claim *claim, struct slice time,
                               const struct sigv4_rules *rules, struct s3_fault *fault)
{
    if (memcmp(claim->date.at, time.at, SIGV4_DATE) != 0)
        return malformed(claim, fault,
                         "Invalid credential date \"%.*s\". This date is not the same as "
                         "X-Amz-Date: \"%.8s\".",
                         PRINTED(claim->date), (const char *)time.at);
    if (!is_region(claim->region, rules)) {
        struct slice right = slice_text(rules->regions[0]);

        malformed(claim, fault, "the region '%.*s' is wrong; expecting '%.*s'",
                  PRINTED(claim->region), PRINTED(right));
        s3_fault_detail(fault, "Region", right);
        return fault->error;
    }
    return S3_NONE;
}

enum s3_error sigv4_claim_scope(struct sigv4_claim *claim, struct slice time,
                                const struct sigv4_rules *rules, struct s3_fault *fault)
{
    struct slice service, end;

    if (!cut(claim, &service, &end))
        return malformed(claim, fault,
                         "the Credential is mal-formed; expecting "
                         "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
    if (sigv4_claim_date(claim, time, rules, fault) != S3_NONE)
        return fault->error;
    if (!slice_is_text(service, "s3"))
        return malformed(claim, fault,
                         "incorrect service \"%.*s\". This endpoint belongs to \"s3\".",
                         PRINTED(service));
    if (!slice_is_text(end, "aws4_request"))
        return malformed(claim, fault,
                         "incorrect terminal \"%.*s\". This endpoint uses \"aws4_request\".",
                         PRINTED(end));
    return S3_NONE;
}

/* --- What is usual ---------------------------------------------------------------------------- */

enum {
    ID_AT = sizeof("AWS4-HMAC-SHA256 Credential=") - 1,
    SCOPE_END = sizeof("/s3/aws4_request") - 1,
};

/* Where the access key mostly begins, that chooses the place. */
static struct sigv4_usual *usual_of(struct sigv4_scratch *scratch, struct slice authorization)
{
    uint64_t id;

    if (authorization.len < ID_AT + sizeof(id) + DIGEST_SHA256_HEX)
        return NULL;
    memcpy(&id, authorization.at + ID_AT, sizeof(id));
    return &scratch->usuals[(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) % SIGV4_USUALS];
}

struct sigv4_usual *sigv4_claim_usual(struct sigv4_scratch *scratch, struct slice authorization,
                                      struct sigv4_claim *out)
{
    struct sigv4_usual *u = usual_of(scratch, authorization);
    const uint8_t *at = authorization.at;

    if (u == NULL || u->len == 0 || authorization.len != (size_t)u->len + DIGEST_SHA256_HEX ||
        memcmp(u->text, at, u->len) != 0)
        return NULL;
    out->is_in_query = false;
    out->signature = slice_of(at + u->len, DIGEST_SHA256_HEX);
    out->names = slice_of(at + u->names_at, u->names_len);
    out->access_key = slice_of(at + u->id, u->id_len);
    out->date = slice_of(at + u->id + u->id_len + 1, SIGV4_DATE);
    out->region = slice_of(out->date.at + SIGV4_DATE + 1, u->region_len);
    out->scope = slice_of(out->date.at, SIGV4_DATE + 1 + u->region_len + SCOPE_END);
    return u;
}

/* The numbers of the names, if none stands for many or comes twice. */
static bool names_keep(struct slice names, struct sigv4_usual *u)
{
    struct slice name;

    u->name_count = 0;
    while (sigv4_claim_name_next(&names, &name)) {
        enum http1_name known = http1_name_of(name);

        if (u->name_count == SIGV4_USUAL_NAMES || http1_name_stands_for_many(known) ||
            memchr(u->names, (int)known, u->name_count) != NULL)
            return false;
        u->names[u->name_count++] = (uint8_t)known;
    }
    return true;
}

void sigv4_claim_keep(struct sigv4_scratch *scratch, struct slice authorization,
                      const struct sigv4_claim *claim)
{
    struct sigv4_usual *u = usual_of(scratch, authorization);
    const uint8_t *at = authorization.at;
    size_t len = authorization.len - DIGEST_SHA256_HEX;

    if (u == NULL || len > SIGV4_USUAL_MOST || claim->signature.at != at + len ||
        claim->signature.len != DIGEST_SHA256_HEX)
        return;
    u->len = 0;
    if (!names_keep(claim->names, u))
        return;
    memcpy(u->text, at, len);
    memset(u->time, 0, sizeof(u->time));
    u->id = (uint16_t)(claim->access_key.at - at);
    u->id_len = (uint16_t)claim->access_key.len;
    u->region_len = (uint16_t)claim->region.len;
    u->names_at = (uint16_t)(claim->names.at - at);
    u->names_len = (uint16_t)claim->names.len;
    u->len = (uint16_t)len;
}
