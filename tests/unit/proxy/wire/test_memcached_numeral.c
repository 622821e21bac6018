/* Numbers as memcached takes them. */
#include "proxy/wire/memcached_numeral.h"

#include "tests/unit/check.h"

static const char *said(struct slice word)
{
    static char plain[MEMCACHED_NUMERAL_BYTES];

    return memcached_numeral_rewrite(word, plain) == 0 ? "none" : plain;
}

static void plain_ones_are_those_that_all_servers_take(void)
{
    static const char *const PLAIN[] = { "0", "7", "10", "-1", "-300", "18446744073709551615" };
    static const char *const ODD[] = { "",    "-",   "+1",   "01", "00",  "-0", "-01",
                                       "1\t", "\t1", "1\t2", "x",  "0x1", "1.5" };

    for (size_t i = 0; i < sizeof(PLAIN) / sizeof(PLAIN[0]); i++)
        CHECK(memcached_numeral_is_plain(slice_text(PLAIN[i]), true));
    for (size_t i = 0; i < sizeof(ODD) / sizeof(ODD[0]); i++)
        CHECK(!memcached_numeral_is_plain(slice_text(ODD[i]), true));
    CHECK(!memcached_numeral_is_plain(bytes("000000000000000000000"), true));
    CHECK(!memcached_numeral_is_plain(bytes("-1"), false));
}

static void odd_ones_become_plain(void)
{
    CHECK_TEXT(said(bytes("+5")), "5");
    CHECK_TEXT(said(bytes("-0")), "0");
    CHECK_TEXT(said(bytes("-5")), "-5");
    CHECK_TEXT(said(bytes("007")), "7");
    CHECK_TEXT(said(bytes("0000000000000000000000000000000000000005")), "5");
    CHECK_TEXT(said(bytes("\t5")), "5");
    CHECK_TEXT(said(bytes("5\t")), "5");
    CHECK_TEXT(said(bytes("5\r")), "5");
    CHECK_TEXT(said(bytes("\v\f -5\tx")), "-5");
    CHECK_TEXT(said(bytes("-18446744073709551615")), "1"); /* so strtoull() has it */
}

static void what_is_no_number_is_none(void)
{
    static const char *const NONE[] = { "",    "-",  "+",   "x",    "5x", "--1",
                                        "+-1", "\t", "1e3", "0x10", "1.5" };

    for (size_t i = 0; i < sizeof(NONE) / sizeof(NONE[0]); i++)
        CHECK_TEXT(said(slice_text(NONE[i])), "none");
    CHECK_TEXT(said(bytes("+18446744073709551616")), "none");
    CHECK_TEXT(said(bytes("00018446744073709551616")), "none");
    CHECK_TEXT(said(bytes("-18446744073709551616")), "none");
}

static void each_kind_has_its_range(void)
{
    uint64_t number = 0;
    int64_t less = 0;

    CHECK(memcached_numeral_signed(bytes("+9223372036854775807"), &less) && less == INT64_MAX);
    CHECK(memcached_numeral_signed(bytes("-09223372036854775808"), &less) && less == INT64_MIN);
    CHECK(!memcached_numeral_signed(bytes("9223372036854775808"), &less));
    CHECK(!memcached_numeral_signed(bytes("-18446744073709551615"), &less));
    CHECK(memcached_numeral_unsigned(bytes("+18446744073709551615"), &number));
    CHECK(number == UINT64_MAX);
    CHECK(!memcached_numeral_unsigned(bytes("-1"), &number));
    CHECK(!memcached_numeral_unsigned(bytes("-9223372036854775808"), &number));
    CHECK(memcached_numeral_unsigned(bytes("-9223372036854775809"), &number));
    CHECK(number == INT64_MAX);
}

int main(void)
{
    RUN(plain_ones_are_those_that_all_servers_take);
    RUN(odd_ones_become_plain);
    RUN(what_is_no_number_is_none);
    RUN(each_kind_has_its_range);
    return check_report();
}
