/* An exchange is gathered: so much of it is looked at as is needed to know what it is. */
#include "proxy/sql/gather_flow.h"
#include "proxy/sql/local_flow.h"

static void keep_to_primary(struct sql_gathering *g, const char *why)
{
    if (g->alone == NULL)
        g->alone = why;
}

static void join_hints(struct sql_gathering *g, uint8_t hint)
{
    if (hint == HINT_PRIMARY || g->hints.route == HINT_NONE)
        g->hints.route = hint;
}

/* In a failed transaction all is refused but what ends it, and with that the rest of a text. */
static bool may_end_failure(const struct statement_verdict *v)
{
    return v->kind == STATEMENT_COMMIT || v->kind == STATEMENT_ROLLBACK ||
           v->kind == STATEMENT_ROLLBACK_TO || v->kind == STATEMENT_PREPARE_TRANSACTION ||
           (v->effects & EFFECT_UNSEEN);
}

static bool script_may_end_failure(const struct script *script)
{
    if (script == NULL)
        return false;
    for (size_t i = 0; i < script->count; i++)
        if (may_end_failure(&(struct statement_verdict){
                .kind = script->statements[i].kind, .effects = script->statements[i].effects }))
            return true;
    return script->is_error;
}

/* A cursor, a setting, a savepoint... */
static bool leaves(const struct statement_verdict *v)
{
    return (v->kind != STATEMENT_QUERY && v->kind != STATEMENT_EXPLAIN &&
            v->kind != STATEMENT_COPY_OUT && v->kind != STATEMENT_SHOW) ||
           (v->effects & ~(uint32_t)EFFECT_UNKNOWN) != 0;
}

/* The strictest of all; but what begins a transaction decides for what is in it. */
static void join(struct sql_gathering *g, const struct statement_verdict *v, uint8_t hint)
{
    join_hints(g, hint);
    if (!g->any || (g->verdict.kind != STATEMENT_BEGIN && v->route > g->verdict.route))
        g->verdict = *v;
    g->may_end_failure |= may_end_failure(v);
    g->leaves |= leaves(v);
    g->effects |= v->effects;
    g->many = g->any;
    g->any = true;
}

static void meet(struct sql_gathering *g, bool is_ours, bool is_position)
{
    g->has_ours |= is_ours;
    g->has_theirs |= !is_ours;
    g->asks_position |= is_position;
}

static void gather_parse(struct sql_session *s, struct slice body, struct sql_gathering *g,
                         struct pg_parse *last)
{
    struct sql_class class;

    if (pg_read_parse(body, last) != ERR_NONE) {
        keep_to_primary(g, "a Parse that is not well formed");
        return;
    }
    sql_classify(s, last->text, &class);
    meet(g, sql_local_is(&class), sql_local_is_position(&class));
    if (!g->any && class.has_shape)
        g->shape = class.key;
    join(g, &class.verdict, class.hints.route);
    g->may_end_failure |= script_may_end_failure(class.script);
    if (class.hints.min_position.len > 0)
        g->hints.min_position = class.hints.min_position;
}

/* Of one that was prepared in this exchange its Parse has told. */
static void gather_bind(struct sql_session *s, struct slice body, struct sql_gathering *g,
                        const struct pg_parse *last)
{
    const struct sql_note *note;
    struct pg_bind bind;
    struct pg_statement *st;

    if (pg_read_bind_head(body, &bind) != ERR_NONE) {
        keep_to_primary(g, "a Bind that is not well formed");
        return;
    }
    g->binds = true;
    g->leaves |= bind.portal.len > 0;
    if (last->name.at != NULL && slice_is(last->name, bind.statement))
        return;
    if (pg_statements_session_find(&s->statements, bind.statement, &st) != PG_NAME_THERE) {
        keep_to_primary(g, "a statement that is not known");
        return;
    }
    note = sql_note_of(s, st);
    meet(g, note->is_ours, note->is_position);
    if (!g->any)
        g->shape = note->key;
    join(g, &note->verdict, note->hint);
}

static void gather_describe(struct sql_session *s, struct slice body, struct sql_gathering *g)
{
    const struct sql_note *note;
    struct pg_target target;
    struct pg_statement *st;

    if (pg_read_target(body, &target) != ERR_NONE || target.kind != PG_KIND_STATEMENT ||
        pg_statements_session_find(&s->statements, target.name, &st) != PG_NAME_THERE)
        return;
    note = sql_note_of(s, st);
    meet(g, note->is_ours, note->is_position);
    join(g, &note->verdict, note->hint);
}

/* One that ends a pipeline without a Sync is asked with what comes before it. */
static void gather_query(struct sql_session *s, struct slice body, struct sql_gathering *g)
{
    struct sql_class class;
    struct slice text;

    if (pg_read_query(body, &text) != ERR_NONE) {
        keep_to_primary(g, "a Query that is not well formed");
        return;
    }
    sql_classify(s, text, &class);
    if (g->bytes == 0) {
        g->class = class;
        g->asks_position = sql_local_is_position(&class);
    }
    if (!g->any)
        g->shape = class.key;
    if (class.hints.min_position.len > 0)
        g->hints.min_position = class.hints.min_position;
    g->has_theirs = true; /* it is seen to otherwise */
    join(g, &class.verdict, class.hints.route);
    g->may_end_failure |= script_may_end_failure(class.script);
    g->leaves |= class.script != NULL && class.script->count > 1;
}

static void gather_execute(struct slice body, struct sql_gathering *g)
{
    struct pg_execute execute;

    g->executes = true;
    g->leaves |= pg_read_execute(body, &execute) != ERR_NONE || execute.max_rows > 0;
}

/* True: the exchange ends with this message, or more of it need not be known. */
static bool gather_message(struct sql_session *s, struct slice in, struct pg_frame f,
                           struct sql_gathering *g, struct pg_parse *last)
{
    struct slice body = pg_frame_body(in, f);
    struct pg_target target;

    switch (f.type) {
    case PG_FRONT_TERMINATE: /* what it began is not ended */
        keep_to_primary(g, "a client that leaves");
        return true;
    case PG_FRONT_QUERY:
        gather_query(s, body, g);
        g->is_local = false;
        g->is_whole = true;
        return true;
    case PG_FRONT_FUNCTION_CALL:
        keep_to_primary(g, "a function call");
        g->is_function_call = true;
        g->is_local = false;
        return true;
    case PG_FRONT_SYNC:
        g->is_local &= f.bytes == PG_HEADER_BYTES;
        g->is_whole = true;
        return true;
    case PG_FRONT_FLUSH:
        g->is_flushed = !g->binds;
        if (g->executes)
            keep_to_primary(g, "an exchange that is flushed");
        return true;
    case PG_FRONT_PARSE:
        gather_parse(s, body, g, last);
        break;
    case PG_FRONT_BIND:
        gather_bind(s, body, g, last);
        break;
    case PG_FRONT_DESCRIBE:
        gather_describe(s, body, g);
        break;
    case PG_FRONT_EXECUTE:
        gather_execute(body, g);
        break;
    }
    g->is_local &= f.type == PG_FRONT_CLOSE && pg_read_target(body, &target) == ERR_NONE;
    return false;
}

bool sql_gather_ends_before(enum err err, struct pg_frame f)
{
    return err == ERR_PROTOCOL || (err == ERR_NONE && (pg_front_max_bytes(f.type) == 0 ||
                                                       f.bytes > pg_front_max_bytes(f.type)));
}

bool sql_gather(struct sql_session *s, struct slice in, struct sql_gathering *g)
{
    struct pg_parse last = { 0 };

    *g = (struct sql_gathering){ .is_local = true };
    for (;;) {
        struct slice rest = slice_from(in, g->bytes);
        struct pg_frame f;
        enum err err = pg_frame_read(rest, &f);
        bool is_text = err == ERR_NONE && (f.type == PG_FRONT_QUERY || f.type == PG_FRONT_PARSE);

        if (sql_gather_ends_before(err, f)) /* what comes before it is asked first */
            return true;
        if (err == ERR_NONE && pg_frame_is_whole(rest, f)) {
            bool ends = gather_message(s, rest, f, g, &last);

            g->bytes += f.bytes;
            if (ends)
                return true;
            continue;
        }
        if (err == ERR_NONE &&
            g->bytes + f.bytes > (is_text ? SQL_PARSE_BYTES : SQL_GATHER_BYTES)) {
            keep_to_primary(g, "too long to be looked at");
            g->is_local = false;
            return true;
        }
        if (g->bytes > SQL_GATHER_BYTES) {
            keep_to_primary(g, "a long pipeline");
            return true;
        }
        s->base.need = err == ERR_NONE ? (uint32_t)(g->bytes + f.bytes) : 0;
        return false;
    }
}
