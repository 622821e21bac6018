/* What currval() and lastval() tell: of a server's connection, on which others may have used
 * sequences.  So what is there is forgotten before a session asks, unless it may be its own: the
 * session was the last that has written there, or has written since. */
#include "proxy/sql/sql_words.h"

/* A Query, which is no part of an exchange; within one, messages as the client's. */
void sql_sequences_forget(struct sql_session *s)
{
    static const char TEXT[] = "DISCARD SEQUENCES", OURS[] = "_sheaf_sequences";
    static const uint8_t KINDS[] = { PG_EXPECT_PARSE, PG_EXPECT_BIND, PG_EXPECT_EXECUTE,
                                     PG_EXPECT_CLOSE, PG_EXPECT_CLOSE };
    struct slice name = slice_text(OURS);
    struct buf out = { 0 };

    s->lease->sequences_pid = s->key_pid;
    if (!s->in_exchange) {
        sql_upstream_ask(s->lease, slice_text(TEXT), SQL_NOTE_BEFORE);
        s->applies = s->barrier = true; /* they are somebody else's: a cancel would leave them */
        return;
    }
    for (size_t i = 0; i < sizeof(KINDS); i++)
        sql_message_expect(s, KINDS[i], PG_EXPECT_SWALLOW, SQL_NOTE_SETTINGS, NULL);
    pg_put_parse(&out, name, slice_text(TEXT), slice_of(NULL, 0));
    pg_put_bind(&out, name, name, NULL, 0);
    pg_put_execute(&out, name, 0);
    pg_put_close(&out, PG_KIND_PORTAL, name);
    pg_put_close(&out, PG_KIND_STATEMENT, name);
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
    sql_message_wait(s);
}

bool sql_sequences_are_own(struct sql_session *s, const struct statement_verdict *v)
{
    struct sql_upstream *u = s->lease;

    if (!(v->effects & EFFECT_CURRVAL) || u->sequences_pid == s->key_pid || s->dirties ||
        s->status == PG_STATUS_FAILED || sql_account_pooling(s->account) != SQL_POOLING_TRANSACTION)
        return true;
    if (pg_expect_is_empty(&u->expect))
        sql_sequences_forget(s);
    else
        sql_message_wait(s);
    return false;
}
