/* Maps of names in the manner of pg_ident.conf; see hba.h.  Regular expressions are looked at when
 * the file is read and compiled anew when they are used, once a login: so a map is plain data. */
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "config/hba.h"
#include "config/hba_lines.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"

enum { REGEX_BYTES = 256, NAME_BYTES = 256 };

/* References back within an expression make its matching take exponential time. */
static bool has_reference(const char *text)
{
    for (; *text != '\0'; text++) {
        if (text[0] == '\\' && text[1] >= '1' && text[1] <= '9')
            return true;
        if (text[0] == '\\' && text[1] != '\0')
            text++;
    }
    return false;
}

static bool is_regex(const struct ident_line *line)
{
    return line->system_name[0] == '/';
}

static bool check_regex(const struct ident_line *line, struct problems *problems)
{
    const char *text = line->system_name + 1;
    char why[128];
    regex_t regex;
    int failed;

    if (strlen(text) > REGEX_BYTES) {
        problems_error(problems, line->place, "the regular expression is longer than %d bytes",
                       REGEX_BYTES);
        return false;
    }
    if (has_reference(text) || strchr(text, '{') != NULL) {
        problems_error(problems, line->place,
                       "\"%s\": \"\\1\" and \"{\" are not supported in regular expressions", text);
        return false;
    }
    failed = regcomp(&regex, text, REG_EXTENDED);
    if (failed != 0) {
        regerror(failed, NULL, why, sizeof(why));
        problems_error(problems, line->place, "\"%s\" is no regular expression: %s", text, why);
        return false;
    }
    failed = strstr(line->user, "\\1") != NULL && regex.re_nsub == 0;
    regfree(&regex);
    if (failed != 0)
        problems_error(problems, line->place,
                       "\"%s\" has no group in parentheses that \"\\1\" could mean", text);
    return failed == 0;
}

static bool read_line(const struct hba_line *line, struct problems *problems,
                      struct ident_line *out)
{
    if (line->count != 3 || line->fields[0].count != 1 || line->fields[1].count != 1 ||
        line->fields[2].count != 1) {
        problems_error(problems, line->place, "a line is MAP SYSTEM-NAME USER, one word each");
        return false;
    }
    *out = (struct ident_line){ .place = line->place,
                                .map = line->fields[0].tokens[0].text,
                                .system_name = line->fields[1].tokens[0].text,
                                .user = line->fields[2].tokens[0].text };
    if (out->user[0] == '+' && !line->fields[2].tokens[0].is_quoted) {
        problems_error(problems, line->place,
                       "\"%s\": members of a role are known to the servers only: write the names",
                       out->user);
        return false;
    }
    return !is_regex(out) || check_regex(out, problems);
}

void ident_parse(struct slice text, struct place place, struct arena *arena, struct ident *out,
                 struct problems *problems)
{
    struct hba_lines lines;
    struct hba_line line;
    struct ident_line read;

    *out = (struct ident){ 0 };
    hba_lines_init(&lines, text, place, arena, problems);
    while (hba_lines_next(&lines, &line)) {
        if (!read_line(&line, problems, &read))
            continue;
        out->lines = hba_grown(arena, out->lines, out->count, sizeof(*out->lines));
        out->lines[out->count++] = read;
    }
}

/* The user's name with its first \1 replaced. */
static bool is_user(const char *pattern, const char *name, regmatch_t group, struct slice user)
{
    const char *reference = strstr(pattern, "\\1");
    struct buf text = { 0 };
    bool is;

    if (reference == NULL)
        return slice_is_text(user, pattern);
    if (group.rm_so < 0)
        return false;
    buf_put(&text, pattern, (size_t)(reference - pattern));
    buf_put(&text, name + group.rm_so, (size_t)(group.rm_eo - group.rm_so));
    buf_text(&text, reference + 2);
    is = slice_is(buf_all(&text), user);
    buf_fini(&text);
    return is;
}

static bool regex_allows(const struct ident_line *line, const char *name, struct slice user)
{
    regmatch_t groups[2];
    regex_t regex;
    bool allows;

    if (regcomp(&regex, line->system_name + 1, REG_EXTENDED) != 0)
        return false;
    allows =
        regexec(&regex, name, 2, groups, 0) == 0 &&
        is_user(line->user, name, regex.re_nsub > 0 ? groups[1] : (regmatch_t){ -1, -1 }, user);
    regfree(&regex);
    return allows;
}

bool ident_allows(const struct ident *ident, const char *map, struct slice system_name,
                  struct slice user)
{
    char name[NAME_BYTES];

    if (system_name.len == 0 || system_name.len >= sizeof(name) ||
        memchr(system_name.at, 0, system_name.len) != NULL)
        return false;
    if (map == NULL)
        return slice_is(system_name, user);
    memcpy(name, system_name.at, system_name.len);
    name[system_name.len] = '\0';
    for (uint32_t i = 0; i < ident->count; i++) {
        const struct ident_line *line = &ident->lines[i];

        if (strcmp(line->map, map) != 0)
            continue;
        if (is_regex(line) ? regex_allows(line, name, user)
                           : slice_is(system_name, slice_text(line->system_name)) &&
                                 slice_is_text(user, line->user))
            return true;
    }
    return false;
}

void ident_check_maps(const struct ident *ident, const struct hba *hba, struct problems *problems)
{
    for (uint32_t i = 0; i < hba->count; i++) {
        const struct hba_rule *rule = &hba->rules[i];
        bool found = rule->map == NULL;

        for (uint32_t line = 0; line < ident->count && !found; line++)
            found = strcmp(ident->lines[line].map, rule->map) == 0;
        if (!found)
            problems_error(problems, rule->place, "map \"%s\" is in no line of an ident_file",
                           rule->map);
    }
}
