/* Any bytes as a request's head whose signature is verified: twice with the same result, and never
 * right unless we signed it.  What can be signed is signed by us, and must be right then. */
#include <stdlib.h>

#include "proxy/wire/sigv4_sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

enum { NOW = 1369353600 };

static const struct sigv4_credential WHO = { { (const uint8_t *)"AKIAIOSFODNN7EXAMPLE", 20 },
                                             { (const uint8_t *)"a secret", 8 },
                                             NULL };
static struct sigv4_scratch scratch;
static struct sigv4_keys *keys;

static void must(bool condition)
{
    if (!condition)
        abort();
}

static const struct sigv4_credential *look_up(const void *directory, struct slice id)
{
    (void)directory;
    return slice_is(id, WHO.id) ? &WHO : NULL;
}

static enum s3_error verify(const struct http1_request *request, struct sigv4_verdict *verdict)
{
    struct sigv4_rules rules = {
        .now_s = NOW, .lookup = look_up, .keys = keys, .scratch = &scratch
    };
    enum s3_error error = sigv4_verify(request, &rules, verdict);
    size_t sum = 0;

    must(error == verdict->fault.error);
    must((verdict->credential != NULL) == (error == S3_NONE && !verdict->is_anonymous));
    must(strlen(s3_fault_message(&verdict->fault)) < 1024);
    for (size_t i = 0; i < verdict->fault.details; i++) {
        struct slice value = verdict->fault.detail[i].value;

        for (size_t n = 0; n < value.len; n++)
            sum += value.at[n];
    }
    if (verdict->payload == SIGV4_PAYLOAD_HASH)
        must(verdict->payload_hash.len == DIGEST_SHA256_HEX);
    return sum > 0 && error == S3_NONE ? S3_INTERNAL_ERROR : error;
}

/* What the signature itself brings is not taken over. */
static size_t fields_of(const struct http1_request *request, struct http1_field *fields)
{
    size_t count = 0;

    for (size_t i = 0; i < request->head.field_count; i++) {
        enum http1_name name = request->head.fields[i].known;

        if (name != HTTP1_NAME_AUTHORIZATION && name != HTTP1_NAME_X_AMZ_DATE &&
            name != HTTP1_NAME_X_AMZ_CONTENT_SHA256 && name != HTTP1_NAME_X_AMZ_SECURITY_TOKEN)
            fields[count++] = request->head.fields[i];
    }
    return count;
}

/* It is found good, and so the second time, when what it says is usual. */
static void check_signed(const struct http1_request *request, const struct http1_request *again)
{
    struct sigv4_verdict verdict, usual;
    enum s3_error error = verify(again, &verdict);

    must(error == S3_NONE || request->query.len > 0 || !http1_has(&request->head, HTTP1_NAME_HOST));
    must(verify(again, &usual) == error);
    must(usual.credential == verdict.credential && usual.payload == verdict.payload);
    must(slice_is(usual.access_key, verdict.access_key));
}

static void sign(const struct http1_request *request)
{
    static struct http1_request again;
    static struct http1_field fields[HTTP1_FIELDS_MAX];
    struct sigv4_signer signer = { .keys = keys,
                                   .scratch = &scratch,
                                   .id = WHO.id,
                                   .secret = WHO.secret,
                                   .region = slice_text("here") };
    struct sigv4_request signing = { .method = request->method_text,
                                     .path = request->path,
                                     .query = request->query,
                                     .fields = fields,
                                     .field_count = fields_of(request, fields) };
    struct buf head = { 0 };

    buf_slice(&head, request->method_text);
    buf_text(&head, " ");
    buf_slice(&head, request->target);
    buf_text(&head, " HTTP/1.1\r\n");
    for (size_t i = 0; i < signing.field_count; i++) {
        buf_slice(&head, fields[i].name);
        buf_text(&head, ": ");
        buf_slice(&head, fields[i].value);
        buf_text(&head, "\r\n");
    }
    if (sigv4_sign(&signer, &signing, slice_text("UNSIGNED-PAYLOAD"), NOW, NULL, &head) ==
        ERR_NONE) {
        buf_text(&head, "\r\n");
        if (http1_request_parse(buf_all(&head), NULL, &again) == HTTP1_REFUSAL_NONE)
            check_signed(request, &again);
    }
    buf_fini(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    static struct http1_request request;
    struct sigv4_verdict verdict;
    uint8_t *own = malloc(size + 1);
    enum s3_error error;

    if (keys == NULL)
        keys = sigv4_keys_new();
    memcpy(own, at, size);
    if (http1_request_parse(slice_of(own, size), NULL, &request) == HTTP1_REFUSAL_NONE) {
        error = verify(&request, &verdict);
        must(error != S3_NONE || verdict.is_anonymous);
        must(verify(&request, &verdict) == error);
        sign(&request);
    }
    free(own);
    return 0;
}
