/* A session's messages, one by one, on their way to the upstream that it leases.  They go as they
 * came, but for names of prepared statements, which are the upstream's own there, and for what must
 * be put in front of them: settings, statements that this server has not prepared yet.
 *
 * Each message that will be answered is expected (pg_expect.h); each that is not sent, because its
 * effect is there already, is answered by us when its turn comes. */
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/sql/sql_words.h"

static const struct statement_verdict OPAQUE = { .kind = STATEMENT_QUERY,
                                                 .effects = EFFECT_OPAQUE,
                                                 .route = ROUTE_PRIMARY };

/* ---- sending ---- */

void sql_message_keep(struct sql_upstream *u, struct slice bytes)
{
    if (!u->holds)
        return;
    if (u->kept.len + bytes.len > SQL_KEEP_BYTES)
        u->holds = false;
    else
        buf_slice(&u->kept, bytes);
}

void sql_message_put(struct sql_upstream *u, struct slice bytes)
{
    upstream_put(&u->base, bytes);
    counter_add(&u->endpoint->stats->bytes_out, bytes.len);
}

size_t sql_message_pass(struct sql_session *s, struct slice in, struct pg_frame f)
{
    size_t here = f.bytes < in.len ? f.bytes : in.len;
    struct slice bytes = slice_of(in.at, here);

    sql_message_keep(s->lease, bytes);
    sql_message_put(s->lease, bytes);
    s->frame_left = f.bytes - here;
    s->drops_frame = false;
    if (s->frame_left > 0) {
        s->lease->holds = false;
        s->frame_asks = f.type == PG_FRONT_QUERY || f.type == PG_FRONT_FUNCTION_CALL ||
                        f.type == PG_FRONT_SYNC; /* of an impossible length, which only it says */
        s->frame_ends_copy = f.type == PG_FRONT_COPY_DONE || f.type == PG_FRONT_COPY_FAIL;
    }
    return here;
}

static size_t drop(struct sql_session *s, struct slice in, struct pg_frame f)
{
    size_t here = f.bytes < in.len ? f.bytes : in.len;

    s->frame_left = f.bytes - here;
    s->drops_frame = true;
    return here;
}

/* It would take whatever came next for that. */
bool sql_is_amid_message(const struct sql_session *s)
{
    return s->frame_left > 0 && !s->drops_frame;
}

size_t sql_message_stream(struct sql_session *s, struct slice in)
{
    size_t here = s->frame_left < in.len ? (size_t)s->frame_left : in.len;
    struct sql_upstream *u = s->drops_frame ? NULL : s->lease;

    s->frame_left -= here;
    s->frame_asks &= s->frame_left > 0;
    s->frame_ends_copy &= s->frame_left > 0;
    if (u == NULL)
        return here;
    sql_message_put(u, slice_of(in.at, here));
    if (s->frame_left == 0 && !s->in_exchange && pg_expect_is_empty(&u->expect))
        sql_exchange_ended(u); /* a COPY failed in the midst of it, and the lease stayed for it */
    return here;
}

/* Within an exchange the server says what it has only if it is asked to. */
static void put_flush(struct sql_session *s)
{
    struct buf out = { 0 };

    pg_put_flush(&out);
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
}

size_t sql_message_wait(struct sql_session *s)
{
    s->barrier = true;
    if (s->in_exchange)
        put_flush(s);
    return 0;
}

void sql_message_is_opaque(struct sql_session *s)
{
    sql_pins_note(s, &OPAQUE, slice_text(""));
}

/* False: too much is under way; the message waits. */
static bool expect_one(struct sql_session *s, struct pg_expected entry)
{
    if (pg_expect_push(&s->lease->expect, entry) != ERR_NONE)
        return sql_message_wait(s) > 0;
    if (entry.kind == PG_EXPECT_PARSE && !(entry.flags & PG_EXPECT_FAKE))
        sql_tally(s, SQL_DONE_SERVER_PARSES, 1);
    return true;
}

bool sql_message_expect_end(struct sql_session *s, struct pg_expected end)
{
    end.flags |=
        (s->dirties ? PG_EXPECT_WRITES : 0) | (s->commits ? (uint8_t)PG_EXPECT_COMMITS : 0);
    if (!expect_one(s, end))
        return false;
    s->dirties = s->commits = false;
    return true;
}

bool sql_message_has_room(struct sql_session *s, uint32_t count)
{
    return pg_expect_has_room(&s->lease->expect, count) || sql_message_wait(s) > 0;
}

bool sql_message_expect(struct sql_session *s, enum pg_expect_kind kind, uint8_t flags,
                        uint16_t note, struct pg_statement *subject)
{
    return expect_one(
        s, (struct pg_expected){ .kind = kind, .flags = flags, .note = note, .subject = subject });
}

bool sql_message_expect_named(struct sql_session *s, enum pg_expect_kind kind, uint16_t note,
                              struct slice name, struct pg_statement *subject)
{
    struct pg_expected entry = {
        .kind = kind, .note = note, .number = pg_statement_name_mark(name), .subject = subject
    };

    if (!expect_one(s, entry))
        return false;
    pg_statement_ref(subject);
    return true;
}

void sql_message_begin(struct sql_session *s)
{
    s->query_last = false;
    if (s->in_exchange)
        return;
    s->in_exchange = true;
    s->bound = s->executed = false;
    session_request_begins(&s->base);
}

/* ---- Bind, Describe, Close ---- */

static size_t send_bind(struct sql_session *s, struct slice in, struct pg_frame f,
                        const struct pg_bind *bind, const struct pg_statement *st)
{
    char name[PG_STATEMENT_NAME_BYTES];
    size_t here = f.bytes < in.len ? f.bytes : in.len;
    size_t rest_at = (size_t)(bind->rest.at - in.at);
    struct buf out = { 0 };

    sql_message_keep(s->lease, slice_of(in.at, here));
    pg_put_bind_head(&out, bind->portal, pg_statement_name(st->id, name), f.bytes - rest_at);
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
    sql_message_put(s->lease, slice_of(in.at + rest_at, here - rest_at));
    s->frame_left = f.bytes - here;
    s->drops_frame = false;
    if (s->frame_left > 0)
        s->lease->holds = false;
    return here;
}

/* The session has no unnamed statement, but its server may have another session's: it shall say
 * that there is none. */
static bool forget_unnamed(struct sql_session *s)
{
    struct buf out = { 0 };

    if ((s->pins & PG_PIN_UNNAMED) || pg_prepared_unnamed_is(&s->lease->prepared, 0))
        return true;
    if (!sql_message_expect(s, PG_EXPECT_CLOSE, PG_EXPECT_SWALLOW, SQL_NOTE_UNNAMED, NULL))
        return false;
    pg_put_close(&out, PG_KIND_STATEMENT, slice_text(""));
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
    pg_prepared_unnamed_becomes(&s->lease->prepared, 0);
    return true;
}

/* Another message was sent in its place. */
static size_t replaced(struct sql_session *s, struct slice in, struct pg_frame f)
{
    sql_message_begin(s);
    if (f.bytes > in.len)
        s->lease->holds = false;
    else
        sql_message_keep(s->lease, slice_of(in.at, f.bytes));
    return drop(s, in, f);
}

/* Its result is not what the session was told. */
static size_t refuse(struct sql_session *s, struct slice in, struct pg_frame f,
                     struct pg_statement *st, enum pg_expect_kind kind)
{
    return sql_result_refuse(s, st, kind) ? replaced(s, in, f) : 0;
}

/* There is none of this name, and it is not asked for. */
static size_t ask_nobody(struct sql_session *s, struct slice in, struct pg_frame f,
                         struct slice name, enum pg_expect_kind kind)
{
    return sql_nobody_ask(s, name, kind) ? replaced(s, in, f) : 0;
}

/* Does the server know it by this name, and none of Sheaf's? */
static bool is_own(const struct sql_session *s, struct slice name)
{
    return s->own_names && name.len > 0;
}

/* The statement that a message names: as the session has it, and as it is at the server; NULL:
 * there is none, and the server says so.  False: *used tells what became of the message. */
static bool get_ready(struct sql_session *s, struct slice in, struct pg_frame f, struct slice name,
                      enum pg_expect_kind kind, struct pg_statement **own, struct pg_statement **st,
                      size_t *used)
{
    enum pg_name found = pg_statements_session_find(&s->statements, name, own);

    *used = 0;
    if (found == PG_NAME_LATER)
        return sql_message_wait(s) > 0;
    if (found == PG_NAME_FREE) {
        *own = *st = NULL;
        if (pg_statement_is_reserved(name)) {
            *used = ask_nobody(s, in, f, name, kind);
            return false;
        }
        return name.len > 0 || forget_unnamed(s);
    }
    *st = *own;
    if (is_own(s, name))
        return true; /* it is there by that name, or the server says that it is not */
    if (sql_statement_say(s, st) != ERR_NONE)
        return false;
    if (sql_result_is_changed(s, *st)) {
        *used = refuse(s, in, f, *st, kind);
        return false;
    }
    return sql_prepared_ensure(s, *st, name.len == 0);
}

/* Of one that is not remembered.  SQL's PREPARE takes none. */
static bool may_be_copy(const struct sql_session *s, struct slice name)
{
    return s->pins & (name.len == 0 ? PG_PIN_UNNAMED : PG_PIN_STATEMENTS_LIMIT);
}

/* False: it waits, and what is prepared in front of it is to be answered. */
static bool may_tell_of_sequences(struct sql_session *s, const struct pg_statement *own)
{
    const struct sql_note *note = own->note;

    if (note->verdict.effects & EFFECT_CURRVAL)
        sql_message_begin(s);
    return sql_sequences_are_own(s, &note->verdict);
}

static size_t forward_bind(struct sql_session *s, struct slice in, struct pg_frame f)
{
    bool whole = pg_frame_is_whole(in, f);
    struct slice body = pg_frame_body_there(in, f);
    struct pg_statement *own = NULL, *st = NULL;
    struct pg_bind bind;
    enum err err = pg_read_bind_head(body, &bind);
    size_t used;

    if (err == ERR_AGAIN && !whole && in.len < SQL_WHOLE_BYTES) {
        s->base.need = (uint32_t)in.len + 1;
        return 0;
    }
    if (err == ERR_NONE && !get_ready(s, in, f, bind.statement, PG_EXPECT_BIND, &own, &st, &used))
        return used;
    if (!sql_message_has_room(s, 1) || (st != NULL && !may_tell_of_sequences(s, own)))
        return 0;
    if (st == NULL || is_own(s, bind.statement))
        sql_message_expect(s, PG_EXPECT_BIND, 0, 0, NULL);
    else
        sql_message_expect_named(s, PG_EXPECT_BIND, 0, bind.statement, st);
    sql_message_begin(s);
    s->bound = true;
    sql_portal_leave(s);
    if (st == NULL) {
        if (err == ERR_NONE)
            sql_portal_holds_copy(s, bind.portal, may_be_copy(s, bind.statement));
        s->dirties = s->commits = true;
        return sql_message_pass(s, in, f);
    }
    sql_tally(s, SQL_DONE_BINDS, 1);
    sql_slow_hear(s->lease, pg_statement_text(own));
    sql_portal_bind(s, own, &bind, body, whole);
    if (st != own)
        sql_portal_said(s, own, bind.portal);
    return bind.statement.len == 0 || is_own(s, bind.statement) ? sql_message_pass(s, in, f)
                                                                : send_bind(s, in, f, &bind, st);
}

/* In a failed transaction nothing can be prepared, but what is there is described, if it has no
 * result: so is what the session has. */
static bool is_described_here(struct sql_session *s, struct slice name, struct pg_statement **st)
{
    struct pg_prepared *there = &s->lease->prepared;

    if (s->status != PG_STATUS_FAILED || is_own(s, name) ||
        pg_statements_session_find(&s->statements, name, st) != PG_NAME_THERE ||
        !sql_result_is_none(*st))
        return false;
    return name.len == 0 ? !pg_prepared_unnamed_is(there, (*st)->id)
                         : pg_prepared_find(there, (*st)->id) == PG_PREPARED_ABSENT;
}

static size_t describe_here(struct sql_session *s, struct slice in, struct pg_frame f,
                            struct pg_statement *st)
{
    if (!sql_message_has_room(s, 1))
        return 0;
    sql_message_expect(s, PG_EXPECT_DESCRIBE_STATEMENT, PG_EXPECT_FAKE, 0, pg_statement_ref(st));
    return replaced(s, in, f);
}

static size_t forward_describe(struct sql_session *s, struct slice in, struct pg_frame f)
{
    char name[PG_STATEMENT_NAME_BYTES];
    struct pg_statement *own = NULL, *st = NULL;
    struct pg_target target;
    struct buf out = { 0 };
    size_t used;
    bool known;

    if (!pg_frame_is_whole(in, f)) {
        s->base.need = f.bytes;
        return 0;
    }
    known = pg_read_target(pg_frame_body(in, f), &target) == ERR_NONE;
    if (known && target.kind == PG_KIND_STATEMENT && is_described_here(s, target.name, &own))
        return describe_here(s, in, f, own);
    if (known && target.kind == PG_KIND_STATEMENT &&
        !get_ready(s, in, f, target.name, PG_EXPECT_DESCRIBE_STATEMENT, &own, &st, &used))
        return used;
    if (!sql_message_has_room(s, 1))
        return 0;
    if (known && is_own(s, target.name))
        st = NULL;
    sql_message_expect(s,
                       known && target.kind == PG_KIND_PORTAL ? PG_EXPECT_DESCRIBE_PORTAL
                                                              : PG_EXPECT_DESCRIBE_STATEMENT,
                       0, st != NULL ? SQL_NOTE_RESULT | SQL_NOTE_FIRST : 0,
                       st != NULL ? pg_statement_ref(st) : NULL);
    sql_message_begin(s);
    if (st == NULL || target.name.len == 0)
        return sql_message_pass(s, in, f);
    sql_message_keep(s->lease, slice_of(in.at, f.bytes));
    pg_put_describe(&out, PG_KIND_STATEMENT, pg_statement_name(st->id, name));
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
    return f.bytes;
}

/* The session has no statement of this name, but its server may know one by it. */
static size_t close_own(struct sql_session *s, struct slice in, struct pg_frame f,
                        struct slice name)
{
    if (!sql_message_expect(s, PG_EXPECT_CLOSE, 0, 0, NULL))
        return 0;
    sql_message_begin(s);
    s->probes = true;
    if (name.len == 0)
        s->pins &= ~(uint32_t)PG_PIN_UNNAMED;
    return sql_message_pass(s, in, f);
}

static bool may_be_own(const struct sql_session *s, struct slice name)
{
    if (name.len == 0)
        return s->pins & PG_PIN_UNNAMED;
    return sql_has_own_names(s) && !pg_statement_is_reserved(name);
}

/* A statement's name is the session's own affair; the server keeps it for others. */
static size_t forward_close(struct sql_session *s, struct slice in, struct pg_frame f)
{
    enum pg_name found = PG_NAME_THERE;
    struct pg_statement *there;
    struct pg_target target;

    if (!pg_frame_is_whole(in, f)) {
        s->base.need = f.bytes;
        return 0;
    }
    if (pg_read_target(pg_frame_body(in, f), &target) != ERR_NONE ||
        target.kind != PG_KIND_STATEMENT) {
        if (!sql_message_expect(s, PG_EXPECT_CLOSE, 0, 0, NULL))
            return 0;
        sql_message_begin(s);
        return sql_message_pass(s, in, f);
    }
    if (may_be_own(s, target.name))
        found = pg_statements_session_find(&s->statements, target.name, &there);
    if (found == PG_NAME_FREE)
        return close_own(s, in, f, target.name);
    if (found == PG_NAME_LATER ||
        pg_statements_session_undefine(&s->statements, target.name) != ERR_NONE)
        return sql_message_wait(s);
    if (!sql_message_expect(s, PG_EXPECT_CLOSE, is_own(s, target.name) ? 0 : PG_EXPECT_FAKE,
                            SQL_NOTE_CHANGE, NULL)) {
        pg_statements_session_take_back(sql_side_of(s)->statements, &s->statements);
        return 0;
    }
    sql_message_begin(s);
    if (is_own(s, target.name))
        return sql_message_pass(s, in, f);
    sql_message_keep(s->lease, slice_of(in.at, f.bytes));
    return f.bytes;
}

/* ---- Execute, Sync, Flush, the rest ---- */

/* Its portal's deeds are done by it, and what they send back to the start is put right behind. */
static size_t execute_deeds(struct sql_session *s, struct slice in, struct pg_frame f)
{
    struct pg_expected entry;
    size_t used;

    if (!sql_message_has_room(s, sql_restore_entries(s) + 1))
        return 0;
    entry = sql_portal_execute(s);
    (void)expect_one(s, entry);
    used = sql_message_pass(s, in, f);
    if (entry.note & SQL_NOTE_RESTORED)
        sql_restore_execute(s);
    return used;
}

static size_t execute_plain(struct sql_session *s, struct slice in, struct pg_frame f,
                            struct slice body)
{
    return sql_message_has_room(s, 1) &&
                   sql_message_expect(s, PG_EXPECT_EXECUTE, 0, 0, sql_portal_of(s, body))
               ? sql_message_pass(s, in, f)
               : 0;
}

static size_t forward_execute(struct sql_session *s, struct slice in, struct pg_frame f)
{
    bool whole = pg_frame_is_whole(in, f);
    struct slice body = whole ? pg_frame_body(in, f) : slice_of(NULL, 0);
    size_t used = 0;

    if ((s->portal_deeds || s->portal_said != NULL || s->portal_prepares != NULL ||
         s->portal_copies) &&
        !whole && f.bytes <= SQL_WHOLE_BYTES) {
        s->base.need = f.bytes;
        return 0;
    }
    if (sql_portal_is_due(s, body))
        used = execute_deeds(s, in, f);
    else if (!sql_portal_prepare(s, in, f, body, &used))
        used = execute_plain(s, in, f, body);
    if (used == 0)
        return 0;
    sql_message_begin(s);
    s->executed = true;
    s->copy_barrier = sql_portal_is_copy(s, body);
    if (s->copy_barrier)
        put_flush(s); /* should it be none after all; within a COPY it is ignored */
    return used;
}

static size_t forward_sync(struct sql_session *s, struct slice in, struct pg_frame f)
{
    struct sql_upstream *u = s->lease;

    if (pg_expect_is_copying_in(&u->expect) && !s->copy_ended) /* the server would ignore it, too */
        return drop(s, in, f);
    if (!sql_message_expect_end(s, (struct pg_expected){ .kind = PG_EXPECT_SYNC }))
        return 0;
    sql_message_begin(s);
    sql_portal_leave(s);
    u->syncs_open++;
    u->prepared.syncs++;
    pg_statements_session_sync(&s->statements);
    s->in_exchange = s->deeds_sent = false;
    s->barrier = s->deeds != NULL;
    return sql_message_pass(s, in, f);
}

/* Nothing answers it, but an error if it is not well formed. */
static size_t forward_flush(struct sql_session *s, struct slice in, struct pg_frame f)
{
    if (f.bytes > PG_HEADER_BYTES && !sql_message_expect(s, PG_EXPECT_CLOSE, 0, 0, NULL))
        return 0;
    sql_message_begin(s);
    return sql_message_pass(s, in, f);
}

static size_t forward_copy(struct sql_session *s, struct slice in, struct pg_frame f)
{
    struct sql_upstream *u = s->lease;

    if (u == NULL || !pg_expect_is_copying_in(&u->expect))
        return drop(s, in, f); /* late ones of a COPY that failed */
    if (f.type != PG_FRONT_COPY_DATA && pg_expect_push_copy_end(&u->expect) != ERR_NONE)
        return sql_message_wait(s);
    if (f.type != PG_FRONT_COPY_DATA) {
        s->copy_ended = true;
        s->copy_barrier = s->copies; /* the Query may have another */
    }
    return sql_message_pass(s, in, f);
}

static size_t forward_call(struct sql_session *s, struct slice in, struct pg_frame f)
{
    if (!sql_message_expect_end(
            s, (struct pg_expected){ .kind = PG_EXPECT_FUNCTION_CALL, .flags = PG_EXPECT_WRITES }))
        return 0;
    sql_slow_hear_call(s->lease);
    session_request_begins(&s->base);
    s->query_last = true;
    sql_message_is_opaque(s);
    return sql_message_pass(s, in, f);
}

/* The server has committed DISCARD ALL: what the client began with is set anew, in a transaction of
 * its own, before it hears more.  False: that is not known yet. */
static bool follow_discard(struct sql_session *s)
{
    const struct pg_expect *expect = &s->lease->expect;

    if (!pg_expect_is_empty(expect))
        return false;
    s->discards = false;
    if (!pg_expect_is_skipping(expect) && s->lease->sqlstate[0] == '\0')
        (void)sql_settings_apply(s->lease, pg_settings_session_effective(&s->settings));
    return true;
}

/* Those that COPY FROM STDIN bears, and that depend on nothing that was changed before it. */
static bool is_for_copy(uint8_t type)
{
    return type == PG_FRONT_SYNC || type == PG_FRONT_FLUSH || type == PG_FRONT_COPY_DATA ||
           type == PG_FRONT_COPY_DONE || type == PG_FRONT_COPY_FAIL;
}

size_t sql_message_forward(struct sql_session *s, struct slice in, struct pg_frame f,
                           const struct sql_class *class)
{
    size_t used = 0;

    if (s->lease == NULL) /* the rest of a COPY that failed */
        return drop(s, in, f);
    if (pg_expect_is_skipping(&s->lease->expect) && f.type != PG_FRONT_SYNC)
        return drop(s, in, f);
    if (pg_expect_is_copying_in(&s->lease->expect) && !s->copy_ended && !is_for_copy(f.type))
        return sql_message_pass(s, in, f); /* by which the server ends its connection */
    if (s->deeds_sent && !is_for_copy(f.type) && !pg_expect_is_empty(&s->lease->expect))
        return sql_message_wait(s);
    if (s->discards && !follow_discard(s))
        return sql_message_wait(s);
    switch (f.type) {
    case PG_FRONT_QUERY:
        used = sql_query_forward(s, in, f, class);
        break;
    case PG_FRONT_PARSE:
        used = sql_parse_forward(s, in, f);
        break;
    case PG_FRONT_BIND:
        used = forward_bind(s, in, f);
        break;
    case PG_FRONT_DESCRIBE:
        used = forward_describe(s, in, f);
        break;
    case PG_FRONT_CLOSE:
        used = forward_close(s, in, f);
        break;
    case PG_FRONT_EXECUTE:
        used = forward_execute(s, in, f);
        break;
    case PG_FRONT_SYNC:
        used = forward_sync(s, in, f);
        break;
    case PG_FRONT_FLUSH:
        used = forward_flush(s, in, f);
        break;
    case PG_FRONT_FUNCTION_CALL:
        used = forward_call(s, in, f);
        break;
    case PG_FRONT_COPY_DATA:
    case PG_FRONT_COPY_DONE:
    case PG_FRONT_COPY_FAIL:
        used = forward_copy(s, in, f);
        break;
    }
    if (used > 0 && s->lease != NULL)
        sql_reply_fakes(s->lease);
    return used;
}
