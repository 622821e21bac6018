/* Replication: a session that asks for it gets an upstream of its own to the primary, logged in to
 * with all that the client began with, and from then on bytes go by both ways as they come.  None
 * of it is pooled, nor looked at; what one side does not take, the other is not read for.
 *
 *     sql_tunnel_begin() --> (waits for a primary) --> the upstream logs in --> TUNNEL
 *                                  \--refused--> the client hears why, as the server says it
 */
#include "proxy/sql/tunnel_flow.h"
#include "proxy/sql/cancel_flow.h"
#include "proxy/sql/sql_flow.h"

void sql_tunnel_begin(struct sql_session *s, enum pg_replication replication)
{
    struct sql_endpoint *primary = sql_primary(sql_side_of(s));
    struct sql_upstream *u;

    s->stage = SQL_WELCOMING;
    if (s->lease != NULL)
        return; /* it logs in */
    if (primary == NULL || primary->failing) {
        sql_wait_begin(s, SQL_WAITS_PRIMARY, &sql_side_of(s)->waiters);
        return;
    }
    u = sql_upstream_open_alone(s->account, primary);
    u->tunnel = replication == PG_REPLICATION_DATABASE ? "database" : "true";
    s->lease = u;
    u->lessee = s;
    u->led = true;
    primary->busy++; /* as a lease: sql_lease_drop() takes it back */
    counter_add(&primary->stats->upstreams_leased, 1);
    sql_tally_lease(s, true);
    session_pause(&s->base);
}

void sql_tunnel_parameters(const struct sql_upstream *u, struct buf *parameters)
{
    struct pg_parameter p = { slice_text("replication"), slice_text(u->tunnel) };
    struct pg_settings_walk walk = { 0 };
    struct pg_setting setting;

    buf_put(parameters, &p, sizeof(p));
    while (pg_settings_news(NULL, u->lessee->settings.start, &walk, &setting)) {
        p = (struct pg_parameter){ setting.name, setting.value };
        if (!slice_starts(p.name, slice_text("sheaf.")))
            buf_put(parameters, &p, sizeof(p));
    }
}

void sql_tunnel_ready(struct sql_upstream *u)
{
    struct sql_session *s = u->lessee;
    struct pg_settings_walk walk = { 0 };
    struct pg_setting p;
    struct buf out = { 0 };

    if (s == NULL)
        return;
    while (pg_settings_news(NULL, u->reported, &walk, &p))
        pg_put_parameter_status(&out, p.name, p.value);
    sql_cancel_key(s);
    pg_put_key(&out, s->key_pid, slice_of(&s->key_secret, sizeof(s->key_secret)));
    pg_put_ready(&out, PG_STATUS_IDLE);
    sql_session_put(s, buf_all(&out));
    buf_fini(&out);
    sql_entry_free(s);
    s->stage = SQL_TUNNEL;
    s->base.stays = true;
    session_resume(&s->base);
}

size_t sql_tunnel_input(struct sql_session *s, struct slice in)
{
    struct upstream *u = &s->lease->base;

    if (u->put_bytes - u->written_bytes <= SQL_UNSENT_BYTES) {
        upstream_put(u, in);
        return in.len;
    }
    if (u->blocked)
        session_pause(&s->base); /* until sql_upstream_drained() */
    else
        session_recall(&s->base); /* it is written when this turn is over */
    return 0;
}

/* Where messages end is heeded for the words of ours that may come last. */
size_t sql_tunnel_output(struct sql_upstream *u, struct slice in)
{
    struct pg_frame f;
    size_t at = 0;

    if (u->lessee == NULL)
        return in.len;
    u->frame_shown = true;
    while (at < in.len) {
        size_t here;

        if (u->frame_left == 0) {
            enum err err = pg_frame_read(slice_from(in, at), &f);

            if (err == ERR_AGAIN)
                break;
            if (err != ERR_NONE) {
                upstream_fail(&u->base, err, "a message of an impossible length");
                return in.len;
            }
            u->frame_left = f.bytes;
        }
        here = u->frame_left < in.len - at ? (size_t)u->frame_left : in.len - at;
        u->frame_left -= here;
        at += here;
    }
    if (at > 0)
        sql_session_put(u->lessee, slice_of(in.at, at));
    if (u->lessee->base.throttled)
        upstream_pause(&u->base, true);
    return at;
}

void sql_tunnel_lost(struct sql_upstream *u, enum err err, const char *why)
{
    struct sql_session *s = u->lessee;

    if (s == NULL)
        return;
    sql_lease_drop(u);
    if (s->stage == SQL_TUNNEL) { /* what the server said at last is still told */
        s->stage = SQL_LEAVING;
        session_finish(&s->base, CLOSE_UPSTREAM_LOST);
    } else if (u->sqlstate[0] != '\0' && strncmp(u->sqlstate, "28", 2) != 0) {
        sql_session_fatal(s, u->sqlstate, "%s", why);
    } else if (err == ERR_LOGIN || err == ERR_UNSUPPORTED) {
        sql_session_fatal(s, u->sqlstate[0] != '\0' ? u->sqlstate : "08006",
                          "server %s refused the login of user \"%s\": %s", u->endpoint->name,
                          s->account->user, why);
    } else {
        sql_session_fatal(s, "08006", "server %s was lost: %s", u->endpoint->name, why);
    }
}
