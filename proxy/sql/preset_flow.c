/* Presets: what ALTER ROLE and ALTER DATABASE ... SET give to sessions that begin.  A server takes
 * them up at login, so upstreams that were logged in before keep what was; and those of a role that
 * was dropped or renamed are that one's, whoever has its name now.  Those concerned are opened
 * anew, as by RECONNECT: each ends when it is free, in all workers.
 *
 *     sql_presets_note()     whose they are, from the statement's text
 *     sql_presets_changed()  it may be done: a letter goes around the workers
 *     sql_presets_tick()     and once more for each replica, when that has replayed it
 *
 * What is set past this process, or by code, is not seen here: RECONNECT or server_lifetime bring
 * it. */
#include "proxy/sql/preset_flow.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/core/crew.h"

enum {
    NAMES_MOST = 64, /* of one transaction; with more, all are meant */
    PAST_MOST = 32,  /* changes that replicas have not replayed */
    PAST_US = 600 * 1000 * 1000,
};

/* Whose. */
struct sql_presets {
    struct buf names; /* pairs of terminated texts: role, database; an empty one means each */
    uint32_t count;
};

/* What was done, and may not be replayed everywhere. */
struct past {
    struct list link; /* on side->presets_past, in their order */
    struct sql_presets whose;
    uint64_t at_us;
    uint64_t measured_us; /* of the primary's position, when one was first known after that; 0 */
    uint64_t lsn;         /* one that was asked for after that; 0: not known yet */
    uint32_t timeline;
};

struct letter {
    char *pool; /* owned */
    struct sql_presets whose;
    uint32_t asker;
};

/* ---- whose ---- */

static void add(struct sql_presets *p, struct slice role, struct slice database)
{
    if (p->count == NAMES_MOST) {
        buf_clear(&p->names);
        role = database = slice_text("");
        p->count = 0;
    }
    buf_slice(&p->names, role);
    buf_put(&p->names, "", 1);
    buf_slice(&p->names, database);
    buf_put(&p->names, "", 1);
    p->count++;
}

static void copy(struct sql_presets *to, const struct sql_presets *from)
{
    buf_slice(&to->names, buf_all(&from->names));
    to->count = from->count;
}

static bool means(const char *pattern, const char *name)
{
    return pattern[0] == '\0' || strcmp(pattern, name) == 0;
}

static bool concerns(const struct sql_presets *p, const struct sql_upstream *u)
{
    const char *at = (const char *)p->names.at;

    for (uint32_t i = 0; i < p->count; i++) {
        const char *role = at, *database = role + strlen(role) + 1;

        if (means(role, sql_upstream_user(u)) && means(database, sql_upstream_database(u)))
            return true;
        at = database + strlen(database) + 1;
    }
    return false;
}

void sql_presets_note(struct sql_session *s, struct slice text)
{
    struct statement_options options = { .backslash_escapes =
                                             pg_settings_backslash_escapes(s->settings.current) };
    struct arena arena = { 0 };
    struct slice read = sql_readable(s, text, &arena), all = slice_text("");
    struct script script;

    script_read(read, &options, &arena, &script);
    if (s->presets == NULL)
        s->presets = mem_new(sizeof(*s->presets));
    for (size_t i = 0; i < script.count; i++)
        if (read.at != text.at) /* names may be others there */
            add(s->presets, all, all);
        else if (script.statements[i].effects & EFFECT_PRESETS)
            add(s->presets, script.statements[i].role, script.statements[i].database);
    arena_fini(&arena);
}

void sql_presets_forget(struct sql_session *s)
{
    if (s->presets == NULL)
        return;
    buf_fini(&s->presets->names);
    free(s->presets);
    s->presets = NULL;
}

/* ---- in a worker ---- */

static void end_upstreams(struct sql_side *side, const struct sql_endpoint *e,
                          const struct sql_presets *whose)
{
    LIST_EACH (&side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);
        struct sql_upstream *u = (struct sql_upstream *)base;

        if (base->flow == &sql_flow && base->state != UPSTREAM_RETIRED &&
            u->endpoint->side == side && (e == NULL || u->endpoint == e) && u->roster != NULL &&
            concerns(whose, u))
            sql_upstream_end(u);
    }
}

static void past_free(struct sql_side *side, struct past *past)
{
    list_remove(&past->link);
    buf_fini(&past->whose.names);
    free(past);
    side->presets_past_count--;
}

static void remember(struct sql_side *side, const struct sql_presets *whose)
{
    struct past *past;

    if (side->presets_past_count == PAST_MOST) { /* all that is to come is done as one, for all */
        past = LIST_ITEM(side->presets_past.prev, struct past, link);
        past->whose.count = NAMES_MOST;
        add(&past->whose, slice_text(""), slice_text(""));
    } else {
        past = mem_new(sizeof(*past));
        copy(&past->whose, whose);
        list_append(&side->presets_past, &past->link);
        side->presets_past_count++;
    }
    past->at_us = worker_now_us(side->worker);
    past->measured_us = past->lsn = 0;
}

static void act(struct sql_side *side, const struct sql_presets *whose)
{
    struct sql_endpoint *primary = sql_primary(side);

    end_upstreams(side, NULL, whose);
    side->reconnect_us = worker_now_us(side->worker); /* for what is between two workers */
    if (side->endpoint_count < 2)
        return;
    remember(side, whose);
    if (primary != NULL)
        primary->presets_us = side->reconnect_us;
}

static void visit(struct worker *w, void *content);

static void letter_free(struct letter *letter)
{
    buf_fini(&letter->whose.names);
    free(letter->pool);
    free(letter);
}

static void send_on(struct letter *letter, uint32_t from, uint32_t count)
{
    if (!crew_send_around(from, count, letter->asker, visit, letter))
        letter_free(letter);
}

static void visit(struct worker *w, void *content)
{
    struct letter *letter = content;
    struct sql_side *side = sql_side_find(w, letter->pool);

    if (w->index == letter->asker) {
        letter_free(letter);
        return;
    }
    if (side != NULL)
        act(side, &letter->whose);
    send_on(letter, w->index + 1, w->count);
}

void sql_presets_changed(struct sql_session *s)
{
    struct sql_side *side = sql_side_of(s);
    struct letter *letter;

    if (s->presets == NULL)
        return;
    sql_welcomes_forget();
    act(side, s->presets);
    if (side->worker->count < 2)
        return;
    letter = mem_new(sizeof(*letter));
    letter->pool = mem_text(side->name);
    letter->asker = side->worker->index;
    copy(&letter->whose, s->presets);
    send_on(letter, 0, side->worker->count);
}

/* ---- replicas ---- */

/* A position of the primary's that covers it.  What is measured first after it may have been asked
 * for before. */
static void find_lsn(struct past *past, const struct sql_endpoint *primary)
{
    struct standing now;

    if (primary == NULL)
        return;
    now = board_standing(primary->side->assembly->board, primary->settings->number);
    if (now.role != STANDING_ROLE_PRIMARY || now.lsn == 0 || now.measured_us <= past->at_us)
        return;
    if (past->measured_us == 0)
        past->measured_us = now.measured_us;
    if (now.measured_us == past->measured_us || (past->lsn != 0 && past->timeline == now.timeline))
        return;
    past->lsn = now.lsn;
    past->timeline = now.timeline;
}

static bool has_replayed(const struct past *past, const struct sql_endpoint *e)
{
    const struct board *board = e->side->assembly->board;
    enum standing_fit fit = board_fit(board, e->settings->number);

    return past->lsn != 0 && (fit == STANDING_FRESH || fit == STANDING_LAGGING) &&
           board_lsn(board, e->settings->number) >= past->lsn;
}

/* True: it is so everywhere. */
static bool follow(struct sql_side *side, struct past *past, bool is_late)
{
    bool is_done = true;

    for (uint32_t i = 0; i < side->endpoint_count; i++) {
        struct sql_endpoint *e = side->endpoints[i];

        if (e->presets_us >= past->at_us)
            continue;
        if (!is_late && !has_replayed(past, e)) {
            is_done = false;
            continue;
        }
        end_upstreams(side, e, &past->whose);
        e->presets_us = past->at_us;
    }
    return is_done;
}

void sql_presets_tick(struct sql_side *side, uint64_t now_us)
{
    LIST_EACH (&side->presets_past, link) {
        struct past *past = LIST_ITEM(link, struct past, link);

        find_lsn(past, sql_primary(side));
        if (follow(side, past, now_us - past->at_us > PAST_US))
            past_free(side, past);
    }
}

void sql_presets_free(struct sql_side *side)
{
    LIST_EACH (&side->presets_past, link)
        past_free(side, LIST_ITEM(link, struct past, link));
}
