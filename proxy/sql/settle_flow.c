/* What an exchange changed: in the session's settings, its names of statements, and in what pins it
 * to its server.  And what becomes of the lease when all is answered.
 *
 * A text that changes settings is noted when it is sent (its *deeds*), and each of its
 * statements is done when the server says that it has; nothing further is sent meanwhile. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/sql/cancel_flow.h"
#include "proxy/sql/catalog_flow.h"
#include "proxy/sql/code_flow.h"
#include "proxy/sql/commit_flow.h"
#include "proxy/sql/preset_flow.h"
#include "proxy/sql/sample_flow.h"
#include "proxy/sql/sql_words.h"
#include "replica/code_settings.h"

/* One text's statements. */
struct sql_deed {
    struct sql_deed *next;
    struct script script;
    size_t done; /* of its statements */
};

struct sql_deeds {
    struct arena arena;
    struct sql_deed *first, **end;
};

/* ---- noting ---- */

/* PREPARE TRANSACTION is one, for by its tag it is not told from ROLLBACK where it fails. */
static bool is_deed(const struct statement *st)
{
    switch (st->kind) {
    case STATEMENT_SET:
    case STATEMENT_RESET:
    case STATEMENT_RESET_ALL:
    case STATEMENT_SET_CHARACTERISTICS:
    case STATEMENT_SAVEPOINT:
    case STATEMENT_RELEASE:
    case STATEMENT_ROLLBACK_TO:
    case STATEMENT_DEALLOCATE:
    case STATEMENT_DEALLOCATE_ALL:
    case STATEMENT_DISCARD_ALL:
    case STATEMENT_PREPARE_TRANSACTION:
        return true;
    default:
        return st->setting_count > 0 || (st->effects & EFFECT_SETS);
    }
}

bool sql_class_has_deeds(const struct sql_class *c)
{
    if (c->script == NULL) /* what is remembered by its shape says nothing of values */
        return c->verdict.kind == STATEMENT_RESET_ALL ||
               c->verdict.kind == STATEMENT_DEALLOCATE_ALL ||
               c->verdict.kind == STATEMENT_DISCARD_ALL || c->verdict.kind == STATEMENT_RESET ||
               c->verdict.kind == STATEMENT_PREPARE_TRANSACTION ||
               c->verdict.kind == STATEMENT_SAVEPOINT || c->verdict.kind == STATEMENT_RELEASE ||
               c->verdict.kind == STATEMENT_ROLLBACK_TO ||
               c->verdict.kind == STATEMENT_DEALLOCATE || c->verdict.kind == STATEMENT_SET ||
               c->verdict.kind == STATEMENT_SET_CHARACTERISTICS ||
               (c->verdict.effects & EFFECT_SETS);
    for (size_t i = 0; i < c->script->count; i++)
        if (is_deed(&c->script->statements[i]))
            return true;
    return false;
}

/* set_config($1, $2, false): what the client bound to them. */
static void bind_parameter(uint16_t number, const struct pg_bind *bound, struct arena *arena,
                           struct slice *out, bool *is_null)
{
    struct pg_bound value;

    if (number == 0 || bound == NULL || number > bound->value_count)
        return;
    value = pg_bind_value(bound, number - 1u);
    *is_null = value.value.is_null;
    *out = arena_copy(arena, value.value.bytes);
}

static bool is_true(struct slice text)
{
    return text.len > 0 && (text.at[0] == 't' || text.at[0] == '1' || text.at[0] == 1);
}

static void bind_setting(struct setting *set, const struct pg_bind *bound, struct arena *arena)
{
    struct slice local = { 0 };
    bool is_null = false, no_name = false, no_local = false;

    if (bound == NULL ||
        (set->name_parameter == 0 && set->value_parameter == 0 && set->local_parameter == 0))
        return;
    bind_parameter(set->name_parameter, bound, arena, &set->name, &no_name);
    bind_parameter(set->value_parameter, bound, arena, &set->text, &is_null);
    bind_parameter(set->local_parameter, bound, arena, &local, &no_local);
    if (set->local_parameter != 0)
        set->is_local = is_true(local);
    set->is_default |= is_null;
    set->is_known = set->name.len > 0 && !no_name && !no_local;
}

static bool is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] >= 0x80)
            return false;
    return true;
}

void sql_deeds_note(struct sql_session *s, struct slice text, const struct pg_bind *bound)
{
    struct statement_options options = { .backslash_escapes =
                                             pg_settings_backslash_escapes(s->settings.current) };
    struct sql_deed *deed;
    struct slice read;

    if (s->deeds == NULL) {
        s->deeds = mem_new(sizeof(*s->deeds));
        s->deeds->end = &s->deeds->first;
    }
    deed = arena_new(&s->deeds->arena, sizeof(*deed));
    text = arena_copy(&s->deeds->arena, text);
    read = sql_readable(s, text, &s->deeds->arena);
    script_read(read, &options, &s->deeds->arena, &deed->script);
    for (size_t i = 0; i < deed->script.count; i++)
        for (size_t k = 0; k < deed->script.statements[i].setting_count; k++) {
            struct setting *set = (struct setting *)&deed->script.statements[i].settings[k];

            if (read.at != text.at && !(is_ascii(set->name) && is_ascii(set->text)))
                s->pins |= PG_PIN_SETTINGS_LIMIT; /* it is not what was said */
            bind_setting(set, bound, &s->deeds->arena);
            sql_sampler_heed_setting(s, set);
        }
    *s->deeds->end = deed;
    s->deeds->end = &deed->next;
}

const struct statement *sql_deeds_last(const struct sql_session *s)
{
    const struct sql_deed *deed = s->deeds == NULL ? NULL : s->deeds->first;

    while (deed != NULL && deed->next != NULL)
        deed = deed->next;
    return deed == NULL || deed->script.count != 1 ? NULL : &deed->script.statements[0];
}

void sql_deeds_take_back(struct sql_session *s)
{
    struct sql_deed **where;

    if (s->deeds == NULL)
        return;
    where = &s->deeds->first;
    while (*where != NULL && (*where)->next != NULL)
        where = &(*where)->next;
    *where = NULL;
    s->deeds->end = where;
}

void sql_deeds_forget(struct sql_session *s)
{
    sql_portal_leave(s);
    s->query_noted = false;
    if (s->deeds == NULL)
        return;
    arena_fini(&s->deeds->arena);
    free(s->deeds);
    s->deeds = NULL;
}

/* ---- doing ---- */

enum err sql_setting_do(struct sql_session *s, const struct setting *set)
{
    struct pg_settings_pool *pool = sql_side_of(s)->interned;

    if (!set->is_known) {
        s->probes = s->probes_settings = true;
        return ERR_NONE;
    }
    if (set->is_default)
        return set->is_local ? pg_settings_session_reset_local(pool, &s->settings, set->name)
                             : pg_settings_session_reset(pool, &s->settings, set->name);
    return set->is_local ? pg_settings_session_set_local(pool, &s->settings, set->name, set->text)
                         : pg_settings_session_set(pool, &s->settings, set->name, set->text);
}

static enum err do_settings(struct sql_session *s, const struct statement *st)
{
    enum err err = ERR_NONE;

    for (size_t i = 0; i < st->setting_count && err == ERR_NONE; i++)
        err = sql_setting_do(s, &st->settings[i]);
    return err;
}

static void forget_statements(struct sql_session *s, bool on_server)
{
    pg_statements_session_clear_now(sql_side_of(s)->statements, &s->statements);
    if (on_server)
        pg_prepared_clear(&s->lease->prepared);
}

static enum err do_statement(struct sql_session *s, const struct statement *st, bool reworded)
{
    struct pg_settings_pool *pool = sql_side_of(s)->interned;

    switch (st->kind) {
    case STATEMENT_RESET_ALL:
        return pg_settings_session_reset_all(pool, &s->settings);
    case STATEMENT_DISCARD_ALL:
        pg_settings_session_discard_all(pool, &s->settings);
        forget_statements(s, true);
        s->pins = pg_pins_after_discard(s->pins);
        return ERR_NONE;
    case STATEMENT_DEALLOCATE_ALL:
        forget_statements(s, !reworded);
        return ERR_NONE;
    case STATEMENT_DEALLOCATE: /* others may use it: the server still has it */
        (void)pg_statements_session_undefine_now(sql_side_of(s)->statements, &s->statements,
                                                 st->name);
        return ERR_NONE;
    case STATEMENT_SAVEPOINT:
        return pg_settings_session_savepoint(pool, &s->settings, st->name);
    case STATEMENT_RELEASE:
        pg_settings_session_release(pool, &s->settings, st->name);
        return ERR_NONE;
    case STATEMENT_ROLLBACK_TO:
        pg_settings_session_rollback_to(pool, &s->settings, st->name);
        return ERR_NONE;
    default:
        return do_settings(s, st);
    }
}

static void set_upstream(struct sql_upstream *u, const struct pg_settings *settings)
{
    if (u->settings == settings)
        return;
    settings = pg_settings_ref(settings);
    pg_settings_unref(u->endpoint->side->interned, &u->settings);
    u->settings = settings;
}

void sql_settings_undo(struct sql_upstream *u)
{
    struct pg_settings_session *settings = &u->lessee->settings;

    pg_settings_session_rollback(u->endpoint->side->interned, settings);
    set_upstream(u, pg_settings_session_effective(settings));
}

/* By a text of several statements, or set_config(): the server has heard of it, too. */
static bool sets_sheaf(const struct statement *st)
{
    for (size_t i = 0; i < st->setting_count; i++)
        if (slice_starts(st->settings[i].name, slice_text("sheaf.")))
            return true;
    return false;
}

/* RESET goes back to what the client began with; the server went back to its own preset, unless it
 * was told in other words. */
static void follow_server(struct sql_upstream *u, const struct statement *st, bool reworded)
{
    struct sql_session *s = u->lessee;

    set_upstream(u, pg_settings_session_effective(&s->settings));
    if (st->kind == STATEMENT_DISCARD_ALL && !reworded)
        pg_settings_unref(u->endpoint->side->interned, &u->settings);
    else if ((!reworded && sql_restore_count(s, st) > 0) || sets_sheaf(st))
        u->hides_settings = u->lacks_start = true;
}

/* The next statement of what was noted is done.  NULL: there is none. */
static const struct statement *do_next(struct sql_upstream *u, bool reworded)
{
    struct sql_session *s = u->lessee;
    struct sql_deed *deed = s->deeds == NULL ? NULL : s->deeds->first;
    const struct statement *st;

    while (deed != NULL && deed->done == deed->script.count)
        deed = s->deeds->first = deed->next;
    if (s->deeds != NULL && deed == NULL)
        s->deeds->end = &s->deeds->first;
    if (deed == NULL)
        return NULL;
    st = &deed->script.statements[deed->done++];
    if (do_statement(s, st, reworded) != ERR_NONE)
        s->pins |= PG_PIN_SETTINGS_LIMIT;
    follow_server(u, st, reworded);
    return st;
}

void sql_deeds_complete(struct sql_upstream *u, uint16_t note, bool reworded, struct slice tag)
{
    struct sql_session *s = u->lessee;
    struct pg_settings_pool *pool = u->endpoint->side->interned;
    const struct statement *st = note & SQL_NOTE_DEEDS ? do_next(u, reworded) : NULL;

    if (s->settings.undo == NULL)
        return;
    sql_sampler_heed_settings(s); /* SET LOCAL ends here */
    if (slice_is_text(tag, "COMMIT") || slice_is_text(tag, "PREPARE TRANSACTION"))
        pg_settings_session_commit(pool, &s->settings);
    else if (!slice_is_text(tag, "ROLLBACK") || (st != NULL && st->kind == STATEMENT_ROLLBACK_TO))
        return;
    else if (st != NULL && st->kind == STATEMENT_PREPARE_TRANSACTION)
        pg_settings_session_not_prepared(pool, &s->settings);
    else
        pg_settings_session_rollback(pool, &s->settings);
    set_upstream(u, pg_settings_session_effective(&s->settings));
}

void sql_deeds_suspended(struct sql_upstream *u, uint16_t note)
{
    if (u->lessee == NULL || !(note & SQL_NOTE_DEEDS))
        return;
    (void)do_next(u, note & SQL_NOTE_RESTORED);
    u->lessee->probes = u->lessee->probes_settings = true; /* there may be more rows */
}

/* ---- pins ---- */

/* May it end what pins the session?  All that is not a plain query, or says that it touches such
 * things: the server is asked then. */
static bool may_unpin(const struct statement_verdict *v)
{
    if (v->kind == STATEMENT_QUERY)
        return (v->effects & ~(uint32_t)EFFECT_UNKNOWN) != 0;
    return v->kind != STATEMENT_BEGIN && v->kind != STATEMENT_SHOW && v->kind != STATEMENT_FETCH &&
           v->kind != STATEMENT_SAVEPOINT && v->kind != STATEMENT_EXPLAIN &&
           v->kind != STATEMENT_COPY_IN && v->kind != STATEMENT_COPY_OUT;
}

/* What the server would not tell when it is asked. */
static uint32_t pins_of_code(struct sql_session *s, struct slice text)
{
    unsigned leaves = code_leaves(text);

    if ((leaves & CODE_FORGETS) && s->lease != NULL)
        pg_prepared_doubt(&s->lease->prepared);
    return (leaves & CODE_SEEDS ? PG_PIN_SEED : 0) | (leaves & CODE_LOADS ? PG_PIN_LOAD : 0);
}

void sql_pins_note(struct sql_session *s, const struct statement_verdict *v, struct slice text)
{
    uint32_t effects = v->effects;
    static const struct {
        uint32_t effect, pin;
    } PINS[] = {
        { EFFECT_TEMP, PG_PIN_TEMP },        { EFFECT_LOCK, PG_PIN_ADVISORY_LOCK },
        { EFFECT_HOLD, PG_PIN_HOLD_CURSOR }, { EFFECT_LISTENS, PG_PIN_LISTEN },
        { EFFECT_SEED, PG_PIN_SEED },        { EFFECT_LOADS, PG_PIN_LOAD },
        { EFFECT_CURRVAL, PG_PIN_SEQUENCE }, { EFFECT_OPAQUE, PG_PIN_OPAQUE },
    };
    enum { PROBED = EFFECT_TEMP | EFFECT_LOCK | EFFECT_HOLD | EFFECT_LISTENS | EFFECT_OPAQUE };
    bool hides = v->route == ROUTE_PRIMARY && sql_code_may_hide(s, text);

    for (size_t i = 0; i < sizeof(PINS) / sizeof(PINS[0]); i++)
        if (effects & PINS[i].effect)
            s->pins |= PINS[i].pin;
    /* What may hide is asked for, but is no state that is lost with the server meanwhile. */
    if ((effects & PROBED) || hides || (s->pins != 0 && may_unpin(v)))
        s->probes = true;
    if ((effects & EFFECT_OPAQUE) || hides) {
        s->probes_settings = true;
        sql_sampler_heed_code(s, text);
        sql_code_heed(s, text);
    }
    if (effects & EFFECT_OPAQUE)
        s->pins |= pins_of_code(s, text);
    if (effects & EFFECT_CATALOG)
        s->may_change_catalog = true;
    if (effects & EFFECT_PRESETS)
        sql_presets_note(s, text);
    if (effects & (EFFECT_CATALOG | EFFECT_TEMP))
        sql_catalog_own_edition(s);
}

/* ---- what the upstream was to know ---- */

bool sql_settings_apply(struct sql_upstream *u, const struct pg_settings *wanted)
{
    struct buf out = { 0 };
    size_t queries;

    if (u->settings == wanted && !u->hides_settings)
        return false;
    queries = u->hides_settings ? pg_settings_difference_from_unknown(wanted, &out)
                                : pg_settings_difference(u->settings, wanted, &out);
    u->hides_settings = u->lacks_start = false;
    for (size_t i = 0; i < queries; i++) {
        (void)!pg_expect_push(&u->expect, (struct pg_expected){ .kind = PG_EXPECT_QUERY,
                                                                .flags = PG_EXPECT_SWALLOW,
                                                                .note = SQL_NOTE_SETTINGS });
        pg_prepared_unnamed_becomes(&u->prepared, 0);
    }
    upstream_put(&u->base, buf_all(&out));
    buf_fini(&out);
    set_upstream(u, wanted);
    return queries > 0;
}

/* A Query ends it, but for one that is not of the client's encoding: that ends nothing. */
static void settle_unnamed(struct sql_upstream *u, const struct pg_expected *e,
                           enum pg_outcome outcome)
{
    const struct pg_statement *st = e->subject;

    if (e->kind == PG_EXPECT_QUERY)
        pg_prepared_unnamed_settle(
            &u->prepared, outcome == PG_OUTCOME_FAILED ? PG_UNNAMED_UNKNOWN : 0,
            outcome == PG_OUTCOME_SKIPPED ? PG_OUTCOME_SKIPPED : PG_OUTCOME_DONE);
    else if ((e->note & SQL_NOTE_UNNAMED) && e->kind == PG_EXPECT_CLOSE)
        pg_prepared_unnamed_settle(&u->prepared, 0, outcome);
    else if (e->note & SQL_NOTE_UNNAMED)
        pg_prepared_unnamed_settle(&u->prepared, st != NULL ? st->id : PG_UNNAMED_UNKNOWN, outcome);
}

void sql_settle_entry(struct sql_upstream *u, const struct pg_expected *e, enum pg_outcome outcome)
{
    struct pg_statements *store = u->endpoint->side->statements;
    struct pg_statement *st;

    if ((e->note & SQL_NOTE_CHANGE) && u->lessee != NULL) {
        uint32_t changes =
            e->note & SQL_NOTE_DUPLICATE ? 1 : e->number & ((1u << SQL_TAG_SHIFT) - 1);

        do
            pg_statements_session_settle(store, &u->lessee->statements, outcome);
        while (changes-- > 1);
    }
    if ((e->note & SQL_NOTE_EDITED) && u->lessee != NULL)
        sql_edits_free(u->lessee, &u->lessee->edits); /* what it did not come to is not done */
    if ((e->note & SQL_NOTE_DUPLICATE) && outcome == PG_OUTCOME_DONE)
        sql_prepared_is_another(u);
    settle_unnamed(u, e, outcome);
    if (e->kind == PG_EXPECT_CLOSE) {
        sql_prepared_settle_close(u, e, outcome);
        return;
    }
    st = e->subject;
    if (st == NULL)
        return;
    if (e->note & SQL_NOTE_PREPARES)
        pg_prepared_settle(&u->prepared, st->id, outcome);
    pg_statement_unref(store, &st);
}

void sql_settle_lost(struct sql_upstream *u)
{
    struct pg_expected e;

    while (pg_expect_take(&u->expect, &e))
        sql_settle_entry(u, &e, PG_OUTCOME_SKIPPED);
}

/* ---- the end of an exchange ---- */

void sql_exchange_answered(struct sql_upstream *u)
{
    struct sql_session *s = u->lessee;
    struct sql_side *side = u->endpoint->side;
    uint64_t now_us = worker_now_us(u->base.worker), took_us = now_us - u->asked_us;

    s->status = u->status;
    s->status_us = now_us;
    s->base.active_s = (uint32_t)(now_us / 1000000);
    s->forced = s->conflicted = s->waited_for_position = s->healed = false;
    s->avoided = 0;
    sql_commit_forget(s);
    session_request_ends(&s->base);
    sql_session_holds(s, u->status != PG_STATUS_IDLE && !s->base.ended);
    counter_add(&side->stats->requests, 1);
    counter_add(&u->endpoint->stats->requests, 1);
    histogram_add(&side->stats->latency_us, took_us);
    histogram_add(&u->endpoint->stats->latency_us, took_us);
    if (u->endpoint->present)
        tally_success(side->assembly->tallies[u->base.worker->index], u->endpoint->settings->number,
                      took_us);
    sql_tally_answered(s, u, took_us);
    pg_statements_session_end_keeping(side->statements, &s->statements);
    sql_slow_answered(s, u, took_us);
    sql_begin_answered(s, u);
    if (u->status == PG_STATUS_IDLE && s->settings.undo != NULL) {
        if (u->sqlstate[0] == '\0')
            pg_settings_session_commit(side->interned, &s->settings);
        else
            pg_settings_session_rollback(side->interned, &s->settings);
        set_upstream(u, pg_settings_session_effective(&s->settings));
    }
    pg_settings_session_stay(&s->settings);
    if (u->status == PG_STATUS_IDLE) {
        if (s->has_written && sql_may_write_at(u->endpoint))
            sql_mark_dirty(s);
        s->has_written = s->may_commit = false;
    }
    if (u->status == PG_STATUS_IDLE && s->changes_catalog)
        sql_catalog_changed(s);
    if (u->status == PG_STATUS_IDLE)
        sql_presets_changed(s);
    sql_sampler_heed_settings(s);
    sql_sampler_saw(s, u);
    u->sqlstate[0] = '\0';
    if (s->base.ended || s->ends)
        sql_session_go_on(s); /* half an exchange may be all that is left of what it said */
}

/* Its pins, as the server told them.  The session may have asked more meanwhile. */
void sql_probe_ended(struct sql_upstream *u)
{
    struct sql_session *s = u->lessee;
    bool failed = u->sqlstate[0] != '\0';

    if (!u->probing)
        return;
    u->sqlstate[0] = '\0';
    u->probing = false;
    if (failed) { /* it could not be asked: better to keep what may be there */
        s->pins |= PG_PIN_OPAQUE;
        if (!u->probe_failed) { /* by a cancel that came late, say: what is set is not lost */
            s->probes = true;
            s->probes_settings |= u->probes_settings;
        }
        u->probe_failed = true;
        return;
    }
    u->probe_failed = false;
    if (s->probes) /* by what was asked behind it, of which it knows nothing: it is asked again */
        s->pins |= u->found;
    else
        s->pins = pg_pins_after_probe(s->pins, u->found);
    if (u->fingerprint[0] != '\0')
        sql_catalog_compare(s, slice_text(u->fingerprint));
    if ((u->found & PG_PIN_TEMP) && s->own_edition == 0)
        sql_catalog_own_edition(s);
    if (u->probes_settings) {
        u->lacks_start = pg_settings_session_adopt(u->endpoint->side->interned, &s->settings,
                                                   &u->settings_found);
        set_upstream(u, pg_settings_session_effective(&s->settings));
        sql_sampler_heed_settings(s);
    }
}

uint64_t sql_server_major(const struct sql_upstream *u)
{
    struct slice version;
    uint64_t major = 0;
    size_t digits = 0;

    if (!pg_settings_find(u->reported, slice_text("server_version"), &version))
        return 0;
    while (digits < version.len && isdigit(version.at[digits]))
        digits++;
    (void)slice_to_u64(slice_of(version.at, digits), &major);
    return major;
}

/* What ran may have done DDL. */
static void ask_fingerprint(const struct sql_upstream *u, struct buf *question)
{
    buf_text(question, ";");
    buf_slice(question, pg_catalog_fingerprint_query(sql_server_major(u)));
}

void sql_probe_forget(struct sql_upstream *u)
{
    pg_settings_unref(u->endpoint->side->interned, &u->settings_found.v);
}

static void begin_probe(struct sql_upstream *u)
{
    struct sql_session *s = u->lessee;
    struct buf question = { 0 };

    u->probing = true;
    u->cancel_due = false;
    u->found = 0;
    u->fingerprint[0] = u->sqlstate[0] = '\0';
    u->probes_settings = s->probes_settings;
    sql_probe_forget(u); /* of one that failed */
    u->settings_found.is_reset = u->lacks_start;
    /* From a replica the session may be gone then, with what it asks next. */
    s->barrier = u->hides_settings || u->endpoint != sql_primary(u->endpoint->side);
    u->hides_settings |= s->probes_settings;
    s->probes = s->probes_settings = false;
    u->settings_found.login = slice_text(sql_upstream_user(u));
    if (u->probes_settings)
        sql_code_put_question(s, &question);
    else
        buf_slice(&question, pg_pins_query(false));
    if (u->probes_settings && u->endpoint->side->endpoint_count > 1)
        ask_fingerprint(u, &question);
    sql_upstream_ask(u, buf_all(&question), SQL_NOTE_PROBE);
    buf_fini(&question);
}

static bool must_probe(const struct sql_session *s)
{
    if ((s->pins & PG_PIN_UNNAMED) || sql_is_amid_message(s)) /* which a Query would end */
        return false;
    return s->replay.len == 0 && s->probes && s->status == PG_STATUS_IDLE && !s->in_exchange &&
           sql_account_pooling(s->account) == SQL_POOLING_TRANSACTION;
}

void sql_exchange_ended(struct sql_upstream *u)
{
    struct sql_session *s = u->lessee;

    if (s == NULL) {
        sql_upstream_reset_ended(u);
        return;
    }
    if (s->stage == SQL_WELCOMING) {
        sql_entry_go_on(s);
        return;
    }
    if (s->stage != SQL_READY) {
        sql_lease_drop(u);
        sql_upstream_close(u);
        return;
    }
    if (s->applies || s->verifies) {
        s->applies = s->verifies = s->barrier = false;
        sql_session_go_on(s);
        return;
    }
    s->barrier = s->copy_barrier = s->may_change_catalog = false;
    sql_deeds_forget(s);
    if (s->status == PG_STATUS_IDLE) {
        sql_presets_forget(s);
        s->portal_copies &= s->in_exchange; /* portals end with their transaction */
    }
    if (must_probe(s)) {
        begin_probe(u);
        return;
    }
    if (s->replay.len > 0 && u->status != PG_STATUS_IDLE) {
        sql_lease_drop(u);
        sql_upstream_reset(u, false); /* of the transaction that is begun elsewhere */
    } else if (s->replay.len > 0 || !sql_keeps_lease(s))
        sql_lease_end(u);
    else
        sql_tally_pins(s, s->pins);
    if (s->base.in.len > 0 || s->replay.len > 0 || s->base.state == SESSION_WAITING)
        sql_session_go_on(s);
}
