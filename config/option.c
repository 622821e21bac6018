/* See option.h: values from text and back.  Every value goes through here, so that an operator
 * meets one way to write a duration and one way to be told that it is out of range. */
#include "config/option.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/slice.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit DURATIONS[] = {
    { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 },
};
static const struct unit SIZES[] = {
    { "b", 1 },
    { "kb", 1024 },
    { "mb", 1024 * 1024 },
    { "gb", 1024 * 1024 * 1024 },
    { "tb", 1024ULL * 1024 * 1024 * 1024 },
    { NULL, 0 },
};

static const struct unit *units_of(const struct option *option)
{
    if (option->type == OPTION_DURATION)
        return DURATIONS;
    return option->type == OPTION_SIZE ? SIZES : NULL;
}

static bool is_narrow(const struct option *option)
{
    return option->type == OPTION_INTEGER || option->type == OPTION_OCTAL;
}

static uint64_t largest(const struct option *option)
{
    if (option->max != 0)
        return option->max;
    return is_narrow(option) ? UINT32_MAX : INT64_MAX;
}

static uint64_t number_get(const struct option *option, const void *settings)
{
    const char *at = (const char *)settings + option->offset;

    return is_narrow(option) ? *(const uint32_t *)at : *(const uint64_t *)at;
}

static void number_put(const struct option *option, void *settings, uint64_t number)
{
    char *at = (char *)settings + option->offset;

    if (is_narrow(option))
        *(uint32_t *)at = (uint32_t)number;
    else
        *(uint64_t *)at = number;
}

static void print_number(const struct option *option, uint64_t number, struct buf *out)
{
    const struct unit *units = units_of(option), *best = units;

    if (option->type == OPTION_OCTAL) {
        buf_format(out, "%04llo", (unsigned long long)number);
        return;
    }
    for (const struct unit *unit = units; unit != NULL && unit->name != NULL && number > 0; unit++)
        if (number % unit->factor == 0)
            best = unit;
    buf_format(out, "%llu", (unsigned long long)(best == NULL ? number : number / best->factor));
    if (best != NULL && number > 0)
        buf_text(out, best->name);
}

static void print_words(const char *const *words, struct buf *out)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++) {
        if (i > 0)
            buf_text(out, words[i + 1] == NULL ? " or " : ", ");
        buf_text(out, words[i]);
    }
}

void option_print_range(const struct option *option, const char *const *words, struct buf *out)
{
    switch (option->type) {
    case OPTION_FLAG:
        buf_text(out, "yes or no");
        return;
    case OPTION_WORD:
        print_words(option->words, out);
        return;
    case OPTION_NAME:
        print_words(words, out);
        return;
    case OPTION_INTEGER:
    case OPTION_OCTAL:
    case OPTION_DURATION:
    case OPTION_SIZE:
        print_number(option, option->min, out);
        if (option->max == 0) {
            buf_text(out, " or more");
        } else {
            buf_text(out, " to ");
            print_number(option, option->max, out);
        }
        if (option->zero != NULL)
            buf_format(out, ", or %s", option->zero);
        return;
    case OPTION_TEXT:
    case OPTION_SECRET:
    case OPTION_FILE:
    case OPTION_LINES:
        buf_text(out, option->form != NULL ? option->form : "text");
        return;
    }
}

/* The leading digits of a value; what follows them is left in `rest`. */
static bool take_digits(const char *value, uint64_t base, uint64_t *number, const char **rest)
{
    const char *at = value;

    *number = 0;
    for (; *at >= '0' && *at < (char)('0' + base); at++) {
        if (__builtin_mul_overflow(*number, base, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*at - '0'), number))
            return false;
    }
    *rest = at;
    return at != value;
}

/* Why a number is not taken; ERR_RANGE for one that is a number, but too large or too small. */
static enum err parse_number(const struct option *option, const char *value, uint64_t *number)
{
    const struct unit *units = units_of(option);
    const char *rest;

    if (option->zero != NULL && strcmp(value, option->zero) == 0) {
        *number = 0;
        return ERR_NONE;
    }
    if (!take_digits(value, option->type == OPTION_OCTAL ? 8 : 10, number, &rest))
        return ERR_SYNTAX;
    if (units == NULL && *rest != '\0')
        return ERR_SYNTAX;
    if (units != NULL && (*number > 0 || *rest != '\0')) {
        while (units->name != NULL && strcasecmp(units->name, rest) != 0)
            units++;
        if (units->name == NULL)
            return ERR_SYNTAX;
        if (__builtin_mul_overflow(*number, units->factor, number))
            return ERR_RANGE;
    }
    if (*number == 0 && option->zero != NULL)
        return ERR_NONE;
    return *number < option->min || *number > largest(option) ? ERR_RANGE : ERR_NONE;
}

static enum err set_number(const struct option *option, void *settings, const char *value,
                           struct buf *why)
{
    uint64_t number;
    enum err err = parse_number(option, value, &number);

    if (err == ERR_NONE) {
        number_put(option, settings, number);
        return ERR_NONE;
    }
    buf_text(why, "must be ");
    if (err == ERR_SYNTAX && option->type == OPTION_DURATION)
        buf_text(why, "a duration with its unit (ms, s, m, h, d), ");
    if (err == ERR_SYNTAX && option->type == OPTION_SIZE)
        buf_text(why, "a size with its unit (b, kb, mb, gb, tb), ");
    if (option->type == OPTION_OCTAL)
        buf_text(why, "an octal number, ");
    option_print_range(option, NULL, why);
    buf_format(why, ", not \"%s\"", value);
    return err;
}

static bool find_word(const char *const *words, const char *value, unsigned *index)
{
    for (*index = 0; words != NULL && words[*index] != NULL; ++*index)
        if (strcmp(words[*index], value) == 0)
            return true;
    return false;
}

static enum err set_flag(bool *flag, const char *value, struct buf *why)
{
    static const char *const WORDS[] = { "no", "off", "yes", "on", NULL };
    unsigned index;

    if (find_word(WORDS, value, &index)) {
        *flag = index >= 2;
        return ERR_NONE;
    }
    buf_format(why, "must be yes or no, not \"%s\"", value);
    return ERR_SYNTAX;
}

static enum err refuse_word(const struct option *option, const char *const *words,
                            const char *value, struct buf *why)
{
    buf_text(why, "must be ");
    option_print_range(option, words, why);
    buf_format(why, ", not \"%s\"", value);
    option_suggest_word(words, value, why);
    return ERR_SYNTAX;
}

enum err option_set(const struct option *option, void *settings, const char *value,
                    const char *const *words, struct arena *arena, struct buf *why)
{
    char *at = (char *)settings + option->offset;
    unsigned index;

    switch (option->type) {
    case OPTION_FLAG:
        return set_flag((bool *)at, value, why);
    case OPTION_INTEGER:
    case OPTION_OCTAL:
    case OPTION_DURATION:
    case OPTION_SIZE:
        return set_number(option, settings, value, why);
    case OPTION_WORD:
        if (!find_word(option->words, value, &index))
            return refuse_word(option, option->words, value, why);
        *(unsigned *)at = index;
        return ERR_NONE;
    case OPTION_NAME:
        if (words != NULL && !find_word(words, value, &index))
            return refuse_word(option, words, value, why);
        *(const char **)at = arena_text(arena, slice_text(value));
        return ERR_NONE;
    case OPTION_TEXT:
    case OPTION_SECRET:
    case OPTION_FILE:
        if (option->zero != NULL && strcmp(value, option->zero) == 0)
            value = "";
        *(const char **)at = arena_text(arena, slice_text(value));
        return ERR_NONE;
    case OPTION_LINES:
        break;
    }
    assert(!"lines have no value of their own");
    return ERR_UNSUPPORTED;
}

void option_set_presets(const struct option *table, void *settings, struct arena *arena)
{
    struct buf why = { 0 };

    for (const struct option *option = table; option->name != NULL; option++) {
        enum err err = ERR_NONE;

        if (option->preset != NULL)
            err = option_set(option, settings, option->preset, NULL, arena, &why);
        assert(err == ERR_NONE);
        (void)err;
    }
    buf_fini(&why);
}

void option_print(const struct option *option, const void *settings, struct buf *out)
{
    const char *at = (const char *)settings + option->offset;
    const char *text;

    switch (option->type) {
    case OPTION_FLAG:
        buf_text(out, *(const bool *)at ? "yes" : "no");
        return;
    case OPTION_INTEGER:
    case OPTION_OCTAL:
    case OPTION_DURATION:
    case OPTION_SIZE:
        if (option->zero != NULL && number_get(option, settings) == 0)
            buf_text(out, option->zero);
        else
            print_number(option, number_get(option, settings), out);
        return;
    case OPTION_WORD:
        buf_text(out, option->words[*(const unsigned *)at]);
        return;
    case OPTION_NAME:
    case OPTION_TEXT:
    case OPTION_SECRET:
    case OPTION_FILE:
        text = *(const char *const *)at;
        if (text != NULL)
            buf_text(out, text[0] == '\0' && option->zero != NULL ? option->zero : text);
        return;
    case OPTION_LINES:
        return;
    }
}

const struct option *option_find(const struct option *table, const char *name)
{
    for (; table->name != NULL; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}
