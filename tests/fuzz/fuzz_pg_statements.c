/* The names of a session's prepared statements, in pipelines of any form, against a model: messages
 * are noted as they are sent, a server that is late decides in order what becomes of each, and what
 * was said about a name at some message must be what the server finds when it comes to that
 * message, unless it skips it. */
#include <stdlib.h>

#include "proxy/base/slice.h"
#include "proxy/sql/pg_statements.h"

enum { NAMES = 4, TEXTS = 8, EVENTS = 1024 };

enum event_kind { DEFINE, UNDEFINE, QUERY, SYNC, FIND };

struct event {
    enum event_kind kind;
    uint8_t name;                  /* 0: the unnamed one */
    const struct pg_statement *st; /* of DEFINE; of FIND: what was found, or NULL */
    enum pg_name said;
};

static struct pg_settings_pool *settings;
static struct pg_statements *store;
static struct pg_statements_session session;
static struct event events[EVENTS];
static size_t sent, served;
static const struct pg_statement *truth[NAMES];
static bool skips;

static void require(bool condition)
{
    if (!condition)
        abort();
}

static struct slice name_of(uint8_t name)
{
    static const char *const TEXT[NAMES] = { "", "a", "another name", "b" };

    return slice_text(TEXT[name]);
}

static struct pg_statement *intern(uint8_t text)
{
    struct pg_statement_key key = { .text = slice_of(&text, 1), .from_sql = text & 1 };
    struct pg_statement *st;

    require(pg_statements_intern(store, &key, &st) == ERR_NONE);
    return st;
}

/* --- The server ------------------------------------------------------------------------------ */

static void make(const struct event *e, enum pg_outcome outcome)
{
    switch (e->kind) {
    case DEFINE:
        if (outcome == PG_OUTCOME_DONE)
            truth[e->name] = e->st;
        else if (e->name == 0)
            truth[0] = NULL;
        break;
    case UNDEFINE:
        if (outcome == PG_OUTCOME_DONE)
            truth[e->name] = NULL;
        break;
    case QUERY:
        truth[0] = NULL;
        break;
    case SYNC:
    case FIND:
        break;
    }
}

static void serve(bool fails)
{
    const struct event *e = &events[served++];
    enum pg_outcome outcome = fails ? PG_OUTCOME_FAILED : PG_OUTCOME_DONE;

    if (e->kind == SYNC) {
        skips = false;
        return;
    }
    if (e->kind == FIND) {
        if (!skips && e->said != PG_NAME_LATER)
            require(truth[e->name] == (e->said == PG_NAME_THERE ? e->st : NULL));
        return;
    }
    if (skips)
        outcome = PG_OUTCOME_SKIPPED;
    else
        make(e, outcome);
    if (fails && e->kind != QUERY)
        skips = true;
    pg_statements_session_settle(store, &session, outcome);
}

/* What a text did is learned when it is done: PREPARE, DEALLOCATE and DEALLOCATE ALL. */
static void learn(uint8_t how, uint8_t what)
{
    uint8_t name = what >> 3 & 3;
    struct pg_statement *st;
    uint64_t id;

    if (how & 0x40) {
        pg_statements_session_clear_now(store, &session);
        for (size_t i = 1; i < NAMES; i++)
            truth[i] = NULL;
    } else if (how & 0x20) {
        id = pg_statements_session_undefine_now(store, &session, name_of(name));
        require((id != 0) == (truth[name] != NULL));
        truth[name] = NULL;
    } else {
        st = intern(what % TEXTS);
        pg_statements_session_define_now(store, &session, name_of(name), st);
        truth[name] = st;
        pg_statement_unref(store, &st);
    }
}

/* --- The client ------------------------------------------------------------------------------ */

static bool note(struct event *e, uint8_t what)
{
    struct pg_statement *st;
    bool changes = true;
    enum err err;

    switch (e->kind) {
    case DEFINE:
        st = intern(what % TEXTS);
        e->st = st;
        err = pg_statements_session_define(store, &session, name_of(e->name), st);
        pg_statement_unref(store, &st);
        return err == ERR_NONE;
    case UNDEFINE:
        return pg_statements_session_undefine(&session, name_of(e->name)) == ERR_NONE;
    case QUERY:
        return pg_statements_session_query(&session, &changes) == ERR_NONE && changes;
    case SYNC:
        pg_statements_session_sync(&session);
        return true;
    case FIND:
        st = NULL;
        e->said = pg_statements_session_find(&session, name_of(e->name), &st);
        e->st = st;
        require((st != NULL) == (e->said == PG_NAME_THERE));
        require(e->said != PG_NAME_LATER || pg_statements_session_pending(&session) > 0);
        return true;
    }
    abort();
}

static void take_back(const struct event *e)
{
    size_t pending = pg_statements_session_pending(&session);

    if (e->kind == SYNC || e->kind == FIND)
        return;
    pg_statements_session_take_back(store, &session);
    require(pg_statements_session_pending(&session) == pending - 1);
    sent--;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    settings = pg_settings_pool_new(&(struct pg_settings_limits){ 0 });
    store = pg_statements_new(
        &(struct pg_statements_limits){ .session_names = 1 + NAMES, .bytes = 4096 }, settings);
    sent = served = 0;
    skips = false;
    for (size_t i = 0; i < NAMES; i++)
        truth[i] = NULL;
    for (size_t i = 0; i + 1 < len && sent < EVENTS; i += 2) {
        struct event *e = &events[sent];

        if (at[i] & 0x80) {
            if (served < sent)
                serve(at[i] & 0x40);
            else
                learn(at[i], at[i + 1]);
            continue;
        }
        *e = (struct event){ .kind = at[i] % (FIND + 1), .name = at[i + 1] >> 3 & 3 };
        if (!note(e, at[i + 1]))
            continue;
        sent++;
        if (at[i + 1] & 0x40 && at[i + 1] & 0x20)
            take_back(e);
    }
    while (served < sent)
        serve(false);
    require(pg_statements_session_pending(&session) == 0);
    for (uint8_t i = 0; i < NAMES; i++) {
        struct pg_statement *st = NULL;
        enum pg_name said = pg_statements_session_find(&session, name_of(i), &st);

        require(said == (truth[i] != NULL ? PG_NAME_THERE : PG_NAME_FREE) && st == truth[i]);
    }
    pg_statements_session_fini(store, &session);
    pg_statements_free(&store);
    pg_settings_pool_free(&settings);
    return 0;
}
