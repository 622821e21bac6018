/* See sigv4.h.  A request goes through steps; each may refuse it:
 *
 *     claim    what does it say of its signature?  (mostly, what is usual)     sigv4_claim.c
 *     time     is it of these minutes, or still valid?
 *     scope    for this day, region and service?
 *     payload  what does it say of its body?
 *     fields   the canonical request; is all signed that must be?
 *     compare  whose secret is it, and is the signature right?
 *
 * An access key that does not exist goes the whole way too, with a secret that nobody has. */
#include "proxy/wire/sigv4.h"

#include <openssl/crypto.h>

#include "proxy/base/mem.h"
#include "proxy/wire/http_date.h"
#include "proxy/wire/sigv4_claim.h"

struct check {
    const struct http1_request *request;
    const struct sigv4_rules *rules;
    struct sigv4_verdict *out;
    struct sigv4_query query;
    struct sigv4_claim claim;
    struct sigv4_usual *usual; /* what that is; NULL: nothing */
    struct slice time;         /* as it is signed: SIGV4_TIME letters */
    char names_room[SIGV4_NAMES_MOST];
    struct slice payload;                             /* the canonical request's last line */
    uint64_t is_signed[(HTTP1_FIELDS_MAX + 63) / 64]; /* a bit for each field */
};

typedef enum s3_error step_f(struct check *c);

static enum s3_error say(struct check *c, enum s3_error error, const char *message)
{
    s3_fault_set(&c->out->fault, error);
    c->out->fault.message = message;
    return error;
}

static enum s3_error run(struct check *c, step_f *const *steps, size_t count)
{
    enum s3_error error = S3_NONE;

    for (size_t i = 0; i < count && error == S3_NONE; i++)
        error = steps[i](c);
    return error;
}

/* --- Claim ------------------------------------------------------------------------------------ */

static enum s3_error claim_fields(struct check *c)
{
    struct slice authorization = http1_value(&c->request->head, HTTP1_NAME_AUTHORIZATION);

    return sigv4_claim_of_fields(authorization, &c->claim, &c->out->fault);
}

static enum s3_error claim_query(struct check *c)
{
    c->out->is_presigned = true;
    return sigv4_claim_of_query(&c->query, c->out->id, c->names_room, &c->claim, &c->out->fault);
}

/* --- Time ------------------------------------------------------------------------------------- */

static void add_server_time(struct check *c)
{
    struct s3_fault *fault = &c->out->fault;

    iso_extended_write((int64_t)c->rules->now_s * 1000, (uint8_t *)fault->numbers[0]);
    s3_fault_detail(fault, "ServerTime", slice_of(fault->numbers[0], ISO_EXTENDED_BYTES));
}

/* Of x-amz-date, or of Date if that is not there. */
static bool read_time(struct check *c, int64_t *seconds)
{
    struct slice time = http1_value(&c->request->head, HTTP1_NAME_X_AMZ_DATE);

    if (time.at == NULL)
        time = http1_value(&c->request->head, HTTP1_NAME_DATE);
    if (time.at == NULL)
        return false;
    c->time = time;
    if (sigv4_time_read(c->rules->scratch, time, seconds) == ERR_NONE)
        return true;
    if (http_date_read(time, (int64_t)c->rules->now_s, seconds) != ERR_NONE)
        return false;
    c->time = sigv4_time_write(c->rules->scratch, *seconds);
    return true;
}

static enum s3_error time_of_fields(struct check *c)
{
    int64_t time, now = (int64_t)c->rules->now_s;

    if (!read_time(c, &time))
        return say(c, S3_ACCESS_DENIED,
                   "AWS authentication requires a valid Date or x-amz-date header");
    if (time >= now - SIGV4_SKEW_S && time <= now + SIGV4_SKEW_S)
        return S3_NONE;
    say(c, S3_REQUEST_TIME_TOO_SKEWED, NULL);
    memcpy(c->out->fault.numbers[1], c->time.at, SIGV4_TIME);
    s3_fault_detail(&c->out->fault, "RequestTime", slice_of(c->out->fault.numbers[1], SIGV4_TIME));
    add_server_time(c);
    s3_fault_detail(&c->out->fault, "MaxAllowedSkewMilliseconds", slice_text("900000"));
    return c->out->fault.error;
}

static enum s3_error read_expires(struct check *c, int64_t *expires)
{
    if (!slice_to_i64(c->claim.expires, expires))
        return say(c, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR, "X-Amz-Expires should be a number");
    if (*expires < 1)
        return say(c, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR,
                   "X-Amz-Expires must be greater than zero");
    if (*expires > SIGV4_EXPIRES_MOST_S)
        return say(c, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR,
                   "X-Amz-Expires must be less than a week (in seconds); that is, the given "
                   "X-Amz-Expires must be less than 604800 seconds");
    return S3_NONE;
}

static enum s3_error expired(struct check *c, int64_t end)
{
    struct s3_fault *fault = &c->out->fault;

    say(c, S3_ACCESS_DENIED, "Request has expired");
    iso_extended_write(end * 1000, (uint8_t *)fault->numbers[1]);
    s3_fault_detail(fault, "Expires", slice_of(fault->numbers[1], ISO_EXTENDED_BYTES));
    add_server_time(c);
    return fault->error;
}

static enum s3_error time_of_query(struct check *c)
{
    int64_t time, expires, now = (int64_t)c->rules->now_s;
    enum s3_error error;

    if (sigv4_time_read(c->rules->scratch, c->claim.time, &time) != ERR_NONE)
        return say(c, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR,
                   "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
    c->time = c->claim.time;
    error = read_expires(c, &expires);
    if (error != S3_NONE)
        return error;
    if (time > now + SIGV4_SKEW_S)
        return say(c, S3_ACCESS_DENIED, "Request is not yet valid");
    return time + expires < now ? expired(c, time + expires) : S3_NONE;
}

/* --- Scope ------------------------------------------------------------------------------------ */

static enum s3_error scope(struct check *c)
{
    enum s3_error error = c->usual != NULL
                              ? sigv4_claim_date(&c->claim, c->time, c->rules, &c->out->fault)
                              : sigv4_claim_scope(&c->claim, c->time, c->rules, &c->out->fault);

    if (error == S3_NONE)
        c->out->access_key = c->claim.access_key;
    return error;
}

/* Keys of the configuration last; who has a token has one that does not. */
static enum s3_error refuse_token(struct check *c, bool has_token)
{
    return has_token ? say(c, S3_INVALID_TOKEN, NULL) : S3_NONE;
}

static enum s3_error token(struct check *c)
{
    const struct slice *in_query = sigv4_query_value(&c->query, "X-Amz-Security-Token");
    struct slice in_field = http1_value(&c->request->head, HTTP1_NAME_X_AMZ_SECURITY_TOKEN);

    return refuse_token(c, in_field.len > 0 ||
                               (c->claim.is_in_query && in_query != NULL && in_query->len > 0));
}

/* --- Payload ---------------------------------------------------------------------------------- */

static bool read_payload(struct check *c, struct slice value)
{
    static const struct {
        const char *text;
        enum sigv4_payload payload;
    } words[] = {
        { "UNSIGNED-PAYLOAD", SIGV4_PAYLOAD_UNSIGNED },
        { "STREAMING-UNSIGNED-PAYLOAD-TRAILER", SIGV4_PAYLOAD_UNSIGNED_TRAILER },
        { "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", SIGV4_PAYLOAD_CHUNKS },
        { "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", SIGV4_PAYLOAD_CHUNKS_TRAILER },
    };

    c->payload = value;
    if (digest_is_hex(value, DIGEST_SHA256_BYTES)) {
        c->out->payload = SIGV4_PAYLOAD_HASH;
        c->out->payload_hash = value;
        return true;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (slice_is_text(value, words[i].text)) {
            c->out->payload = words[i].payload;
            return true;
        }
    }
    return false;
}

static enum s3_error wrong_payload(struct check *c, struct slice value)
{
    if (slice_starts(value, slice_text("STREAMING-AWS4-ECDSA-")))
        return say(c, S3_NOT_IMPLEMENTED, "Chunks that are signed with SigV4A are not supported.");
    return say(c, S3_INVALID_ARGUMENT,
               "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
               "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or "
               "a valid sha256 value.");
}

static enum s3_error payload_of_fields(struct check *c)
{
    struct slice value = http1_value(&c->request->head, HTTP1_NAME_X_AMZ_CONTENT_SHA256);

    if (value.at == NULL)
        return say(c, S3_INVALID_REQUEST,
                   "Missing required header for this request: x-amz-content-sha256");
    return read_payload(c, value) ? S3_NONE : wrong_payload(c, value);
}

static enum s3_error payload_of_query(struct check *c)
{
    const struct slice *in_query = sigv4_query_value(&c->query, "X-Amz-Content-Sha256");
    struct slice value = http1_value(&c->request->head, HTTP1_NAME_X_AMZ_CONTENT_SHA256);

    if (in_query != NULL)
        value = *in_query;
    if (value.at == NULL)
        value = slice_text("UNSIGNED-PAYLOAD");
    return read_payload(c, value) ? S3_NONE : wrong_payload(c, value);
}

/* What nobody signed can say nothing of signed chunks. */
static enum s3_error payload_of_nobody(struct check *c)
{
    struct slice value = http1_value(&c->request->head, HTTP1_NAME_X_AMZ_CONTENT_SHA256);

    if (value.at == NULL)
        return S3_NONE;
    if (!read_payload(c, value))
        return wrong_payload(c, value);
    if (c->out->payload == SIGV4_PAYLOAD_CHUNKS || c->out->payload == SIGV4_PAYLOAD_CHUNKS_TRAILER)
        return say(c, S3_ACCESS_DENIED, "Signed chunks need a signed request.");
    return S3_NONE;
}

/* --- Fields ----------------------------------------------------------------------------------- */

/* A number of the table stands for one name, or for many: then names are compared. */
static const struct http1_field *next_named(const struct http1_head *head,
                                            const struct http1_field *field, struct slice name)
{
    if (field == NULL || !http1_name_stands_for_many(field->known))
        return field;
    while (field != NULL &&
           (field->name.len != name.len ||
            strncasecmp((const char *)field->name.at, (const char *)name.at, name.len) != 0))
        field = http1_field_next(head, field);
    return field;
}

static void put_name(struct check *c, enum http1_name known, struct slice name)
{
    struct slice text = http1_name_text(known);
    struct buf *out = &c->rules->scratch->canonical;

    if (text.len > 0) {
        sigv4_canonical_name(c->rules->scratch, text);
        return;
    }
    sigv4_lower(name, buf_reserve(out, name.len + 1));
    sigv4_canonical_name(c->rules->scratch, slice_of(out->at + out->len, name.len));
}

/* The field of a name with all its values.  False: it was there before. */
static bool put_field(struct check *c, struct slice name)
{
    const struct http1_head *head = &c->request->head;
    enum http1_name known = http1_name_of(name);
    const struct http1_field *field = next_named(head, http1_field_find(head, known), name), *next;

    if (field != NULL)
        put_name(c, known, name);
    for (; field != NULL; field = next) {
        size_t place = (size_t)(field - head->fields);
        uint64_t bit = UINT64_C(1) << place % 64;

        if (c->is_signed[place / 64] & bit)
            return false;
        c->is_signed[place / 64] |= bit;
        next = next_named(head, http1_field_next(head, field), name);
        sigv4_canonical_value(c->rules->scratch, field->value, next == NULL);
    }
    return true;
}

/* The same of a name that stands for no other. */
static bool put_usual(struct check *c, enum http1_name known)
{
    const struct http1_head *head = &c->request->head;
    unsigned place = head->first[known];

    if (place == 0)
        return true;
    if (head->first[known] != head->last[known])
        return put_field(c, http1_name_text(known));
    place--;
    c->is_signed[place / 64] |= UINT64_C(1) << place % 64;
    sigv4_canonical_field(c->rules->scratch, known, head->fields[place].value);
    return true;
}

static bool put_named(struct check *c)
{
    struct slice rest = c->claim.names, name;

    for (size_t count = 0; sigv4_claim_name_next(&rest, &name); count++)
        if (count == HTTP1_FIELDS_MAX || !put_field(c, name))
            return false;
    return true;
}

static bool put_usuals(struct check *c)
{
    for (size_t i = 0; i < c->usual->name_count; i++)
        if (!put_usual(c, c->usual->names[i]))
            return false;
    return true;
}

static enum s3_error put_fields(struct check *c)
{
    if (c->usual != NULL ? put_usuals(c) : put_named(c))
        return S3_NONE;
    return say(c,
               c->claim.is_in_query ? S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR
                                    : S3_AUTHORIZATION_HEADER_MALFORMED,
               "SignedHeaders has too many names, or one of them twice.");
}

static enum s3_error not_signed(struct check *c, struct slice name)
{
    say(c, S3_ACCESS_DENIED, "There were headers present in the request which were not signed");
    s3_fault_detail(&c->out->fault, "HeadersNotSigned", name);
    return c->out->fault.error;
}

/* Who puts a field into a signed request must not change what it does. */
static enum s3_error all_are_signed(struct check *c)
{
    const struct http1_head *head = &c->request->head;

    for (size_t first = 0; first < head->field_count; first += 64) {
        size_t count = head->field_count - first;
        uint64_t all = count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX;

        for (uint64_t left = all & ~c->is_signed[first / 64]; left != 0; left &= left - 1) {
            const struct http1_field *field = &head->fields[first + (size_t)__builtin_ctzll(left)];

            if (http1_name_is_amz(field->known) || field->known == HTTP1_NAME_HOST)
                return not_signed(c, field->name);
        }
    }
    return http1_has(head, HTTP1_NAME_HOST) ? S3_NONE : not_signed(c, slice_text("host"));
}

static enum s3_error fields(struct check *c)
{
    const char *omit = c->claim.is_in_query ? "X-Amz-Signature" : NULL;
    enum s3_error error;

    if (sigv4_canonical_begin(c->rules->scratch, c->request->method_text, c->request->path,
                              c->request->path_is_plain, &c->query, omit) != ERR_NONE)
        return say(c, S3_INVALID_URI, NULL);
    error = put_fields(c);
    return error != S3_NONE ? error : all_are_signed(c);
}

/* --- Compare ---------------------------------------------------------------------------------- */

static void fill_seed(struct check *c, const struct hmac_sha256 *key, const char *signature)
{
    struct sigv4_seed *seed = &c->out->seed;

    if (c->out->payload != SIGV4_PAYLOAD_CHUNKS && c->out->payload != SIGV4_PAYLOAD_CHUNKS_TRAILER)
        return;
    seed->key = *key;
    memcpy(seed->time, c->time.at, SIGV4_TIME);
    seed->scope_len = (uint8_t)c->claim.scope.len;
    memcpy(seed->scope, c->claim.scope.at, c->claim.scope.len);
    memcpy(seed->signature, signature, DIGEST_SHA256_HEX);
}

static enum s3_error does_not_match(struct check *c, struct slice string)
{
    struct s3_fault *fault = &c->out->fault;

    say(c, S3_SIGNATURE_DOES_NOT_MATCH, NULL);
    s3_fault_detail(fault, "AWSAccessKeyId", c->out->access_key);
    if (string.len <= sizeof(fault->text)) {
        memcpy(fault->text, string.at, string.len);
        s3_fault_detail(fault, "StringToSign", slice_of(fault->text, string.len));
    }
    if (digest_is_hex(c->claim.signature, DIGEST_SHA256_BYTES))
        s3_fault_detail(fault, "SignatureProvided", c->claim.signature);
    return fault->error;
}

/* Takes as long whatever it finds, as CRYPTO_memcmp() does, which goes byte by byte. */
static bool is_signature(const char right[DIGEST_SHA256_HEX], const uint8_t *claimed)
{
    uint64_t a[DIGEST_SHA256_HEX / 8], b[DIGEST_SHA256_HEX / 8], differ = 0;

    memcpy(a, right, sizeof(a));
    memcpy(b, claimed, sizeof(b));
    for (size_t i = 0; i < DIGEST_SHA256_HEX / 8; i++)
        differ |= a[i] ^ b[i];
    __asm__("" : "+r"(differ)); /* all of them are needed before it is looked at */
    mem_wipe(a, sizeof(a));
    return differ == 0;
}

static void sign(const struct check *c, const struct hmac_sha256 *key, struct slice string,
                 char signature[DIGEST_SHA256_HEX])
{
    uint8_t digest[DIGEST_SHA256_BYTES];

    if (c->usual == NULL) {
        sigv4_string_sign(c->rules->scratch, key, string, signature);
        return;
    }
    if (c->usual->string_len < SHA256_CBLOCK) { /* the hash begins within the first block */
        hmac_sha256_of(key, string, digest);
    } else {
        if (!hmac_sha256_is_start(key, &c->usual->start))
            hmac_sha256_start(key, string.at, &c->usual->start);
        hmac_sha256_of_rest(key, &c->usual->start, string, digest);
    }
    digest_hex(slice_of(digest, sizeof(digest)), signature);
}

static void keep_usual(const struct check *c)
{
    if (c->usual == NULL && c->request != NULL && !c->claim.is_in_query)
        sigv4_claim_keep(c->rules->scratch,
                         http1_value(&c->request->head, HTTP1_NAME_AUTHORIZATION), &c->claim);
}

/* Whose secret signed `string`?  The key is kept once it has proved good. */
static enum s3_error compare_string(struct check *c, struct slice string)
{
    static const struct sigv4_credential nobody = {
        .secret = { (const uint8_t *)"no secret is this one, of forty letters.", 40 },
    };
    const struct sigv4_rules *rules = c->rules;
    const struct sigv4_credential *found = rules->lookup(rules->directory, c->claim.access_key);
    const struct sigv4_credential *who = found != NULL ? found : &nobody;
    const struct hmac_sha256 *key;
    struct hmac_sha256 made;
    char signature[DIGEST_SHA256_HEX];
    bool is_right;

    key = sigv4_keys_find(rules->keys, who->secret, c->claim.date, c->claim.region, &made);
    sign(c, key, string, signature);
    is_right = c->claim.signature.len == DIGEST_SHA256_HEX &&
               is_signature(signature, c->claim.signature.at);
    if (found != NULL && is_right) {
        c->out->credential = found;
        fill_seed(c, key, signature);
        if (key == &made)
            sigv4_keys_keep(rules->keys, who->secret, c->claim.date, c->claim.region, &made);
        keep_usual(c);
    }
    if (key == &made)
        OPENSSL_cleanse(&made, sizeof(made));
    mem_wipe(signature, sizeof(signature));
    if (found == NULL) {
        say(c, S3_INVALID_ACCESS_KEY_ID, NULL);
        s3_fault_detail(&c->out->fault, "AWSAccessKeyId", c->out->access_key);
        return c->out->fault.error;
    }
    return is_right ? S3_NONE : does_not_match(c, string);
}

/* Of what is usual, only the hash is another from one request to the next. */
static struct slice string_of(struct check *c, const uint8_t hash[DIGEST_SHA256_BYTES],
                              char room[SIGV4_STRING_MOST])
{
    struct sigv4_usual *u = c->usual;

    if (u == NULL)
        return slice_of(room, sigv4_string_write(c->time, c->claim.scope, hash, room));
    if (!sigv4_claim_is_of(u, c->time)) {
        u->string_len = (uint8_t)sigv4_string_begin(c->time, c->claim.scope, u->string);
        memcpy(u->time, c->time.at, SIGV4_TIME);
        memset(&u->start, 0, sizeof(u->start)); /* it is of another string */
    }
    digest_hex(slice_of(hash, DIGEST_SHA256_BYTES), u->string + u->string_len);
    return slice_of(u->string, u->string_len + DIGEST_SHA256_HEX);
}

static enum s3_error compare(struct check *c)
{
    char room[SIGV4_STRING_MOST];
    uint8_t hash[DIGEST_SHA256_BYTES];

    sigv4_canonical_end(c->rules->scratch, c->claim.names, c->payload, hash);
    return compare_string(c, string_of(c, hash, room));
}

/* --- The whole -------------------------------------------------------------------------------- */

static void begin(struct check *c)
{
    struct sigv4_verdict *out = c->out;

    c->usual = NULL;
    memset(c->is_signed, 0, sizeof(c->is_signed));
    out->is_anonymous = false;
    out->is_presigned = false;
    out->payload = SIGV4_PAYLOAD_NONE;
    out->payload_hash = (struct slice){ 0 };
    out->access_key = (struct slice){ 0 };
    out->credential = NULL;
    s3_fault_set(&out->fault, S3_NONE);
}

#define RUN_STEPS(c, steps) run((c), (steps), sizeof(steps) / sizeof(*(steps)))

/* What has no signature of digits is refused for that, before all else. */
static bool is_as_usual(struct check *c, enum s3_error *error)
{
    static step_f *const steps[] = {
        time_of_fields, scope, token, payload_of_fields, fields, compare,
    };

    if (!c->query.may_sign)
        c->usual = sigv4_claim_usual(
            c->rules->scratch, http1_value(&c->request->head, HTTP1_NAME_AUTHORIZATION), &c->claim);
    if (c->usual == NULL)
        return false;
    *error = RUN_STEPS(c, steps);
    if (*error == S3_NONE || digest_is_hex(c->claim.signature, DIGEST_SHA256_BYTES))
        return true;
    begin(c);
    return false;
}

enum s3_error sigv4_verify(const struct http1_request *request, const struct sigv4_rules *rules,
                           struct sigv4_verdict *out)
{
    static step_f *const in_fields[] = {
        claim_fields, time_of_fields, scope, token, payload_of_fields, fields, compare,
    };
    static step_f *const in_query[] = {
        claim_query, time_of_query, scope, token, payload_of_query, fields, compare,
    };
    struct check c;

    enum s3_error error;

    c.request = request;
    c.rules = rules;
    c.out = out;
    begin(&c);
    if (sigv4_query_read(rules->scratch, request->query, &c.query) != ERR_NONE)
        return say(&c, S3_INVALID_URI, NULL);
    if (is_as_usual(&c, &error))
        return error;
    switch (sigv4_claim_where(request, &c.query, &out->fault)) {
    case SIGV4_CLAIMED_IN_FIELDS:
        return RUN_STEPS(&c, in_fields);
    case SIGV4_CLAIMED_IN_QUERY:
        return RUN_STEPS(&c, in_query);
    case SIGV4_CLAIMED_NOTHING:
        out->is_anonymous = true;
        return payload_of_nobody(&c);
    case SIGV4_CLAIMED_BADLY:
        break;
    }
    return out->fault.error;
}

void sigv4_forget(struct sigv4_verdict *verdict)
{
    if (sigv4_payload_is_chunked(verdict->payload)) /* else there is none */
        OPENSSL_cleanse(&verdict->seed, sizeof(verdict->seed));
}

/* --- Forms ------------------------------------------------------------------------------------ */

static enum s3_error claim_form(struct check *c, const struct sigv4_form *form)
{
    if (!slice_is_text(form->algorithm, "AWS4-HMAC-SHA256"))
        return say(c, S3_INVALID_REQUEST,
                   "The authorization mechanism you have provided is not supported. Please use "
                   "AWS4-HMAC-SHA256.");
    c->claim = (struct sigv4_claim){ .is_in_query = true,
                                     .credential = form->credential,
                                     .signature = form->signature };
    return S3_NONE;
}

/* A policy says itself until when it holds; a key signs for a week. */
static enum s3_error time_of_form(struct check *c, struct slice date)
{
    int64_t time, now = (int64_t)c->rules->now_s;

    if (iso_basic_read(date, &time) != ERR_NONE)
        return say(c, S3_ACCESS_DENIED, "The form's x-amz-date is missing or not valid.");
    c->time = date;
    if (time > now + SIGV4_SKEW_S)
        return say(c, S3_ACCESS_DENIED, "Request is not yet valid");
    return time + SIGV4_EXPIRES_MOST_S < now ? expired(c, time + SIGV4_EXPIRES_MOST_S) : S3_NONE;
}

enum s3_error sigv4_verify_form(const struct sigv4_form *form, const struct sigv4_rules *rules,
                                struct sigv4_verdict *out)
{
    struct check c;
    enum s3_error error;

    c.request = NULL;
    c.rules = rules;
    c.out = out;
    begin(&c);
    out->payload = SIGV4_PAYLOAD_UNSIGNED;
    error = claim_form(&c, form);
    if (error == S3_NONE)
        error = time_of_form(&c, form->date);
    if (error == S3_NONE)
        error = scope(&c);
    if (error == S3_NONE)
        error = refuse_token(&c, form->token.len > 0);
    return error != S3_NONE ? error : compare_string(&c, form->policy);
}
