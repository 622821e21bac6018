/* Vectors of settings: whatever names and values clients have, what a server reads in the SQL from
 * one vector to another makes exactly the other.  The server is a small one of our own, which reads
 * only what such SQL may hold, with strings as PostgreSQL reads them in either mode. */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/buf.h"
#include "proxy/sql/pg_settings.h"
#include "replica/grammar.h"

enum { VECTORS = 4, ENTRIES = 160, TEXT = 1 << 16 };

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* --- The server ------------------------------------------------------------------------------ */

struct entry {
    struct buf name, value;
};

struct server {
    struct entry entries[ENTRIES];
    size_t count;
    bool backslash_escapes;
};

struct text {
    const uint8_t *at, *end;
    bool backslash_escapes;
};

static struct entry *find(struct server *s, struct slice name)
{
    for (size_t i = 0; i < s->count; i++)
        if (slice_is(buf_all(&s->entries[i].name), name))
            return &s->entries[i];
    return NULL;
}

static void forget(struct server *s, struct slice name)
{
    struct entry *e = find(s, name);

    if (e == NULL)
        return;
    buf_fini(&e->name);
    buf_fini(&e->value);
    *e = s->entries[--s->count];
    s->entries[s->count] = (struct entry){ 0 };
}

static void assign(struct server *s, struct slice name, struct slice value)
{
    struct entry *e = find(s, name);

    if (e == NULL) {
        require(s->count < ENTRIES);
        e = &s->entries[s->count++];
        buf_slice(&e->name, name);
    }
    buf_clear(&e->value);
    buf_slice(&e->value, value);
    if (slice_is_text(name, "session_authorization"))
        assign(s, slice_text("role"), slice_text("none"));
}

static void reset(struct server *s, struct slice name)
{
    forget(s, name);
    if (slice_is_text(name, "session_authorization"))
        forget(s, slice_text("role"));
}

static bool is_actor(struct slice name)
{
    return slice_is_text(name, "role") || slice_is_text(name, "session_authorization");
}

static void reset_all(struct server *s)
{
    for (size_t i = 0; i < s->count;) {
        if (is_actor(buf_all(&s->entries[i].name)))
            i++;
        else
            forget(s, buf_all(&s->entries[i].name));
    }
}

static bool takes(struct text *t, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(t->end - t->at) < len || memcmp(t->at, word, len) != 0)
        return false;
    t->at += len;
    return true;
}

static void must_take(struct text *t, const char *word)
{
    require(takes(t, word));
}

static void read_string(struct text *t, struct buf *out)
{
    bool escapes = takes(t, "E") || t->backslash_escapes;

    must_take(t, "'");
    while (true) {
        require(t->at < t->end);
        if (*t->at == '\'') {
            t->at++;
            if (t->at == t->end || *t->at != '\'')
                return;
        } else if (*t->at == '\\' && escapes) {
            t->at++;
            require(t->at < t->end && *t->at == '\\');
        }
        buf_put(out, t->at++, 1);
    }
}

static void read_name(struct text *t, struct buf *out)
{
    if (t->at < t->end && *t->at != '"') {
        while (t->at < t->end && (*t->at == '_' || (*t->at >= 'a' && *t->at <= 'z') ||
                                  (*t->at >= '0' && *t->at <= '9')))
            buf_put(out, t->at++, 1);
        require(out->len > 0);
        return;
    }
    do {
        must_take(t, "\"");
        while (true) {
            require(t->at < t->end);
            if (*t->at == '"') {
                t->at++;
                if (t->at == t->end || *t->at != '"')
                    break;
            }
            buf_put(out, t->at++, 1);
        }
    } while (takes(t, ".") && (buf_text(out, "."), true));
}

static bool is_bare(struct slice name)
{
    char word[64];

    if (name.len == 0 || name.len >= sizeof(word) || (name.at[0] >= '0' && name.at[0] <= '9'))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] != '_' && (name.at[i] < 'a' || name.at[i] > 'z') &&
            (name.at[i] < '0' || name.at[i] > '9'))
            return false;
    memcpy(word, name.at, name.len);
    word[name.len] = 0;
    return !grammar_is_keyword(word);
}

/* As PostgreSQL writes an item of a list of names. */
static void put_item(struct buf *out, struct slice item)
{
    if (out->len > 0)
        buf_text(out, ", ");
    if (is_bare(item)) {
        buf_slice(out, item);
        return;
    }
    buf_text(out, "\"");
    for (size_t i = 0; i < item.len; i++)
        buf_put(out, item.at[i] == '"' ? "\"\"" : (const char *)&item.at[i],
                item.at[i] == '"' ? 2 : 1);
    buf_text(out, "\"");
}

static bool is_list(struct slice name)
{
    return slice_is_text(name, "search_path") || slice_is_text(name, "temp_tablespaces");
}

static void read_set(struct server *s, struct text *t)
{
    struct buf name = { 0 }, value = { 0 }, item = { 0 };

    read_name(t, &name);
    must_take(t, " TO ");
    do {
        buf_clear(&item);
        read_string(t, &item);
        if (is_list(buf_all(&name)))
            put_item(&value, buf_all(&item));
        else
            buf_slice(&value, buf_all(&item));
    } while (is_list(buf_all(&name)) && takes(t, ","));
    assign(s, buf_all(&name), buf_all(&value));
    buf_fini(&name);
    buf_fini(&value);
    buf_fini(&item);
}

static void read_set_config(struct server *s, struct text *t)
{
    struct buf name = { 0 }, value = { 0 };

    read_string(t, &name);
    must_take(t, ",");
    read_string(t, &value);
    must_take(t, ",false)");
    require(is_list(buf_all(&name)));
    assign(s, buf_all(&name), buf_all(&value));
    buf_fini(&name);
    buf_fini(&value);
}

static void read_reset(struct server *s, struct text *t)
{
    struct buf name = { 0 };

    if (takes(t, "ALL")) {
        reset_all(s);
        return;
    }
    read_name(t, &name);
    reset(s, buf_all(&name));
    buf_fini(&name);
}

static void run(struct server *s, struct slice text)
{
    struct text t = { text.at, text.at + text.len, s->backslash_escapes };

    must_take(&t, "BEGIN;");
    while (!takes(&t, "COMMIT")) {
        if (takes(&t, "SET "))
            read_set(s, &t);
        else if (takes(&t, "SELECT pg_catalog.set_config("))
            read_set_config(s, &t);
        else if (takes(&t, "RESET "))
            read_reset(s, &t);
        else
            abort();
        must_take(&t, ";");
    }
    require(t.at == t.end);
}

/* --- The play -------------------------------------------------------------------------------- */

static struct pg_settings_pool *pool;
static const struct pg_settings *vectors[VECTORS];
static struct server server;

static const char *const NAMES[] = {
    "search_path",           "work_mem",  "role",
    "session_authorization", "app.user",  "client_encoding",
    "log_statement",         "datestyle", "standard_conforming_strings",
    "temp_tablespaces",      "sheaf.x",   "a\"b.c\\'d",
    "select.from",
};

enum { NAME_COUNT = sizeof(NAMES) / sizeof(NAMES[0]) };

static struct slice take(struct slice *in, size_t len)
{
    struct slice taken = slice_of(in->at, len < in->len ? len : in->len);

    *in = slice_from(*in, taken.len);
    return taken;
}

static void is_made(const struct pg_settings *to)
{
    size_t expected = 0;

    for (size_t i = 0; i < pg_settings_count(to); i++) {
        struct pg_setting setting = pg_settings_at(to, i);
        struct entry *e = find(&server, setting.name);

        if (slice_starts(setting.name, slice_text("sheaf.")))
            continue;
        require(e != NULL && slice_is(buf_all(&e->value), setting.value));
        expected++;
    }
    require(server.count == expected);
}

static void go(const struct pg_settings *from, const struct pg_settings *to, bool is_unknown)
{
    struct buf out = { 0 };
    size_t count = is_unknown ? pg_settings_difference_from_unknown(to, &out)
                              : pg_settings_difference(from, to, &out);

    while (server.count > 0)
        forget(&server, buf_all(&server.entries[0].name));
    for (size_t i = 0; i < pg_settings_count(from); i++) {
        struct pg_setting setting = pg_settings_at(from, i);

        if (slice_is_text(setting.name, "session_authorization"))
            assign(&server, setting.name, setting.value);
    }
    forget(&server, slice_text("role")); /* what that ended may have been RESET since */
    for (size_t i = 0; i < pg_settings_count(from); i++) {
        struct pg_setting setting = pg_settings_at(from, i);

        if (!slice_is_text(setting.name, "session_authorization") &&
            !slice_starts(setting.name, slice_text("sheaf.")))
            assign(&server, setting.name, setting.value);
    }
    for (struct slice rest = buf_all(&out); rest.len > 0; count--) {
        size_t len;

        require(rest.len >= 6 && rest.at[0] == 'Q');
        len = (size_t)rest.at[1] << 24 | (size_t)rest.at[2] << 16 | (size_t)rest.at[3] << 8 |
              rest.at[4];
        require(len + 1 <= rest.len && rest.at[len] == 0);
        run(&server, slice_of(rest.at + 5, len - 5));
        rest = slice_from(rest, len + 1);
    }
    require(count == 0);
    is_made(to);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct slice in = { at, len };
    size_t vectors_left, bytes_left;

    pool = pg_settings_pool_new(&(struct pg_settings_limits){ .count = 100 });
    while (in.len >= 3) {
        struct slice head = take(&in, 3), name;
        size_t i = head.at[0] % VECTORS, j = head.at[0] / VECTORS % VECTORS;
        uint8_t what = head.at[1];
        enum err err = ERR_NONE;

        name = what % (NAME_COUNT + 1) == NAME_COUNT ? take(&in, head.at[2] & 15)
                                                     : slice_text(NAMES[what % (NAME_COUNT + 1)]);
        if (what < 0xa0) {
            err = pg_settings_set(pool, &vectors[i], name, take(&in, head.at[2] >> 2));
        } else if (what < 0xc0) {
            err = pg_settings_drop(pool, &vectors[i], name);
        } else {
            server.backslash_escapes = what & 1;
            go(vectors[i], vectors[j], what & 2);
        }
        require(err == ERR_NONE || err == ERR_LIMIT || err == ERR_UNSUPPORTED);
    }
    for (size_t i = 0; i < VECTORS; i++)
        pg_settings_unref(pool, &vectors[i]);
    while (server.count > 0)
        forget(&server, buf_all(&server.entries[0].name));
    pg_settings_pool_count(pool, &vectors_left, &bytes_left);
    require(vectors_left == 0 && bytes_left == 0);
    pg_settings_pool_free(&pool);
    return 0;
}
