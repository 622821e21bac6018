/* What is asked, in which proportion: named verbs (`get=80,set=20,mget:10=5`) and templates in the
 * protocol's own words (`LPUSH __key__ __data__`), which only the driver understands. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench/dice.h"
#include "proxy/base/err.h"

enum { MIX_MAX = 32, MIX_MANY_MAX = 1000 };

struct mix {
    uint32_t count; /* of entries that are chosen */
    uint32_t total_weight;
    struct mix_entry {
        char *text;      /* owned: the verb, or the template */
        char *label;     /* owned: what reports call it */
        uint32_t many;   /* keys per call */
        uint32_t weight; /* 0: only for filling and for the last check */
        bool is_template;
        void *prepared; /* owned by the driver */
    } entries[MIX_MAX + 2];
    uint32_t fill, audit; /* entries beyond `count`: write one key, read one key */
};

/* Adds the verbs of a list such as `get=80,set=20`. */
MUST_CHECK enum err mix_add_verbs(struct mix *m, const char *text);
/* Adds one template, `TEMPLATE` or `WEIGHT*TEMPLATE`. */
MUST_CHECK enum err mix_add_template(struct mix *m, const char *text);
/* Adds what fills the key space and what reads it back; nothing can be added afterwards. */
void mix_close(struct mix *m);
uint32_t mix_pick(const struct mix *m, struct dice *dice);
void mix_fini(struct mix *m);
