#include "proxy/base/slice.h"

#include "tests/unit/check.h"

static void numbers_that_fit_are_read(void)
{
    int64_t i;
    uint64_t u;

    CHECK(slice_to_i64(bytes("-9223372036854775808"), &i) && i == INT64_MIN);
    CHECK(slice_to_i64(bytes("9223372036854775807"), &i) && i == INT64_MAX);
    CHECK(slice_to_u64(bytes("18446744073709551615"), &u) && u == UINT64_MAX);
    CHECK(slice_to_u64(bytes("0"), &u) && u == 0);
}

static void what_is_no_number_or_does_not_fit_is_refused(void)
{
    int64_t i = 7;
    uint64_t u = 7;

    CHECK(!slice_to_i64(bytes("9223372036854775808"), &i));
    CHECK(!slice_to_i64(bytes("-9223372036854775809"), &i));
    CHECK(!slice_to_u64(bytes("18446744073709551616"), &u));
    CHECK(!slice_to_u64(bytes(""), &u));
    CHECK(!slice_to_i64(bytes("-"), &i));
    CHECK(!slice_to_u64(bytes("12x"), &u));
    CHECK(!slice_to_u64(bytes(" 1"), &u));
    CHECK(i == 7 && u == 7);
}

int main(void)
{
    RUN(numbers_that_fit_are_read);
    RUN(what_is_no_number_or_does_not_fit_is_refused);
    return check_report();
}
