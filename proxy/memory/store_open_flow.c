/* See store_open_flow.h: a store is opened, its stamp looked at, and after a failure tried again,
 * at longer and longer intervals. */
#include "proxy/memory/store_open_flow.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "shard/stamp.h"

static void fail(struct store_home *home, enum err err, const char *why)
{
    if (strcmp(home->why, why) != 0)
        log_event(LOG_WARN, "shard is down", log_text("endpoint", home->name),
                  log_text("pool", home->pool), log_text("reason", why));
    snprintf(home->why, sizeof(home->why), "%s", why);
    home->err = err;
    home->is_ready = false;
    if (home->backoff_ms < home->follows.backoff_min_ms)
        home->backoff_ms = home->follows.backoff_min_ms;
    home->retry_us = clock_now_us() + home->backoff_ms * 1000;
    home->backoff_ms *= 2;
    if (home->backoff_ms > home->follows.backoff_max_ms)
        home->backoff_ms = home->follows.backoff_max_ms;
    /* ERR_SYSTEM would be one that can be read. */
    condition_tell(home->condition, err == ERR_SYSTEM ? ERR_DOWN : err, why);
}

static void fail_of(struct store_home *home, enum err err, struct buf *why)
{
    buf_put(why, "", 1);
    fail(home, err, (const char *)why->at);
    buf_fini(why);
}

bool store_open_is_lost(const struct store_home *home)
{
    return home->engine->is_lost != NULL && home->engine->is_lost(home->verbs.store);
}

/* One that others do not write to is well or not: what it refuses is for no reason of theirs. */
static bool is_its_own(const struct store_home *home)
{
    return home->engine->foresee == NULL;
}

/* ERR_NOT_FOUND: it has none. */
static enum err read_stamp(struct store_home *home, struct stamp *out)
{
    struct slice name = slice_text(SHARD_STAMP_KEY);
    struct store_key key = { 0, store_hash(name), name };
    struct store_value value;

    TRY(home->engine->get(home->verbs.store, &key, &value));
    return stamp_read(value.bytes, out);
}

static enum err write_stamp(struct store_home *home, struct slice text)
{
    struct slice name = slice_text(SHARD_STAMP_KEY);
    struct store_key key = { 0, store_hash(name), name };
    struct store_value value = { text, 0 };

    TRY(home->engine->put(home->verbs.store, &key, &value));
    return home->engine->commit == NULL ? ERR_NONE : home->engine->commit(home->verbs.store, true);
}

/* Two processes may be about to write it. */
static enum err foresee_stamp(struct store_home *home)
{
    struct slice name = slice_text(SHARD_STAMP_KEY);
    struct store_glance glance = { { 0, store_hash(name), name }, .reads = true, .locks = true };
    struct store_outlook outlook = { .keys = &glance, .count = 1, .writes = true };
    int64_t ignored;

    return home->engine->foresee == NULL
               ? ERR_NONE
               : home->engine->foresee(home->verbs.store, &outlook, &ignored);
}

static enum err check_stamp(struct store_home *home, struct slice text,
                            const struct stamp *expected, struct buf *why)
{
    struct stamp found;
    enum err err;

    TRY(foresee_stamp(home));
    err = read_stamp(home, &found);
    if (err == ERR_NOT_FOUND)
        return write_stamp(home, text);
    if (home->engine->abandon != NULL)
        home->engine->abandon(home->verbs.store);
    if (err == ERR_NONE && !stamp_agrees(expected, &found, why))
        return ERR_STAMP;
    return err;
}

static bool has_right_stamp(struct store_home *home, struct slice text)
{
    struct stamp expected;
    struct buf why = { 0 };
    enum err err;

    if (text.len == 0 || stamp_read(text, &expected) != ERR_NONE)
        return true;
    err = check_stamp(home, text, &expected, &why);
    if (err == ERR_NONE)
        return true;
    if (why.len == 0)
        buf_format(&why, "its stamp can't be read or written: %s %s", err_text(err),
                   home->engine->why(home->verbs.store));
    fail_of(home, err, &why);
    if (store_open_is_lost(home)) /* it is opened anew when it is time to try again */
        home->engine->close(&home->verbs.store);
    return false;
}

static bool is_open(struct store_home *home)
{
    struct buf why = { 0 };
    enum err err;

    if (home->verbs.store != NULL)
        return true;
    err = home->engine->open(&home->settings, &home->verbs.store, &why);
    if (err == ERR_NONE)
        return true;
    home->verbs.store = NULL;
    fail_of(home, ERR_DOWN, &why);
    return false;
}

/* Of a store that its caller may work with now. */
bool store_open_ready(struct store_home *home)
{
    if (home->is_ready)
        return true;
    if (clock_now_us() < home->retry_us || !is_open(home) ||
        !has_right_stamp(home, buf_all(&home->follows.stamp)))
        return false;
    if (home->why[0] != '\0')
        log_event(LOG_INFO, "shard is back", log_text("endpoint", home->name),
                  log_text("pool", home->pool));
    home->why[0] = '\0';
    home->has_trouble = false;
    home->backoff_ms = 0;
    home->is_ready = true;
    condition_tell(home->condition, ERR_NONE, "");
    return true;
}

/* What a store is opened with, or goes on with. */
void store_open_set_up(struct store_home *home)
{
    const struct store_orders *o = &home->follows;
    struct store_settings *s = &home->settings;

    s->bytes_most = home->verbs.bytes_most = o->bytes_most;
    s->evicts = o->eviction == MEMORY_EVICTION_LRU;
    s->syncs = o->sync == MEMORY_SYNC_ALWAYS;
    s->connect_ms = o->connect_ms;
    s->timeout_ms = o->timeout_ms;
    if (home->verbs.store != NULL && home->engine->resize != NULL)
        home->engine->resize(home->verbs.store, s);
    home->stats = o->stats;
}

void store_open_reckon_purge(struct store_home *home, int64_t now_s)
{
    home->purge.due_s = schedule_next(&home->follows.purge_when, now_s);
    home->purge.reckoned_s = now_s;
}

/* With the lock held. */
void store_open_follow(struct store_home *home)
{
    struct buf stamp = home->follows.stamp;
    bool is_due_elsewhen;

    if (!home->has_news)
        return;
    is_due_elsewhen = !schedule_is(&home->follows.purge_when, &home->orders.purge_when);
    home->has_news = false;
    home->is_ready = false;
    home->retry_us = 0;
    home->follows = home->orders;
    home->follows.stamp = stamp;
    buf_clear(&home->follows.stamp);
    buf_slice(&home->follows.stamp, buf_all(&home->orders.stamp));
    store_open_set_up(home);
    if (is_due_elsewhen || home->purge.due_s == 0) /* else it may be due, and not have begun yet */
        store_open_reckon_purge(home, clock_wall_s());
}

/* ---- commit ---- */

/* It can still be read, and is asked to write again by whoever wants to; but an operator is to know
 * of it. */
static void refuse(struct store_home *home, const char *why)
{
    home->err = ERR_SYSTEM;
    snprintf(home->refused, sizeof(home->refused), "%s", why);
    if (!is_its_own(home))
        return;
    if (!home->has_trouble)
        log_event(LOG_WARN, "store is in trouble", log_text("endpoint", home->name),
                  log_text("pool", home->pool), log_text("reason", why));
    home->has_trouble = true;
    condition_tell(home->condition, ERR_SYSTEM, why);
}

static void be_out_of_trouble(struct store_home *home)
{
    if (!home->has_trouble)
        return;
    log_event(LOG_INFO, "store is out of trouble", log_text("endpoint", home->name),
              log_text("pool", home->pool));
    home->has_trouble = false;
    condition_tell(home->condition, ERR_NONE, "");
}

void store_open_give_up(struct store_home *home)
{
    struct store *store = home->verbs.store;
    char why[CONDITION_WHY_BYTES];

    snprintf(why, sizeof(why), "the store failed: %s", home->engine->why(store));
    home->engine->abandon(store);
    if (store_open_is_lost(home)) {
        fail(home, ERR_DOWN, why);
        home->engine->close(&home->verbs.store);
    } else {
        refuse(home, why);
    }
}

bool store_open_commit(struct store_home *home, bool sync)
{
    struct verbs *v = &home->verbs;
    bool has_written = v->has_written, is_broken = v->is_broken;

    v->has_written = v->is_broken = false;
    if (is_broken || home->engine->commit(v->store, sync && has_written) != ERR_NONE) {
        store_open_give_up(home);
        return false;
    }
    home->is_dirty |= has_written && !sync;
    if (has_written)
        be_out_of_trouble(home);
    return true;
}

const char *store_open_reason(const struct store_home *home)
{
    return home->is_ready ? home->refused : home->why;
}
