/* Heads of responses, as fuzz_http1_request.c has those of requests. */
#include "proxy/wire/http1_write.h"
#include "tests/fuzz/http1_pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static struct http1_response response;
static struct oracle oracle;

static void check_oracle(struct slice head)
{
    oracle_read_head(&oracle, HTTP_RESPONSE, head);
    if (oracle_is_too_strict(&oracle, &response.head))
        return;
    must(oracle_differs(&oracle, &response.head) == NULL);
    must(oracle.parser.status_code == response.status);
    must(slice_is(oracle.start, response.reason));
    if (oracle_knows_connection(&response.head) &&
        response.head.framing != HTTP1_FRAMING_UNTIL_CLOSE)
        must(response.head.keep_alive == oracle_keeps_alive(&oracle));
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    enum http1_method asked;
    enum http1_refusal why;
    struct slice in, head;
    uint8_t *copy;
    size_t len;

    if (size < 1)
        return 0;
    in = slice_of(at + 1, size - 1);
    asked = at[0] & 1 ? HTTP1_METHOD_HEAD : HTTP1_METHOD_GET;
    if (search_pieces(in, at[0], &len, &why) != PARSE_DONE)
        return 0;
    copy = copy_of(slice_of(in.at, len));
    head = slice_of(copy, len);
    why = http1_response_parse(head, NULL, asked, &response);
    must(http1_response_parse(head, &lines_found, asked, &response) == why);
    if (why == HTTP1_REFUSAL_NONE) {
        check_fields(head, &response.head);
        must(response.status >= 100 && response.status < 600 && response.status != 101);
        must(asked != HTTP1_METHOD_HEAD || response.head.framing == HTTP1_FRAMING_NONE);
        check_oracle(head);
    }
    free(copy);
    return 0;
}
