#include "bench/payload.h"
#include "tests/unit/check.h"

static const struct payload TAGGED = { .tagged = true };

static void sizes_ranges_and_mixes_are_read(void)
{
    struct payload p = { 0 };

    CHECK(payload_parse(&p, "64:80,1K-4K:19,1M:1") == ERR_NONE);
    CHECK_INT(p.count, 3);
    CHECK_INT(p.total_weight, 100);
    CHECK_INT(p.sizes[1].low, 1024);
    CHECK_INT(p.sizes[1].high, 4096);
    CHECK_INT(p.sizes[2].low, 1 << 20);
}

static void sizes_that_make_no_sense_are_refused(void)
{
    static const char *const BAD[] = { "", "x", "64:", "64:0", "9-5", "64,", "1G", "-3", "600M" };
    struct payload p = { 0 };

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        CHECK(payload_parse(&p, BAD[i]) != ERR_NONE);
}

static void picked_sizes_keep_to_their_ranges_and_weights(void)
{
    struct payload p = { 0 };
    struct dice dice = { 5 };
    int small = 0;

    CHECK(payload_parse(&p, "10-20:3,1000:1") == ERR_NONE);
    for (int i = 0; i < 4000; i++) {
        size_t size = payload_size(&p, bytes("k"), &dice);

        CHECK((size >= 10 && size <= 20) || size == 1000);
        small += size <= 20;
    }
    CHECK(small > 2850 && small < 3150);
}

static void a_tagged_value_passes_for_its_own_key_and_tells_its_version(void)
{
    struct buf value = { 0 };
    uint32_t version = 0;

    payload_put(&TAGGED, &value, bytes("key:1"), 77, 50);
    CHECK_INT(value.len, 50);
    CHECK(slice_starts(buf_all(&value), bytes("key:1|0000004d|")));
    CHECK(payload_check(bytes("key:1"), buf_all(&value), &version));
    CHECK_INT(version, 77);
    buf_fini(&value);
}

static void a_value_of_another_key_is_found_out(void)
{
    struct buf value = { 0 };
    uint32_t version;

    payload_put(&TAGGED, &value, bytes("key:1"), 1, 50);
    CHECK(!payload_check(bytes("key:2"), buf_all(&value), &version));
    CHECK(!payload_check(bytes("key:"), buf_all(&value), &version));
    CHECK(!payload_check(bytes("key:11"), buf_all(&value), &version));
    CHECK(!payload_check(bytes("key:1"), bytes("key:1"), &version));
    buf_fini(&value);
}

static void every_single_changed_byte_is_found_out(void)
{
    struct buf value = { 0 };
    uint32_t version;

    payload_put(&TAGGED, &value, bytes("key:1"), 1, 61);
    for (size_t i = 0; i < value.len; i++) {
        value.at[i] ^= 0x40;
        CHECK(!payload_check(bytes("key:1"), buf_all(&value), &version));
        value.at[i] ^= 0x40;
    }
    CHECK(payload_check(bytes("key:1"), buf_all(&value), &version));
    buf_fini(&value);
}

static void a_tagged_value_is_never_shorter_than_its_tag(void)
{
    struct payload p = { .tagged = true };
    struct dice dice = { 1 };

    CHECK(payload_parse(&p, "3") == ERR_NONE);
    CHECK_INT(payload_size(&p, bytes("key:1"), &dice), 15);
}

int main(void)
{
    RUN(sizes_ranges_and_mixes_are_read);
    RUN(sizes_that_make_no_sense_are_refused);
    RUN(picked_sizes_keep_to_their_ranges_and_weights);
    RUN(a_tagged_value_passes_for_its_own_key_and_tells_its_version);
    RUN(a_value_of_another_key_is_found_out);
    RUN(every_single_changed_byte_is_found_out);
    RUN(a_tagged_value_is_never_shorter_than_its_tag);
    return check_report();
}
