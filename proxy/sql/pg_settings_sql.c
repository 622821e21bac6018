/* From one vector to another, as SQL.
 *
 * Who may set what decides the order.  RESET ALL asks nobody's rights, so it takes back what
 * another role has set.  What only some may set is set as who set it; all else as whom the session
 * is in the end, last.  Every name is quoted, every function is called by its schema: what a
 * session has in its search_path does not matter. */
#include <stdlib.h>

#include "proxy/sql/pg_settings_pool.h"
#include "replica/grammar.h"

enum { NAME_BYTES = 64 }; /* of an identifier, with its end */

static const char NO_ROLE[] = "none";

struct actor {
    struct slice login, role; /* session_authorization; at NULL: not set */
    bool login_is_unknown, role_is_unknown;
};

struct difference {
    const struct pg_settings *from, *to;
    struct buf *out;
    struct actor actor;
    bool resets_all;       /* nothing of `from` counts, but who it is */
    bool encoding_is_done; /* client_encoding is what it shall be */
};

/* --- One assignment -------------------------------------------------------------------------- */

static bool is_plain(struct slice word)
{
    if (word.len == 0 || (word.at[0] != '_' && (word.at[0] < 'a' || word.at[0] > 'z')))
        return false;
    for (size_t i = 0; i < word.len; i++) {
        uint8_t c = word.at[i];

        if (c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9'))
            return false;
    }
    return true;
}

/* `byte` in the text is said twice. */
static void put_doubled(struct buf *out, struct slice text, uint8_t byte)
{
    while (text.len > 0) {
        const uint8_t *at = memchr(text.at, byte, text.len);
        size_t len = at == NULL ? text.len : (size_t)(at - text.at) + 1;

        buf_put(out, text.at, len);
        if (at != NULL)
            buf_put(out, &byte, 1);
        text = slice_from(text, len);
    }
}

/* E'' is read alike whatever standard_conforming_strings says. */
void pg_settings_put_string(struct buf *out, struct slice value)
{
    bool escapes = value.len > 0 && memchr(value.at, '\\', value.len) != NULL;

    if (!escapes) {
        buf_text(out, "'");
        put_doubled(out, value, '\'');
    } else {
        struct buf half = { 0 };

        buf_text(out, "E'");
        put_doubled(&half, value, '\'');
        put_doubled(out, buf_all(&half), '\\');
        buf_fini(&half);
    }
    buf_text(out, "'");
}

/* "app"."user": each part by itself. */
static void put_name(struct buf *out, struct slice name)
{
    if (is_plain(name)) {
        buf_slice(out, name);
        return;
    }
    while (true) {
        const uint8_t *dot = memchr(name.at, '.', name.len);
        size_t len = dot == NULL ? name.len : (size_t)(dot - name.at);

        buf_text(out, "\"");
        put_doubled(out, slice_of(name.at, len), '"');
        buf_text(out, dot == NULL ? "\"" : "\".");
        if (dot == NULL)
            return;
        name = slice_from(name, len + 1);
    }
}

/* Would PostgreSQL write this name without quotes? */
static bool is_bare(struct slice name)
{
    char word[NAME_BYTES];

    if (!is_plain(name) || name.len >= sizeof(word))
        return false;
    memcpy(word, name.at, name.len);
    word[name.len] = 0;
    return !grammar_is_keyword(word);
}

/* The next name of a list that PostgreSQL would write as it stands in `list`: bare, or in quotes
 * because it must be.  Nothing in quotes is doubled. */
static bool next_name(struct slice *list, struct slice *name)
{
    size_t len = 0;

    if (list->len > 1 && list->at[0] == '"') {
        const uint8_t *end = memchr(list->at + 1, '"', list->len - 1);

        if (end == NULL)
            return false;
        *name = slice_of(list->at + 1, (size_t)(end - list->at) - 1);
        *list = slice_from(*list, name->len + 2);
        return !is_bare(*name);
    }
    while (len < list->len && list->at[len] != ',')
        len++;
    *name = slice_of(list->at, len);
    *list = slice_from(*list, len);
    return is_bare(*name);
}

/* SET of a list as strings, one for each name: a third of what set_config() costs.  False: not
 * written, for it would not give the same text. */
static bool put_list(struct buf *out, struct slice list)
{
    size_t before = out->len;
    struct slice name;

    for (size_t i = 0; i < list.len; i++)
        if (list.at[i] >= 0x80 || list.at[i] == '\\')
            return false;
    while (next_name(&list, &name) && name.len < NAME_BYTES) {
        pg_settings_put_string(out, name);
        if (list.len == 0)
            return true;
        if (!slice_starts(list, slice_text(", ")))
            break;
        list = slice_from(list, 2);
        buf_text(out, ",");
    }
    out->len = before;
    return false;
}

void pg_settings_put_assignment(struct buf *out, struct slice name, struct slice value,
                                bool is_local)
{
    size_t before = out->len;

    buf_text(out, is_local ? "SET LOCAL " : "SET ");
    put_name(out, name);
    buf_text(out, " TO ");
    if (!(pg_settings_traits(name) & PG_TRAIT_LIST)) {
        pg_settings_put_string(out, value);
        return;
    }
    if (put_list(out, value))
        return;
    out->len = before;
    buf_text(out, "SELECT pg_catalog.set_config(");
    pg_settings_put_string(out, name);
    buf_text(out, ",");
    pg_settings_put_string(out, value);
    buf_text(out, is_local ? ",true)" : ",false)");
}

static void take_back(struct difference *d, struct slice name)
{
    buf_text(d->out, "RESET ");
    put_name(d->out, name);
    buf_text(d->out, ";");
}

static void say(struct difference *d, struct slice name, struct slice value)
{
    struct slice before;

    if (pg_settings_is_partial(name, value) && !d->resets_all &&
        pg_settings_find(d->from, name, &before))
        take_back(d, name);
    pg_settings_put_assignment(d->out, name, value, false);
    buf_text(d->out, ";");
}

/* --- Who it is ------------------------------------------------------------------------------- */

static struct actor actor_of(const struct pg_settings *v)
{
    struct actor a = { 0 };

    pg_settings_find(v, slice_text("session_authorization"), &a.login);
    pg_settings_find(v, slice_text("role"), &a.role);
    return a;
}

static bool is_named(struct slice a, struct slice b)
{
    return a.at == NULL || b.at == NULL ? a.at == b.at : slice_is(a, b);
}

static struct slice active(struct slice role)
{
    return slice_is_text(role, NO_ROLE) ? (struct slice){ 0 } : role;
}

static bool is_unknown(const struct actor *a)
{
    return a->login_is_unknown || a->role_is_unknown;
}

/* Do both have the same rights? */
static bool is_same_actor(const struct actor *a, const struct actor *b)
{
    return !is_unknown(a) && !is_unknown(b) && is_named(a->login, b->login) &&
           is_named(active(a->role), active(b->role));
}

static void become_actor(struct difference *d, const struct actor *to)
{
    struct slice login = slice_text("session_authorization"), role = slice_text("role");

    if (d->actor.login_is_unknown || !is_named(d->actor.login, to->login)) {
        if (to->login.at == NULL)
            take_back(d, login);
        else
            say(d, login, to->login);
        d->actor.role = slice_text(NO_ROLE);
        d->actor.role_is_unknown = to->login.at == NULL; /* servers differ */
    }
    if (d->actor.role_is_unknown || !is_named(d->actor.role, to->role)) {
        if (to->role.at == NULL)
            take_back(d, role);
        else
            say(d, role, to->role);
    }
    d->actor = *to;
}

/* --- All of it ------------------------------------------------------------------------------- */

static bool is_actor(const struct pg_settings_entry *e)
{
    return slice_is_text(e->name, "role") || slice_is_text(e->name, "session_authorization");
}

static bool is_said_elsewhere(const struct difference *d, const struct pg_settings_entry *e)
{
    return e->traits & PG_TRAIT_OWN || is_actor(e) ||
           (d->encoding_is_done && slice_is_text(e->name, "client_encoding"));
}

static bool is_due(const struct difference *d, const struct pg_settings_entry *e)
{
    struct slice value;

    if (is_said_elsewhere(d, e))
        return false;
    return d->resets_all || !pg_settings_find(d->from, e->name, &value) ||
           !slice_is(value, e->value);
}

static bool is_gone(const struct difference *d, const struct pg_settings_entry *e)
{
    struct slice value;

    return !is_said_elsewhere(d, e) && !pg_settings_find(d->to, e->name, &value);
}

/* Is there something to take back for which the rights of the login, or role, may not be enough? */
static bool must_reset_all(const struct difference *d)
{
    for (size_t i = 0; i < pg_settings_count(d->from); i++) {
        const struct pg_settings_entry *e = &d->from->entries[i];

        if (e->traits & PG_TRAIT_PRIVILEGED && (e->under != NULL || d->from->has_role) &&
            is_gone(d, e))
            return true;
    }
    return false;
}

static void say_what_is_gone(struct difference *d)
{
    for (size_t i = 0; !d->resets_all && i < pg_settings_count(d->from); i++)
        if (is_gone(d, &d->from->entries[i]))
            take_back(d, d->from->entries[i].name);
}

static void say_privileged(struct difference *d)
{
    struct actor first = d->actor, last = actor_of(d->to);

    for (int pass = 0; pass < 2; pass++) /* first what needs no change of who it is */
        for (size_t i = 0; i < pg_settings_count(d->to); i++) {
            const struct pg_settings_entry *e = &d->to->entries[i];
            struct actor who = actor_of(e->under);

            if (!(e->traits & PG_TRAIT_PRIVILEGED) || !is_due(d, e) || is_same_actor(&who, &last))
                continue;
            if (is_same_actor(&who, &first) != (pass == 0))
                continue;
            if (pass == 1)
                become_actor(d, &who);
            say(d, e->name, e->value);
        }
}

static void say_rest(struct difference *d)
{
    struct actor last = actor_of(d->to);

    become_actor(d, &last);
    for (size_t i = 0; i < pg_settings_count(d->to); i++) {
        const struct pg_settings_entry *e = &d->to->entries[i];
        struct actor who = actor_of(e->under);

        if (is_due(d, e) && (!(e->traits & PG_TRAIT_PRIVILEGED) || is_same_actor(&who, &last)))
            say(d, e->name, e->value);
    }
}

/* --- Messages -------------------------------------------------------------------------------- */

static const char BEGIN[] = "BEGIN;", COMMIT[] = "COMMIT";

static size_t begin(struct difference *d)
{
    size_t at = d->out->len;

    buf_put(d->out, "Q\0\0\0\0", 5);
    buf_text(d->out, BEGIN);
    return at;
}

/* Returns how many messages it has become: one, or none if there was nothing to be said. */
static size_t end(struct difference *d, size_t at)
{
    uint32_t len;

    if (d->out->len == at + 5 + sizeof(BEGIN) - 1) {
        d->out->len = at;
        return 0;
    }
    buf_put(d->out, COMMIT, sizeof(COMMIT)); /* with its zero */
    len = (uint32_t)(d->out->len - at - 1);
    for (size_t i = 0; i < 4; i++)
        d->out->at[at + 1 + i] = (uint8_t)(len >> (24 - 8 * i));
    return 1;
}

/* Text is read in the encoding that holds when its message comes: then client_encoding must have
 * been said before. */
static bool is_encoding_first(const struct difference *d)
{
    struct slice name = slice_text("client_encoding"), before = { 0 }, after = { 0 };

    if (d->to == NULL || !d->to->has_foreign_bytes)
        return false;
    pg_settings_find(d->from, name, &before);
    pg_settings_find(d->to, name, &after);
    return d->resets_all || !is_named(before, after);
}

static size_t say_encoding(struct difference *d)
{
    struct slice name = slice_text("client_encoding"), value;
    size_t at = begin(d);

    if (d->resets_all)
        buf_text(d->out, "RESET ALL;");
    if (pg_settings_find(d->to, name, &value))
        say(d, name, value);
    else if (!d->resets_all)
        take_back(d, name);
    d->encoding_is_done = true;
    return end(d, at);
}

static size_t say_all(struct difference *d)
{
    size_t count = 0, at;

    if (is_encoding_first(d))
        count = say_encoding(d);
    at = begin(d);
    if (d->resets_all && !d->encoding_is_done)
        buf_text(d->out, "RESET ALL;");
    say_what_is_gone(d);
    say_privileged(d);
    say_rest(d);
    return count + end(d, at);
}

size_t pg_settings_difference(const struct pg_settings *from, const struct pg_settings *to,
                              struct buf *out)
{
    struct difference d = { .from = from, .to = to, .out = out, .actor = actor_of(from) };

    if (from == to)
        return 0;
    d.resets_all = must_reset_all(&d);
    return say_all(&d);
}

size_t pg_settings_difference_from_unknown(const struct pg_settings *to, struct buf *out)
{
    struct difference d = {
        .to = to,
        .out = out,
        .resets_all = true,
        .actor = { .login_is_unknown = true, .role_is_unknown = true },
    };

    return say_all(&d);
}
