/* Shows heads to http1.h as they come in: whole, and in pieces of every length, each in memory of
 * just its length, so that a sanitizer sees any look beyond it. */
#pragma once

#include <stdlib.h>

#include "proxy/wire/http1.h"
#include "tests/unit/check.h"

/* What was searched last, for the slices of what is parsed from it. */
static uint8_t *shown; /* owned; freed with the next */

static inline struct slice show(struct slice in)
{
    free(shown);
    shown = malloc(in.len + 1); /* 1: of no length, NULL would do */
    if (shown == NULL)
        exit(1);
    memcpy(shown, in.at, in.len);
    shown = realloc(shown, in.len > 0 ? in.len : 1);
    return slice_of(shown, in.len);
}

static struct http1_lines lines_shown; /* of the head that was found last, at once */

/* The search at once must say what the search in pieces says. */
static inline enum parse search_shown(struct slice in, size_t max_bytes, size_t *len,
                                      enum http1_refusal *why)
{
    enum http1_refusal why_pieces = HTTP1_REFUSAL_NONE;
    enum parse found = PARSE_MORE, pieces = PARSE_MORE;
    size_t len_pieces = 0;

    for (size_t step = 1; step < 40; step += 6) {
        struct http1_search search = { 0 };

        pieces = PARSE_MORE;
        for (size_t n = 0; pieces == PARSE_MORE; n = n + step < in.len ? n + step : in.len) {
            pieces = http1_search(&search, show(slice_of(in.at, n)), max_bytes, &len_pieces,
                                  &lines_shown, &why_pieces);
            if (n == in.len)
                break;
        }
        *len = 0;
        *why = HTTP1_REFUSAL_NONE;
        search = (struct http1_search){ 0 };
        found = http1_search(&search, show(in), max_bytes, len, &lines_shown, why);
        CHECK_INT(pieces, found);
        if (found == PARSE_DONE)
            CHECK_INT(len_pieces, *len);
        if (found == PARSE_BAD)
            CHECK_TEXT(http1_refusal_text(why_pieces), http1_refusal_text(*why));
    }
    return found;
}

/* The whole head at the front of `in`, in memory of its own. */
static inline enum http1_refusal head_shown(struct slice in, struct slice *head)
{
    enum http1_refusal why;
    size_t len;

    switch (search_shown(in, HTTP1_HEAD_MAX_BYTES, &len, &why)) {
    case PARSE_DONE:
        *head = show(slice_of(in.at, len));
        return HTTP1_REFUSAL_NONE;
    case PARSE_BAD:
        return why;
    case PARSE_MORE:
        break;
    }
    CHECK(!"a whole head");
    return HTTP1_REFUSAL_SYNTAX;
}

static struct http1_request request;
static struct http1_response response;

/* With the lines that were found it must say what it says without. */
static inline enum http1_refusal read_request(struct slice in)
{
    static struct http1_request looked_for;
    enum http1_refusal why;
    struct slice head;

    memset(&request, 0xee, sizeof(request)); /* as what an earlier one left behind */
    memset(&looked_for, 0xee, sizeof(looked_for));
    why = head_shown(in, &head);
    if (why != HTTP1_REFUSAL_NONE)
        return why;
    why = http1_request_parse(head, NULL, &looked_for);
    CHECK_INT(http1_request_parse(head, &lines_shown, &request), why);
    CHECK(memcmp(&request, &looked_for, sizeof(request)) == 0);
    return why;
}

static inline enum http1_refusal read_response(struct slice in, enum http1_method asked)
{
    static struct http1_response looked_for;
    enum http1_refusal why;
    struct slice head;

    memset(&response, 0xee, sizeof(response));
    memset(&looked_for, 0xee, sizeof(looked_for));
    why = head_shown(in, &head);
    if (why != HTTP1_REFUSAL_NONE)
        return why;
    why = http1_response_parse(head, NULL, asked, &looked_for);
    CHECK_INT(http1_response_parse(head, &lines_shown, asked, &response), why);
    CHECK(memcmp(&response, &looked_for, sizeof(response)) == 0);
    return why;
}
