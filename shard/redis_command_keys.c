/* Where the keys of a command are, and what is said when that cannot be told.
 *
 * Each rule reads the words as the server does when it runs the command, with one difference: an
 * option that we do not know is an error here, since it might be followed by another key. */
#include "shard/redis_command.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

#include "proxy/base/mem.h"

/* Why the keys cannot be told, in Redis's words. */
enum complaint {
    COMPLAINT_NONE,
    COMPLAINT_ARITY,
    COMPLAINT_SYNTAX,
    COMPLAINT_NOT_A_NUMBER,
    COMPLAINT_BAD_NUMBER,
    COMPLAINT_NO_KEY,
    COMPLAINT_COUNT_BELOW_ONE,
    COMPLAINT_NEGATIVE_COUNT,
    COMPLAINT_COUNT_TOO_LARGE,
    COMPLAINT_UNBALANCED,
    COMPLAINT_MIGRATE,
};

static const char *const complaint_texts[] = {
    [COMPLAINT_NONE] = "",
    [COMPLAINT_ARITY] = "wrong number of arguments for", /* names the command */
    [COMPLAINT_SYNTAX] = "syntax error",
    [COMPLAINT_NOT_A_NUMBER] = "value is not an integer or out of range",
    [COMPLAINT_BAD_NUMBER] = "Bad number of keys provided",
    [COMPLAINT_NO_KEY] = "at least 1 input key is needed for", /* names the command */
    [COMPLAINT_COUNT_BELOW_ONE] = "numkeys should be greater than 0",
    [COMPLAINT_NEGATIVE_COUNT] = "Number of keys can't be negative",
    [COMPLAINT_COUNT_TOO_LARGE] = "Number of keys can't be greater than number of args",
    [COMPLAINT_UNBALANCED] = ("Unbalanced XREAD list of streams: for each stream key an ID or '$' "
                              "must be specified."),
    [COMPLAINT_MIGRATE] = ("When using MIGRATE KEYS option, the key argument must be set to the "
                           "empty string"),
};

/* A request whose keys are looked for, and the places found so far. */
struct search {
    const struct redis_command *cmd;
    const struct slice *args;
    size_t count;
    uint32_t *keys;
    size_t found;
};

static void add(struct search *s, size_t place)
{
    assert(place < s->count && s->found < s->count);
    s->keys[s->found++] = (uint32_t)place;
}

static bool is_word(const struct search *s, size_t place, const char *word)
{
    return place < s->count && slice_is_word(s->args[place], word);
}

/* A word that an option is known by, and how many words belong to it besides. */
struct option {
    const char *word;
    size_t more;
};

/* Steps over the option at `*place`; false: it is none of these, or its words are missing. */
static bool skip_option(const struct search *s, const struct option *options, size_t *place)
{
    for (; options->word != NULL; options++) {
        if (is_word(s, *place, options->word)) {
            *place += 1 + options->more;
            return *place <= s->count;
        }
    }
    return false;
}

static enum complaint range(struct search *s)
{
    int64_t count = (int64_t)s->count, first = s->cmd->first_key, last = s->cmd->last_key;

    if (last < 0)
        last += count;
    if (first < 1 || last >= count || s->cmd->key_step < 1)
        return COMPLAINT_ARITY;
    uint32_t *keys = s->keys + s->found;
    for (int64_t place = first; place <= last; place += s->cmd->key_step)
        *keys++ = (uint32_t)place;
    s->found = (size_t)(keys - s->keys);
    assert(s->found <= s->count);
    return s->found > 0 || s->cmd->keys == REDIS_KEYS_CHANNELS ? COMPLAINT_NONE : COMPLAINT_ARITY;
}

static enum complaint pairs(struct search *s)
{
    if ((s->count - (size_t)s->cmd->first_key) % (size_t)s->cmd->key_step != 0)
        return COMPLAINT_ARITY;
    return range(s);
}

/* Commands differ in what they say of a bad number of keys. */
static enum complaint about_number(const struct redis_command *cmd, bool is_number, int64_t number)
{
    bool is_range = strstr(cmd->name, "mpop") != NULL || cmd->categories & REDIS_CATEGORY_SET;

    if (is_range && (!is_number || number < 1))
        return COMPLAINT_COUNT_BELOW_ONE;
    if (!is_number)
        return strstr(cmd->name, "fcall") != NULL ? COMPLAINT_BAD_NUMBER : COMPLAINT_NOT_A_NUMBER;
    if (cmd->keys == REDIS_KEYS_SCRIPT && number < 0)
        return COMPLAINT_NEGATIVE_COUNT;
    if (cmd->keys != REDIS_KEYS_SCRIPT && number < 1)
        return COMPLAINT_NO_KEY;
    if (cmd->keys == REDIS_KEYS_SCRIPT || cmd->categories & REDIS_CATEGORY_SET)
        return COMPLAINT_COUNT_TOO_LARGE;
    return COMPLAINT_SYNTAX;
}

static enum complaint counted(struct search *s)
{
    size_t at = (size_t)s->cmd->first_key, step = (size_t)s->cmd->key_step;
    int64_t least = s->cmd->keys == REDIS_KEYS_SCRIPT ? 0 : 1, number = 0;

    if (at >= s->count)
        return COMPLAINT_ARITY;
    bool is_number = slice_to_i64(s->args[at], &number);
    if (!is_number || number < least || (uint64_t)number > (s->count - at - 1) / step)
        return about_number(s->cmd, is_number, number);
    if (s->cmd->keys == REDIS_KEYS_DESTINATION_COUNTED)
        add(s, 1);
    for (size_t i = 0; i < (size_t)number; i++)
        add(s, at + 1 + i * step);
    return COMPLAINT_NONE;
}

static const struct option xread_options[] = {
    { "BLOCK", 1 }, { "COUNT", 1 }, { "NOACK", 0 }, { "GROUP", 2 }, { "CLAIM", 1 }, { NULL, 0 },
};

static enum complaint streams(struct search *s)
{
    size_t place = 1;

    while (!is_word(s, place, "STREAMS")) {
        if (!skip_option(s, xread_options, &place))
            return COMPLAINT_SYNTAX;
    }
    size_t first = place + 1, rest = s->count - first;
    if (rest == 0)
        return COMPLAINT_SYNTAX;
    if (rest % 2 != 0)
        return COMPLAINT_UNBALANCED;
    for (size_t i = 0; i < rest / 2; i++)
        add(s, first + i);
    return COMPLAINT_NONE;
}

static const struct option sort_options[] = {
    { "STORE", 1 }, { "ASC", 0 }, { "DESC", 0 }, { "ALPHA", 0 },
    { "LIMIT", 2 }, { "BY", 1 },  { "GET", 1 },  { NULL, 0 },
};

/* All but the first for SORT_RO. */
static const struct option *options_of_sort(const struct redis_command *cmd)
{
    return cmd->flags & REDIS_COMMAND_READ ? sort_options + 1 : sort_options;
}

/* Of several STOREs the server heeds the last; all must be on the one shard, to be sure. */
static enum complaint sort(struct search *s)
{
    size_t place = 2;

    if (s->count < 2)
        return COMPLAINT_ARITY;
    add(s, 1);
    while (place < s->count) {
        size_t option = place;

        if (!skip_option(s, options_of_sort(s->cmd), &place))
            return COMPLAINT_SYNTAX;
        if (is_word(s, option, "STORE"))
            add(s, option + 1);
    }
    return COMPLAINT_NONE;
}

static enum complaint georadius(struct search *s)
{
    if (s->count < 2)
        return COMPLAINT_ARITY;
    add(s, 1);
    /* No word before the fifth can be an option, and no other option takes a word that could be
     * mistaken for one: the server looks for it in the same way. */
    for (size_t place = 5; place < s->count; place++) {
        if (!is_word(s, place, "STORE") && !is_word(s, place, "STOREDIST"))
            continue;
        if (++place == s->count)
            return COMPLAINT_SYNTAX;
        add(s, place);
    }
    return COMPLAINT_NONE;
}

static const struct option migrate_options[] = {
    { "COPY", 0 }, { "REPLACE", 0 }, { "AUTH", 1 }, { "AUTH2", 2 }, { NULL, 0 },
};

static enum complaint migrate(struct search *s)
{
    size_t place = 6;

    if (s->count < 6)
        return COMPLAINT_ARITY;
    while (place < s->count && !is_word(s, place, "KEYS")) {
        if (!skip_option(s, migrate_options, &place))
            return COMPLAINT_SYNTAX;
    }
    if (place == s->count) {
        add(s, 3);
        return COMPLAINT_NONE;
    }
    if (s->args[3].len > 0)
        return COMPLAINT_MIGRATE;
    if (++place == s->count)
        return COMPLAINT_SYNTAX;
    for (; place < s->count; place++)
        add(s, place);
    return COMPLAINT_NONE;
}

static enum complaint debug(struct search *s)
{
    static const char *const words[] = { "OBJECT", "SDSLEN", "LISTPACK", "QUICKLIST",
                                         "HTSTATS-KEY" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && s->count > 2; i++) {
        if (is_word(s, 1, words[i]))
            add(s, 2);
    }
    return COMPLAINT_NONE;
}

static enum complaint search(struct search *s)
{
    switch ((enum redis_keys_rule)s->cmd->keys) {
    case REDIS_KEYS_NONE:
        return COMPLAINT_NONE;
    case REDIS_KEYS_RANGE:
    case REDIS_KEYS_CHANNELS:
        return range(s);
    case REDIS_KEYS_PAIRS:
        return pairs(s);
    case REDIS_KEYS_COUNTED:
    case REDIS_KEYS_SCRIPT:
    case REDIS_KEYS_DESTINATION_COUNTED:
        return counted(s);
    case REDIS_KEYS_STREAMS:
        return streams(s);
    case REDIS_KEYS_SORT:
        return sort(s);
    case REDIS_KEYS_GEORADIUS:
        return georadius(s);
    case REDIS_KEYS_MIGRATE:
        return migrate(s);
    case REDIS_KEYS_DEBUG:
        return debug(s);
    }
    return COMPLAINT_SYNTAX;
}

enum err redis_command_keys(const struct redis_command *cmd, const struct slice *args, size_t count,
                            uint32_t *keys, size_t *n)
{
    struct search s = { .cmd = cmd, .args = args, .count = count, .keys = keys };

    if (search(&s) != COMPLAINT_NONE)
        return ERR_SYNTAX;
    *n = s.found;
    return ERR_NONE;
}

enum redis_plan redis_command_plan(const struct redis_command *cmd, const struct slice *args,
                                   size_t count)
{
    struct search s = { .cmd = cmd, .args = args, .count = count };
    size_t place = 1;

    if (cmd->keys != REDIS_KEYS_STREAMS)
        return cmd->plan;
    do {
        if (is_word(&s, place, "BLOCK"))
            return REDIS_BLOCKING;
    } while (skip_option(&s, xread_options, &place));
    return cmd->plan;
}

bool redis_command_next_pattern(const struct redis_command *cmd, const struct slice *args,
                                size_t count, size_t *place, struct slice *start)
{
    struct search s = { .cmd = cmd, .args = args, .count = count };

    if (cmd->keys != REDIS_KEYS_SORT)
        return false;
    if (*place == 0)
        *place = 2;
    while (*place < count) {
        size_t option = *place;
        const uint8_t *star = NULL;

        if (!skip_option(&s, options_of_sort(cmd), place))
            return false;
        if ((is_word(&s, option, "BY") || is_word(&s, option, "GET")) && args[option + 1].len > 0)
            star = memchr(args[option + 1].at, '*', args[option + 1].len);
        if (star != NULL) {
            *start = slice_of(args[option + 1].at, (size_t)(star - args[option + 1].at));
            return true;
        }
    }
    return false;
}

/* A client's word inside of an error line: one line, not endless, and up to a zero as in Redis. */
static void put_word(struct buf *out, struct slice word, size_t limit, bool upper)
{
    for (size_t i = 0; i < word.len && i < limit && word.at[i] != '\0'; i++) {
        char c = (char)word.at[i];

        if (c == '\r' || c == '\n')
            c = ' ';
        if (upper)
            c = (char)toupper((unsigned char)c);
        buf_put(out, &c, 1);
    }
}

enum { WORD_LIMIT = 128 };

static void put_unknown(struct buf *out, const struct slice *args, size_t count)
{
    const struct redis_command *container = redis_command_named(args[0]);
    size_t shown = 0;

    if (container != NULL && redis_command_has_subcommands(container) && count > 1) {
        buf_text(out, "ERR unknown subcommand '");
        put_word(out, args[1], WORD_LIMIT, false);
        buf_text(out, "'. Try ");
        put_word(out, slice_text(container->name), WORD_LIMIT, true);
        buf_text(out, " HELP.");
        return;
    }
    buf_text(out, "ERR unknown command '");
    put_word(out, args[0], WORD_LIMIT, false);
    buf_text(out, "', with args beginning with: ");
    for (size_t i = 1; i < count && shown < WORD_LIMIT; i++) {
        size_t before = out->len;

        buf_text(out, "'");
        put_word(out, args[i], WORD_LIMIT - shown, false);
        buf_text(out, "' ");
        shown += out->len - before;
    }
}

void redis_command_put_error(struct buf *out, const struct redis_command *cmd,
                             const struct slice *args, size_t count)
{
    enum complaint complaint = COMPLAINT_ARITY;

    assert(count > 0);
    if (cmd == NULL) {
        put_unknown(out, args, count);
        return;
    }
    if (redis_command_arity_is_right(cmd, count)) {
        /* Where the keys are does not matter now, but the search wants to put them somewhere. */
        uint32_t *keys = mem_new(count * sizeof(*keys));
        struct search s = { .cmd = cmd, .args = args, .count = count, .keys = keys };

        complaint = search(&s);
        free(keys);
    }
    if (complaint == COMPLAINT_NONE)
        complaint = COMPLAINT_SYNTAX;
    buf_text(out, "ERR ");
    buf_text(out, complaint_texts[complaint]);
    if (complaint == COMPLAINT_ARITY || complaint == COMPLAINT_NO_KEY)
        buf_format(out, " '%s' command", cmd->name);
}
