/* See mix.h. */
#include "bench/mix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/base/slice.h"

enum { MIX_WEIGHT_MAX = 1000000 };

static bool weight_of(struct slice text, uint32_t *out)
{
    uint64_t number;

    if (!slice_to_u64(text, &number) || number == 0 || number > MIX_WEIGHT_MAX)
        return false;
    *out = (uint32_t)number;
    return true;
}

static struct mix_entry *add(struct mix *m, struct slice text, struct slice label)
{
    struct mix_entry *e = &m->entries[m->count++];

    *e = (struct mix_entry){ .text = mem_text_of(text.at, text.len),
                             .label = mem_text_of(label.at, label.len),
                             .many = 1,
                             .weight = 1 };
    return e;
}

/* One `VERB[:MANY][=WEIGHT]`. */
static enum err add_verb(struct mix *m, struct slice text)
{
    const uint8_t *equals = memchr(text.at, '=', text.len), *colon;
    uint32_t weight = 1, many = 1;
    struct slice label, verb;
    struct mix_entry *e;

    if (m->count == MIX_MAX)
        return ERR_LIMIT;
    if (equals != NULL && !weight_of(slice_from(text, (size_t)(equals + 1 - text.at)), &weight))
        return ERR_RANGE;
    label = slice_of(text.at, equals == NULL ? text.len : (size_t)(equals - text.at));
    verb = label;
    colon = memchr(label.at, ':', label.len);
    if (colon != NULL) {
        if (!weight_of(slice_from(label, (size_t)(colon + 1 - label.at)), &many) ||
            many > MIX_MANY_MAX)
            return ERR_RANGE;
        verb.len = (size_t)(colon - label.at);
    }
    if (verb.len == 0)
        return ERR_SYNTAX;
    e = add(m, verb, label);
    e->weight = weight;
    e->many = many;
    m->total_weight += weight;
    return ERR_NONE;
}

enum err mix_add_verbs(struct mix *m, const char *text)
{
    for (;;) {
        size_t len = strcspn(text, ",");

        TRY(add_verb(m, slice_of(text, len)));
        if (text[len] == '\0')
            return ERR_NONE;
        text += len + 1;
    }
}

enum err mix_add_template(struct mix *m, const char *text)
{
    const char *star = strchr(text, '*');
    uint32_t weight = 1;
    struct mix_entry *e;

    if (m->count == MIX_MAX)
        return ERR_LIMIT;
    if (star != NULL && weight_of(slice_of(text, (size_t)(star - text)), &weight))
        text = star + 1;
    if (*text == '\0')
        return ERR_SYNTAX;
    e = add(m, slice_text(text), slice_of(text, strcspn(text, " ")));
    e->weight = weight;
    e->is_template = true;
    m->total_weight += weight;
    return ERR_NONE;
}

void mix_close(struct mix *m)
{
    uint32_t chosen = m->count;

    m->fill = chosen;
    m->audit = chosen + 1;
    add(m, slice_text("set"), slice_text("fill"))->weight = 0;
    add(m, slice_text("get"), slice_text("read back"))->weight = 0;
    m->count = chosen;
}

uint32_t mix_pick(const struct mix *m, struct dice *dice)
{
    uint32_t i = 0;

    if (m->count == 1)
        return 0;
    for (uint64_t at = dice_below(dice, m->total_weight); at >= m->entries[i].weight; i++)
        at -= m->entries[i].weight;
    return i;
}

void mix_fini(struct mix *m)
{
    for (uint32_t i = 0; i < MIX_MAX + 2; i++) {
        free(m->entries[i].text);
        free(m->entries[i].label);
    }
    *m = (struct mix){ 0 };
}
