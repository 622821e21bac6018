/* Key -> class: the first rule that a key fits, in the order given.  Immutable once made, read by
 * any number of threads; a lookup allocates nothing and looks only at the rules that the key's
 * first byte leaves.
 *
 *     struct key_classes *classes = key_classes_new(rules, count);
 *     uint32_t answer = key_classes_find(classes, key);     the rule's, or KEY_CLASSES_NONE
 *     key_classes_free(&classes);
 */
#pragma once

#include <stdint.h>

#include "proxy/base/slice.h"

enum key_rule_kind {
    KEY_RULE_PREFIX,     /* keys that begin with `text` */
    KEY_RULE_PATTERN,    /* keys that fit `text`, a pattern as KEYS takes it */
    KEY_RULE_FIRST_BYTE, /* keys whose first byte is `low` to `high` */
};

struct key_rule {
    enum key_rule_kind kind;
    struct slice text; /* borrowed for the call */
    uint8_t low, high;
    uint32_t answer;
};

#define KEY_CLASSES_NONE UINT32_MAX

/* Of longer keys a pattern sees so many bytes only, for its time is that of both lengths. */
enum { KEY_CLASSES_PATTERN_SEES = 4096 };

struct key_classes;

struct key_classes *key_classes_new(const struct key_rule *rules, uint32_t count);
void key_classes_free(struct key_classes **classes);
uint32_t key_classes_find(const struct key_classes *classes, struct slice key);
