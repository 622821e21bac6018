/* Keys and their classes; the fuzzer compares what is found with a plain search. */
#include "shard/key_classes.h"

#include "tests/unit/check.h"

static struct key_rule prefix(struct slice text, uint32_t answer)
{
    return (struct key_rule){ .kind = KEY_RULE_PREFIX, .text = text, .answer = answer };
}

static struct key_rule pattern(const char *text, uint32_t answer)
{
    return (
        struct key_rule){ .kind = KEY_RULE_PATTERN, .text = slice_text(text), .answer = answer };
}

static struct key_rule first_byte(uint8_t low, uint8_t high, uint32_t answer)
{
    return (
        struct key_rule){ .kind = KEY_RULE_FIRST_BYTE, .low = low, .high = high, .answer = answer };
}

static uint32_t find(const struct key_rule *rules, uint32_t count, struct slice key)
{
    struct key_classes *classes = key_classes_new(rules, count);
    uint32_t found = key_classes_find(classes, key);

    key_classes_free(&classes);
    CHECK(classes == NULL);
    return found;
}

#define FIND(rules, key) find(rules, sizeof(rules) / sizeof((rules)[0]), bytes(key))

static void without_rules_no_key_has_a_class(void)
{
    CHECK_INT(find(NULL, 0, bytes("a")), KEY_CLASSES_NONE);
    CHECK_INT(find(NULL, 0, bytes("")), KEY_CLASSES_NONE);
}

static void prefixes_are_bytes(void)
{
    const struct key_rule rules[] = { prefix(bytes("\x15\x00"), 1), prefix(bytes("lock:"), 2) };

    CHECK_INT(FIND(rules, "\x15\x00"), 1);
    CHECK_INT(FIND(rules, "\x15\x00rest"), 1);
    CHECK_INT(FIND(rules, "\x15\x01"), KEY_CLASSES_NONE);
    CHECK_INT(FIND(rules, "\x15"), KEY_CLASSES_NONE);
    CHECK_INT(FIND(rules, "lock:7"), 2);
    CHECK_INT(FIND(rules, "Lock:7"), KEY_CLASSES_NONE);
    CHECK_INT(FIND(rules, ""), KEY_CLASSES_NONE);
}

static void the_first_that_fits_is_it_however_long_others_are(void)
{
    const struct key_rule rules[] = { prefix(bytes("a:b:"), 1), prefix(bytes("a:"), 2),
                                      prefix(bytes("a:c:"), 3), pattern("*", 4),
                                      prefix(bytes("z"), 5) };

    CHECK_INT(FIND(rules, "a:b:x"), 1);
    CHECK_INT(FIND(rules, "a:c:x"), 2);
    CHECK_INT(FIND(rules, "z"), 4);
    CHECK_INT(FIND(rules, ""), 4);
}

static void first_bytes_are_a_range_with_both_ends(void)
{
    const struct key_rule rules[] = { first_byte(2, 11, 1), first_byte(0xff, 0xff, 2) };

    CHECK_INT(FIND(rules, "\x01"), KEY_CLASSES_NONE);
    CHECK_INT(FIND(rules, "\x02x"), 1);
    CHECK_INT(FIND(rules, "\x0b"), 1);
    CHECK_INT(FIND(rules, "\x0c"), KEY_CLASSES_NONE);
    CHECK_INT(FIND(rules, "\xff"), 2);
    CHECK_INT(FIND(rules, ""), KEY_CLASSES_NONE);
}

static void patterns_are_those_of_keys(void)
{
    const struct key_rule rules[] = { pattern("user:*:name", 1), pattern("[ab]?", 2),
                                      pattern("\\*x", 3) };

    CHECK_INT(FIND(rules, "user:17:name"), 1);
    CHECK_INT(FIND(rules, "user:17:age"), KEY_CLASSES_NONE);
    CHECK_INT(FIND(rules, "b7"), 2);
    CHECK_INT(FIND(rules, "c7"), KEY_CLASSES_NONE);
    CHECK_INT(FIND(rules, "*x"), 3);
}

static void of_long_keys_a_pattern_sees_the_beginning(void)
{
    static uint8_t key[KEY_CLASSES_PATTERN_SEES + 1];
    const struct key_rule rules[] = { pattern("*b", 1), pattern("a*a", 2) };

    memset(key, 'a', sizeof(key));
    key[sizeof(key) - 1] = 'b';
    CHECK_INT(find(rules, 2, slice_of(key, sizeof(key))), 2);
}

int main(void)
{
    RUN(without_rules_no_key_has_a_class);
    RUN(prefixes_are_bytes);
    RUN(the_first_that_fits_is_it_however_long_others_are);
    RUN(first_bytes_are_a_range_with_both_ends);
    RUN(patterns_are_those_of_keys);
    RUN(of_long_keys_a_pattern_sees_the_beginning);
    return check_report();
}
