/* What signatures cost: verifies a GET of 1 KiB as an SDK sends it and signs it again for a store,
 * that many times, as an argument says.  For perf stat:
 *
 *     perf stat -e instructions:u build/release/sigv4_cost 1000000 [verify | sign | refuse] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/wire/sigv4_sign.h"

enum { NOW = 1369353600 };

static const struct sigv4_credential WHO = { { (const uint8_t *)"AKIAIOSFODNN7EXAMPLE", 20 },
                                             { (const uint8_t *)"wJalrXUtnFEMI/K7MDENG/"
                                                                "bPxRfiCYEXAMPLEKEY",
                                               40 },
                                             NULL };

static const struct sigv4_credential *look_up(const void *directory, struct slice id)
{
    (void)directory;
    return slice_is(id, WHO.id) ? &WHO : NULL;
}

/* Signed over the fields of boto3. */
static void make_head(const struct sigv4_signer *signer, struct buf *head)
{
    struct http1_field field = { .name = slice_text("Host"),
                                 .value = slice_text("s3.example.org:9000") };
    struct sigv4_request request = { .method = slice_text("GET"),
                                     .path = slice_text("/bucket/2026/11/some-object-0001.bin"),
                                     .query = slice_text("x-id=GetObject"),
                                     .fields = &field,
                                     .field_count = 1 };

    buf_text(head, "GET /bucket/2026/11/some-object-0001.bin?x-id=GetObject HTTP/1.1\r\n"
                   "Host: s3.example.org:9000\r\n"
                   "Accept-Encoding: identity\r\n"
                   "User-Agent: Boto3/1.26.27 Python/3.11.2 Linux/6.1.0 Botocore/1.29.27\r\n"
                   "amz-sdk-invocation-id: 6a5bd0a4-0d3c-4ce8-bfd3-c5ea8e5b5e1f\r\n"
                   "amz-sdk-request: attempt=1\r\n");
    if (sigv4_sign(signer, &request, slice_text(DIGEST_OF_NOTHING), NOW, NULL, head) != ERR_NONE)
        abort();
    buf_text(head, "\r\n");
}

static void sign_again(struct sigv4_plain *plain, const struct sigv4_signer *signer,
                       const struct http1_request *asked, struct buf *out)
{
    if (!sigv4_plain_holds(plain, NOW) &&
        sigv4_plain_make(plain, signer, slice_text("10.0.0.1:9000"), NOW) != ERR_NONE)
        abort();
    buf_clear(out);
    buf_text(out, "GET ");
    buf_slice(out, asked->path);
    sigv4_plain_put(plain, signer->scratch, asked->method_text, asked->path.len, out);
}

int main(int argc, char **argv)
{
    static struct http1_request request;
    static struct sigv4_verdict verdict;
    struct sigv4_scratch scratch = { 0 };
    struct sigv4_keys *keys = sigv4_keys_new();
    struct sigv4_plain plain = { 0 };
    struct sigv4_signer signer = { .keys = keys,
                                   .scratch = &scratch,
                                   .id = WHO.id,
                                   .secret = WHO.secret,
                                   .region = slice_text("us-east-1") };
    struct sigv4_rules rules = {
        .now_s = NOW, .lookup = look_up, .keys = keys, .scratch = &scratch
    };
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 1000000;
    const char *what = argc > 2 ? argv[2] : "both";
    enum s3_error right = strcmp(what, "refuse") == 0 ? S3_SIGNATURE_DOES_NOT_MATCH : S3_NONE;
    struct buf head = { 0 }, out = { 0 };
    struct timespec from, to;

    make_head(&signer, &head);
    if (right != S3_NONE)
        head.at[head.len - 5] ^= 1;
    if (http1_request_parse(buf_all(&head), NULL, &request) != HTTP1_REFUSAL_NONE)
        return 1;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (long i = 0; i < rounds; i++) {
        if (strcmp(what, "sign") != 0 && sigv4_verify(&request, &rules, &verdict) != right)
            return 1;
        if (strcmp(what, "both") == 0 || strcmp(what, "sign") == 0)
            sign_again(&plain, &signer, &request, &out);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    printf("%s: %.0f ns\n", what,
           ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) /
               (double)rounds);
    buf_fini(&head);
    buf_fini(&out);
    sigv4_plain_forget(&plain);
    sigv4_scratch_fini(&scratch);
    sigv4_keys_free(&keys);
    return 0;
}
