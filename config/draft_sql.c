/* See draft.h: what only pools of the kind sql have.  Where TLS is concerned, PostgreSQL's URLs do
 * not say it (it starts inside the protocol), so the options do, and end_endpoint() and
 * end_listener() make of them what the rest of the program looks at. */
#include <stdio.h>
#include <string.h>

#include "config/auth_file.h"
#include "config/draft.h"
#include "config/draft_sql.h"
#include "config/expand.h"
#include "config/tables.h"
#include "config/url.h"
#include "config/words.h"

enum { NAME_BYTES = 63 /* PostgreSQL's NAMEDATALEN, less one */, SOCKET_PATH_BYTES = 107 };

/* "(sheaf.ini:7)": where the first of two stands. */
#define FIRST(place) (place).file, (place).line

static void begin(struct loading *l, struct draft *d)
{
    struct sql_pool *sql = sql_pool_of(d->pool);

    sql->users = arena_new(l->arena, draft_count_lines(d, "user") * sizeof(*sql->users));
    sql->databases =
        arena_new(l->arena, (draft_count_lines(d, "database") + 1) * sizeof(*sql->databases));
    sql->admin_users = arena_new(l->arena, draft_count_lines(d, "admin_user") * sizeof(char *));
    sql->stats_users = arena_new(l->arena, draft_count_lines(d, "stats_user") * sizeof(char *));
}

/* ---- Unix sockets: URLs name the folder and the port, as libpq does ---- */

static const char SOCKET_NAME[] = "/.s.PGSQL.";

static enum err find_socket(struct loading *l, const struct url *url, uint32_t port,
                            struct address *address, struct buf *why)
{
    const char *folder = address->path;
    size_t len = folder == NULL ? 0 : strlen(folder);
    char *path;

    if (folder == NULL) {
        for (unsigned i = 0; i < url->query_count; i++) {
            if (strcmp(url->query[i].name, "port") == 0) {
                buf_text(why, "\"port\" behind the \"?\" is for Unix sockets only");
                return ERR_SYNTAX;
            }
        }
        return ERR_NONE;
    }
    if (strstr(folder, SOCKET_NAME) != NULL) {
        buf_text(why, "the path is that of the socket's folder; its port stands behind a \"?\": "
                      "postgresql+unix:///run/postgresql?port=5432");
        return ERR_SYNTAX;
    }
    while (len > 1 && folder[len - 1] == '/')
        len--;
    path = arena_new(l->arena, len + sizeof(SOCKET_NAME) + 5);
    snprintf(path, len + sizeof(SOCKET_NAME) + 5, "%.*s%s%u", len == 1 ? 0 : (int)len, folder,
             SOCKET_NAME, port);
    if (strlen(path) > SOCKET_PATH_BYTES) {
        buf_text(why, "the path of a Unix socket may not be longer than 107 bytes");
        return ERR_SYNTAX;
    }
    address->path = path;
    return ERR_NONE;
}

void draft_sql_shorten_path(struct buf *path)
{
    const uint8_t *at = memmem(path->at, path->len, SOCKET_NAME, sizeof(SOCKET_NAME) - 1);

    if (at != NULL)
        path->len = at == path->at ? 1 : (size_t)(at - path->at);
}

/* ---- endpoints ---- */

static void preset_endpoint(struct endpoint_settings *e)
{
    e->server_tls = sql_pool_of(e->pool)->server_tls;
}

static enum err begin_endpoint(struct loading *l, const struct url *url,
                               struct endpoint_settings *e, struct buf *why)
{
    (void)l;
    (void)why;
    preset_endpoint(e);
    e->tls.on = true; /* options for it may be there; end_endpoint() decides */
    if (url->path != NULL && url->path[0] != '\0')
        e->database_name = url->path;
    return ERR_NONE;
}

static bool is_in_query(const struct url *url, const char *name)
{
    for (unsigned i = 0; i < url->query_count; i++)
        if (strcmp(url->query[i].name, name) == 0)
            return true;
    return false;
}

static enum err refuse_unix_tls(struct buf *why)
{
    buf_text(why, "PostgreSQL has no TLS on Unix sockets");
    return ERR_SYNTAX;
}

static void set_server_tls(struct endpoint_settings *e)
{
    static const struct {
        enum tls_need need;
        bool verify;
    } FORMS[] = {
        [SQL_SERVER_TLS_OFF] = { TLS_NEED_OFF, false },
        [SQL_SERVER_TLS_PREFER] = { TLS_NEED_ALLOW, false },
        [SQL_SERVER_TLS_REQUIRE] = { TLS_NEED_REQUIRE, false },
        [SQL_SERVER_TLS_VERIFY] = { TLS_NEED_REQUIRE, true },
    };
    unsigned form = e->server_tls;

    if (e->address.path != NULL)
        form = SQL_SERVER_TLS_OFF;
    else if (form == SQL_SERVER_TLS_AUTO)
        form = address_is_local(&e->address) ? SQL_SERVER_TLS_OFF : SQL_SERVER_TLS_VERIFY;
    e->tls.need = FORMS[form].need;
    e->tls.verify = FORMS[form].verify;
    e->tls.on = e->tls.need != TLS_NEED_OFF;
}

enum err draft_sql_end_endpoint(struct loading *l, const struct url *url,
                                struct endpoint_settings *e, struct buf *why)
{
    if (e->address.path != NULL && is_in_query(url, "tls") && e->server_tls > SQL_SERVER_TLS_OFF)
        return refuse_unix_tls(why);
    if (e->address.path == NULL && is_in_query(url, "database") && url->path != NULL &&
        url->path[0] != '\0') {
        buf_text(why, "the database is named twice, in the path and behind the \"?\"");
        return ERR_SYNTAX;
    }
    if (e->database_name != NULL && strlen(e->database_name) > NAME_BYTES) {
        buf_text(why, "the name of a database has 1 to 63 bytes");
        return ERR_SYNTAX;
    }
    set_server_tls(e);
    return find_socket(l, url, e->socket_port, &e->address, why);
}

/* ---- listeners ---- */

static void begin_listener(struct listener_settings *n)
{
    n->sql_tls = sql_pool_of(n->pool)->tls;
    n->tls.on = true; /* options for it may be there; end_listener() decides */
}

static enum err end_listener(struct loading *l, const struct url *url, struct listener_settings *n,
                             struct buf *why)
{
    bool has_cert = n->tls.cert_file != NULL || n->tls.key_file != NULL;

    if (n->address.path != NULL && is_in_query(url, "tls") && n->sql_tls > SQL_TLS_OFF)
        return refuse_unix_tls(why);
    if (n->address.path != NULL || n->sql_tls == SQL_TLS_OFF)
        n->tls.need = TLS_NEED_OFF;
    else if (n->sql_tls == SQL_TLS_AUTO)
        n->tls.need = has_cert ? TLS_NEED_ALLOW : TLS_NEED_OFF;
    else
        n->tls.need = n->sql_tls == SQL_TLS_REQUIRE ? TLS_NEED_REQUIRE : TLS_NEED_ALLOW;
    n->tls.on = n->tls.need != TLS_NEED_OFF;
    return find_socket(l, url, n->socket_port, &n->address, why);
}

/* ---- users and databases ---- */

static enum err take_name(struct loading *l, struct slice word, const char *what, const char **out,
                          struct buf *why)
{
    TRY(expand(word, EXPAND_PLAIN, l->arena, out, why));
    if ((*out)[0] != '\0' && strlen(*out) <= NAME_BYTES)
        return ERR_NONE;
    buf_format(why, "the name of a %s has 1 to 63 bytes", what);
    return ERR_SYNTAX;
}

/* NAME=VALUE words up to the line's end. */
static enum err take_words(struct loading *l, struct slice rest, const struct option *table,
                           void *settings, const struct draft_line *line, struct buf *why)
{
    bool seen[8] = { false };

    for (struct slice word = words_next(&rest); word.len > 0; word = words_next(&rest)) {
        const uint8_t *equals = memchr(word.at, '=', word.len);
        size_t len = equals == NULL ? word.len : (size_t)(equals - word.at);
        const char *name = arena_text(l->arena, slice_of(word.at, len)), *value;
        const struct option *option = option_find(table, name);

        if (option == NULL || equals == NULL) {
            buf_format(why, option == NULL ? "unknown word \"%s\"" : "\"%s\" needs a value: %s=...",
                       name, name);
            if (option == NULL)
                option_suggest(table, name, why);
            return ERR_SYNTAX;
        }
        if (seen[option - table]) {
            buf_format(why, "\"%s\" is given twice", name);
            return ERR_SYNTAX;
        }
        seen[option - table] = true;
        TRY(expand(slice_from(word, len + 1), EXPAND_PLAIN, l->arena, &value, why));
        TRY(draft_set_word(l, option, settings, value, line->place.file, why));
    }
    return ERR_NONE;
}

/* A SCRAM secret is full of dollars: it may be written as pg_authid has it. */
static enum err take_secret(struct loading *l, struct slice word, const char **out, struct buf *why)
{
    static const char SCRAM[] = "SCRAM-SHA-256$";

    if (slice_is_text(word, "nopass")) {
        *out = NULL;
        return ERR_NONE;
    }
    if (slice_starts(word, slice_text(SCRAM)) &&
        !slice_starts(slice_from(word, sizeof(SCRAM) - 1), slice_text("$")))
        *out = arena_text(l->arena, word);
    else
        TRY(expand(word, EXPAND_PLAIN, l->arena, out, why));
    if ((*out)[0] == '\0') {
        buf_text(why, "the password is empty (nopass is for those who need none)");
        return ERR_SYNTAX;
    }
    buf_text(why, "the secret ");
    TRY(auth_secret_check(*out, why));
    buf_clear(why);
    return ERR_NONE;
}

static enum err build_user(struct loading *l, struct sql_pool *sql, const struct draft_line *line,
                           struct buf *why)
{
    struct sql_user user = { .max_connections = sql->max_user_connections, .place = line->place };
    struct slice rest = slice_text(line->value), name = words_next(&rest),
                 secret = words_next(&rest);

    if (secret.len == 0) {
        buf_text(why, "a user has a name and a password (or a hash of it, or nopass)");
        return ERR_SYNTAX;
    }
    option_set_presets(tables_sql_user, &user, l->arena);
    TRY(take_name(l, name, "user", &user.name, why));
    TRY(take_secret(l, secret, &user.secret, why));
    TRY(take_words(l, rest, tables_sql_user, &user, line, why));
    for (uint32_t i = 0; i < sql->user_count; i++) {
        const struct sql_user *other = &sql->users[i];

        if (strcmp(other->name, user.name) == 0) {
            buf_format(why, "user \"%s\" is already there (%s:%u)", user.name, FIRST(other->place));
            return ERR_CONFIG;
        }
    }
    sql->users[sql->user_count++] = user;
    return ERR_NONE;
}

static enum err build_database(struct loading *l, struct sql_pool *sql,
                               const struct draft_line *line, struct buf *why)
{
    struct sql_database database = { .sizes = sql->sizes,
                                     .pooling = sql->pooling,
                                     .place = line->place };
    struct slice rest = slice_text(line->value), name = words_next(&rest), words = rest,
                 arrow = words_next(&rest);

    option_set_presets(tables_sql_database, &database, l->arena);
    TRY(take_name(l, name, "database", &database.name, why));
    if (slice_is_text(arrow, "->")) {
        TRY(take_name(l, words_next(&rest), "database", &database.server_name, why));
        words = rest;
    }
    TRY(take_words(l, words, tables_sql_database, &database, line, why));
    for (uint32_t i = 0; i < sql->database_count; i++) {
        const struct sql_database *other = &sql->databases[i];

        if (strcmp(other->name, database.name) == 0) {
            buf_format(why, "database \"%s\" is already there (%s:%u)", database.name,
                       FIRST(other->place));
            return ERR_CONFIG;
        }
    }
    sql->databases[sql->database_count++] = database;
    return ERR_NONE;
}

static enum err build_console_user(struct loading *l, const char ***list, uint32_t *count,
                                   const struct draft_line *line, struct buf *why)
{
    struct slice rest = slice_text(line->value), name = words_next(&rest);

    TRY(take_name(l, name, "user", &(*list)[*count], why));
    if (words_next(&rest).len > 0) {
        buf_text(why, "one name stands on each line");
        return ERR_SYNTAX;
    }
    ++*count;
    return ERR_NONE;
}

static enum err build_line(struct loading *l, struct draft *d, const struct draft_line *line,
                           struct buf *why)
{
    struct sql_pool *sql = sql_pool_of(d->pool);

    if (draft_is_line(line, "user"))
        return build_user(l, sql, line, why);
    if (draft_is_line(line, "database"))
        return build_database(l, sql, line, why);
    if (draft_is_line(line, "admin_user"))
        return build_console_user(l, &sql->admin_users, &sql->admin_user_count, line, why);
    return build_console_user(l, &sql->stats_users, &sql->stats_user_count, line, why);
}

static void end(struct loading *l, struct draft *d)
{
    struct sql_pool *sql = sql_pool_of(d->pool);

    draft_sql_read_files(l, d);
    if (!draft_is_given(d, "database"))
        sql->databases[sql->database_count++] = (struct sql_database){
            .name = "*", .sizes = sql->sizes, .pooling = sql->pooling, .place = d->place
        };
}

/* ---- printing ---- */

static void print_words(const struct option *table, const void *settings, const void *presets,
                        struct buf *out)
{
    for (const struct option *option = table; option->name != NULL; option++) {
        struct buf value = { 0 }, preset = { 0 };

        option_print(option, settings, &value);
        option_print(option, presets, &preset);
        if (!slice_is(buf_all(&value), buf_all(&preset))) {
            buf_format(out, " %s=", option->name);
            words_print(buf_all(&value), out);
        }
        buf_fini(&value);
        buf_fini(&preset);
    }
    buf_text(out, "\n");
}

static void print_user(const struct sql_pool *sql, const struct sql_user *user, bool secrets,
                       struct buf *out)
{
    const struct sql_user presets = { .max_connections = sql->max_user_connections };

    buf_text(out, "user = ");
    words_print(slice_text(user->name), out);
    buf_text(out, " ");
    if (user->secret == NULL)
        buf_text(out, "nopass");
    else if (secrets)
        words_print(slice_text(user->secret), out);
    else
        buf_text(out, "***");
    print_words(tables_sql_user, user, &presets, out);
}

static void print_database(const struct sql_pool *sql, const struct sql_database *database,
                           struct buf *out)
{
    const struct sql_database presets = { .sizes = sql->sizes, .pooling = sql->pooling };

    buf_text(out, "database = ");
    words_print(slice_text(database->name), out);
    if (database->server_name != NULL) {
        buf_text(out, " -> ");
        words_print(slice_text(database->server_name), out);
    }
    print_words(tables_sql_database, database, &presets, out);
}

static void print_names(const char *line, const char *const *names, uint32_t count, struct buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        buf_format(out, "%s = ", line);
        words_print(slice_text(names[i]), out);
        buf_text(out, "\n");
    }
}

static void print_lines(const struct pool_settings *pool, bool secrets, struct buf *out)
{
    const struct sql_pool *sql = sql_pool_of(pool);

    for (uint32_t i = 0; i < sql->database_count; i++)
        if (sql->databases[i].place.order != pool->place.order) /* else nobody gave it */
            print_database(sql, &sql->databases[i], out);
    for (uint32_t i = 0; i < sql->user_count; i++)
        if (!sql->users[i].is_of_file)
            print_user(sql, &sql->users[i], secrets, out);
    if (secrets)
        buf_format(out, "; files %016llx\n", (unsigned long long)sql->files_digest);
    print_names("admin_user", sql->admin_users, sql->admin_user_count, out);
    print_names("stats_user", sql->stats_users, sql->stats_user_count, out);
}

static const char *is_open(const struct listener_settings *n)
{
    return sql_pool_of(n->pool)->auth == SQL_AUTH_TRUST && sql_pool_of(n->pool)->hba_file == NULL
               ? "and auth = trust asks nobody for a password; choose another, or"
               : NULL;
}

const struct draft_kind draft_sql = {
    .kind = POOL_SQL,
    .size = sizeof(struct sql_pool),
    .table = tables_sql,
    .endpoint_url = tables_server_url,
    .listen_url = tables_sql_listen_url,
    .needed = (const char *const[]){ "listen", "primary", NULL },
    .endpoint_tls = "server_tls_",
    .begin = begin,
    .build_line = build_line,
    .begin_endpoint = begin_endpoint,
    .end_endpoint = draft_sql_end_endpoint,
    .begin_listener = begin_listener,
    .end_listener = end_listener,
    .end = end,
    .print_lines = print_lines,
    .preset_endpoint = preset_endpoint,
    .shorten_path = draft_sql_shorten_path,
    .check = draft_sql_check,
    .is_open = is_open,
};
