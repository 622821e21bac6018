/* What is said to the console: PgBouncer's commands, and a few words that drivers say unasked.
 *
 *     struct console_command c;
 *
 *     console_command_read(text, &c);
 *     if (c.verb == CONSOLE_UNKNOWN)
 *         ... console_command_list() says what there is
 *
 * One command at a time, with comments and semicolons around it.  Names are taken as they are
 * written, or quoted: main, "main", 'main'. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

enum { CONSOLE_NAME_BYTES = 256 };

enum console_verb {
#define VERB(name, word, argument, changes, text) CONSOLE_##name,
#include "proxy/sql/console_verbs.def"
#undef VERB
    CONSOLE_VERBS,
    CONSOLE_EMPTY = CONSOLE_VERBS, /* no command at all */
    CONSOLE_UNKNOWN,               /* a word that is none */
    CONSOLE_MALFORMED,             /* a command with the wrong things behind it: `why` */
};

enum console_argument {
    CONSOLE_NO_ARGUMENT,
    CONSOLE_MAY_NAME,
    CONSOLE_MUST_NAME,
    CONSOLE_MUST_NUMBER,
    CONSOLE_ANYTHING, /* which is not looked at */
};

struct console_command {
    enum console_verb verb;
    bool has_name;
    char name[CONSOLE_NAME_BYTES]; /* a database; of SHOW, what to show, as it was written */
    uint64_t number;
    const char *why; /* static */
};

void console_command_read(struct slice text, struct console_command *out);
/* "PAUSE"; also what answers it. */
const char *console_command_word(enum console_verb verb);
/* Does it change anything, so that stats_user may not? */
bool console_command_changes(enum console_verb verb);
/* "PAUSE [DATABASE]", a line for each with what it does, or in one line for an error. */
void console_command_help(struct buf *out);
void console_command_list(struct buf *out);
