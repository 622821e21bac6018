/* See key_classes.h.  For each first byte there is a list of the rules that keys with it may fit,
 * in their order, up to the first that all of them fit; and one for the empty key. */
#include "shard/key_classes.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "shard/redis_glob.h"

enum { BYTES = 256, EMPTY_KEY = BYTES, LISTS };

struct list_of_rules {
    uint32_t begin, end; /* in `order` */
};

struct key_classes {
    struct list_of_rules lists[LISTS];
    uint32_t *order; /* indices of rules */
    struct key_rule *rules;
    uint32_t count;
};

static bool fits(const struct key_rule *rule, struct slice key)
{
    switch (rule->kind) {
    case KEY_RULE_PREFIX:
        return slice_starts(key, rule->text);
    case KEY_RULE_PATTERN:
        if (key.len > KEY_CLASSES_PATTERN_SEES)
            key.len = KEY_CLASSES_PATTERN_SEES;
        return redis_glob_fits_exactly(rule->text, key);
    case KEY_RULE_FIRST_BYTE:
        return key.len > 0 && key.at[0] >= rule->low && key.at[0] <= rule->high;
    }
    return false;
}

/* May a key fit that begins with this byte?  What is not seen at once may. */
static bool may_begin(const struct key_rule *rule, unsigned byte)
{
    uint8_t first;

    if (rule->kind == KEY_RULE_FIRST_BYTE)
        return byte >= rule->low && byte <= rule->high;
    if (byte == EMPTY_KEY)
        return fits(rule, slice_of("", 0));
    if (rule->text.len == 0)
        return rule->kind == KEY_RULE_PREFIX;
    first = rule->text.at[0];
    if (rule->kind == KEY_RULE_PATTERN &&
        (first == '*' || first == '?' || first == '[' || first == '\\'))
        return true;
    return first == byte;
}

/* Do all keys fit that begin with this byte?  Rules behind it are never asked. */
static bool takes_all(const struct key_rule *rule)
{
    if (rule->kind == KEY_RULE_PATTERN)
        return slice_is_text(rule->text, "*");
    return rule->kind == KEY_RULE_FIRST_BYTE || rule->text.len <= 1;
}

static void make_list(struct key_classes *c, unsigned byte, uint32_t *used)
{
    struct list_of_rules *list = &c->lists[byte];

    list->begin = *used;
    for (uint32_t i = 0; i < c->count; i++) {
        if (!may_begin(&c->rules[i], byte))
            continue;
        c->order[(*used)++] = i;
        if (takes_all(&c->rules[i]))
            break;
    }
    list->end = *used;
}

struct key_classes *key_classes_new(const struct key_rule *rules, uint32_t count)
{
    struct key_classes *c = mem_new(sizeof(*c));
    uint32_t used = 0;

    c->count = count;
    c->rules = mem_new((count + 1) * sizeof(*c->rules));
    c->order = mem_new((LISTS * count + 1) * sizeof(*c->order));
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *text = mem_new(rules[i].text.len + 1);

        if (rules[i].text.len > 0)
            memcpy(text, rules[i].text.at, rules[i].text.len);
        c->rules[i] = rules[i];
        c->rules[i].text = slice_of(text, rules[i].text.len);
    }
    for (unsigned byte = 0; byte < LISTS; byte++)
        make_list(c, byte, &used);
    c->order = mem_resize(c->order, (used + 1) * sizeof(*c->order));
    return c;
}

void key_classes_free(struct key_classes **classes)
{
    struct key_classes *c = *classes;

    *classes = NULL;
    if (c == NULL)
        return;
    for (uint32_t i = 0; i < c->count; i++)
        free((void *)c->rules[i].text.at);
    free(c->rules);
    free(c->order);
    free(c);
}

uint32_t key_classes_find(const struct key_classes *c, struct slice key)
{
    const struct list_of_rules *list = &c->lists[key.len == 0 ? EMPTY_KEY : key.at[0]];

    for (uint32_t i = list->begin; i < list->end; i++) {
        const struct key_rule *rule = &c->rules[c->order[i]];

        if (fits(rule, key))
            return rule->answer;
    }
    return KEY_CLASSES_NONE;
}
