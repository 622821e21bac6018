/* Classes of keys in the configuration. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/config/mistakes.h"

#define POOL  "[memory a]\nlisten = redis://127.0.0.1:7000\nshard = redis://10.0.0.1\n"
#define BACK  "[memory b]\nshard = redis://10.0.0.2\n"
#define CACHE "[memory c]\nlisten = memcached://127.0.0.1:7001\nshard = memcached://10.0.0.3\n"

static void a_class_says_which_keys_and_what_becomes_of_them(void)
{
    struct snapshot *s =
        test_load(BACK POOL "[class locks]\nin = a\nprefix = lock:\nprefix_hex = 15 00FF\n"
                            "first_byte = 02-0b\nfirst_byte = ff\npattern = s:*:$$\npool = b\n"
                            "access = read-only\nttl = 1m\nmax_ttl = 1h\nmax_value = 4kb\n"
                            "cache = 1s\ncache_memory = 1mb\n");
    const struct key_class *c = s->classes[0];
    const struct memory_pool *a = memory_pool_of(snapshot_pool(s, "a"));

    CHECK_INT(s->class_count, 1);
    CHECK_TEXT(c->name, "locks");
    CHECK_INT(c->match_count, 5);
    CHECK_BYTES(c->matches[0].text, bytes("lock:"));
    CHECK_BYTES(c->matches[1].text, bytes("\x15\0\xff"));
    CHECK(c->matches[2].low == 2 && c->matches[2].high == 11);
    CHECK(c->matches[3].low == 255 && c->matches[3].high == 255);
    CHECK_BYTES(c->matches[4].text, bytes("s:*:$"));
    CHECK(c->pool == memory_pool_of(snapshot_pool(s, "b")));
    CHECK_INT(c->access, KEY_ACCESS_READ_ONLY);
    CHECK(c->ttl_ms == 60000 && c->max_ttl_ms == 3600000 && c->max_value_bytes == 4096);
    CHECK(c->cache_ms == 1000 && c->cache_bytes == 1 << 20);
    CHECK(a->class_count == 1 && a->classes[0] == c);
    CHECK_INT(c->pool->class_count, 0);
    snapshot_free(&s);
}

static void without_words_a_class_changes_nothing(void)
{
    struct snapshot *s = test_load(POOL BACK "[class x]\nprefix = x\npool = b\n");
    const struct key_class *c = s->classes[0];

    CHECK(c->access == KEY_ACCESS_FULL && c->ttl_ms == 0 && c->max_ttl_ms == 0);
    CHECK(c->max_value_bytes == 0 && c->cache_ms == 0 && c->cache_bytes == 4 << 20);
    CHECK_INT(memory_pool_of(snapshot_pool(s, "a"))->class_count, 1);
    CHECK_INT(memory_pool_of(snapshot_pool(s, "b"))->class_count, 1);
    snapshot_free(&s);
}

static void who_may_live_for_so_long_at_most_lives_so_long_without_a_word(void)
{
    struct snapshot *s = test_load(POOL "[class x]\nprefix = x\nmax_ttl = 1h\n");

    CHECK_INT(s->classes[0]->ttl_ms, 3600000);
    snapshot_free(&s);
}

static void mistakes_of_classes_are_named(void)
{
    static const struct mistake MISTAKES[] = {
        { POOL "[class]\n", "t.ini:4: a class needs a name of 1 to 64 letters, digits, \"-\", "
                            "\"_\" or \".\": [class NAME]\n" },
        { POOL "[class x]\n",
          "t.ini:4: [class x] has no \"prefix\", \"prefix_hex\", \"first_byte\" or \"pattern\" "
          "line: no key is of it\n" },
        { POOL "[class x]\nprefx = a\n",
          "t.ini:4: [class x] has no \"prefix\", \"prefix_hex\", \"first_byte\" or \"pattern\" "
          "line: no key is of it\n"
          "t.ini:5: unknown option \"prefx\" in [class x]; did you mean \"prefix\"?\n" },
        { POOL "[class x]\nprefix_hex = 1\nfirst_byte = 0b-02\nfirst_byte = 123\n",
          "t.ini:5: prefix_hex: must be two hexadecimal digits for each of 1 to 256 bytes, not "
          "\"1\"\n"
          "t.ini:6: first_byte: must be two hexadecimal digits, or two such bytes with a \"-\" "
          "between them, the lesser one first, not \"0b-02\"\n"
          "t.ini:7: first_byte: must be two hexadecimal digits, or two such bytes with a \"-\" "
          "between them, the lesser one first, not \"123\"\n" },
        { POOL "[class x]\nprefix = x\nin = z\npool = y\n",
          "t.ini:6: in: there is no pool \"z\"\n"
          "t.ini:7: pool: there is no pool \"y\"\n" },
        { POOL "[class x]\nprefix = x\naccess = none\n",
          "t.ini:6: access: must be full, read-only or forbidden, not \"none\"\n" },
        { POOL "[class x]\nprefix = x\nttl = 2h\nmax_ttl = 1h\n",
          "t.ini:7: max_ttl (1h) may not be less than ttl (2h)\n" },
        { POOL "[class x]\nprefix = x\ncache = 1s\ncache_memory = 2gb\n",
          "t.ini:7: max_memory of [proxy] (1gb) may not be less than cache_memory (2gb)\n" },
        { POOL CACHE "[class x]\nprefix = x\npool = c\n",
          "t.ini:9: pool: the shards of c are of memcached, and those of a, whose keys they are to "
          "have, are not; an \"in\" line says whose keys are meant\n" },
        { POOL "[memory b]\nstamp = no\nshard = redis://10.0.0.2\n[class x]\nprefix = x\n"
               "in = a\npool = b\n",
          "t.ini:10: pool: b and a, whose keys it is to have, must both have stamps, or both "
          "none\n" },
        { POOL BACK, "t.ini:4: [memory b] has no \"listen\" line\n" },
        { POOL "[class x]\nprefix = x\n[class x]\nprefix = y\n",
          "t.ini:6: section [class x] is already there (t.ini:4)\n" },
        { 0 },
    };

    check_mistakes(MISTAKES);
}

static char *printed(const struct snapshot *s)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    config_check_print(s, out);
    fclose(out);
    return text;
}

static void what_is_printed_of_classes_loads_again_as_the_same(void)
{
    struct snapshot *s =
        test_load(POOL BACK "[class one]\nin = a\nprefix = $$a\nprefix_hex = 00ff\n"
                            "first_byte = 02-0b\npattern = x*\npool = b\n"
                            "[class two]\nfirst_byte = 07\nmax_ttl = 1h\n");
    char *first = printed(s), *second;
    struct snapshot *again = test_load(first);

    second = printed(again);
    CHECK_TEXT(second, first);
    CHECK(strstr(first, "[class one]\nin = a\nprefix = $$a\nprefix_hex = 00ff\n"
                        "first_byte = 02-0b\npattern = x*\npool = b\n"));
    free(first);
    free(second);
    snapshot_free(&s);
    snapshot_free(&again);
}

static void the_mail_servers_example_has_a_class_for_each_prefix(void)
{
    const char *tests = strstr(__FILE__, "tests/unit/config/");
    struct problems problems = { 0 };
    struct snapshot *s = NULL;
    char path[512], *found;

    snprintf(path, sizeof(path), "%.*sconfig/example-stalwart.ini", (int)(tests - __FILE__),
             __FILE__);
    CHECK_INT(config_load(path, &TEST_VOCABULARY, &s, &problems), ERR_NONE);
    found = test_problems(&problems);
    CHECK_TEXT(found, "");
    free(found);
    for (unsigned byte = 0; s != NULL && byte <= 26; byte++) {
        unsigned classes = 0;

        for (uint32_t i = 0; i < s->class_count; i++)
            for (uint32_t k = 0; k < s->classes[i]->match_count; k++)
                classes +=
                    byte >= s->classes[i]->matches[k].low && byte <= s->classes[i]->matches[k].high;
        CHECK_INT(classes, 1);
    }
    snapshot_free(&s);
}

int main(void)
{
    RUN(a_class_says_which_keys_and_what_becomes_of_them);
    RUN(without_words_a_class_changes_nothing);
    RUN(who_may_live_for_so_long_at_most_lives_so_long_without_a_word);
    RUN(mistakes_of_classes_are_named);
    RUN(what_is_printed_of_classes_loads_again_as_the_same);
    RUN(the_mail_servers_example_has_a_class_for_each_prefix);
    return check_report();
}
