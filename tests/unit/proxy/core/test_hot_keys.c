/* The most asked keys, with room for few. */
#include "proxy/core/hot_keys.h"

#include "tests/unit/check.h"

#define SECOND 1000000

static struct hot_keys hot;
static struct hot_key found[64];

static uint32_t sorted(uint64_t now_us)
{
    uint32_t count = hot_keys_add(&hot, now_us, found, 0, 64);

    hot_keys_sort(found, count);
    return count;
}

static void counts_become_rates(void)
{
    hot_keys_init(&hot, SECOND);
    for (int i = 0; i < 30; i++)
        hot_keys_note(&hot, bytes("a"), 1, SECOND);
    hot_keys_note(&hot, bytes("b\0"), 10, SECOND);
    CHECK_INT(sorted(3 * SECOND), 2);
    CHECK_BYTES(slice_of(found[0].key, found[0].len), bytes("a"));
    CHECK_INT(found[0].count, 15);
    CHECK_INT(found[0].error, 0);
    CHECK_BYTES(slice_of(found[1].key, found[1].len), bytes("b\0"));
    CHECK_INT(found[1].count, 5);
}

static void a_rate_stays_as_time_goes_by_and_fades_when_nothing_comes(void)
{
    uint64_t now_us = SECOND;

    hot_keys_init(&hot, now_us);
    for (int second = 0; second < 300; second++, now_us += SECOND)
        hot_keys_note(&hot, bytes("a"), 100, now_us);
    CHECK_INT(sorted(now_us), 1);
    CHECK(found[0].count > 95 && found[0].count < 105);
    CHECK_INT(sorted(now_us + 60 * (uint64_t)SECOND), 1);
    CHECK(found[0].count < 25);
}

static void a_hot_key_is_found_among_many_cold_ones(void)
{
    char name[16];

    hot_keys_init(&hot, SECOND);
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "cold %d", i);
        hot_keys_note(&hot, slice_text(name), 1, SECOND);
        if (i % 10 == 0)
            hot_keys_note(&hot, bytes("hot"), 1, SECOND);
    }
    CHECK_INT(sorted(2 * SECOND), HOT_KEYS_ROOM);
    CHECK_BYTES(slice_of(found[0].key, found[0].len), bytes("hot"));
    CHECK(found[0].count >= 1000 && found[0].count - found[0].error <= 1000);
}

static void workers_are_added_up(void)
{
    struct hot_keys other;
    uint32_t count;

    hot_keys_init(&hot, SECOND);
    hot_keys_init(&other, SECOND);
    hot_keys_note(&hot, bytes("a"), 10, SECOND);
    hot_keys_note(&other, bytes("a"), 20, SECOND);
    hot_keys_note(&other, bytes("b"), 25, SECOND);
    count = hot_keys_add(&hot, 2 * SECOND, found, 0, 1);
    count = hot_keys_add(&other, 2 * SECOND, found, count, 1); /* and no more room */
    CHECK_INT(count, 1);
    CHECK_INT(found[0].count, 30);
}

static void of_long_keys_the_beginning_is_told(void)
{
    char one[100], two[100];

    memset(one, 'x', sizeof(one));
    memset(two, 'x', sizeof(two));
    two[99] = 'y';
    hot_keys_init(&hot, SECOND);
    hot_keys_note(&hot, slice_of(one, sizeof(one)), 1, SECOND);
    hot_keys_note(&hot, slice_of(two, sizeof(two)), 1, SECOND);
    CHECK_INT(sorted(2 * SECOND), 2);
    CHECK(found[0].is_cut && found[0].len == HOT_KEY_BYTES);
}

int main(void)
{
    RUN(counts_become_rates);
    RUN(a_rate_stays_as_time_goes_by_and_fades_when_nothing_comes);
    RUN(a_hot_key_is_found_among_many_cold_ones);
    RUN(workers_are_added_up);
    RUN(of_long_keys_the_beginning_is_told);
    return check_report();
}
