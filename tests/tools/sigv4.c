/* Signs requests as Sheaf does.  Reads requests from its input, each a row of texts that end in a
 * NUL:
 *
 *     seconds method path query payload access-key secret token region expires count
 *     (name value)...
 *
 * `expires` 0: answers with the head's lines; else presigned, with the query.  Then verifies what
 * it signed, with the head as it would be sent, and answers each with one line more: "ok" or the
 * error's code.  An answer ends with an empty line. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/wire/sigv4_sign.h"

enum { COUNT_AT = 10, PARTS = COUNT_AT + 1 };

static struct sigv4_credential who;

static const struct sigv4_credential *look_up(const void *directory, struct slice id)
{
    (void)directory;
    return slice_is(id, who.id) ? &who : NULL;
}

static bool next_text(struct slice *out)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t len = getdelim(&text, &room, '\0', stdin);

    if (len < 1)
        return false;
    *out = slice_of(text, (size_t)len - 1);
    return true;
}

static uint64_t number(struct slice text)
{
    uint64_t value;

    return slice_to_u64(text, &value) ? value : 0;
}

static void put(struct buf *out, struct slice a, const char *between, struct slice b,
                const char *end)
{
    buf_slice(out, a);
    buf_text(out, between);
    buf_slice(out, b);
    buf_text(out, end);
}

/* Of a token: it would be refused, so it is verified without. */
static const char *verified(const struct sigv4_signer *signer, const struct sigv4_request *request,
                            struct slice lines, struct slice query, uint64_t now_s)
{
    static struct http1_request parsed;
    static struct sigv4_verdict verdict;
    struct sigv4_rules rules = {
        .now_s = now_s, .lookup = look_up, .keys = signer->keys, .scratch = signer->scratch
    };
    struct buf head = { 0 };
    const char *code = "unparsed";

    put(&head, request->method, " ", request->path, query.len > 0 ? "?" : "");
    put(&head, query, " HTTP/1.1\r\n", (struct slice){ 0 }, "");
    for (size_t i = 0; i < request->field_count; i++)
        put(&head, request->fields[i].name, ":", request->fields[i].value, "\r\n");
    put(&head, lines, "\r\n", (struct slice){ 0 }, "");
    if (http1_request_parse(buf_all(&head), NULL, &parsed) == HTTP1_REFUSAL_NONE)
        code = sigv4_verify(&parsed, &rules, &verdict) == S3_NONE
                   ? "ok"
                   : s3_error_code(verdict.fault.error);
    buf_fini(&head);
    return code;
}

static void answer(const struct sigv4_signer *signer, const struct sigv4_request *request,
                   struct slice payload, uint64_t now_s, uint32_t expires)
{
    struct buf out = { 0 };
    struct slice nothing = { 0 };
    enum err err = expires > 0 ? sigv4_presign(signer, request, now_s, expires, &out)
                               : sigv4_sign(signer, request, payload, now_s, NULL, &out);

    if (err != ERR_NONE)
        printf("%s\r\n", err_text(err));
    else if (expires > 0)
        printf("%.*s\r\n%s\r\n", (int)out.len, (const char *)out.at,
               verified(signer, request, nothing, buf_all(&out), now_s));
    else
        printf("%.*s%s\r\n", (int)out.len, (const char *)out.at,
               verified(signer, request, buf_all(&out), request->query, now_s));
    printf("\r\n");
    fflush(stdout);
    buf_fini(&out);
}

int main(void)
{
    struct sigv4_scratch scratch = { 0 };
    struct sigv4_keys *keys = sigv4_keys_new();
    struct slice part[PARTS];

    while (next_text(&part[0])) {
        struct http1_field fields[HTTP1_FIELDS_MAX] = { 0 };
        struct sigv4_signer signer = { .keys = keys, .scratch = &scratch };
        struct sigv4_request request = { .fields = fields };

        for (size_t i = 1; i < PARTS; i++)
            if (!next_text(&part[i]))
                return 2;
        request.method = part[1];
        request.path = part[2];
        request.query = part[3];
        request.field_count = (size_t)number(part[COUNT_AT]);
        if (request.field_count > HTTP1_FIELDS_MAX)
            return 2;
        for (size_t i = 0; i < request.field_count; i++)
            if (!next_text(&fields[i].name) || !next_text(&fields[i].value))
                return 2;
        signer.id = part[5];
        signer.secret = part[6];
        signer.token = part[7];
        signer.region = part[8];
        who = (struct sigv4_credential){ .id = part[5], .secret = part[6] };
        answer(&signer, &request, part[4], number(part[0]), (uint32_t)number(part[9]));
        for (size_t i = 0; i < PARTS; i++)
            free((void *)part[i].at);
        for (size_t i = 0; i < request.field_count; i++) {
            free((void *)fields[i].name.at);
            free((void *)fields[i].value.at);
        }
    }
    sigv4_scratch_fini(&scratch);
    sigv4_keys_free(&keys);
    return 0;
}
