#include "proxy/blob/folder_parts.h"

#include "tests/unit/check.h"

static void a_part_is_found_by_its_number(void)
{
    struct slice text = bytes("1-3 10\n5 7 AAAA\n9-10 0\n11 1\n");
    struct folder_span span = { 0 };

    CHECK_INT(folder_span_find(text, 3, &span), ERR_NONE);
    CHECK(span.from == 20 && span.size == 10 && span.first == 3 && span.sum.len == 0);
    CHECK_INT(folder_span_find(text, 5, &span), ERR_NONE);
    CHECK(span.from == 30 && span.size == 7);
    CHECK_BYTES(span.sum, bytes("AAAA"));
    CHECK_INT(folder_span_find(text, 10, &span), ERR_NONE);
    CHECK(span.from == 37 && span.size == 0);
    CHECK_INT(folder_span_find(text, 11, &span), ERR_NONE);
    CHECK(span.from == 37 && span.size == 1);
    for (unsigned n = 0; n < 20; n++)
        CHECK_INT(folder_span_find(text, n, &span),
                  (n > 0 && n < 4) || n == 5 || (n > 8 && n < 12) ? ERR_NONE : ERR_RANGE);
}

static void what_is_no_list_of_parts_is_refused(void)
{
    static const char *const TEXTS[] = {
        "x 1\n",
        "1\n",
        "1 \n",
        " 1\n",
        "0 1\n",
        "2-1 1\n",
        "1-10001 1\n",
        "1-2-3 1\n",
        "1 1\n1 1\n",
        "5 1\n4 1\n",
        "1 -1\n",
        "\n",
        "1 9223372036854775808\n",
        "1-10000 9223372036854775807\n",
        "1 9223372036854775807\n2 1\n",
        "1 1 a b\n",
    };

    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        struct folder_span span = { 0 };

        CHECK_INT(folder_span_find(slice_text(TEXTS[i]), 10000, &span), ERR_SYNTAX);
    }
}

static void lines_are_read_as_they_were_written(void)
{
    struct folder_span spans[] = { { 1, 1, 0, 5, { 0 } },
                                   { 2, 900, 0, 5ULL << 30, { 0 } },
                                   { 9999, 10000, 0, 0, bytes("y/U6HA==") } };
    struct folder_span span = { 0 };
    struct buf text = { 0 };
    struct slice rest;

    for (size_t i = 0; i < 3; i++)
        folder_span_put(&text, &spans[i]);
    CHECK_BYTES(buf_all(&text), bytes("1 5\n2-900 5368709120\n9999-10000 0 y/U6HA==\n"));
    rest = buf_all(&text);
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(folder_span_next(&rest, &span, &span), ERR_NONE);
        CHECK(span.first == spans[i].first && span.last == spans[i].last);
        CHECK(span.size == spans[i].size && slice_is(span.sum, spans[i].sum));
    }
    CHECK_INT(folder_span_next(&rest, &span, &span), ERR_RANGE);
    buf_fini(&text);
}

int main(void)
{
    RUN(a_part_is_found_by_its_number);
    RUN(what_is_no_list_of_parts_is_refused);
    RUN(lines_are_read_as_they_were_written);
    return check_report();
}
