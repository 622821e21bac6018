/* Which endpoint an exchange goes to.
 *
 * What may change something goes to the primary.  A read goes to a replica that is up and has
 * applied what the session has seen or done; if there is none, or it does not come soon, to the
 * primary, which always has. */
#include "proxy/base/mem.h"
#include "proxy/sql/catalog_flow.h"
#include "proxy/sql/lease_flow.h"
#include "proxy/sql/local_flow.h"
#include "proxy/sql/sample_flow.h"
#include "proxy/sql/sql_flow.h"

/* ---- what a statement is ---- */

static uint32_t path_of(const struct sql_session *s)
{
    return (uint32_t)pg_settings_number(pg_settings_meaning(s->settings.current));
}

static struct statement_verdict verdict_of_all(const struct script *script)
{
    if (script->count == 1)
        return verdict_of(script);
    return (struct statement_verdict){ .reason = script->reason,
                                       .effects = script->effects,
                                       .is_certain = script->is_certain,
                                       .kind =
                                           script->count == 0 ? STATEMENT_EMPTY : STATEMENT_QUERY,
                                       .route = script->route };
}

/* What Sheaf answers itself is needed whole each time. */
static bool is_ours(const struct statement *st)
{
    return st->is_sheaf || st->kind == STATEMENT_EXPLAIN_ROUTE;
}

static bool is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] >= 0x80)
            return false;
    return true;
}

struct slice sql_readable(const struct sql_session *s, struct slice text, struct arena *arena)
{
    const struct pg_settings *now = pg_settings_session_effective(&s->settings);
    const struct pg_settings *v = now != NULL && now->has_encoding ? now : s->told;
    struct slice encoding;
    uint8_t *masked;

    if (v == NULL || !v->hides_ascii || is_ascii(text) || text.len > SCRIPT_TEXT_LIMIT ||
        !pg_settings_find(v, slice_text("client_encoding"), &encoding))
        return text;
    masked = arena_bytes(arena, text.len);
    statement_mask(encoding, text, masked);
    return slice_of(masked, text.len);
}

/* Unknown texts are read by the grammar; those whose shape says all are remembered. */
void sql_classify(struct sql_session *s, struct slice text, struct sql_class *out)
{
    struct sql_side *side = sql_side_of(s);
    struct statement_options options = {
        .backslash_escapes = pg_settings_backslash_escapes(s->settings.current),
        .tries_unknown_functions = side->settings->unknown_functions == SQL_UNKNOWN_FUNCTIONS_TRY,
        .needs_catalog = side->endpoint_count > 1 &&
                         side->settings->unknown_functions != SQL_UNKNOWN_FUNCTIONS_TRY,
    };
    struct verdict_key key = { .path = path_of(s), .role = (uint32_t)s->account->number };
    struct shape shape = { 0 };
    const struct statement_verdict *known;
    struct catalog_view view;
    struct catalog catalog;

    sql_catalog_look(s);
    arena_fini(&side->arena);
    *out = (struct sql_class){ .text = text, .read = sql_readable(s, text, &side->arena) };
    out->has_shape = !sql_is_masked(out) && text.len <= SCRIPT_TEXT_LIMIT &&
                     shape_of(text, options.backslash_escapes, &shape);
    if (out->has_shape) {
        out->hints = shape.hints;
        key.low = shape.low;
        key.high = shape.high;
        out->key = key;
        known = verdicts_find(side->verdicts, &key, worker_now_us(side->worker) / 1000);
        if (known != NULL) {
            out->verdict = *known;
            return;
        }
    }
    options.catalog = sql_catalog_see(s, &view, &catalog);
    script_read(out->read, &options, &side->arena, &side->script);
    out->hints = side->script.hints;
    out->script = &side->script;
    out->verdict = verdict_of_all(&side->script);
    out->is_sheaf_set = side->script.is_error && sql_local_reads_set(text);
    if (side->script.effects & EFFECT_UNKNOWN)
        sql_catalog_is_doubted(s);
    if (out->has_shape && side->script.may_be_remembered && !is_ours(&side->script.statements[0]))
        verdicts_keep(side->verdicts, &key, &out->verdict);
}

/* Which other statement it is about, and where its text says so. */
static void note_name(struct sql_note *note, const struct sql_class *class)
{
    const struct statement *st;
    struct slice name;

    if (class->script == NULL || class->script->count != 1)
        return;
    st = &class->script->statements[0];
    name =
        st->kind == STATEMENT_DEALLOCATE || st->kind == STATEMENT_PREPARE ? st->name : st->executed;
    if (name.at == NULL || (st->kind != STATEMENT_DEALLOCATE && st->written.len == 0))
        return;
    note->name = mem_text_of(name.at, name.len);
    note->name_len = (uint32_t)name.len;
    if (st->written.len == 0)
        return;
    note->written_at = (uint32_t)(st->written.at - class->read.at);
    note->written_len = (uint32_t)st->written.len;
}

/* The same of a statement that was prepared: again if something was learned since. */
const struct sql_note *sql_note_of(struct sql_session *s, struct pg_statement *st)
{
    struct sql_side *side = sql_side_of(s);
    struct sql_note *note = st->note;
    struct sql_class class;

    sql_catalog_look(s);
    if (note != NULL && (note->epoch == side->verdict_epoch || note->is_of_sql))
        return note;
    sql_classify(s, pg_statement_text(st), &class);
    if (note == NULL) {
        st->note = note = mem_new(sizeof(*note));
        note->has_deeds = sql_class_has_deeds(&class);
        note_name(note, &class);
        note->is_ours = sql_local_is(&class);
        note->is_position = sql_local_is_position(&class);
    }
    note->verdict = class.verdict;
    note->key = class.key;
    note->hint = class.hints.route;
    note->epoch = side->verdict_epoch;
    return note;
}

void sql_verdict_overrule(struct sql_session *s, const struct sql_upstream *u)
{
    enum { OVERRULED_MS = 600 * 1000 };
    struct sql_side *side = sql_side_of(s);

    if (u->shape.low != 0 || u->shape.high != 0)
        verdicts_overrule(side->verdicts, &u->shape, u->sqlstate,
                          worker_now_us(side->worker) / 1000 + OVERRULED_MS);
    side->verdict_epoch++;
}

/* ---- where servers stand ---- */

static struct sql_endpoint *find_primary(struct sql_side *side)
{
    struct board_primary known = board_primary(side->assembly->board, side->settings->base.number);

    for (uint32_t i = 0; i < side->endpoint_count; i++)
        if (side->endpoints[i]->settings->number == known.endpoint)
            return side->endpoints[i];
    return NULL;
}

static void look_at_board(struct sql_side *side)
{
    uint32_t epoch = board_epoch(side->assembly->board, side->settings->base.number);

    if (!side->primary_known || epoch != side->primary_epoch) {
        side->primary = find_primary(side);
        side->doubt_until_us = 0;
        side->primary_epoch = epoch;
        side->primary_known = true;
    }
}

bool sql_is_primary(const struct sql_endpoint *e)
{
    look_at_board(e->side);
    return e->side->primary == e;
}

struct sql_endpoint *sql_primary(struct sql_side *side)
{
    look_at_board(side);
    if (side->doubt_until_us != 0 && side->doubt_until_us > worker_now_us(side->worker))
        return NULL;
    return side->primary;
}

void sql_primary_is_doubted(struct sql_endpoint *e)
{
    enum { DOUBT_US = 1000 * 1000, REST_US = 30 * 1000 * 1000 };
    struct sql_side *side = e->side;
    uint64_t now_us = worker_now_us(side->worker);

    if (sql_primary(side) != e)
        return;
    board_ring(side->assembly->board, side->settings->base.number);
    if (now_us < side->doubt_until_us + REST_US && side->doubt_until_us != 0)
        return; /* it was looked at just now: whoever refuses has other reasons */
    side->doubt_until_us = now_us + DOUBT_US;
    worker_be_busy(side->worker);
}

/* As its probe found; until that has been, as the configuration says. */
static bool is_replica(const struct sql_endpoint *e)
{
    enum standing_role role = board_role(e->side->assembly->board, e->settings->number);

    return role == STANDING_ROLE_REPLICA ||
           (role == STANDING_ROLE_UNKNOWN && e->settings->role == ENDPOINT_REPLICA);
}

bool sql_is_up(const struct sql_endpoint *e)
{
    const struct board *board = e->side->assembly->board;
    uint32_t number = e->settings->number;

    return board_is_up(board, number) || (!e->side->settings->base.health.probe &&
                                          board_get(board, number).state == VERDICT_HALF_OPEN);
}

struct sql_endpoint *sql_replica_for_catalog(struct sql_side *side)
{
    const struct board *board = side->assembly->board;

    for (uint32_t i = 0; i < side->endpoint_count; i++) {
        struct sql_endpoint *e = side->endpoints[i];
        enum standing_fit fit = board_fit(board, e->settings->number);

        if (!e->failing && sql_is_up(e) && is_replica(e) &&
            (fit == STANDING_FRESH || fit == STANDING_UNKNOWN))
            return e;
    }
    return NULL;
}

bool sql_may_write_at(const struct sql_endpoint *e)
{
    return e->present ? sql_is_primary(e) || !is_replica(e) : e->may_write;
}

static bool may_serve(const struct sql_side *side, const struct sql_endpoint *e,
                      const struct sql_session *s)
{
    const struct board *board = side->assembly->board;
    uint32_t number = e->settings->number;
    enum standing_fit fit = board_fit(board, number);

    if (e->failing || !sql_is_up(e) || (s->avoided >> (e->index & 63) & 1))
        return false;
    if (!is_replica(e))
        return false;
    if (fit == STANDING_LAGGING)
        return side->settings->reads == SQL_READS_ANY;
    return fit == STANDING_FRESH || fit == STANDING_UNKNOWN;
}

static struct policy_candidate candidate(const struct sql_side *side, const struct sql_endpoint *e,
                                         struct sql_session *s)
{
    const struct board *board = side->assembly->board;
    struct standing standing;
    struct policy_candidate c;

    if (!may_serve(side, e, s) || sql_must_stay(s, e))
        return (struct policy_candidate){ .is_usable = false };
    standing = board_standing(board, e->settings->number);
    c = (struct policy_candidate){
        .weight = e->settings->weight,
        .busy = e->busy,
        .waiting = e->waiting,
        .slow_start_share = board_get(board, e->settings->number).weight_percent * 10u,
        .position = { standing.system_id, standing.timeline, standing.lsn },
        .lag_bytes = standing.lag_bytes,
        .lag_ms = standing.lag_us / 1000,
    };
    sql_sampler_position(e, &c.position);
    c.is_position_known = c.position.lsn > 0;
    c.is_usable = sql_may_read_from(s, e, &c.position);
    return c;
}

static struct policy policy_of(const struct sql_pool *settings)
{
    static const enum policy_order ORDERS[] = {
        [SQL_BALANCE_ROUND_ROBIN] = POLICY_ROUND_ROBIN,
        [SQL_BALANCE_WEIGHTS] = POLICY_WEIGHTED,
        [SQL_BALANCE_LEAST_BUSY] = POLICY_LEAST_BUSY,
    };
    bool bounded = settings->reads != SQL_READS_ANY;

    return (struct policy){ .order = ORDERS[settings->balance],
                            .max_lag_bytes = bounded ? settings->max_lag_bytes : 0,
                            .max_lag_ms = bounded ? settings->max_lag_ms : 0 };
}

/* What it needs of an older timeline: who has what the primary had when it became that has it, or
 * nobody does.  False: it is not so. */
static bool needs_the_new_timeline(struct sql_session *s)
{
    const struct sql_side *side = sql_side_of(s);
    struct board_primary known = board_primary(side->assembly->board, side->settings->base.number);

    if (!sql_is_causal(s) || known.endpoint == BOARD_NONE || known.first_lsn == 0 ||
        s->needed.system != known.system_id || s->needed.timeline >= known.timeline)
        return false;
    s->needed = (struct position){ known.system_id, known.timeline, known.first_lsn };
    return true;
}

static struct policy_choice choose_replica(struct sql_session *s, struct sql_endpoint **out)
{
    struct sql_side *side = sql_side_of(s);
    struct policy_candidate candidates[POLICY_CANDIDATE_LIMIT];
    struct sql_endpoint *endpoints[POLICY_CANDIDATE_LIMIT];
    struct policy policy = policy_of(side->settings);
    struct policy_choice choice;
    struct sql_endpoint *primary = sql_primary(side);
    struct position none = { 0 };
    size_t count = 0;

    for (uint32_t i = 0; i < side->endpoint_count && count < POLICY_CANDIDATE_LIMIT; i++) {
        if (side->endpoints[i] == primary)
            continue;
        endpoints[count] = side->endpoints[i];
        candidates[count++] = candidate(side, side->endpoints[i], s);
    }
    choice = policy_choose(&policy, &side->turn, candidates, count,
                           sql_is_causal(s) ? &s->needed : &none);
    for (size_t i = 0; i < count && sql_is_causal(s); i++)
        if (candidates[i].is_usable && candidates[i].position.lsn < s->needed.lsn)
            sql_sampler_poke(s, endpoints[i]);
    *out = choice.index != POLICY_NONE     ? endpoints[choice.index]
           : choice.nearest != POLICY_NONE ? endpoints[choice.nearest]
                                           : NULL;
    return choice;
}

bool sql_may_read_elsewhere(const struct sql_session *s, const struct sql_endpoint *e)
{
    struct sql_side *side = sql_side_of(s);

    if (side->settings->on_replicas_down != SQL_REPLICAS_DOWN_ERROR)
        return true;
    for (uint32_t i = 0; i < side->endpoint_count; i++)
        if (side->endpoints[i] != e && may_serve(side, side->endpoints[i], s))
            return true;
    return false;
}

/* Where shares are to be kept, those who wait stay where they were sent. */
bool sql_may_roam_to(struct sql_session *s, struct sql_endpoint *e)
{
    enum { FULL_SHARE = 1000 };
    struct sql_side *side = sql_side_of(s);
    const struct sql_endpoint *here = s->waits_at->endpoint;
    struct policy policy = policy_of(side->settings);
    struct policy_turn turn = { 0 };
    struct policy_candidate c;
    struct position none = { 0 };

    if (e == here || !e->present || !here->present || e == sql_primary(side) ||
        policy.order == POLICY_WEIGHTED ||
        (policy.order == POLICY_LEAST_BUSY && e->settings->weight != here->settings->weight))
        return false;
    c = candidate(side, e, s);
    return c.slow_start_share >= FULL_SHARE &&
           policy_choose(&policy, &turn, &c, 1, sql_is_causal(s) ? &s->needed : &none).why ==
               POLICY_CHOSEN;
}

/* ---- the decision ---- */

bool sql_is_causal(const struct sql_session *s)
{
    return sql_side_of(s)->settings->reads == SQL_READS_CAUSAL || s->has_min_position;
}

static struct sql_decision to_primary(struct sql_session *s, enum sql_cause cause, const char *why)
{
    struct sql_side *side = sql_side_of(s);
    struct sql_endpoint *primary = sql_primary(side);

    if (primary == NULL || primary->failing)
        return (struct sql_decision){ SQL_WAIT_PRIMARY, NULL, "there is no primary", cause };
    return (struct sql_decision){ SQL_GO, primary, why, cause };
}

static struct sql_decision replicas_are_down(struct sql_session *s, const char *why)
{
    if (sql_side_of(s)->settings->on_replicas_down == SQL_REPLICAS_DOWN_ERROR && !s->conflicted)
        return (struct sql_decision){ SQL_REFUSE, NULL, why, SQL_CAUSE_NO_REPLICA };
    return to_primary(s, SQL_CAUSE_NO_REPLICA, why);
}

/* What was written must have been sampled before it is known what a replica needs. */
static bool needs_sample(struct sql_session *s)
{
    uint64_t since_us = sql_dirty_since_us(s);

    if (!sql_is_causal(s) || since_us == 0)
        return false;
    return !sql_sample_covers(s, since_us);
}

/* Else where the servers stand need not be asked. */
static bool has_replica(const struct sql_side *side)
{
    for (uint32_t i = 0; i < side->endpoint_count; i++) {
        const struct sql_endpoint *e = side->endpoints[i];

        if (!e->failing && sql_is_up(e) && is_replica(e))
            return true;
    }
    return false;
}

/* Where the replicas stand that it does not read from now; false: there are none. */
static bool poke_others(struct sql_session *s)
{
    struct sql_side *side = sql_side_of(s);
    bool any = false;

    for (uint32_t i = 0; i < side->endpoint_count; i++) {
        struct sql_endpoint *e = side->endpoints[i];

        if (e == s->read_from || !may_serve(side, e, s))
            continue;
        sql_sampler_poke(s, e);
        any = true;
    }
    return any;
}

static struct sql_decision to_replica(struct sql_session *s)
{
    const struct sql_pool *settings = sql_side_of(s)->settings;
    struct sql_endpoint *e;
    struct policy_choice choice;

    if (!has_replica(sql_side_of(s)))
        return replicas_are_down(s, "no replica is up");
    if (s->read_from != NULL && !may_serve(sql_side_of(s), s->read_from, s))
        sql_leave_replica(s);
    if (needs_sample(s)) {
        e = sql_primary(sql_side_of(s));
        if (e == NULL || e->failing || s->waited_for_position)
            return to_primary(s, SQL_CAUSE_UNSAMPLED,
                              "it is not known what the session has to see");
        return (struct sql_decision){ SQL_WAIT_SAMPLE, e, "asks where the primary stands",
                                      SQL_CAUSE_READ };
    }
    if (sql_sampler_may_spread(s) && poke_others(s)) {
        sql_sampler_spreads(s);
        return (struct sql_decision){ SQL_WAIT_SAMPLE, s->read_from,
                                      "asks where the replica stands that it has read from",
                                      SQL_CAUSE_READ };
    }
    choice = choose_replica(s, &e);
    if (choice.why == POLICY_NO_HISTORY && needs_the_new_timeline(s))
        choice = choose_replica(s, &e);
    if (choice.why == POLICY_CHOSEN)
        return (struct sql_decision){ SQL_GO, e, "a read", SQL_CAUSE_READ };
    if (choice.why != POLICY_NOT_YET)
        return replicas_are_down(s, policy_why_text(choice.why));
    if (settings->causal_wait_ms == 0 || s->waited_for_position || e == NULL)
        return to_primary(s, SQL_CAUSE_BEHIND, "no replica has what the session has seen yet");
    return (struct sql_decision){ SQL_WAIT_POSITION, e, "waits for a replica", SQL_CAUSE_READ };
}

static bool is_serializable(const struct sql_session *s)
{
    enum pg_isolation isolation = pg_settings_isolation(s->settings.current);

    if (isolation != PG_ISOLATION_UNSAID)
        return isolation == PG_ISOLATION_SERIALIZABLE;
    return s->route != SQL_ROUTE_REPLICA && s->account->serializable_until_us != 0 &&
           worker_now_us(s->base.worker) < s->account->serializable_until_us;
}

/* May what the session does outside of a transaction go to a replica at all? */
static const char *keeps_from_replica(const struct sql_session *s, const struct shape_hints *hints,
                                      enum sql_cause *cause)
{
    *cause = SQL_CAUSE_ASKED;
    if (sql_side_of(s)->settings->reads == SQL_READS_PRIMARY && s->route != SQL_ROUTE_REPLICA)
        return "reads = primary";
    if (hints->route == HINT_PRIMARY)
        return "a hint";
    if (hints->route == HINT_NONE && s->route == SQL_ROUTE_PRIMARY)
        return "route = primary";
    if (sql_account_pooling(s->account) == SQL_POOLING_SESSION && s->route != SQL_ROUTE_REPLICA)
        return "pooling = session";
    *cause = SQL_CAUSE_SERIALIZABLE;
    if (is_serializable(s))
        return "default_transaction_isolation is serializable";
    *cause = SQL_CAUSE_REFUSED;
    return s->forced ? "a replica refused it" : NULL;
}

static bool is_read_only(const struct sql_session *s, const struct statement_verdict *v)
{
    if (v->kind != STATEMENT_BEGIN || v->modes.isolation == MODE_SERIALIZABLE ||
        v->modes.deferrable == MODE_DEFERRABLE)
        return false;
    return v->modes.access == MODE_READ_ONLY ||
           (v->modes.access == MODE_ACCESS_UNSAID &&
            pg_settings_read_only(s->settings.current) == PG_SWITCH_ON);
}

/* Nothing in it writes but, perhaps, functions of which nothing is known: a hint may know. */
static bool is_unknown(const struct statement_verdict *v)
{
    return v->kind == STATEMENT_QUERY && !v->is_certain && v->effects != 0 &&
           (v->effects & ~(uint32_t)(EFFECT_OPAQUE | EFFECT_UNKNOWN)) == 0;
}

/* Who asks for a replica wants to hear of that. */
static bool asks_of_replica(const struct sql_session *s, const struct statement_verdict *v,
                            const struct shape_hints *hints)
{
    return v->route == ROUTE_HERE && (hints->route == HINT_REPLICA ||
                                      (hints->route == HINT_NONE && s->route == SQL_ROUTE_REPLICA));
}

struct sql_decision sql_decide(struct sql_session *s, const struct statement_verdict *v,
                               const struct shape_hints *hints)
{
    enum sql_cause cause;
    const char *kept = keeps_from_replica(s, hints, &cause);

    if (kept != NULL)
        return to_primary(s, cause, kept);
    if (v->route == ROUTE_READ || v->route == ROUTE_TRY || is_read_only(s, v) ||
        (hints->route == HINT_REPLICA && is_unknown(v)) || asks_of_replica(s, v, hints))
        return to_replica(s);
    return to_primary(s, v->effects & EFFECT_UNKNOWN ? SQL_CAUSE_CATALOG : SQL_CAUSE_STATEMENT,
                      v->reason);
}
