/* Statements that Sheaf answers itself, outside of a transaction and without a server: SHOW and SET
 * of its own settings, EXPLAIN ROUTE, and texts that hold no statement.
 *
 *     sheaf.route          auto, primary or replica: where statements go that may go to either
 *     sheaf.position       SHOW only: what a replica must have reached to show what was done here
 *     sheaf.min_position   SET it to what another session's sheaf.position was, to see what it did
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proxy/sql/local_flow.h"
#include "proxy/sql/sample_flow.h"
#include "proxy/sql/sql_flow.h"

static const char *const ROUTES[] = {
    [SQL_ROUTE_AUTO] = "auto",
    [SQL_ROUTE_PRIMARY] = "primary",
    [SQL_ROUTE_REPLICA] = "replica",
};

/* ---- answers ---- */

static void put_cell(struct buf *out, const char *column, struct slice value, const char *tag)
{
    struct pg_column head = pg_column_of(column, PG_TYPE_TEXT);
    struct pg_value cell = { .bytes = value };

    pg_put_columns(out, &head, 1);
    pg_put_row(out, &cell, 1);
    pg_put_complete(out, tag);
}

static void put_unknown(struct buf *out, struct slice name)
{
    pg_put_error_text(out, "ERROR", "42704",
                      "unrecognized configuration parameter \"%.*s\"; Sheaf has sheaf.route, "
                      "sheaf.position and sheaf.min_position",
                      (int)name.len, (const char *)name.at);
}

/* ---- SHOW ---- */

/* What another session needs to see what was done here: what is known of it, or where the primary
 * stands by the witness, whichever is more. */
static struct position present_position(struct sql_session *s)
{
    struct sql_side *side = sql_side_of(s);
    struct sql_endpoint *primary = sql_primary(side);
    struct position p = s->needed;

    if (primary != NULL) {
        struct standing standing = board_standing(side->assembly->board, primary->settings->number);
        struct position at = { standing.system_id, standing.timeline, standing.lsn };

        sql_sampler_position(primary, &at);
        position_keep(&p, &at);
    }
    return p;
}

static bool show(struct sql_session *s, struct slice name, struct buf *out)
{
    char text[POSITION_TEXT] = "";
    struct position p;

    if (slice_is_text(name, "sheaf.route")) {
        put_cell(out, "sheaf.route", slice_text(ROUTES[s->route]), "SHOW");
    } else if (slice_is_text(name, "sheaf.min_position")) {
        if (s->has_min_position)
            position_put(&s->needed, text);
        put_cell(out, "sheaf.min_position", slice_text(text), "SHOW");
    } else if (slice_is_text(name, "sheaf.position")) {
        p = present_position(s);
        if (!position_is_none(&p))
            position_put(&p, text);
        put_cell(out, "sheaf.position", slice_text(text), "SHOW");
    } else {
        put_unknown(out, name);
    }
    return true;
}

/* ---- SET ---- */

static uint8_t default_route(const struct sql_session *s)
{
    const struct sql_account *a = s->account;

    return (uint8_t)sql_pool_route(a->user_settings, a->database_settings,
                                   sql_gate_of(s)->settings);
}

static bool set_route(struct sql_session *s, struct slice value)
{
    for (size_t i = 0; i < sizeof(ROUTES) / sizeof(ROUTES[0]); i++)
        if (slice_is_word(value, ROUTES[i])) {
            s->route = (uint8_t)i;
            return true;
        }
    return false;
}

bool sql_local_set(struct sql_session *s, struct slice name, struct slice value, bool is_default)
{
    if (slice_is_text(name, "sheaf.route")) {
        if (is_default)
            s->route = default_route(s);
        return is_default || set_route(s, value);
    }
    if (!slice_is_text(name, "sheaf.min_position"))
        return false;
    if (is_default) {
        s->has_min_position = false;
        return true;
    }
    s->has_min_position = false;
    sql_hint_position(s, value);
    return s->has_min_position;
}

static void put_set(struct sql_session *s, const struct statement *st, struct buf *out)
{
    const struct setting *set = &st->settings[0];

    if (sql_local_set(s, set->name, set->text, set->is_default))
        pg_put_complete(out, st->kind == STATEMENT_RESET ? "RESET" : "SET");
    else if (slice_is_text(set->name, "sheaf.route") ||
             slice_is_text(set->name, "sheaf.min_position"))
        pg_put_error_text(out, "ERROR", "22023", "invalid value for parameter \"%.*s\": \"%.*s\"",
                          (int)set->name.len, (const char *)set->name.at, (int)set->text.len,
                          (const char *)set->text.at);
    else
        put_unknown(out, set->name);
}

/* A word, or what stands in quotes, at the front of `rest`. */
static struct slice next_word(struct slice *rest)
{
    struct slice word;
    size_t from = 0, to;

    while (from < rest->len && isspace(rest->at[from]))
        from++;
    to = from;
    if (to < rest->len && (rest->at[to] == '=' || rest->at[to] == ';'))
        to++;
    else
        while (to < rest->len && !isspace(rest->at[to]) && rest->at[to] != '=' &&
               rest->at[to] != ';')
            to++;
    word = slice_of(rest->at + from, to - from);
    *rest = slice_from(*rest, to);
    return word;
}

/* SET [SESSION] sheaf.NAME = | TO WORD [;] */
static bool read_set(struct slice text, struct slice *name, struct slice *value)
{
    struct slice rest = text, word = next_word(&rest);

    if (!slice_is_word(word, "set"))
        return false;
    word = next_word(&rest);
    if (slice_is_word(word, "session"))
        word = next_word(&rest);
    if (word.len < 6 || strncasecmp((const char *)word.at, "sheaf.", 6) != 0)
        return false;
    *name = word;
    word = next_word(&rest);
    if (!slice_is_text(word, "=") && !slice_is_word(word, "to"))
        return false;
    *value = next_word(&rest);
    word = next_word(&rest);
    return value->len > 0 && (word.len == 0 || slice_is_text(word, ";"));
}

bool sql_local_reads_set(struct slice text)
{
    struct slice name, value;

    return read_set(text, &name, &value);
}

static void put_set_by_words(struct sql_session *s, struct slice text, struct buf *out)
{
    struct slice name, value;
    char lower[64];

    if (!read_set(text, &name, &value) || name.len >= sizeof(lower))
        return;
    for (size_t i = 0; i < name.len; i++)
        lower[i] = (char)tolower(name.at[i]);
    if (sql_local_set(s, slice_of(lower, name.len), value, false))
        pg_put_complete(out, "SET");
    else
        pg_put_error_text(out, "ERROR", "22023", "invalid value for parameter \"%.*s\": \"%.*s\"",
                          (int)name.len, (const char *)name.at, (int)value.len,
                          (const char *)value.at);
}

/* ---- EXPLAIN ROUTE ---- */

static void explain(struct sql_session *s, const struct sql_class *c, const struct statement *st,
                    struct buf *out)
{
    struct statement_verdict v = { .kind = STATEMENT_QUERY,
                                   .route = ROUTE_PRIMARY,
                                   .reason = "no statement" };
    struct sql_decision d;
    const char *role, *server;
    char text[512];

    if (st->inner != NULL) {
        v.kind = st->inner->kind;
        v.route = st->inner->route;
        v.effects = st->inner->effects;
        v.reason = st->inner->reason;
        v.modes = st->inner->modes;
    }
    d = sql_decide(s, &v, &c->hints);
    role = d.endpoint == NULL                          ? "none"
           : d.endpoint == sql_primary(sql_side_of(s)) ? "primary "
                                                       : "replica ";
    server = d.endpoint == NULL ? "" : d.endpoint->name;
    snprintf(text, sizeof(text), "%s%s: %s%s%s", role, server, v.reason,
             strcmp(d.why, v.reason) == 0 ? "" : "; ", strcmp(d.why, v.reason) == 0 ? "" : d.why);
    put_cell(out, "ROUTE", slice_text(text), "EXPLAIN");
}

const char *sql_local_column(const struct sql_class *c)
{
    static const char *const SHOWN[] = { "sheaf.route", "sheaf.position", "sheaf.min_position" };
    const struct statement *st;

    if (c->is_sheaf_set || c->script == NULL || c->script->count != 1)
        return NULL;
    st = &c->script->statements[0];
    if (st->kind == STATEMENT_EXPLAIN_ROUTE)
        return "ROUTE";
    for (size_t i = 0; i < sizeof(SHOWN) / sizeof(SHOWN[0]) && st->kind == STATEMENT_SHOW; i++)
        if (slice_is_text(st->name, SHOWN[i]))
            return SHOWN[i];
    return NULL;
}

/* ---- which ---- */

bool sql_local_is_position(const struct sql_class *c)
{
    return c->script != NULL && c->script->count == 1 &&
           c->script->statements[0].kind == STATEMENT_SHOW &&
           slice_is_text(c->script->statements[0].name, "sheaf.position");
}

bool sql_local_is(const struct sql_class *c)
{
    if (c->is_sheaf_set)
        return true;
    return c->script != NULL && c->script->count == 1 &&
           (c->script->statements[0].is_sheaf ||
            c->script->statements[0].kind == STATEMENT_EXPLAIN_ROUTE);
}

bool sql_local_answer(struct sql_session *s, const struct sql_class *c, struct buf *out)
{
    const struct statement *st;

    if (c->script == NULL)
        return false;
    if (c->is_sheaf_set) {
        put_set_by_words(s, c->text, out);
        return out->len > 0;
    }
    if (c->script->count == 0 && !c->script->is_error && s->lease == NULL) {
        pg_put_empty_query(out);
        return true;
    }
    if (c->script->count != 1)
        return false;
    st = &c->script->statements[0];
    if (st->kind == STATEMENT_EXPLAIN_ROUTE) {
        explain(s, c, st, out);
        return true;
    }
    if (!st->is_sheaf)
        return false;
    if (st->kind == STATEMENT_SHOW)
        return show(s, st->name, out);
    if ((st->kind != STATEMENT_SET && st->kind != STATEMENT_RESET) || st->setting_count != 1)
        return false;
    put_set(s, st, out);
    return true;
}
