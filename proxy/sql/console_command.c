/* See console_command.h. */
#include "proxy/sql/console_command.h"

#include <ctype.h>

static const struct {
    const char *word, *text;
    enum console_argument argument;
    bool changes;
} VERBS[] = {
#define VERB(name, word, argument, changes, text) { word, text, CONSOLE_##argument, changes },
#include "proxy/sql/console_verbs.def"
#undef VERB
};

static const char *const ARGUMENTS[] = {
    [CONSOLE_NO_ARGUMENT] = "",        [CONSOLE_MAY_NAME] = " [DATABASE]",
    [CONSOLE_MUST_NAME] = " DATABASE", [CONSOLE_MUST_NUMBER] = " ID",
    [CONSOLE_ANYTHING] = "",
};

/* ---- words ---- */

static bool is_word(uint8_t c)
{
    return isalnum(c) || c >= 0x80 || c == '_' || c == '$' || c == '-' || c == '.';
}

/* Comments of both kinds; one that does not end is the rest. */
static size_t comment_len(struct slice in)
{
    const uint8_t *end;

    if (slice_starts(in, slice_text("--"))) {
        end = memchr(in.at, '\n', in.len);
        return end == NULL ? in.len : (size_t)(end - in.at);
    }
    if (!slice_starts(in, slice_text("/*")))
        return 0;
    end = memmem(in.at + 2, in.len - 2, "*/", 2);
    return end == NULL ? in.len : (size_t)(end - in.at) + 2;
}

static struct slice skip_blanks(struct slice in)
{
    while (in.len > 0) {
        size_t len = isspace(in.at[0]) ? 1 : comment_len(in);

        if (len == 0)
            break;
        in = slice_from(in, len);
    }
    return in;
}

/* Nothing more, but for semicolons. */
static bool is_end(struct slice in)
{
    for (in = skip_blanks(in); in.len > 0 && in.at[0] == ';'; in = skip_blanks(in))
        in = slice_from(in, 1);
    return in.len == 0;
}

static struct slice take_word(struct slice *in)
{
    struct slice word = { in->at, 0 };

    while (word.len < in->len && is_word(in->at[word.len]))
        word.len++;
    *in = slice_from(*in, word.len);
    return word;
}

/* Between quotes, which stand twice inside. */
static bool take_quoted(struct slice *in, char name[CONSOLE_NAME_BYTES])
{
    uint8_t quote = in->at[0];
    size_t len = 0, at = 1;

    for (; at < in->len; at++) {
        if (in->at[at] == quote && (at + 1 == in->len || in->at[at + 1] != quote))
            break;
        at += in->at[at] == quote;
        if (in->at[at] == '\0' || len == CONSOLE_NAME_BYTES - 1)
            return false;
        name[len++] = (char)in->at[at];
    }
    if (at >= in->len || len == 0)
        return false;
    name[len] = '\0';
    *in = slice_from(*in, at + 1);
    return true;
}

static bool take_name(struct slice *in, char name[CONSOLE_NAME_BYTES])
{
    struct slice word;

    if (in->len > 0 && (in->at[0] == '"' || in->at[0] == '\''))
        return take_quoted(in, name);
    word = take_word(in);
    if (word.len == 0 || word.len >= CONSOLE_NAME_BYTES)
        return false;
    memcpy(name, word.at, word.len);
    name[word.len] = '\0';
    return true;
}

/* ---- commands ---- */

static void malformed(struct console_command *out, const char *why)
{
    out->verb = CONSOLE_MALFORMED;
    out->why = why;
}

static void read_argument(struct slice in, enum console_argument argument,
                          struct console_command *out)
{
    bool must = argument == CONSOLE_MUST_NAME || argument == CONSOLE_MUST_NUMBER;

    in = skip_blanks(in);
    if (argument == CONSOLE_ANYTHING)
        return;
    if (is_end(in)) {
        if (must)
            malformed(out, out->verb == CONSOLE_SHOW         ? "SHOW what? SHOW HELP lists it"
                           : argument == CONSOLE_MUST_NUMBER ? "whose? SHOW CLIENTS has the ids"
                                                             : "a database is required");
        return;
    }
    if (argument == CONSOLE_NO_ARGUMENT || !take_name(&in, out->name) || !is_end(in)) {
        malformed(out, argument == CONSOLE_NO_ARGUMENT
                           ? "nothing may follow; commands are said one at a time"
                           : "one name may follow, in quotes if it is an odd one; commands are "
                             "said one at a time");
        return;
    }
    out->has_name = true;
    if (argument == CONSOLE_MUST_NUMBER && !slice_to_u64(slice_text(out->name), &out->number))
        malformed(out, "an id is a number: SHOW CLIENTS has them");
}

void console_command_read(struct slice text, struct console_command *out)
{
    struct slice in = skip_blanks(text), word;

    *out = (struct console_command){ .verb = CONSOLE_EMPTY };
    if (is_end(in))
        return;
    word = take_word(&in);
    out->verb = CONSOLE_UNKNOWN;
    for (int i = 0; i < CONSOLE_VERBS; i++)
        if (slice_is_word(word, VERBS[i].word)) {
            out->verb = (enum console_verb)i;
            read_argument(in, VERBS[i].argument, out);
            return;
        }
}

const char *console_command_word(enum console_verb verb)
{
    return verb < CONSOLE_VERBS ? VERBS[verb].word : "";
}

bool console_command_changes(enum console_verb verb)
{
    return verb < CONSOLE_VERBS && VERBS[verb].changes;
}

void console_command_help(struct buf *out)
{
    for (int i = CONSOLE_SHOW + 1; i < CONSOLE_VERBS; i++)
        if (VERBS[i].text[0] != '\0')
            buf_format(out, "\t%s%s: %s\n", VERBS[i].word, ARGUMENTS[VERBS[i].argument],
                       VERBS[i].text);
}

void console_command_list(struct buf *out)
{
    for (int i = CONSOLE_SHOW + 1; i < CONSOLE_VERBS; i++)
        if (VERBS[i].text[0] != '\0')
            buf_format(out, "%s%s%s", i == CONSOLE_SHOW + 1 ? "" : ", ", VERBS[i].word,
                       ARGUMENTS[VERBS[i].argument]);
}
