/* See steward_keyed.h. */
#include "proxy/steward_keyed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/io/dial.h"
#include "shard/stamp.h"

enum { INFO_EVERY = 10 /* probes */ };

struct keyed_probe {
    struct steward_probe_site site;
    const struct steward_keyed_words *words;
    struct dial *dial;      /* NULL: not connected */
    char *stamp;            /* owned; NULL: off */
    struct probe_mark mark; /* of it */
    uint32_t rounds;
};

void *steward_keyed_new(const struct steward_probe_site *site,
                        const struct steward_keyed_words *words)
{
    struct slice stamp = buf_all(&site->assembly->stamps[site->endpoint->number]);
    struct keyed_probe *p = mem_new(sizeof(*p));

    p->site = *site;
    p->words = words;
    if (stamp.len > 0)
        p->stamp = mem_text_of(stamp.at, stamp.len);
    p->mark = (struct probe_mark){ .key = SHARD_STAMP_KEY, .text = p->stamp };
    return p;
}

void steward_keyed_free(void **state)
{
    struct keyed_probe *p = *state;

    *state = NULL;
    dial_close(&p->dial);
    free(p->stamp);
    free(p);
}

void steward_keyed_continue_from(void *state, void *was)
{
    struct keyed_probe *p = state, *old = was;

    p->dial = old->dial;
    p->rounds = old->rounds;
    p->mark.was_there = old->mark.was_there && p->stamp != NULL && old->stamp != NULL &&
                        strcmp(p->stamp, old->stamp) == 0;
    old->dial = NULL;
}

static struct probe_stream stream_of(const struct keyed_probe *p)
{
    return (struct probe_stream){ .state = p->dial, .read = dial_read, .write = dial_write };
}

/* Upstreams that stand do not see that the stamp went (a FLUSHALL past Sheaf or in a script, an
 * eviction); but the next start must find it. */
static void keep_stamp(struct keyed_probe *p, const struct probe_stream *stream,
                       uint64_t deadline_us, struct probe_outcome *outcome)
{
    const struct endpoint_settings *e = p->site.endpoint;

    if (p->stamp == NULL || outcome->reason != HEALTH_FINE)
        return;
    if (p->words->keep_mark(stream, &p->mark, deadline_us, outcome))
        log_event(LOG_WARN, "the stamp was gone and is written again",
                  log_text("endpoint", e->name), log_text("pool", e->pool->name),
                  log_number("shard", e->shard));
}

static void check(struct keyed_probe *p, bool with_info, uint64_t deadline_us,
                  struct probe_outcome *outcome)
{
    struct probe_stream stream = stream_of(p);

    p->words->check(&stream, with_info, deadline_us, outcome);
    if (with_info)
        keep_stamp(p, &stream, deadline_us, outcome);
}

static void note_no_connection(struct probe_outcome *outcome, enum err err, const struct buf *why)
{
    *outcome = (struct probe_outcome){ .reason = reason_of_err(err, true), .info = outcome->info };
    snprintf(outcome->text, sizeof(outcome->text), "%.*s", (int)why->len, (const char *)why->at);
}

static enum err connect_to(struct keyed_probe *p, uint64_t deadline_us,
                           struct probe_outcome *outcome)
{
    const struct endpoint_settings *e = p->site.endpoint;
    struct dial_options options = { .host = e->address.host,
                                    .port = e->address.port,
                                    .unix_path = e->address.path,
                                    .resolver = p->site.resolver,
                                    .tls = p->site.assembly->endpoint_tls[e->number],
                                    .server_name = e->tls.server_name,
                                    .cancel_fd = p->site.cancel_fd };
    struct buf why = { 0 };
    enum err err = dial_open(&options, deadline_us, &p->dial, &why);

    if (err != ERR_NONE)
        note_no_connection(outcome, err, &why);
    buf_fini(&why);
    return err;
}

/* A new connection, with login and a look at what the server tells of itself. */
static void probe_anew(struct keyed_probe *p, uint64_t deadline_us, struct probe_outcome *outcome)
{
    const struct endpoint_settings *e = p->site.endpoint;
    struct probe_login login = { .user = e->user, .password = e->password, .db = e->database };
    struct probe_info info = outcome->info;
    struct probe_stream stream;

    if (connect_to(p, deadline_us, outcome) != ERR_NONE)
        return;
    stream = stream_of(p);
    p->words->login(&stream, &login, deadline_us, outcome);
    outcome->info = info;
    if (outcome->connection_is_good && outcome->reason == HEALTH_FINE)
        check(p, true, deadline_us, outcome);
}

/* A kept connection that the server closed in between says nothing of its health. */
void steward_keyed_ask(void *state, uint64_t deadline_us, struct probe_outcome *outcome)
{
    struct keyed_probe *p = state;

    if (p->dial != NULL) {
        check(p, ++p->rounds % INFO_EVERY == 0, deadline_us, outcome);
        if (!outcome->connection_is_good)
            dial_close(&p->dial);
        if (outcome->reason != HEALTH_CLOSED)
            return;
    }
    probe_anew(p, deadline_us, outcome);
    if (!outcome->connection_is_good)
        dial_close(&p->dial);
}
