/* See auth_file.h. */
#include "config/auth_file.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"

struct reader {
    struct slice rest;
    struct place place;
    struct arena *arena; /* borrowed, as the next two */
    struct auth_users *out;
    struct problems *problems;
    uint32_t room; /* of out->list */
};

static bool is_blank(uint8_t letter)
{
    return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\v' || letter == '\f';
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.at[0]))
        s = slice_from(s, 1);
    return s;
}

static bool is_comment(struct slice s)
{
    return s.len > 0 && (s.at[0] == ';' || s.at[0] == '#');
}

/* The bytes of a string in quotes at the front of the line, with the quotes; 0: there is none. */
static size_t string_bytes(struct slice line)
{
    if (line.len == 0 || line.at[0] != '"')
        return 0;
    for (size_t i = 1; i < line.len; i++) {
        if (line.at[i] != '"')
            continue;
        if (i + 1 == line.len || line.at[i + 1] != '"')
            return i + 1;
        i++;
    }
    return 0;
}

/* A string in quotes at the front of the line, taken off it; NULL: there is none. */
static const char *take_string(struct slice *line, struct arena *arena, size_t *len)
{
    size_t bytes;
    char *text;

    *line = trim(*line);
    bytes = string_bytes(*line);
    if (bytes == 0)
        return NULL;
    text = arena_new(arena, bytes);
    *len = 0;
    for (size_t i = 1; i < bytes - 1; i++) {
        text[(*len)++] = (char)line->at[i];
        i += line->at[i] == '"';
    }
    *line = slice_from(*line, bytes);
    return text;
}

/* Digits or letters of base64 at the front, taken off. */
static bool take_run(const char **text, const char *letters, size_t at_least, size_t at_most)
{
    size_t len = strspn(*text, letters);

    *text += len;
    return len >= at_least && len <= at_most;
}

static bool take_letter(const char **text, char letter)
{
    return *(*text)++ == letter;
}

enum err auth_secret_check(const char *secret, struct buf *why)
{
    static const char HEAD[] = "SCRAM-SHA-256$", DIGITS[] = "0123456789";
    static const char BASE64[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    const char *text = secret + sizeof(HEAD) - 1;

    if (strncmp(secret, HEAD, sizeof(HEAD) - 1) != 0)
        return ERR_NONE;
    if (take_run(&text, DIGITS, 1, 9) && take_letter(&text, ':') &&
        take_run(&text, BASE64, 4, 88) && take_letter(&text, '$') &&
        take_run(&text, BASE64, 44, 44) && take_letter(&text, ':') &&
        take_run(&text, BASE64, 44, 44) && *text == '\0')
        return ERR_NONE;
    buf_text(why, "begins as a SCRAM verifier, but is not of the form "
                  "SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY");
    return ERR_SYNTAX;
}

static void keep(struct reader *r, const char *name, const char *secret)
{
    struct auth_user user = { .name = name,
                              .secret = secret[0] == '\0' ? NULL : secret,
                              .place = r->place };

    if (r->out->count == r->room) {
        struct auth_user *more;

        r->room = r->room == 0 ? 16 : r->room * 2;
        more = arena_bytes(r->arena, r->room * sizeof(*more));
        if (r->out->count > 0)
            memcpy(more, r->out->list, r->out->count * sizeof(*more));
        r->out->list = more;
    }
    r->out->list[r->out->count++] = user;
}

/* Do only strings and a comment stand behind a name and a secret? */
static bool ends_well(struct slice line)
{
    for (line = trim(line); line.len > 0 && !is_comment(line); line = trim(line)) {
        size_t bytes = string_bytes(line);

        if (bytes == 0)
            return false;
        line = slice_from(line, bytes);
    }
    return true;
}

/* `secret` NULL: there is no string; `rest` is what stands behind it. */
static enum err check_secret(const char *secret, size_t len, struct slice rest, struct buf *why)
{
    if (secret == NULL) {
        buf_text(why, "a secret in double quotes must follow (\"\" for none)");
        return ERR_SYNTAX;
    }
    if (len > AUTH_SECRET_BYTES) {
        buf_format(why, "the secret is longer than %d bytes", AUTH_SECRET_BYTES);
        return ERR_LIMIT;
    }
    if (!ends_well(rest)) {
        buf_text(why, "only strings in quotes may follow the secret (a quote within one is "
                      "written twice)");
        return ERR_SYNTAX;
    }
    buf_text(why, "the secret ");
    return auth_secret_check(secret, why);
}

static void read_secret(struct reader *r, struct slice line, const char *name)
{
    struct buf why = { 0 };
    size_t len = 0;
    const char *secret = take_string(&line, r->arena, &len);

    if (check_secret(secret, len, line, &why) == ERR_NONE)
        keep(r, name, secret);
    else
        problems_error(r->problems, r->place, "user \"%s\": %.*s", name, (int)why.len,
                       (const char *)why.at);
    buf_fini(&why);
}

static void read_line(struct reader *r, struct slice line)
{
    size_t len = 0;
    const char *name;

    if (memchr(line.at, 0, line.len) != NULL) {
        problems_error(r->problems, r->place, "a zero byte is in this line");
        return;
    }
    name = take_string(&line, r->arena, &len);
    if (name == NULL)
        problems_error(r->problems, r->place,
                       "a line is \"USER\" \"SECRET\", both in double quotes");
    else if (len == 0 || len > AUTH_NAME_BYTES)
        problems_error(r->problems, r->place, "a user's name has 1 to %d bytes", AUTH_NAME_BYTES);
    else
        read_secret(r, line, name);
}

static int compare(const void *a, const void *b)
{
    const struct auth_user *x = *(struct auth_user *const *)a, *y = *(struct auth_user *const *)b;
    int order = strcmp(x->name, y->name);

    return order != 0 ? order : x->place.line < y->place.line ? -1 : 1;
}

/* Of each name the first line stays. */
static void refuse_doubles(struct auth_users *users, struct problems *problems)
{
    struct auth_user **sorted = mem_new((users->count + 1) * sizeof(struct auth_user *));
    struct auth_user *first = NULL;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < users->count; i++)
        sorted[i] = &users->list[i];
    qsort(sorted, users->count, sizeof(struct auth_user *), compare);
    for (uint32_t i = 0; i < users->count; i++) {
        if (first == NULL || strcmp(first->name, sorted[i]->name) != 0) {
            first = sorted[i];
            continue;
        }
        problems_error(problems, sorted[i]->place, "user \"%s\" is already there (line %u)",
                       first->name, first->place.line);
        sorted[i]->name = NULL;
    }
    free(sorted);
    for (uint32_t i = 0; i < users->count; i++)
        if (users->list[i].name != NULL)
            users->list[kept++] = users->list[i];
    users->count = kept;
}

void auth_file_parse(struct slice text, struct place place, struct arena *arena,
                     struct auth_users *out, struct problems *problems)
{
    struct reader r = {
        .rest = text, .place = place, .arena = arena, .out = out, .problems = problems
    };

    *out = (struct auth_users){ 0 };
    if (slice_starts(text, slice_text("\xEF\xBB\xBF")))
        r.rest = slice_from(text, 3);
    r.place.line = 0;
    while (r.rest.len > 0) {
        const uint8_t *end = memchr(r.rest.at, '\n', r.rest.len);
        struct slice line = r.rest;

        if (end != NULL)
            line.len = (size_t)(end - line.at);
        r.rest = slice_from(r.rest, end == NULL ? line.len : line.len + 1);
        r.place.line++;
        line = trim(line);
        if (line.len > 0 && !is_comment(line))
            read_line(&r, line);
    }
    refuse_doubles(out, problems);
}
