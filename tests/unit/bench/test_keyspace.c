#include "bench/keyspace.h"
#include "tests/unit/check.h"

static struct keyspace keyspace(uint64_t count, const char *shape)
{
    struct keyspace k = { .prefix = "key:", .digits = 12, .count = count };

    CHECK(keyspace_shape(&k, shape) == ERR_NONE);
    CHECK(keyspace_begin(&k) == ERR_NONE);
    return k;
}

static void a_name_is_the_prefix_and_the_number_with_zeros(void)
{
    struct keyspace k = keyspace(100, "uniform");
    uint8_t name[16];

    CHECK_INT(keyspace_name_len(&k), 16);
    keyspace_name(&k, 42, name);
    CHECK_BYTES(slice_of(name, 16), bytes("key:000000000042"));
}

static void uniform_reaches_every_key_about_equally_often(void)
{
    struct keyspace k = keyspace(10, "uniform");
    struct dice dice = { 7 };
    int hits[10] = { 0 };

    for (int i = 0; i < 100000; i++)
        hits[keyspace_pick(&k, &dice)]++;
    for (int i = 0; i < 10; i++)
        CHECK(hits[i] > 9500 && hits[i] < 10500);
}

/* With exponent 1 the r-th most popular of n keys has the share 1 / (r * H(n)). */
static void zipf_shares_fall_with_the_rank(void)
{
    enum { COUNT = 100, ROLLS = 200000 };
    struct keyspace k = keyspace(COUNT, "zipf:1");
    struct dice dice = { 7 };
    int hits[COUNT] = { 0 }, top = 0;
    double harmonic = 0;

    for (int r = 1; r <= COUNT; r++)
        harmonic += 1.0 / r;
    for (int i = 0; i < ROLLS; i++)
        hits[keyspace_pick(&k, &dice)]++;
    for (int i = 0; i < COUNT; i++) {
        CHECK(hits[i] > 0);
        top = hits[i] > top ? hits[i] : top;
    }
    CHECK(top > ROLLS / harmonic * 0.97 && top < ROLLS / harmonic * 1.03);
    CHECK_INT(hits[0], top);
}

static void the_same_seed_gives_the_same_keys(void)
{
    struct keyspace k = keyspace(1000000, "zipf");
    struct dice a = { 3 }, b = { 3 };

    for (int i = 0; i < 1000; i++)
        CHECK(keyspace_pick(&k, &a) == keyspace_pick(&k, &b));
}

static void a_single_key_is_always_picked(void)
{
    struct keyspace uniform = keyspace(1, "uniform"), zipf = keyspace(1, "zipf");
    struct dice dice = { 1 };

    for (int i = 0; i < 100; i++) {
        CHECK_INT(keyspace_pick(&uniform, &dice), 0);
        CHECK_INT(keyspace_pick(&zipf, &dice), 0);
    }
}

static void shapes_and_counts_that_make_no_sense_are_refused(void)
{
    struct keyspace k = { .prefix = "k", .digits = 2, .count = 101 };

    CHECK(keyspace_shape(&k, "normal") == ERR_SYNTAX);
    CHECK(keyspace_shape(&k, "zipf:") == ERR_RANGE);
    CHECK(keyspace_shape(&k, "zipf:1x") == ERR_RANGE);
    CHECK(keyspace_shape(&k, "zipf:-1") == ERR_RANGE);
    CHECK(keyspace_begin(&k) == ERR_RANGE);
    k.count = 0;
    CHECK(keyspace_begin(&k) == ERR_RANGE);
    k.count = 100;
    CHECK(keyspace_begin(&k) == ERR_NONE);
}

int main(void)
{
    RUN(a_name_is_the_prefix_and_the_number_with_zeros);
    RUN(uniform_reaches_every_key_about_equally_often);
    RUN(zipf_shares_fall_with_the_rank);
    RUN(the_same_seed_gives_the_same_keys);
    RUN(a_single_key_is_always_picked);
    RUN(shapes_and_counts_that_make_no_sense_are_refused);
    return check_report();
}
