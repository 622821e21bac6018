/* Values that workers keep: for how long, and in how much memory. */
#include "proxy/memory/value_cache.h"

#include "tests/unit/check.h"

static struct value_cache *cache;

static struct value_key key_of(const char *name, uint32_t database)
{
    return (struct value_key){ slice_text(name), value_hash(slice_text(name)), database };
}

static void put(const char *name, uint32_t database, const char *value, uint64_t until_us)
{
    struct value_key key = key_of(name, database);

    value_cache_put(cache, &key, slice_text(value), until_us, value_mark_of(key.hash));
}

static const char *find(const char *name, uint32_t database, uint64_t now_us)
{
    static char text[64];
    struct value_key key = key_of(name, database);
    struct slice value;

    if (!value_cache_find(cache, &key, now_us, &value))
        return "none";
    snprintf(text, sizeof(text), "%.*s", (int)value.len, (const char *)value.at);
    return text;
}

static void a_value_is_there_until_its_time(void)
{
    cache = value_cache_new(1 << 16);
    CHECK_TEXT(find("a", 0, 1), "none");
    put("a", 0, "one", 100);
    CHECK_TEXT(find("a", 0, 1), "one");
    CHECK_TEXT(find("a", 0, 99), "one");
    CHECK_TEXT(find("a", 1, 1), "none");
    CHECK_TEXT(find("b", 0, 1), "none");
    CHECK_TEXT(find("a", 0, 100), "none");
    CHECK_INT(value_cache_bytes(cache), 0);
    put("a", 0, "one", 100);
    put("a", 0, "two", 100);
    CHECK_TEXT(find("a", 0, 1), "two");
    value_cache_free(&cache);
    CHECK(cache == NULL);
}

static void a_raised_mark_ends_it(void)
{
    struct value_key key = key_of("a", 0);
    struct value_mark before;

    cache = value_cache_new(1 << 16);
    put("a", 0, "one", 100);
    put("b", 0, "two", 100);
    value_mark_raise(key.hash);
    CHECK_TEXT(find("a", 0, 1), "none");
    CHECK_TEXT(find("b", 0, 1), "two");
    value_mark_raise_all();
    CHECK_TEXT(find("b", 0, 1), "none");
    before = value_mark_of(key.hash); /* asked for, then changed, then it comes */
    value_mark_raise(key.hash);
    value_cache_put(cache, &key, slice_text("late"), 100, before);
    CHECK_TEXT(find("a", 0, 1), "none");
    value_cache_free(&cache);
}

static void full_it_lets_go_of_what_was_not_used_for_longest(void)
{
    char name[16], value[1024];

    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    cache = value_cache_new(1 << 14);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "key %d", i);
        put(name, 0, value, 100);
        CHECK(strcmp(find("key 0", 0, 1), "none") != 0);
        CHECK(value_cache_bytes(cache) <= 1 << 14);
    }
    CHECK_TEXT(find("key 50", 0, 1), "none");
    CHECK(strcmp(find("key 99", 0, 1), "none") != 0);
    value_cache_free(&cache);
}

static void a_value_that_takes_an_eighth_is_not_kept(void)
{
    static char value[2048];

    memset(value, 'x', sizeof(value) - 1);
    cache = value_cache_new(1 << 14);
    put("small", 0, "s", 100);
    put("large", 0, value, 100);
    CHECK_TEXT(find("large", 0, 1), "none");
    CHECK_TEXT(find("small", 0, 1), "s");
    put("small", 0, value, 100); /* nor is the older one, then */
    CHECK_TEXT(find("small", 0, 1), "none");
    value_cache_free(&cache);
}

static void a_key_is_asked_for_again_within_a_time(void)
{
    cache = value_cache_new(1 << 14);
    CHECK(!value_cache_is_asked_again(cache, 7, 1000, 100));
    CHECK(value_cache_is_asked_again(cache, 7, 1099, 100));
    CHECK(!value_cache_is_asked_again(cache, 7, 1199, 100));
    CHECK(!value_cache_is_asked_again(cache, 8, 1199, 100));
    value_cache_free(&cache);
}

int main(void)
{
    RUN(a_value_is_there_until_its_time);
    RUN(a_raised_mark_ends_it);
    RUN(full_it_lets_go_of_what_was_not_used_for_longest);
    RUN(a_value_that_takes_an_eighth_is_not_kept);
    RUN(a_key_is_asked_for_again_within_a_time);
    return check_report();
}
