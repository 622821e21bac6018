/* Options are tables.  What the parser takes, what `sheaf check` prints, how an error words a range
 * and what the documentation says all come from one `struct option` per option.
 *
 *     static const struct option OPTIONS[] = {
 *         { "timeout", OPTION_DURATION, offsetof(struct memory_pool, timeout_ms), .preset = "2s",
 *           .min = 1, .max = 3600000, .text = "from sending a request to its reply" },
 *         { 0 },
 *     };
 *
 * A table ends with an option without a name.  Values are written into the struct that holds the
 * settings, at `offset`, in the C type that the option's type names. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"

enum option_type {
    OPTION_FLAG,     /* bool: yes or no; on and off are taken, too */
    OPTION_INTEGER,  /* uint32_t */
    OPTION_DURATION, /* uint64_t, milliseconds: 400ms 2s 5m 1h 1d */
    OPTION_SIZE,     /* uint64_t, bytes: 512b 64kb 1mb 2gb, in steps of 1024 */
    OPTION_OCTAL,    /* uint32_t, written in octal: 0660 */
    OPTION_WORD,     /* unsigned int (an enum of that size): index of the word in `words` */
    OPTION_NAME,     /* const char *: one of the vocabulary's words, see `words_from` */
    OPTION_TEXT,     /* const char *, NULL if not given and without preset; `zero` stands for "" */
    OPTION_SECRET,   /* const char *: as text, never printed unless secrets are wanted */
    OPTION_FILE,     /* const char *: as text, relative to the file that says it, absolute after */
    OPTION_LINES,    /* repeatable lines of a form of their own, taken by the table's owner */
};

/* Word lists that the configuration is told, as it may not ask the layers that know them. */
enum option_words_from { OPTION_WORDS_OWN, OPTION_WORDS_HASHES, OPTION_WORDS_DISTRIBUTIONS };

struct option {
    const char *name;
    enum option_type type;
    size_t offset;                     /* of the value in its settings */
    const char *preset;                /* the value when none is given, as the operator writes it */
    uint64_t min, max;                 /* of numbers; max 0: no other limit than the type's */
    const char *zero;                  /* the word for 0, allowed beside the range: "auto" */
    const char *const *words;          /* OPTION_WORD: NULL-terminated */
    enum option_words_from words_from; /* OPTION_NAME */
    const char *form;                  /* OPTION_LINES and odd texts: "NAME PASSWORD [WORD=...]" */
    const char *text; /* what it is for: one sentence without a capital and a stop */
};

/* Writes the value into `settings`, texts into the arena; on failure the settings are as before and
 * `why` holds what is wrong, without the option's name ("must be ..., not ...").  `words` are those
 * of an OPTION_NAME, else ignored.  OPTION_LINES may not be passed. */
enum err option_set(const struct option *option, void *settings, const char *value,
                    const char *const *words, struct arena *arena, struct buf *why) MUST_CHECK;

/* The value as the operator would write it; "" for an absent text. */
void option_print(const struct option *option, const void *settings, struct buf *out);

/* "1 to 1024, or auto": what a value may be. */
void option_print_range(const struct option *option, const char *const *words, struct buf *out);

/* Sets every option of the table that has a preset to it. */
void option_set_presets(const struct option *table, void *settings, struct arena *arena);

const struct option *option_find(const struct option *table, const char *name);

/* Adds `; did you mean "distribution"?` when a word of the list or table is near enough. */
void option_suggest(const struct option *table, const char *name, struct buf *out);
void option_suggest_word(const char *const *words, const char *word, struct buf *out);
