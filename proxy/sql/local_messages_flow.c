/* Statements that Sheaf answers itself, by the extended protocol: an exchange, up to its Sync, in
 * which there are no others; or up to a Flush, if it is only prepared.  Their names are the
 * session's as any other statement's; a portal lives until the exchange ends.  One that is among
 * statements of a server is the server's to refuse. */
#include <strings.h>

#include "proxy/sql/local_flow.h"
#include "proxy/sql/sql_flow.h"
#include "proxy/sql/sql_words.h"

struct answering {
    struct sql_session *s;
    struct buf out;
    struct slice portal, text; /* as bound; text.at NULL: nothing is */
    uint16_t format;
    bool failed;
};

/* ---- which ---- */

static bool names_sheaf(struct slice text)
{
    static const char NAME[] = "sheaf";
    struct slice rest = text;
    const uint8_t *dot;

    while ((dot = rest.len == 0 ? NULL : memchr(rest.at, '.', rest.len)) != NULL) {
        if ((size_t)(dot - text.at) >= sizeof(NAME) - 1 &&
            strncasecmp((const char *)dot - (sizeof(NAME) - 1), NAME, sizeof(NAME) - 1) == 0)
            return true;
        rest = slice_from(rest, (size_t)(dot - rest.at) + 1);
    }
    return false;
}

bool sql_local_may_be(struct slice text)
{
    static const char EXPLAIN[] = "explain", ROUTE[] = "route";
    size_t at = 0;

    while (at < text.len && strchr(" \t\r\n\f", text.at[at]) != NULL && text.at[at] != '\0')
        at++;
    if (text.len - at > sizeof(EXPLAIN) + sizeof(ROUTE) &&
        strncasecmp((const char *)text.at + at, EXPLAIN, sizeof(EXPLAIN) - 1) == 0)
        return true;
    return names_sheaf(text);
}

/* ---- messages ---- */

static void fail(struct answering *a, const char *sqlstate, const char *why)
{
    pg_put_error_text(&a->out, "ERROR", sqlstate, "%s", why);
    a->failed = true;
}

/* prepared statement "x" already exists */
static void fail_about(struct answering *a, const char *sqlstate, const char *what,
                       struct slice name, const char *why)
{
    pg_put_error_text(&a->out, "ERROR", sqlstate, "%s \"%.*s\" %s", what, (int)name.len,
                      (const char *)name.at, why);
    a->failed = true;
}

static void settle(struct sql_session *s)
{
    pg_statements_session_settle(sql_side_of(s)->statements, &s->statements, PG_OUTCOME_DONE);
}

static void define(struct answering *a, struct slice body)
{
    struct sql_session *s = a->s;
    struct pg_statements *store = sql_side_of(s)->statements;
    struct pg_statement *st = NULL, *there;
    struct pg_parse parse;
    enum err err;

    if (pg_read_parse(body, &parse) != ERR_NONE) {
        fail(a, "08P01", "invalid message format");
        return;
    }
    if (parse.name.len > 0 &&
        pg_statements_session_find(&s->statements, parse.name, &there) != PG_NAME_FREE) {
        fail_about(a, "42P05", "prepared statement", parse.name, "already exists");
        return;
    }
    err = sql_statement_intern(s, &parse, &st);
    if (err == ERR_NONE)
        err = pg_statements_session_define(store, &s->statements, parse.name, st);
    if (st != NULL)
        pg_statement_unref(store, &st);
    if (err != ERR_NONE) {
        fail(a, "53000", "too many prepared statements");
        return;
    }
    settle(s);
    sql_tally(s, SQL_DONE_CLIENT_PARSES, 1);
    pg_put_parse_complete(&a->out);
}

/* Its text; .at NULL: there is none, which was told. */
static struct slice text_of(struct answering *a, struct slice name)
{
    struct pg_statement *st;

    if (pg_statements_session_find(&a->s->statements, name, &st) == PG_NAME_THERE)
        return pg_statement_text(st);
    fail_about(a, "26000", "prepared statement", name, "does not exist");
    return (struct slice){ 0 };
}

static void bind_portal(struct answering *a, struct slice body)
{
    struct pg_bind b;

    if (pg_read_bind(body, &b) != ERR_NONE) {
        fail(a, "08P01", "invalid message format");
        return;
    }
    a->text = text_of(a, b.statement);
    if (a->text.at == NULL)
        return;
    a->portal = b.portal;
    a->format = b.result_format_count > 0 ? b.result_formats.at[1] : 0;
    pg_put_bind_complete(&a->out);
}

static bool is_bound(struct answering *a, struct slice portal)
{
    if (a->text.at != NULL && slice_is(a->portal, portal))
        return true;
    fail_about(a, "34000", "portal", portal, "does not exist");
    return false;
}

static void describe(struct answering *a, struct slice body)
{
    struct pg_target target;
    struct pg_column column;
    struct sql_class class;
    struct slice text;
    const char *name;

    if (pg_read_target(body, &target) != ERR_NONE) {
        fail(a, "08P01", "invalid message format");
        return;
    }
    if (target.kind == PG_KIND_PORTAL && !is_bound(a, target.name))
        return;
    text = target.kind == PG_KIND_PORTAL ? a->text : text_of(a, target.name);
    if (text.at == NULL)
        return;
    if (target.kind == PG_KIND_STATEMENT)
        pg_put_types(&a->out, NULL, 0);
    sql_classify(a->s, text, &class);
    name = sql_local_column(&class);
    if (name == NULL) {
        pg_put_no_data(&a->out);
        return;
    }
    column = pg_column_of(name, PG_TYPE_TEXT);
    if (target.kind == PG_KIND_PORTAL)
        column.format = a->format; /* the bytes of a text are the same in both */
    pg_put_columns(&a->out, &column, 1);
}

static void execute(struct answering *a, struct slice body)
{
    struct buf answer = { 0 };
    struct sql_class class;
    struct pg_execute e;
    struct pg_frame f;
    struct slice all;

    if (pg_read_execute(body, &e) != ERR_NONE) {
        fail(a, "08P01", "invalid message format");
        return;
    }
    if (!is_bound(a, e.portal))
        return;
    sql_classify(a->s, a->text, &class);
    if (!sql_local_answer(a->s, &class, &answer)) {
        fail(a, "0A000", "Sheaf has no answer to that");
    } else {
        all = buf_all(&answer);
        while (pg_frame_read(all, &f) == ERR_NONE && pg_frame_is_whole(all, f)) {
            a->failed |= f.type == PG_BACK_ERROR;
            if (f.type != PG_BACK_ROW_DESCRIPTION)
                buf_slice(&a->out, slice_of(all.at, f.bytes));
            all = slice_from(all, f.bytes);
        }
    }
    buf_fini(&answer);
}

static void close_one(struct answering *a, struct slice body)
{
    struct pg_target target;

    if (pg_read_target(body, &target) != ERR_NONE) {
        fail(a, "08P01", "invalid message format");
        return;
    }
    if (target.kind == PG_KIND_STATEMENT &&
        pg_statements_session_undefine(&a->s->statements, target.name) == ERR_NONE)
        settle(a->s);
    pg_put_close_complete(&a->out);
}

static void answer_one(struct answering *a, uint8_t type, struct slice body)
{
    switch (type) {
    case PG_FRONT_PARSE:
        define(a, body);
        break;
    case PG_FRONT_BIND:
        bind_portal(a, body);
        break;
    case PG_FRONT_DESCRIBE:
        describe(a, body);
        break;
    case PG_FRONT_EXECUTE:
        execute(a, body);
        break;
    case PG_FRONT_CLOSE:
        close_one(a, body);
        break;
    }
}

void sql_local_answer_messages(struct sql_session *s, struct slice exchange)
{
    struct answering a = { .s = s };
    struct slice rest = exchange;
    struct pg_frame f;
    bool ends = false;

    while (pg_frame_read(rest, &f) == ERR_NONE && pg_frame_is_whole(rest, f)) {
        ends = f.type == PG_FRONT_SYNC;
        if (ends)
            pg_put_ready(&a.out, s->status);
        else if (!a.failed)
            answer_one(&a, f.type, pg_frame_body(rest, f));
        rest = slice_from(rest, f.bytes);
    }
    s->skips = a.failed && !ends;
    sql_session_put(s, buf_all(&a.out));
    buf_fini(&a.out);
}
