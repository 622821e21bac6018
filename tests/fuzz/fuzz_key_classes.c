/* Rules and a key, both any bytes: what the lists by first byte find is what a plain search through
 * the rules finds, which asks each of them of the whole key. */
#include <stdbool.h>
#include <stdlib.h>

#include "shard/key_classes.h"

enum { RULES_MOST = 16 };

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* The pattern's own search, as its text says it: by recursion. */
static bool fits_pattern(struct slice p, struct slice key, unsigned *steps)
{
    require(++*steps < 1000000);
    if (p.len == 0)
        return key.len == 0;
    if (p.at[0] == '*')
        return fits_pattern(slice_from(p, 1), key, steps) ||
               (key.len > 0 && fits_pattern(p, slice_from(key, 1), steps));
    if (key.len == 0)
        return false;
    if (p.at[0] == '\\' && p.len > 1)
        p = slice_from(p, 1);
    else if (p.at[0] == '?')
        return fits_pattern(slice_from(p, 1), slice_from(key, 1), steps);
    return p.at[0] == key.at[0] && fits_pattern(slice_from(p, 1), slice_from(key, 1), steps);
}

static bool fits(const struct key_rule *rule, struct slice key)
{
    unsigned steps = 0;

    switch (rule->kind) {
    case KEY_RULE_PREFIX:
        return slice_starts(key, rule->text);
    case KEY_RULE_PATTERN:
        return fits_pattern(rule->text, key, &steps);
    case KEY_RULE_FIRST_BYTE:
        return key.len > 0 && rule->low <= key.at[0] && key.at[0] <= rule->high;
    }
    return false;
}

static struct slice take(struct slice *in, size_t most)
{
    size_t len = in->len == 0 ? 0 : in->at[0] % (most + 1);
    struct slice taken;

    if (in->len > 0)
        *in = slice_from(*in, 1);
    taken = slice_of(in->at, len < in->len ? len : in->len);
    *in = slice_from(*in, taken.len);
    return taken;
}

/* Classes of characters are the pattern's own tests' matter. */
static bool has_class(struct slice text)
{
    return memchr(text.at, '[', text.len) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct slice in = slice_of(at, len), key;
    struct key_rule rules[RULES_MOST];
    uint32_t count = 0, expected = KEY_CLASSES_NONE;
    struct key_classes *classes;

    key = take(&in, 12);
    while (in.len > 2 && count < RULES_MOST) {
        struct key_rule *rule = &rules[count];

        *rule = (struct key_rule){ .kind = in.at[0] % 3, .low = in.at[1], .high = in.at[2] };
        rule->answer = count;
        in = slice_from(in, 3);
        rule->text = take(&in, 6);
        if (rule->kind != KEY_RULE_PATTERN || !has_class(rule->text))
            count++;
    }
    for (uint32_t i = 0; i < count && expected == KEY_CLASSES_NONE; i++)
        if (fits(&rules[i], key))
            expected = i;
    classes = key_classes_new(rules, count);
    require(key_classes_find(classes, key) == expected);
    key_classes_free(&classes);
    return 0;
}
