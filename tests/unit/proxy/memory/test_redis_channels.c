#include "proxy/memory/redis_channels.h"

#include <stdio.h>

#include "tests/unit/check.h"

static struct slice numbered(char *text, size_t size, int number)
{
    return slice_of(text, (size_t)snprintf(text, size, "channel:%d", number));
}

static void an_empty_set_has_nothing_and_may_be_cleared(void)
{
    struct redis_channels set = { 0 };

    CHECK(redis_channels_find(&set, bytes("a")) == NULL);
    redis_channels_clear(&set);
    CHECK_INT(set.held_bytes, 0);
}

static void names_are_any_bytes(void)
{
    struct redis_channels set = { 0 };

    redis_channels_add(&set, bytes(""));
    redis_channels_add(&set, bytes("a\0b"));
    CHECK(redis_channels_find(&set, bytes("")) != NULL);
    CHECK(redis_channels_find(&set, bytes("a\0b")) != NULL);
    CHECK(redis_channels_find(&set, bytes("a")) == NULL);
    CHECK(redis_channels_find(&set, bytes("a\0c")) == NULL);
    redis_channels_clear(&set);
}

static void many_names_are_found_until_they_are_removed(void)
{
    enum { MANY = 5000 };
    struct redis_channels set = { 0 };
    char text[32];

    for (int i = 0; i < MANY; i++)
        redis_channels_add(&set, numbered(text, sizeof(text), i));
    CHECK_INT(set.count, MANY);
    for (int i = 0; i < MANY; i += 2)
        redis_channels_remove(&set, redis_channels_find(&set, numbered(text, sizeof(text), i)));
    for (int i = 0; i < MANY; i++)
        CHECK_INT(redis_channels_find(&set, numbered(text, sizeof(text), i)) != NULL, i % 2);
    for (int i = 1; i < MANY; i += 2)
        redis_channels_remove(&set, redis_channels_find(&set, numbered(text, sizeof(text), i)));
    CHECK_INT(set.count, 0);
    CHECK_INT(set.held_bytes, 0);
    CHECK(set.buckets == NULL);
}

static void the_order_is_that_of_coming(void)
{
    struct redis_channels set = { 0 };
    char text[32];
    int number = 0;

    for (int i = 0; i < 100; i++)
        redis_channels_add(&set, numbered(text, sizeof(text), i));
    LIST_EACH (&set.order, link) {
        CHECK_BYTES(redis_channel_name(LIST_ITEM(link, struct redis_channel, link)),
                    numbered(text, sizeof(text), number));
        number++;
    }
    CHECK_INT(number, 100);
    redis_channels_clear(&set);
}

int main(void)
{
    RUN(an_empty_set_has_nothing_and_may_be_cleared);
    RUN(names_are_any_bytes);
    RUN(many_names_are_found_until_they_are_removed);
    RUN(the_order_is_that_of_coming);
    return check_report();
}
