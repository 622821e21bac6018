/* Statements that were slow: those whose answer was long in coming, from what was sent to the
 * server up to its ReadyForQuery; a wait for a server is no part of it (SHOW WAITS has those).
 *
 * The text is kept as it came while it is under way, for that costs little, and is read only if it
 * was slow: literals are left out of what is shown.  Of what was sent behind an exchange that was
 * not answered yet nothing is kept. */
#include "proxy/sql/slow_flow.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "proxy/sql/sql_flow.h"
#include "replica/outline.h"

void sql_slow_listen(struct sql_upstream *u)
{
    u->asked_us = worker_now_us(u->base.worker);
    u->heard.len = 0;
    u->heard.is_call = false;
    u->heard.listens = true;
}

void sql_slow_hear(struct sql_upstream *u, struct slice text)
{
    size_t len = text.len < SQL_HEARD_BYTES ? text.len : SQL_HEARD_BYTES;

    if (!u->heard.listens)
        return;
    u->asked_us = worker_now_us(u->base.worker);
    u->heard.listens = false;
    u->heard.len = (uint8_t)len;
    if (len > 0)
        memcpy(u->heard.text, text.at, len);
}

void sql_slow_hear_call(struct sql_upstream *u)
{
    bool is_first = u->heard.listens;

    sql_slow_hear(u, slice_text(""));
    u->heard.is_call |= is_first;
}

/* Its literals are not to be told from other words where the client's encoding hides quotes. */
static void put_statement(const struct sql_session *s, const struct sql_heard *heard,
                          struct slow_entry *entry)
{
    const struct pg_settings *now = pg_settings_session_effective(&s->settings);
    const struct pg_settings *v = now != NULL && now->has_encoding ? now : s->told;
    size_t len = 0;

    if (heard->len == 0 || (v != NULL && v->hides_ascii))
        return;
    outline_of(slice_of(heard->text, heard->len), pg_settings_backslash_escapes(now),
               entry->statement, sizeof(entry->statement));
    while (len < sizeof(entry->command) - 1 && isalpha((unsigned char)entry->statement[len])) {
        entry->command[len] = (char)toupper((unsigned char)entry->statement[len]);
        len++;
    }
}

static void put_application(const struct sql_session *s, struct slow_entry *entry)
{
    struct slice name;

    if (pg_settings_find(s->settings.current, slice_text("application_name"), &name))
        snprintf(entry->name, sizeof(entry->name), "%.*s", (int)name.len, (const char *)name.at);
}

static void note_slow(const struct sql_session *s, const struct sql_upstream *u, uint64_t took_us)
{
    const struct sql_side *side = sql_side_of(s);
    struct slow_entry entry = { .wall_s = clock_wall_s(),
                                .took_us = took_us,
                                .shard = u->endpoint->index };

    snprintf(entry.pool, sizeof(entry.pool), "%s", side->name);
    snprintf(entry.endpoint, sizeof(entry.endpoint), "%s", u->endpoint->name);
    snprintf(entry.database, sizeof(entry.database), "%s", s->account->database);
    snprintf(entry.user, sizeof(entry.user), "%s", s->account->user);
    session_address(&s->base, entry.client, sizeof(entry.client));
    put_application(s, &entry);
    put_statement(s, &u->heard, &entry);
    if (u->heard.is_call)
        snprintf(entry.command, sizeof(entry.command), "FunctionCall");
    slow_note(&entry);
}

void sql_slow_answered(struct sql_session *s, struct sql_upstream *u, uint64_t took_us)
{
    struct sql_side *side = sql_side_of(s);
    uint64_t now_us = worker_now_us(side->worker);

    if (took_us >= side->assembly->snapshot->proxy.slow_time_ms * 1000 &&
        slow_is_worth_noting(&side->slow, now_us, took_us))
        note_slow(s, u, took_us);
    u->heard.len = 0;
    u->heard.is_call = false;
    u->heard.listens = pg_expect_is_empty(&u->expect);
    if (!u->heard.listens)
        u->asked_us = now_us; /* now the server sees to what follows in the pipeline */
}
