/* A console's session: a client that named the database "sheaf" or "pgbouncer".  It is spoken to as
 * by a server, in the simple protocol and in the extended one, and needs none.  See console_flow.h
 * for the rest. */
#include "proxy/sql/console_flow.h"
#include "proxy/sql/cancel_flow.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/mem.h"

static bool is_in(const char *const *list, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

bool sql_console_is(const struct sql_side *side, const char *database)
{
    return side->settings->console &&
           (strcmp(database, "sheaf") == 0 || strcmp(database, "pgbouncer") == 0);
}

static bool is_admin(const struct sql_console *c)
{
    const struct sql_pool *pool = sql_side_of(c->session)->settings;

    return is_in(pool->admin_users, pool->admin_user_count, c->user);
}

static bool may_look(const struct sql_pool *pool, const char *user)
{
    return is_in(pool->admin_users, pool->admin_user_count, user) ||
           is_in(pool->stats_users, pool->stats_user_count, user);
}

/* ---- coming in ---- */

static void say_welcome(struct sql_session *s)
{
    static const struct {
        const char *name, *value;
    } TOLD[] = {
        { "server_version", "15.0/sheaf " SHEAF_VERSION },
        { "server_encoding", "UTF8" },
        { "client_encoding", "UTF8" },
        { "DateStyle", "ISO, MDY" },
        { "TimeZone", "UTC" },
        { "integer_datetimes", "on" },
        { "standard_conforming_strings", "on" },
        { "is_superuser", "on" },
    };
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(TOLD) / sizeof(TOLD[0]); i++)
        pg_put_parameter_status(&out, slice_text(TOLD[i].name), slice_text(TOLD[i].value));
    sql_cancel_key(s);
    pg_put_key(&out, s->key_pid, slice_of(&s->key_secret, sizeof(s->key_secret)));
    pg_put_ready(&out, PG_STATUS_IDLE);
    sql_session_put(s, buf_all(&out));
    buf_fini(&out);
}

void sql_console_begin(struct sql_session *s, const char *user)
{
    struct sql_console *c;

    s->base.logged_in = true;
    if (!may_look(sql_side_of(s)->settings, user)) {
        sql_session_fatal(s, "42501",
                          "user \"%s\" may not use the console: it is named in neither admin_user "
                          "nor stats_user",
                          user);
        return;
    }
    c = s->console = mem_new(sizeof(*c));
    c->session = s;
    c->user = mem_text(user);
    list_init(&c->link);
    say_welcome(s);
    sql_entry_free(s);
    s->stage = SQL_CONSOLE;
}

static void forget_name(struct sql_console *c, struct console_name **list, struct slice name)
{
    for (struct console_name **at = list; *at != NULL; at = &(*at)->next) {
        struct console_name *n = *at;

        if (!slice_is_text(name, n->name))
            continue;
        *at = n->next;
        free(n->name);
        free(n);
        c->name_count--;
        return;
    }
}

static void forget_names(struct sql_console *c, struct console_name **list)
{
    while (*list != NULL)
        forget_name(c, list, slice_text((*list)->name));
}

void sql_console_free(struct sql_session *s)
{
    struct sql_console *c = s->console;

    if (c == NULL)
        return;
    s->console = NULL;
    list_remove(&c->link);
    forget_names(c, &c->statements);
    forget_names(c, &c->portals);
    free(c->user);
    free(c);
}

/* ---- answers ---- */

static void put_ready(struct sql_console *c, struct buf *out)
{
    pg_put_ready(out, c->in_transaction ? PG_STATUS_IN_TRANSACTION : PG_STATUS_IDLE);
}

void console_error(struct sql_console *c, const char *sqlstate, const char *hint,
                   const char *format, ...)
{
    struct pg_report report = { .severity = slice_text("ERROR"), .sqlstate = slice_text(sqlstate) };
    struct buf out = { 0 };
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    report.message = slice_text(text);
    if (hint != NULL)
        report.hint = slice_text(hint);
    pg_put_error(&out, &report);
    if (c->is_simple)
        put_ready(c, &out);
    else
        c->skips = true;
    sql_session_put(c->session, buf_all(&out));
    buf_fini(&out);
}

void console_complete(struct sql_console *c, const char *tag)
{
    struct buf out = { 0 };

    pg_put_complete(&out, tag);
    if (c->is_simple)
        put_ready(c, &out);
    sql_session_put(c->session, buf_all(&out));
    buf_fini(&out);
}

static void put(struct sql_console *c, void (*what)(struct buf *out))
{
    struct buf out = { 0 };

    what(&out);
    sql_session_put(c->session, buf_all(&out));
    buf_fini(&out);
}

/* ---- commands ---- */

static void refuse_unknown(struct sql_console *c)
{
    struct buf list = { 0 };

    console_command_list(&list);
    buf_put(&list, "", 1);
    console_error(c, "42601", NULL,
                  "this is Sheaf's console, which knows SHOW HELP|POOLS|CLIENTS|SERVERS|STATS|"
                  "DATABASES|CONFIG|VERDICTS|..., %s",
                  (const char *)list.at);
    buf_fini(&list);
}

/* False: it may be carried out. */
static bool refuse(struct sql_console *c, const struct console_command *command)
{
    if (command->verb == CONSOLE_UNKNOWN) {
        refuse_unknown(c);
        return true;
    }
    if (command->verb == CONSOLE_MALFORMED) {
        console_error(c, "42601", NULL, "%s", command->why);
        return true;
    }
    if (!may_look(sql_side_of(c->session)->settings, c->user)) {
        console_error(c, "42501", NULL, "user \"%s\" may not use the console any more", c->user);
        return true;
    }
    if (console_command_changes(command->verb) && !is_admin(c)) {
        console_error(c, "42501", NULL, "permission denied: %s is for those in admin_user",
                      console_command_word(command->verb));
        return true;
    }
    return false;
}

static void run(struct sql_console *c, const struct console_command *command,
                const struct console_formats *formats)
{
    struct buf out = { 0 };

    c->session->base.active_s = (uint32_t)(worker_now_us(c->session->base.worker) / 1000000);
    if (command->verb == CONSOLE_EMPTY) {
        pg_put_empty_query(&out);
        if (c->is_simple)
            put_ready(c, &out);
        sql_session_put(c->session, buf_all(&out));
        buf_fini(&out);
    } else if (!refuse(c, command)) {
        console_run(c, command, formats);
    }
}

static void query(struct sql_console *c, struct slice body)
{
    struct console_command command;
    struct slice text;

    c->is_simple = true;
    if (pg_read_query(body, &text) != ERR_NONE) {
        console_error(c, "08P01", NULL, "invalid message format");
        return;
    }
    console_command_read(text, &command);
    run(c, &command, NULL);
}

/* ---- the extended protocol ---- */

static struct console_name *find_name(struct console_name *list, struct slice name)
{
    for (; list != NULL; list = list->next)
        if (slice_is_text(name, list->name))
            return list;
    return NULL;
}

/* NULL: there are too many, which the client was told. */
static struct console_name *make_name(struct sql_console *c, struct console_name **list,
                                      struct slice name)
{
    struct console_name *n;

    forget_name(c, list, name);
    if (c->name_count == CONSOLE_NAMES_MOST) {
        console_error(c, "53400", NULL,
                      "a console has no more than %d prepared statements and portals",
                      CONSOLE_NAMES_MOST);
        return NULL;
    }
    n = mem_new(sizeof(*n));
    n->name = mem_text_of(name.at, name.len);
    n->next = *list;
    *list = n;
    c->name_count++;
    return n;
}

static void parse(struct sql_console *c, struct slice body)
{
    struct console_command command;
    struct console_name *n;
    struct pg_parse p;

    if (pg_read_parse(body, &p) != ERR_NONE) {
        console_error(c, "08P01", NULL, "invalid message format");
        return;
    }
    console_command_read(p.text, &command);
    if (refuse(c, &command))
        return;
    if (p.name.len > 0 && find_name(c->statements, p.name) != NULL) {
        console_error(c, "42P05", NULL, "prepared statement \"%.*s\" already exists",
                      (int)p.name.len, (const char *)p.name.at);
        return;
    }
    n = make_name(c, &c->statements, p.name);
    if (n == NULL)
        return;
    n->command = command;
    put(c, pg_put_parse_complete);
}

static bool read_formats(const struct pg_bind *b, struct console_formats *out)
{
    if (b->result_format_count > CONSOLE_COLUMNS_MOST)
        return false;
    out->count = b->result_format_count;
    for (size_t i = 0; i < out->count; i++)
        out->list[i] = pg_u16(b->result_formats.at + 2 * i);
    return true;
}

static bool fits(const struct console_formats *formats, const struct console_command *command)
{
    const struct console_table *t = console_shows(command);

    return formats->count <= 1 || (t != NULL && formats->count == t->count);
}

static void bind_portal(struct sql_console *c, struct slice body)
{
    struct console_formats formats = { 0 };
    struct console_name *statement, *portal;
    struct pg_bind b;

    if (pg_read_bind(body, &b) != ERR_NONE || !read_formats(&b, &formats) || b.value_count > 0) {
        console_error(c, "08P01", NULL, "invalid message format, or parameters: there are none");
        return;
    }
    statement = find_name(c->statements, b.statement);
    if (statement == NULL) {
        console_error(c, "26000", NULL, "prepared statement \"%.*s\" does not exist",
                      (int)b.statement.len, (const char *)b.statement.at);
        return;
    }
    if (!fits(&formats, &statement->command)) {
        console_error(c, "08P01", NULL, "bind message has not as many result formats as columns");
        return;
    }
    portal = make_name(c, &c->portals, b.portal);
    if (portal == NULL)
        return;
    portal->command = statement->command;
    portal->formats = formats;
    put(c, pg_put_bind_complete);
}

/* Statement or portal; NULL: the client was told. */
static struct console_name *find_target(struct sql_console *c, enum pg_kind kind, struct slice name)
{
    bool is_statement = kind == PG_KIND_STATEMENT;
    struct console_name *n = find_name(is_statement ? c->statements : c->portals, name);

    if (n == NULL)
        console_error(c, is_statement ? "26000" : "34000", NULL, "%s \"%.*s\" does not exist",
                      is_statement ? "prepared statement" : "portal", (int)name.len,
                      (const char *)name.at);
    return n;
}

static void describe(struct sql_console *c, struct slice body)
{
    const struct console_table *t;
    struct console_name *n;
    struct pg_target target;
    struct buf out = { 0 };

    if (pg_read_target(body, &target) != ERR_NONE) {
        console_error(c, "08P01", NULL, "invalid message format");
        return;
    }
    n = find_target(c, target.kind, target.name);
    if (n == NULL)
        return;
    t = console_shows(&n->command);
    if (target.kind == PG_KIND_STATEMENT)
        pg_put_types(&out, NULL, 0);
    if (t == NULL)
        pg_put_no_data(&out);
    else
        console_table_put_columns(t, &n->formats, &out);
    sql_session_put(c->session, buf_all(&out));
    buf_fini(&out);
}

static void execute(struct sql_console *c, struct slice body)
{
    struct console_name *n;
    struct pg_execute e;

    if (pg_read_execute(body, &e) != ERR_NONE) {
        console_error(c, "08P01", NULL, "invalid message format");
        return;
    }
    n = find_target(c, PG_KIND_PORTAL, e.portal);
    if (n != NULL)
        run(c, &n->command, &n->formats);
}

static void close_name(struct sql_console *c, struct slice body)
{
    struct pg_target target;

    if (pg_read_target(body, &target) != ERR_NONE) {
        console_error(c, "08P01", NULL, "invalid message format");
        return;
    }
    forget_name(c, target.kind == PG_KIND_STATEMENT ? &c->statements : &c->portals, target.name);
    put(c, pg_put_close_complete);
}

static void answer_sync(struct sql_console *c)
{
    struct buf out = { 0 };

    c->skips = false;
    if (!c->in_transaction)
        forget_names(c, &c->portals);
    put_ready(c, &out);
    sql_session_put(c->session, buf_all(&out));
    buf_fini(&out);
}

static void message(struct sql_console *c, uint8_t type, struct slice body)
{
    if (type == PG_FRONT_TERMINATE) {
        session_finish(&c->session->base, CLOSE_CLIENT_QUIT);
        return;
    }
    if (type == PG_FRONT_SYNC) {
        answer_sync(c);
        return;
    }
    if (c->skips)
        return;
    c->is_simple = type == PG_FRONT_QUERY || type == PG_FRONT_FUNCTION_CALL;
    switch (type) {
    case PG_FRONT_QUERY:
        query(c, body);
        break;
    case PG_FRONT_PARSE:
        parse(c, body);
        break;
    case PG_FRONT_BIND:
        bind_portal(c, body);
        break;
    case PG_FRONT_DESCRIBE:
        describe(c, body);
        break;
    case PG_FRONT_EXECUTE:
        execute(c, body);
        break;
    case PG_FRONT_CLOSE:
        close_name(c, body);
        break;
    case PG_FRONT_FUNCTION_CALL:
        console_error(c, "0A000", NULL, "the console has no functions");
        break;
    }
}

size_t sql_console_input(struct sql_session *s, struct slice in)
{
    size_t at = 0;
    struct pg_frame f;

    while (at < in.len && s->stage == SQL_CONSOLE && s->base.state != SESSION_CLOSING &&
           !s->console->waits) {
        struct slice rest = slice_from(in, at);
        enum err err = pg_frame_read(rest, &f);

        if (err == ERR_AGAIN)
            break;
        if (err != ERR_NONE || f.bytes > CONSOLE_MESSAGE_BYTES || pg_front_max_bytes(f.type) == 0) {
            sql_session_fatal(s, "08P01", "not a message that a console takes");
            return in.len;
        }
        if (!pg_frame_is_whole(rest, f)) {
            s->base.need = f.bytes;
            break;
        }
        at += f.bytes;
        message(s->console, f.type, pg_frame_body(rest, f));
    }
    if (s->base.state == SESSION_CLOSING || s->stage != SQL_CONSOLE)
        return in.len;
    if (s->console->waits && in.len - at > CONSOLE_MESSAGE_BYTES)
        session_pause(&s->base); /* it is heard again when that is over */
    return at;
}
