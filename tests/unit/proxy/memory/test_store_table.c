/* The table of stores in memory: against a plain list of what should be in it, while it grows,
 * shrinks and is walked. */
#include "proxy/memory/store_table.h"

#include <stdlib.h>

#include "tests/unit/check.h"

enum { KEYS = 5000 };

static uint64_t hash_of(unsigned number)
{
    uint64_t hash = (number + 1) * 0x9e3779b97f4a7c15u;

    return hash ^ hash >> 29;
}

static struct slice key_of(unsigned number)
{
    static char text[16];

    return slice_of(text, (size_t)snprintf(text, sizeof(text), "key:%u", number));
}

static struct store_entry *find(struct store_table *t, unsigned number)
{
    return store_table_find(t, hash_of(number), key_of(number));
}

static void put(struct store_table *t, unsigned number, struct slice value)
{
    store_table_put(t, find(t, number), hash_of(number), key_of(number), value);
}

static void what_is_put_is_found_with_its_last_value(void)
{
    struct store_table t = { 0 };

    CHECK(find(&t, 1) == NULL);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < KEYS; i++) {
            char value[64];
            int len = snprintf(value, sizeof(value), "%*u", (int)(1 + i * round % 50), i + round);

            put(&t, i, slice_of(value, (size_t)len));
            CHECK_BYTES(store_entry_value(find(&t, i)), slice_of(value, (size_t)len));
        }
    CHECK_INT(t.count, KEYS);
    for (unsigned i = 0; i < KEYS; i++) {
        CHECK_BYTES(store_entry_key(find(&t, i)), key_of(i));
        store_table_drop(&t, find(&t, i));
        CHECK(find(&t, i) == NULL);
    }
    CHECK_INT(t.count, 0);
    CHECK(t.bytes < 4096); /* it became small again */
    store_table_clear(&t);
    CHECK_INT(t.bytes, 0);
}

static void a_value_may_be_put_where_it_lies(void)
{
    struct store_table t = { 0 };
    struct store_entry *e;

    put(&t, 1, bytes("some value"));
    e = find(&t, 1);
    e->expires_ms = 7;
    e = store_table_put(&t, e, e->hash, key_of(1), store_entry_value(e));
    CHECK_BYTES(store_entry_value(e), bytes("some value"));
    e = store_table_put(&t, e, e->hash, key_of(1), slice_from(store_entry_value(e), 5));
    CHECK_BYTES(store_entry_value(e), bytes("value"));
    CHECK_INT(e->expires_ms, 7);
    store_table_clear(&t);
}

static void memory_is_counted(void)
{
    struct store_table t = { 0 };
    static char large[100000];

    put(&t, 1, slice_of(large, sizeof(large)));
    CHECK(t.bytes > sizeof(large) && t.bytes < sizeof(large) + 4096);
    put(&t, 1, slice_of(large, 10)); /* does not keep so much for so little */
    CHECK(t.bytes < 4096);
    store_table_clear(&t);
}

struct seen {
    unsigned char times[KEYS];
    uint64_t last;
    bool in_order;
};

static void see(void *arg, const struct store_entry *e)
{
    struct seen *seen = arg;
    unsigned number = (unsigned)strtoul((const char *)e->bytes + 4, NULL, 10);

    if (number < KEYS)
        seen->times[number]++;
}

/* The first even ones stay, and the others come, or go. */
static void a_walk_sees_what_stays_once_while_the_table_changes_its_size(void)
{
    for (int grows = 0; grows < 2; grows++) {
        struct store_table t = { 0 };
        struct seen seen = { 0 };
        uint64_t from = 0;
        unsigned next = 1;
        bool goes_on;

        for (unsigned i = 0; i < KEYS * 10; i++)
            if (!grows || (i % 2 == 0 && i < KEYS))
                put(&t, i, bytes("v"));
        do {
            goes_on = store_table_step(&t, &from, see, &seen);
            for (int k = 0; k < 40 && next < KEYS * 10; k++, next += 2) {
                if (grows)
                    put(&t, next, bytes("v"));
                else
                    store_table_drop(&t, find(&t, next));
                if (!grows && next > KEYS)
                    store_table_drop(&t, find(&t, next - 1));
            }
        } while (goes_on);
        for (unsigned i = 0; i < KEYS; i += 2)
            CHECK_INT(seen.times[i], 1);
        for (unsigned i = 1; i < KEYS; i += 2)
            CHECK(seen.times[i] <= 1);
        store_table_clear(&t);
    }
}

static void an_empty_table_has_no_steps(void)
{
    struct store_table t = { 0 };
    struct seen seen = { 0 };
    uint64_t from = 0;

    CHECK(!store_table_step(&t, &from, see, &seen));
    store_table_clear(&t);
}

/* Also one that is about to change its size. */
static void what_is_shed_goes_a_little_at_a_time(void)
{
    for (unsigned keys = KEYS - 20; keys < KEYS; keys++) {
        struct store_table t = { 0 };
        uint64_t before, calls = 0;

        for (unsigned i = 0; i < keys; i++)
            put(&t, i, slice_text("value"));
        do {
            before = t.count;
            calls++;
        } while (store_table_shed(&t, 100) && before - t.count <= 100);
        CHECK(before - t.count <= 100 && calls > keys / 100);
        CHECK_INT(t.count, 0);
        CHECK_INT(t.bytes, 0);
    }
}

int main(void)
{
    RUN(what_is_put_is_found_with_its_last_value);
    RUN(a_value_may_be_put_where_it_lies);
    RUN(memory_is_counted);
    RUN(a_walk_sees_what_stays_once_while_the_table_changes_its_size);
    RUN(an_empty_table_has_no_steps);
    RUN(what_is_shed_goes_a_little_at_a_time);
    return check_report();
}
