/* See user.h. */
#include "config/user.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "config/expand.h"
#include "config/option.h"
#include "config/words.h"

enum { SHA256_BYTES = 32, NAME_BYTES = 64 };

static const char *const CATEGORIES[] = {
    "@all",       "@keyspace",   "@read",        "@write",     "@set",         "@sortedset",
    "@list",      "@hash",       "@string",      "@bitmap",    "@hyperloglog", "@geo",
    "@stream",    "@pubsub",     "@admin",       "@fast",      "@slow",        "@blocking",
    "@dangerous", "@connection", "@transaction", "@scripting", NULL,
};
static const char *const WORDS[] = { "password", "prefix", "allow", "deny", "admin", NULL };

static enum err parse_sha256(const char *hex, uint8_t *out, struct buf *why)
{
    if (strlen(hex) != 2 * SHA256_BYTES || strspn(hex, "0123456789abcdefABCDEF") != strlen(hex)) {
        buf_text(why, "behind \"#\" stand the 64 hex digits of a password's SHA-256");
        return ERR_SYNTAX;
    }
    for (size_t i = 0; i < SHA256_BYTES; i++)
        sscanf(hex + 2 * i, "%2hhx", &out[i]);
    return ERR_NONE;
}

static enum err add_password(struct user_settings *user, const char *text, struct arena *arena,
                             struct buf *why)
{
    struct user_password password = { .text = text };

    if (text[0] == '#') {
        password.text = NULL;
        TRY(parse_sha256(text + 1, password.sha256, why));
    } else if (text[0] == '\0') {
        buf_text(why, "the password is empty (nopass lets anyone in)");
        return ERR_SYNTAX;
    }
    user->passwords = words_grown(arena, user->passwords, user->password_count, sizeof(password));
    user->passwords[user->password_count++] = password;
    return ERR_NONE;
}

static bool is_category(const char *name)
{
    for (size_t i = 0; CATEGORIES[i] != NULL; i++)
        if (strcmp(CATEGORIES[i] + 1, name) == 0)
            return true;
    return false;
}

static enum err check_command(const char *command, struct buf *why)
{
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.|";

    if (command[0] == '@') {
        if (is_category(command + 1))
            return ERR_NONE;
        buf_format(why, "unknown category \"%s\"", command);
        option_suggest_word(CATEGORIES, command, why);
        return ERR_SYNTAX;
    }
    /* Nobody gets anything by a command that there is not: a category is meant. */
    if (is_category(command) && strcmp(command, "set") != 0 && strcmp(command, "pubsub") != 0) {
        buf_format(why, "\"%s\" is no command; the category is @%s", command, command);
        return ERR_SYNTAX;
    }
    if (command[0] != '\0' && strspn(command, LETTERS) == strlen(command))
        return ERR_NONE;
    buf_format(why, "\"%s\" is neither a command nor an @category", command);
    return ERR_SYNTAX;
}

static enum err add_commands(const char ***list, uint32_t *count, const char *text,
                             struct arena *arena, struct buf *why)
{
    const char *comma;

    do {
        comma = strchrnul(text, ',');
        char *command = arena_text(arena, slice_of(text, (size_t)(comma - text)));

        for (char *letter = command; *letter != '\0'; letter++)
            *letter = (char)tolower((unsigned char)*letter);
        TRY(check_command(command, why));
        *list = words_grown(arena, *list, *count, sizeof(**list));
        (*list)[(*count)++] = command;
        text = comma + 1;
    } while (*comma != '\0');
    return ERR_NONE;
}

static enum err add_prefix(struct user_settings *user, const char *text, struct arena *arena,
                           struct buf *why)
{
    if (text[0] == '\0') {
        buf_text(why, "the prefix is empty (without one, all keys are allowed)");
        return ERR_SYNTAX;
    }
    user->key_prefixes =
        words_grown(arena, user->key_prefixes, user->key_prefix_count, sizeof(*user->key_prefixes));
    user->key_prefixes[user->key_prefix_count++] = slice_text(text);
    return ERR_NONE;
}

static enum err refuse_word(struct slice name, bool has_value, struct buf *why)
{
    char word[32];

    /* Without "=" it may be the rest of a password with spaces, which is nobody's business. */
    snprintf(word, sizeof(word), "%.*s", has_value ? (int)name.len : 0, (const char *)name.at);
    if (has_value) {
        buf_format(why, "unknown word \"%s=\"", word);
        option_suggest_word(WORDS, word, why);
    } else {
        buf_text(why, "behind the password stand password=, prefix=, allow=, deny= and admin "
                      "(a password with spaces comes from ${NAME})");
    }
    return ERR_SYNTAX;
}

static enum err take_word(struct user_settings *user, struct slice word, struct arena *arena,
                          struct buf *why)
{
    const uint8_t *equals = memchr(word.at, '=', word.len);
    struct slice name = slice_of(word.at, equals == NULL ? word.len : (size_t)(equals - word.at));
    const char *value;

    if (equals == NULL && slice_is_text(name, "admin")) {
        user->admin = true;
        return ERR_NONE;
    }
    if (equals == NULL)
        return refuse_word(name, false, why);
    TRY(expand(slice_from(word, name.len + 1), EXPAND_PLAIN, arena, &value, why));
    if (slice_is_text(name, "password"))
        return add_password(user, value, arena, why);
    if (slice_is_text(name, "prefix"))
        return add_prefix(user, value, arena, why);
    if (slice_is_text(name, "allow"))
        return add_commands(&user->allow, &user->allow_count, value, arena, why);
    if (slice_is_text(name, "deny"))
        return add_commands(&user->deny, &user->deny_count, value, arena, why);
    return refuse_word(name, true, why);
}

enum err user_parse(const char *line, struct arena *arena, struct user_settings *out,
                    struct buf *why)
{
    struct user_settings user = { 0 };
    struct slice rest = slice_text(line), name = words_next(&rest), word = words_next(&rest);
    const char *password;

    if (word.len == 0) {
        buf_text(why, "a user has a name and a password (or #SHA256, or nopass)");
        return ERR_SYNTAX;
    }
    TRY(expand(name, EXPAND_PLAIN, arena, &user.name, why));
    if (user.name[0] == '\0' || strlen(user.name) > NAME_BYTES) {
        buf_text(why, "a user's name has 1 to 64 bytes");
        return ERR_SYNTAX;
    }
    if (slice_is_text(word, "nopass")) {
        user.nopass = true;
    } else {
        TRY(expand(word, EXPAND_PLAIN, arena, &password, why));
        TRY(add_password(&user, password, arena, why));
    }
    for (word = words_next(&rest); word.len > 0; word = words_next(&rest))
        TRY(take_word(&user, word, arena, why));
    if (user.nopass && user.password_count > 0) {
        buf_text(why, "a user with nopass can have no password");
        return ERR_SYNTAX;
    }
    *out = user;
    return ERR_NONE;
}

enum err user_parse_password(const char *password, struct arena *arena, struct user_settings *out,
                             struct buf *why)
{
    struct user_settings user = { .name = "default" };
    const char *text;

    TRY(expand(slice_text(password), EXPAND_PLAIN, arena, &text, why));
    TRY(add_password(&user, text, arena, why));
    *out = user;
    return ERR_NONE;
}

static void print_password(const struct user_password *password, bool secrets, struct buf *out)
{
    if (!secrets) {
        buf_text(out, "***");
    } else if (password->text != NULL) {
        words_print(slice_text(password->text), out);
    } else {
        buf_text(out, "#");
        for (size_t i = 0; i < SHA256_BYTES; i++)
            buf_format(out, "%02x", password->sha256[i]);
    }
}

static void print_list(const char *name, const char *const *list, uint32_t count, struct buf *out)
{
    for (uint32_t i = 0; i < count; i++)
        buf_format(out, "%s%s", i == 0 ? name : ",", list[i]);
}

void user_print(const struct user_settings *user, bool secrets, struct buf *out)
{
    words_print(slice_text(user->name), out);
    if (user->nopass)
        buf_text(out, " nopass");
    for (uint32_t i = 0; i < user->password_count; i++) {
        buf_text(out, i == 0 ? " " : " password=");
        print_password(&user->passwords[i], secrets, out);
    }
    for (uint32_t i = 0; i < user->key_prefix_count; i++) {
        buf_text(out, " prefix=");
        words_print(user->key_prefixes[i], out);
    }
    print_list(" allow=", user->allow, user->allow_count, out);
    print_list(" deny=", user->deny, user->deny_count, out);
    if (user->admin)
        buf_text(out, " admin");
}

bool user_may_the_same(const struct user_settings *a, const struct user_settings *b)
{
    struct buf a_text = { 0 }, b_text = { 0 };
    bool same;

    user_print(a, false, &a_text);
    user_print(b, false, &b_text);
    same = slice_is(buf_all(&a_text), buf_all(&b_text));
    buf_fini(&a_text);
    buf_fini(&b_text);
    return same;
}
