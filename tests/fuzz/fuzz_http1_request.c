/* Heads of requests: bytes shown at once and little by little must give the same verdict; what is
 * taken must say the same to llhttp, and when it is written anew. */
#include "proxy/wire/http1_write.h"
#include "tests/fuzz/http1_pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static struct http1_request request, again;
static struct oracle oracle;

static void must_be_inside(struct slice head, struct slice part)
{
    must(part.len == 0 || (part.at >= head.at && part.at + part.len <= head.at + head.len));
}

static void check_oracle(struct slice head)
{
    oracle_read_head(&oracle, HTTP_REQUEST, head);
    if (oracle.error == HPE_INVALID_METHOD || oracle.error == HPE_INVALID_CONSTANT)
        return; /* a method that it does not know, or knows of another protocol */
    if (request.target.at[0] != '/' && oracle.error == HPE_INVALID_URL)
        return; /* it is stricter with hosts */
    if (oracle_is_too_strict(&oracle, &request.head))
        return;
    must(oracle_differs(&oracle, &request.head) == NULL);
    must(slice_is(request.target, oracle.start));
    if (oracle_knows_connection(&request.head))
        must(request.head.keep_alive == oracle_keeps_alive(&oracle));
}

static void check_written(void)
{
    struct http1_search search = { 0 };
    enum http1_refusal why;
    struct buf out = { 0 };
    size_t len;

    must(http1_put_request_line(&out, request.method_text, request.target) == ERR_NONE);
    for (unsigned i = 0; i < request.head.field_count; i++)
        must(http1_put_field_named(&out, request.head.fields[i].name,
                                   request.head.fields[i].value) == ERR_NONE);
    http1_put_end(&out);
    if (request.head.minor == 1 && out.len <= HTTP1_HEAD_MAX_BYTES) {
        must(http1_search(&search, buf_all(&out), HTTP1_HEAD_MAX_BYTES, &len, NULL, &why) ==
             PARSE_DONE);
        must(len == out.len);
        must(http1_request_parse(buf_all(&out), NULL, &again) == HTTP1_REFUSAL_NONE);
        must(again.method == request.method && slice_is(again.target, request.target));
        must(slice_is(again.path, request.path) && slice_is(again.query, request.query));
        must(again.expects_continue == request.expects_continue);
        must(heads_are_alike(&again.head, &request.head));
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    enum http1_refusal why;
    struct slice in, head;
    uint8_t *copy;
    size_t len;

    if (size < 1)
        return 0;
    in = slice_of(at + 1, size - 1);
    if (search_pieces(in, at[0], &len, &why) != PARSE_DONE)
        return 0;
    copy = copy_of(slice_of(in.at, len));
    head = slice_of(copy, len);
    why = http1_request_parse(head, NULL, &request);
    must(http1_request_parse(head, &lines_found, &request) == why);
    if (why == HTTP1_REFUSAL_NONE) {
        must_be_inside(head, request.target);
        must_be_inside(head, request.query);
        must(request.path.len > 0 && (request.path.at[0] == '/' || request.path.at[0] == '*'));
        check_fields(head, &request.head);
        check_oracle(head);
        check_written();
    }
    free(copy);
    return 0;
}
