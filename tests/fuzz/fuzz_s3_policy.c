/* Any bytes as a form's policy: as JSON, or as what should be base64 of it; the first byte says
 * which.  And as the parts of a form that is signed, one a line. */
#include <stdlib.h>

#include "proxy/wire/base64.h"
#include "proxy/wire/s3_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void check(struct slice policy)
{
    static const struct http1_field fields[] = {
        { .name = { (const uint8_t *)"key", 3 }, .value = { (const uint8_t *)"a/b", 3 } },
        { .name = { (const uint8_t *)"Content-Type", 12 },
          .value = { (const uint8_t *)"a/b, a/c", 8 } },
        { .name = { (const uint8_t *)"bucket", 6 }, .value = { (const uint8_t *)"b", 1 } },
    };
    struct s3_policy_terms terms;
    struct s3_fault fault;

    for (size_t count = 0; count <= sizeof(fields) / sizeof(*fields); count++) {
        enum s3_error error = s3_policy_check(policy, fields, count, 1700000000, &terms, &fault);

        must(error == S3_NONE || error == fault.error);
        must(error != S3_NONE || terms.length_least <= terms.length_most ||
             terms.length_most != UINT64_MAX);
    }
}

static const struct sigv4_credential *nobody(const void *directory, struct slice id)
{
    (void)directory;
    must(id.len > 0);
    return NULL;
}

static struct slice next_line(struct slice *in)
{
    const uint8_t *end = in->len == 0 ? NULL : memchr(in->at, '\n', in->len);
    struct slice line = *in;

    if (end != NULL)
        line.len = (size_t)(end - in->at);
    *in = slice_from(*in, end == NULL ? in->len : line.len + 1);
    return line;
}

static void verify(struct slice in)
{
    static struct sigv4_keys *keys;
    static struct sigv4_scratch scratch;
    struct sigv4_verdict verdict;
    struct sigv4_form form;
    struct sigv4_rules rules = { .now_s = 1369353600, .lookup = nobody, .scratch = &scratch };

    if (keys == NULL)
        keys = sigv4_keys_new();
    rules.keys = keys;
    form.algorithm = slice_text("AWS4-HMAC-SHA256");
    form.credential = next_line(&in);
    form.date = next_line(&in);
    form.signature = next_line(&in);
    form.token = next_line(&in);
    form.policy = in;
    must(sigv4_verify_form(&form, &rules, &verdict) != S3_NONE);
    must(verdict.credential == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    char *text;

    if (size < 1)
        return 0;
    text = malloc(BASE64_BYTES(size));
    switch (at[0] % 4) {
    case 0:
        memcpy(text, at + 1, size - 1);
        check(slice_of(text, size - 1));
        break;
    case 1:
        memcpy(text, at + 1, size - 1);
        verify(slice_of(text, size - 1));
        break;
    default:
        base64_encode(slice_of(at + 1, size - 1), text);
        check(slice_of(text, BASE64_BYTES(size - 1)));
    }
    free(text);
    return 0;
}
