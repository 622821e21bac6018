/* Statements that Sheaf answers itself, outside of a transaction and without a server: SHOW and SET
 * of its own settings, EXPLAIN ROUTE, and texts that hold no statement.
 *
 * They are settings as any other, kept among those of the session, but for that no server hears of
 * them: unless they are set among other statements, or by set_config().
 *
 *     sheaf.route          auto, primary or replica: where statements go that may go to either
 *     sheaf.position       SHOW only: what a replica must have reached to show what was done here
 *     sheaf.min_position   SET it to what another session's sheaf.position was, to see what it did
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proxy/sql/gather_flow.h"
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

/* Of all that it did or saw; an older one would let others read what is older. */
static bool knows_position(struct sql_session *s)
{
    uint64_t since_us = sql_dirty_since_us(s);

    s->waited_for_position = false;
    return since_us == 0 || sql_sample_covers(s, since_us);
}

static void put_position_unknown(struct buf *out)
{
    pg_put_error_hint(out, "ERROR", "57P03", "Try again when the primary answers.",
                      "the position of what was done here is not known: the primary does not say "
                      "where it stands");
}

static bool show(struct sql_session *s, struct slice name, struct buf *out)
{
    const struct pg_settings *v = pg_settings_session_effective(&s->settings);
    char text[POSITION_TEXT] = "";
    struct slice value = { 0 };
    struct position p;

    if (slice_is_text(name, "sheaf.route")) {
        put_cell(out, "sheaf.route", slice_text(ROUTES[s->route]), "SHOW");
    } else if (slice_is_text(name, "sheaf.min_position")) {
        (void)pg_settings_find(v, name, &value);
        put_cell(out, "sheaf.min_position", value, "SHOW");
    } else if (slice_is_text(name, "sheaf.position")) {
        if (!knows_position(s)) {
            put_position_unknown(out);
            return true;
        }
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

static bool read_route(struct slice value, uint8_t *out)
{
    for (size_t i = 0; i < sizeof(ROUTES) / sizeof(ROUTES[0]); i++)
        if (slice_is_word(value, ROUTES[i])) {
            *out = (uint8_t)i;
            return true;
        }
    return false;
}

static bool is_settable(struct slice name)
{
    return slice_is_text(name, "sheaf.route") || slice_is_text(name, "sheaf.min_position");
}

bool sql_local_is_valid(struct slice name, struct slice value)
{
    struct position p;
    uint8_t route;

    if (slice_is_text(name, "sheaf.route"))
        return read_route(value, &route);
    return slice_is_text(name, "sheaf.min_position") && position_parse(value, &p) == ERR_NONE;
}

/* What code has set may be anything: that counts as not set. */
void sql_local_follow(struct sql_session *s)
{
    const struct pg_settings *v = pg_settings_session_effective(&s->settings);
    struct slice value;

    if (pg_settings_number(v) == s->followed)
        return;
    s->followed = pg_settings_number(v);
    if (!pg_settings_find(v, slice_text("sheaf.route"), &value) || !read_route(value, &s->route))
        s->route = default_route(s);
    s->has_min_position = false;
    if (pg_settings_find(v, slice_text("sheaf.min_position"), &value))
        sql_hint_position(s, value);
}

static void put_local_warning(struct buf *out)
{
    struct pg_report warning = { .severity = slice_text("WARNING"),
                                 .severity_shown = slice_text("WARNING"),
                                 .sqlstate = slice_text("25P01") };

    warning.message = slice_text("SET LOCAL can only be used in transaction blocks");
    pg_put_notice(out, &warning);
}

/* It is a setting as any other: the transaction or savepoint that it is set in may undo it. */
static void put_set(struct sql_session *s, const struct setting *set, const char *tag,
                    struct buf *out)
{
    if (!is_settable(set->name)) {
        put_unknown(out, set->name);
    } else if (!set->is_default && !sql_local_is_valid(set->name, set->text)) {
        pg_put_error_text(out, "ERROR", "22023", "invalid value for parameter \"%.*s\": \"%.*s\"",
                          (int)set->name.len, (const char *)set->name.at, (int)set->text.len,
                          (const char *)set->text.at);
    } else if (sql_setting_do(s, set) != ERR_NONE) {
        pg_put_error_text(out, "ERROR", "54000", "too much is set in this session");
    } else {
        if (set->is_local && s->status == PG_STATUS_IDLE)
            put_local_warning(out);
        pg_put_complete(out, tag);
    }
    if (s->status == PG_STATUS_IDLE)
        pg_settings_session_commit(sql_side_of(s)->interned, &s->settings);
    sql_local_follow(s);
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

/* SET [SESSION | LOCAL] sheaf.NAME = | TO WORD [;] */
static bool read_set(struct slice text, struct setting *set)
{
    struct slice rest = text, word = next_word(&rest);

    *set = (struct setting){ .is_known = true, .is_sheaf = true };
    if (!slice_is_word(word, "set"))
        return false;
    word = next_word(&rest);
    set->is_local = slice_is_word(word, "local");
    if (set->is_local || slice_is_word(word, "session"))
        word = next_word(&rest);
    if (word.len < 6 || strncasecmp((const char *)word.at, "sheaf.", 6) != 0)
        return false;
    set->name = word;
    word = next_word(&rest);
    if (!slice_is_text(word, "=") && !slice_is_word(word, "to"))
        return false;
    set->text = next_word(&rest);
    word = next_word(&rest);
    return set->text.len > 0 && (word.len == 0 || slice_is_text(word, ";"));
}

bool sql_local_reads_set(struct slice text)
{
    struct setting set;

    return read_set(text, &set);
}

static void put_set_by_words(struct sql_session *s, struct slice text, struct buf *out)
{
    struct setting set;
    char lower[64];

    if (!read_set(text, &set) || set.name.len >= sizeof(lower))
        return;
    for (size_t i = 0; i < set.name.len; i++)
        lower[i] = (char)tolower(set.name.at[i]);
    set.name = slice_of(lower, set.name.len);
    put_set(s, &set, "SET", out);
}

/* ---- EXPLAIN ROUTE ---- */

/* Why it stays where it is: its transaction, what pins it, or how it pools. */
static void put_why_kept(const struct sql_session *s, struct buf *out)
{
    if (s->status != PG_STATUS_IDLE) {
        buf_text(out, "its transaction is there");
    } else if (s->pins != 0) {
        buf_text(out, "it has there: ");
        pg_pins_put_text(out, s->pins);
    } else {
        buf_text(out, "pooling = session");
    }
}

static void put_server(const struct sql_session *s, const struct sql_endpoint *e, struct buf *out)
{
    if (e == NULL)
        buf_text(out, "none");
    else
        buf_format(out, "%s %s", e == sql_primary(sql_side_of(s)) ? "primary" : "replica", e->name);
}

/* One that would be asked of the server that the session has.  A transaction of which nothing is
 * there yet may be begun anew at the primary. */
static void explain_kept(struct sql_session *s, const struct sql_class *c, struct buf *out)
{
    struct sql_gathering g = { .verdict = c->verdict,
                               .hints = c->hints,
                               .effects = c->verdict.effects,
                               .any = true,
                               .is_whole = true };
    bool may_move = s->begun == SQL_BEGUN_ALONE || s->begun == SQL_BEGUN_READS;

    if (may_move && sql_begin_is_misplaced(s, &g)) {
        put_server(s, sql_primary(sql_side_of(s)), out);
        buf_format(out, ": %s; its transaction is begun anew there", c->verdict.reason);
        return;
    }
    put_server(s, s->lease->endpoint, out);
    buf_format(out, ": %s; ", c->verdict.reason);
    put_why_kept(s, out);
}

static void explain_free(struct sql_session *s, const struct sql_class *c, struct buf *out)
{
    struct sql_decision d = sql_decide(s, &c->verdict, &c->hints);

    put_server(s, d.endpoint, out);
    buf_format(out, ": %s", c->verdict.reason);
    if (strcmp(d.why, c->verdict.reason) != 0)
        buf_format(out, "; %s", d.why);
}

/* By all that decides about the statement itself, what was learned of its like included. */
static void explain(struct sql_session *s, const struct sql_class *c, const struct statement *st,
                    struct buf *out)
{
    struct shape_hints hints = c->hints;
    struct sql_class asked;
    struct buf text = { 0 };

    sql_classify(s, sql_part(c, st->asked), &asked); /* what `c` has of the text is void then */
    asked.hints = hints;
    if (sql_local_is(&asked))
        buf_text(&text, "none: answered by Sheaf");
    else if (sql_keeps_lease(s))
        explain_kept(s, &asked, &text);
    else
        explain_free(s, &asked, &text);
    put_cell(out, "ROUTE", buf_all(&text), "EXPLAIN");
    buf_fini(&text);
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

bool sql_local_is_explain(const struct sql_class *c)
{
    return c->script != NULL && c->script->count == 1 &&
           c->script->statements[0].kind == STATEMENT_EXPLAIN_ROUTE;
}

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
    if (s->status == PG_STATUS_FAILED && sql_local_is(c)) {
        pg_put_error_text(out, "ERROR", "25P02",
                          "current transaction is aborted, commands ignored until end of "
                          "transaction block");
        return true;
    }
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
    put_set(s, &st->settings[0], st->kind == STATEMENT_RESET ? "RESET" : "SET", out);
    return true;
}
