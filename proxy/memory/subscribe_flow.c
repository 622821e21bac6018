/* Sessions that receive pushes.
 *
 * A channel lives on the shard of its hash, where PUBLISH goes too; patterns, and the channels on
 * which servers tell keyspace events, are subscribed on every shard.  A message comes from one
 * shard only, so nobody gets it twice.
 *
 * A subscriber has `feeds`: upstreams of its own, one for each shard that it has subscriptions on
 * (never one of the session's other leases: all that comes from a feed is for the subscriber).  Its
 * commands run one at a time, when all earlier requests are answered:
 *
 *     memory_subscribe   begin() or end() notes for each feed what it must be told
 *       send_names()     each feed is told it, once it is ready
 *       take_frame()     confirmations are counted, until the last of the last feed
 *       conclude()       the session's own confirmations are its reply, in its own order and
 *                        count; or what was begun is undone, and the reply is the first error
 *
 * Messages pass as they come, but never inside of another reply, and never between a SUBSCRIBE and
 * its confirmations: those are held.
 *
 * A feed that is lost ends the session: client libraries then connect and subscribe again, where
 * going on would be to miss messages in silence.  So a feed that says nothing is asked by PING
 * whether it is still there.  An UNSUBSCRIBE can't fail: a feed that does not confirm it in time
 * `owes` confirmations, which are swallowed when they come, as are messages that nobody wants. */
#include <stdlib.h>
#include <string.h>

#include "config/user.h"
#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/memory/memory_flow.h"
#include "proxy/memory/redis_channels.h"
#include "proxy/memory/redis_push.h"

enum { SILENCE_LEAST_US = 1000 * 1000, SILENCE_MOST_US = 10 * 1000 * 1000 };

struct memory_feed {
    struct list link; /* on subscriber->feeds */
    struct memory_subscriber *subscriber;
    struct memory_upstream *upstream;
    struct memory_shard *shard; /* borrowed from the side, for its life */
    uint32_t index;             /* of the shard, when it was subscribed */
    struct buf partial;         /* the beginning of a frame whose end has not come */
    size_t carries;             /* confirmed subscriptions */
    size_t awaited;             /* confirmations of the command under way */
    size_t owed;                /* confirmations that nobody waits for any more, which come first */
    struct buf names;           /* to be sent with the command under way */
    size_t name_count;
    uint64_t since_us; /* when it could be sent; 0: not yet */
    uint64_t asked_us; /* when PING was sent; 0: it is not awaited */
    bool refused;      /* the command under way began nothing on it */
    bool soiled;       /* its server may know subscriptions that are given up */
};

struct memory_subscriber {
    struct memory_session *session;
    struct list feeds;
    struct redis_channels spaces[REDIS_SPACES];
    size_t counts[REDIS_SPACES]; /* of those that are confirmed */
    size_t held_bytes;           /* of the spaces, as told to the worker */
    struct chain held;           /* messages that may not be written yet */
    uint64_t map_digest;         /* of the map by which channels were placed */
    uint32_t shard_count;
    struct memory_request *request; /* the command under way; borrowed from the session's queue */
    struct redis_subscribing what;
    struct slice *names; /* of the command; in the request's arena, like the failure */
    size_t name_count;
    size_t feeds_open;    /* that have confirmations to give */
    struct slice failure; /* an error reply; empty: none so far */
};

/* ---- subscribers ---- */

static struct memory_feed *feed_of(struct list *link)
{
    return LIST_ITEM(link, struct memory_feed, link);
}

static struct memory_side *side_of(const struct memory_subscriber *sub)
{
    return memory_side_of(sub->session);
}

static struct worker *worker_of(const struct memory_subscriber *sub)
{
    return sub->session->base.worker;
}

static struct memory_subscriber *subscriber_of(struct memory_session *s)
{
    struct memory_subscriber *sub = s->subscriber;

    if (sub == NULL) {
        sub = mem_new(sizeof(*sub));
        sub->session = s;
        list_init(&sub->feeds);
        s->subscriber = sub;
    }
    if (list_is_empty(&sub->feeds)) {
        sub->map_digest = shard_map_digest(memory_side_of(s)->site.map);
        sub->shard_count = memory_side_of(s)->shard_count;
    }
    return sub;
}

/* What the state and the clock of the session must know. */
static void tell_session(struct memory_subscriber *sub)
{
    struct memory_session *s = sub->session;
    bool subscribed = false;
    size_t bytes = 0;

    for (enum redis_space space = 0; space < REDIS_SPACES; space++) {
        subscribed |= sub->counts[space] > 0;
        bytes += sub->spaces[space].held_bytes;
    }
    s->state->subscribed = subscribed;
    s->base.stays = subscribed;
    memory_session_keeps(s, sub->held_bytes, bytes);
    sub->held_bytes = bytes;
}

static void free_if_empty(struct memory_subscriber *sub)
{
    if (sub->request != NULL || !list_is_empty(&sub->feeds))
        return;
    sub->session->base.kept_bytes -= sub->held.len;
    chain_clear(&sub->held, &worker_of(sub)->chunks);
    sub->session->subscriber = NULL;
    free(sub);
}

/* ---- feeds ---- */

static void forget_feed(struct memory_feed *feed)
{
    feed->upstream->feed = NULL;
    list_remove(&feed->link);
    memory_session_keeps(feed->subscriber->session, feed->partial.cap, 0);
    buf_fini(&feed->partial);
    buf_fini(&feed->names);
    free(feed);
}

/* The upstream can serve others if its server has forgotten all subscriptions and owes nothing. */
static void end_feed(struct memory_feed *feed)
{
    struct memory_upstream *u = feed->upstream;
    bool clean = feed->carries == 0 && feed->awaited == 0 && feed->owed == 0 &&
                 feed->asked_us == 0 && feed->partial.len == 0 && !feed->soiled;

    forget_feed(feed);
    if (clean)
        memory_upstream_give_back(u);
    else
        memory_upstream_retire(u);
}

static void end_idle_feeds(struct memory_subscriber *sub)
{
    LIST_EACH (&sub->feeds, link)
        if (feed_of(link)->carries == 0)
            end_feed(feed_of(link));
}

static struct memory_feed *feed_to(struct memory_subscriber *sub, uint32_t index,
                                   struct memory_refusal *refusal)
{
    struct memory_session *s = sub->session;
    struct memory_feed *feed;
    struct memory_upstream *u;

    LIST_EACH (&sub->feeds, link)
        if (feed_of(link)->index == index)
            return feed_of(link);
    *refusal =
        (struct memory_refusal){ .err = ERR_DOWN,
                                 .shard = index,
                                 .endpoint = memory_side_of(s)->shards[index]->endpoint->name };
    u = memory_upstream_lease_new(s, index, refusal);
    if (u == NULL)
        return NULL;
    list_remove(&u->lease_link); /* not among those that EXEC and its like may use */
    feed = mem_new(sizeof(*feed));
    feed->subscriber = sub;
    feed->upstream = u;
    feed->shard = u->shard;
    u->heard_us = worker_now_us(s->base.worker);
    feed->index = index;
    u->feed = feed;
    list_append(&sub->feeds, &feed->link);
    return feed;
}

/* ---- failing ---- */

static void note_failure(struct memory_subscriber *sub, struct slice error)
{
    if (sub->failure.len == 0)
        sub->failure = arena_copy(&sub->request->arena, error);
}

static void refuse(struct memory_subscriber *sub, const struct memory_refusal *refusal)
{
    struct memory_side *side = side_of(sub);
    struct buf text = { 0 };

    log_event(LOG_WARN, "request failed",
              log_text("endpoint", refusal->endpoint == NULL ? "" : refusal->endpoint),
              log_text("pool", side->settings->base.name), log_text("reason", refusal->text),
              log_text("command", sub->request->name));
    counter_add(&side->stats->failures, 1);
    side->front->refuse(sub->session->state, refusal, &text);
    note_failure(sub, buf_all(&text));
    buf_fini(&text);
}

/* One feed's share of an undone SUBSCRIBE: what it was told to begin, it is told to end. */
static void take_back(struct memory_feed *feed, struct slice name)
{
    if (feed->refused)
        return;
    if (feed->carries == 0) { /* it goes, and all that is on it */
        feed->soiled = true;
        return;
    }
    redis_push_put_name(&feed->names, name);
    feed->name_count++;
    feed->owed++;
}

static void send_names(struct memory_feed *feed, struct redis_subscribing what)
{
    struct memory_upstream *u = feed->upstream;
    struct buf command = { 0 };

    redis_push_put_command(&command, what, feed->name_count, buf_all(&feed->names));
    buf_fini(&feed->names);
    feed->name_count = 0;
    counter_add(&feed->shard->stats->requests, 1);
    counter_add(&feed->shard->stats->bytes_out, command.len);
    upstream_take(&u->base, &command);
    buf_fini(&command);
    if (u->base.state == UPSTREAM_DOWN)
        upstream_start(&u->base);
    worker_be_busy(u->base.worker);
}

static void undo(struct memory_subscriber *sub)
{
    struct redis_channels *set = &sub->spaces[sub->what.space];
    struct redis_subscribing end = { .space = sub->what.space, .ends = true };

    for (size_t i = 0; i < sub->name_count; i++) {
        struct redis_channel *c = redis_channels_find(set, sub->names[i]);

        if (c == NULL || !c->begins)
            continue;
        LIST_EACH (&sub->feeds, link)
            if (c->everywhere || c->place == feed_of(link))
                take_back(feed_of(link), sub->names[i]);
        redis_channels_remove(set, c);
    }
    LIST_EACH (&sub->feeds, link)
        if (feed_of(link)->name_count > 0)
            send_names(feed_of(link), end);
}

/* ---- concluding ---- */

/* As Redis counts: channels and patterns together, those of shards apart. */
static uint64_t told_count(const struct memory_subscriber *sub)
{
    return sub->what.space == REDIS_SHARD_CHANNELS
               ? sub->counts[REDIS_SHARD_CHANNELS]
               : sub->counts[REDIS_CHANNELS] + sub->counts[REDIS_PATTERNS];
}

static void count_on_feeds(struct memory_subscriber *sub, const struct redis_channel *c, int change)
{
    LIST_EACH (&sub->feeds, link)
        if (c->everywhere || c->place == feed_of(link))
            feed_of(link)->carries += (size_t)change;
}

/* The command has its effect on this name. */
static void settle(struct memory_subscriber *sub, struct slice name, struct buf *out)
{
    struct redis_channels *set = &sub->spaces[sub->what.space];
    struct redis_channel *c = name.at == NULL ? NULL : redis_channels_find(set, name);
    bool ends = sub->what.ends && c != NULL;

    if (ends) {
        sub->counts[sub->what.space]--;
        count_on_feeds(sub, c, -1);
    } else if (c != NULL && c->begins) {
        c->begins = false;
        sub->counts[sub->what.space]++;
        count_on_feeds(sub, c, 1);
    }
    redis_push_confirm(out, sub->session->state->version, sub->what, name, told_count(sub));
    if (ends)
        redis_channels_remove(set, c);
}

static void conclude(struct memory_subscriber *sub)
{
    struct memory_session *s = sub->session;
    struct memory_request *r = sub->request;

    if (sub->failure.len > 0) {
        undo(sub);
        buf_slice(&r->reply, sub->failure);
        r->failed = true;
    } else {
        for (size_t i = 0; i < sub->name_count; i++)
            settle(sub, sub->names[i], &r->reply);
    }
    end_idle_feeds(sub);
    tell_session(sub);
    sub->request = NULL;
    sub->failure = (struct slice){ 0 };
    free_if_empty(sub);
    r->done = true;
    memory_session_advance(s);
}

static void feed_is_done(struct memory_feed *feed)
{
    struct memory_subscriber *sub = feed->subscriber;

    feed->awaited = 0;
    if (--sub->feeds_open == 0)
        conclude(sub);
}

/* ---- beginning ---- */

static void tell_feed(struct memory_feed *feed, struct slice name)
{
    redis_push_put_name(&feed->names, name);
    feed->name_count++;
}

/* False: a shard that is needed can't be had. */
static bool begin_name(struct memory_subscriber *sub, struct slice name)
{
    struct memory_side *side = side_of(sub);
    struct redis_channels *set = &sub->spaces[sub->what.space];
    bool everywhere = sub->what.space == REDIS_PATTERNS || redis_channel_is_of_all_servers(name);
    uint32_t first = everywhere ? 0 : shard_map_find(side->site.map, name).shard;
    uint32_t end = everywhere ? side->shard_count : first + 1;
    struct memory_refusal refusal;
    struct memory_feed *feed = NULL;
    struct redis_channel *c;

    if (redis_channels_find(set, name) != NULL)
        return true;
    for (uint32_t i = first; i < end; i++) {
        feed = feed_to(sub, i, &refusal);
        if (feed == NULL) {
            refuse(sub, &refusal);
            return false;
        }
        tell_feed(feed, name);
    }
    c = redis_channels_add(set, name);
    c->begins = true;
    c->everywhere = everywhere;
    c->place = everywhere ? NULL : feed;
    return true;
}

static bool begin(struct memory_subscriber *sub)
{
    struct memory_session *s = sub->session;
    size_t bytes = s->base.out.len + sub->held_bytes + sub->held.len;

    for (size_t i = 0; i < sub->name_count; i++) {
        bytes += sizeof(struct redis_channel) + sub->names[i].len;
        if (bytes > s->base.limits->max_bytes) {
            refuse(sub, &(struct memory_refusal){ .err = ERR_LIMIT,
                                                  .shard = UINT32_MAX,
                                                  .text = "the session's subscriptions would take "
                                                          "more than max_session_memory" });
            return false;
        }
        if (!begin_name(sub, sub->names[i]))
            return false;
    }
    return true;
}

static void end(struct memory_subscriber *sub)
{
    for (size_t i = 0; i < sub->name_count; i++) {
        struct redis_channel *c =
            sub->names[i].at == NULL
                ? NULL
                : redis_channels_find(&sub->spaces[sub->what.space], sub->names[i]);

        if (c == NULL || c->ends)
            continue;
        c->ends = true;
        LIST_EACH (&sub->feeds, link)
            if (c->everywhere || c->place == feed_of(link))
                tell_feed(feed_of(link), sub->names[i]);
    }
}

/* Nothing was sent yet: what was noted is forgotten. */
static void forget_names(struct memory_subscriber *sub)
{
    LIST_EACH (&sub->feeds, link) {
        buf_fini(&feed_of(link)->names);
        feed_of(link)->name_count = 0;
        feed_of(link)->refused = true;
    }
}

static void send_all(struct memory_subscriber *sub)
{
    LIST_EACH (&sub->feeds, link) {
        struct memory_feed *feed = feed_of(link);

        feed->refused = false;
        if (feed->name_count == 0)
            continue;
        feed->awaited = feed->name_count;
        feed->since_us = 0;
        sub->feeds_open++;
        send_names(feed, sub->what);
    }
}

/* The words of the command; without any, all names of the space, or one that is none. */
static void take_names(struct memory_subscriber *sub, const struct memory_operation *op)
{
    struct arena *arena = &sub->request->arena;
    const struct redis_channels *set = &sub->spaces[sub->what.space];
    size_t n = 0;

    if (op->count > 1) {
        sub->name_count = op->count - 1;
        sub->names = arena_new(arena, sub->name_count * sizeof(*sub->names));
        for (size_t i = 0; i < sub->name_count; i++)
            sub->names[i] = arena_copy(arena, op->words[i + 1]);
        return;
    }
    sub->name_count = set->count == 0 ? 1 : set->count;
    sub->names = arena_new(arena, sub->name_count * sizeof(*sub->names));
    if (set->count == 0)
        return;
    LIST_EACH (&set->order, link)
        sub->names[n++] = redis_channel_name(LIST_ITEM(link, struct redis_channel, link));
}

void memory_subscribe(struct memory_session *s, struct memory_request *r,
                      const struct memory_operation *op)
{
    struct memory_subscriber *sub = subscriber_of(s);

    sub->request = r;
    sub->what = redis_subscribing_of(op->name);
    sub->feeds_open = 0;
    take_names(sub, op);
    if (sub->what.ends)
        end(sub);
    else if (!begin(sub))
        forget_names(sub);
    if (sub->failure.len == 0)
        send_all(sub);
    if (sub->feeds_open == 0)
        conclude(sub);
}

/* ---- messages ---- */

static bool must_hold(const struct memory_subscriber *sub)
{
    const struct memory_request *first = sub->session->first;

    return (sub->request != NULL && !sub->what.ends) || (first != NULL && first->streaming);
}

static void deliver(struct memory_subscriber *sub, struct slice frame)
{
    struct memory_session *s = sub->session;
    struct chunk_pool *chunks = &s->base.worker->chunks;
    bool hold = must_hold(sub);
    struct chain *out = hold ? &sub->held : &s->base.out;
    char first = redis_push_first_byte(s->state->version);

    if (s->base.last_words || s->base.ended) /* it goes when what it was owed is written */
        return;
    chain_put(out, chunks, &first, 1);
    chain_slice(out, chunks, slice_from(frame, 1));
    counter_add(&memory_side_of(s)->stats->bytes_out, frame.len);
    if (hold)
        s->base.kept_bytes += frame.len;
    else
        session_wants_flush(&s->base);
    if (s->base.out.len + sub->held.len + s->base.held_bytes > s->base.limits->max_bytes)
        session_close(&s->base, CLOSE_SLOW_READER);
}

void memory_subscriber_release(struct memory_session *s)
{
    struct memory_subscriber *sub = s->subscriber;
    struct chunk_pool *chunks = &s->base.worker->chunks;

    if (sub->held.len == 0 || must_hold(sub))
        return;
    s->base.kept_bytes -= sub->held.len;
    while (sub->held.len > 0) {
        struct iovec place;

        chain_peek(&sub->held, &place, 1);
        chain_put(&s->base.out, chunks, place.iov_base, place.iov_len);
        chain_skip(&sub->held, chunks, place.iov_len);
    }
    session_wants_flush(&s->base);
}

/* Not, if its subscription was given up while the server did not answer. */
static bool is_wanted(const struct memory_feed *feed, const struct redis_push *push)
{
    return feed->owed == 0 ||
           redis_channels_find(&feed->subscriber->spaces[push->space], push->name) != NULL;
}

static void take_confirmation(struct memory_feed *feed)
{
    if (feed->owed > 0)
        feed->owed--;
    else if (feed->awaited == 0)
        upstream_fail(&feed->upstream->base, ERR_PROTOCOL,
                      "it confirmed a subscription that nobody had asked for");
    else if (--feed->awaited == 0)
        feed_is_done(feed);
}

static void take_error(struct memory_feed *feed, struct slice error)
{
    struct memory_subscriber *sub = feed->subscriber;

    if (feed->owed > 0 || feed->awaited == 0 || sub->what.ends) {
        upstream_fail(&feed->upstream->base, ERR_PROTOCOL, "it refused to end a subscription");
        return;
    }
    note_failure(sub, error);
    feed->refused = true;
    feed_is_done(feed);
}

/* May end the feed, the subscriber, the session. */
static void take_frame(struct memory_feed *feed, struct slice frame)
{
    struct redis_push push;

    feed->asked_us = 0;
    redis_push_read(frame, &push);
    switch (push.kind) {
    case REDIS_PUSH_MESSAGE:
        if (is_wanted(feed, &push))
            deliver(feed->subscriber, frame);
        return;
    case REDIS_PUSH_CONFIRMATION:
        take_confirmation(feed);
        return;
    case REDIS_PUSH_ERROR:
        take_error(feed, frame);
        return;
    case REDIS_PUSH_OTHER:
        return;
    }
}

static void keep_partial(struct memory_feed *feed, struct slice bytes)
{
    struct memory_session *s = feed->subscriber->session;
    size_t had = feed->partial.cap;

    buf_slice(&feed->partial, bytes);
    memory_session_keeps(s, had, feed->partial.cap);
}

/* A frame of which a part was kept. */
static void take_kept_frame(struct memory_feed *feed)
{
    struct buf frame = feed->partial;

    feed->partial = (struct buf){ 0 };
    memory_session_keeps(feed->subscriber->session, frame.cap, 0);
    take_frame(feed, buf_all(&frame));
    buf_fini(&frame);
}

size_t memory_subscriber_input(struct memory_upstream *u, struct slice in)
{
    struct memory_feed *feed = u->feed;
    size_t used = 0;

    while (used < in.len && u->feed == feed) {
        struct slice rest = slice_from(in, used);
        size_t here = 0;
        bool out_of_band = false;
        enum parse parse = u->back->scan(u->scan, rest, &here, &out_of_band);

        if (parse == PARSE_BAD) {
            upstream_fail(&u->base, ERR_PROTOCOL, "it sent bytes that are not of the protocol");
            return in.len;
        }
        used += here;
        counter_add(&feed->shard->stats->bytes_in, here);
        if (parse == PARSE_DONE && feed->partial.len == 0) {
            take_frame(feed, slice_of(rest.at, here));
            continue;
        }
        keep_partial(feed, slice_of(rest.at, here));
        if (parse == PARSE_DONE) {
            take_kept_frame(feed);
        } else if (feed->partial.len > feed->subscriber->session->base.limits->max_bytes) {
            session_close(&feed->subscriber->session->base, CLOSE_SLOW_READER);
            return in.len;
        } else {
            break;
        }
    }
    return u->feed == feed ? used : in.len;
}

/* ---- loss and clock ---- */

/* It carried nothing yet: the command under way fails, the session goes on. */
static void lost_before_it_carried(struct memory_feed *feed, const char *why)
{
    struct memory_subscriber *sub = feed->subscriber;
    struct memory_refusal refusal = {
        .err = ERR_DOWN, .shard = feed->index, .endpoint = feed->shard->endpoint->name, .text = why
    };
    bool awaited = feed->awaited > 0;

    for (size_t i = 0; sub->request != NULL && i < sub->name_count; i++) {
        struct redis_channel *c = redis_channels_find(&sub->spaces[sub->what.space], sub->names[i]);

        if (c != NULL && c->place == feed)
            c->place = NULL;
    }
    if (sub->request != NULL)
        refuse(sub, &refusal);
    forget_feed(feed);
    if (awaited && --sub->feeds_open == 0)
        conclude(sub);
}

void memory_subscriber_lost(struct memory_upstream *u, const char *why)
{
    struct memory_feed *feed = u->feed;

    if (feed->carries > 0)
        session_close(&feed->subscriber->session->base, CLOSE_UPSTREAM_LOST);
    else
        lost_before_it_carried(feed, why);
}

/* A SUBSCRIBE fails, an UNSUBSCRIBE is as good as done. */
static void expire(struct memory_feed *feed)
{
    struct memory_subscriber *sub = feed->subscriber;

    counter_add(&feed->shard->stats->timeouts, 1);
    feed->owed += feed->awaited;
    if (!sub->what.ends)
        refuse(sub, &(struct memory_refusal){ .err = ERR_TIMEOUT,
                                              .shard = feed->index,
                                              .endpoint = feed->shard->endpoint->name,
                                              .text = "it did not confirm within timeout" });
    feed_is_done(feed);
}

static void ask_for_life(struct memory_feed *feed, uint64_t now_us)
{
    struct memory_upstream *u = feed->upstream;
    uint64_t patience_us = u->side->settings->tombstone_timeout_ms * 1000;

    if (feed->asked_us == 0) {
        feed->asked_us = now_us;
        upstream_put(&u->base, redis_push_ping());
    } else if (now_us > feed->asked_us + patience_us) {
        upstream_fail(&u->base, ERR_TIMEOUT,
                      "nothing was heard from it for tombstone_timeout, not even after PING");
    }
}

void memory_subscriber_tick(struct memory_upstream *u, uint64_t now_us)
{
    uint64_t silence_us = u->side->settings->tombstone_timeout_ms * 1000;
    struct memory_feed *feed = u->feed;

    if (feed->awaited > 0) {
        worker_be_busy(u->base.worker);
        if (feed->since_us == 0)
            feed->since_us = now_us;
        else if (now_us > feed->since_us + u->side->settings->timeout_ms * 1000) {
            expire(feed);
            return;
        }
    }
    silence_us = silence_us < SILENCE_MOST_US ? silence_us : SILENCE_MOST_US;
    if (now_us > u->heard_us + (silence_us > SILENCE_LEAST_US ? silence_us : SILENCE_LEAST_US))
        ask_for_life(feed, now_us);
}

/* ---- ending ---- */

void memory_subscriber_end(struct memory_session *s)
{
    struct memory_subscriber *sub = s->subscriber;

    if (sub == NULL)
        return;
    LIST_EACH (&sub->feeds, link)
        end_feed(feed_of(link));
    for (enum redis_space space = 0; space < REDIS_SPACES; space++) {
        redis_channels_clear(&sub->spaces[space]);
        sub->counts[space] = 0;
    }
    tell_session(sub);
    sub->request = NULL;
    free_if_empty(sub);
}

static bool is_misplaced(const struct memory_subscriber *sub)
{
    const struct memory_side *side = side_of(sub);

    LIST_EACH (&sub->feeds, link)
        if (feed_of(link)->index >= side->shard_count ||
            side->shards[feed_of(link)->index] != feed_of(link)->shard)
            return true;
    return sub->shard_count != side->shard_count ||
           sub->map_digest != shard_map_digest(side->site.map);
}

static const struct user_settings *find_user(const struct memory_pool *pool, const char *name)
{
    for (uint32_t i = 0; i < pool->user_count; i++)
        if (strcmp(pool->users[i].name, name) == 0)
            return &pool->users[i];
    return NULL;
}

/* Other sessions are refused with their next command; subscribers need none to be told more. */
static bool has_lost_rights(const struct memory_session *s, const struct memory_pool *was)
{
    const struct memory_pool *is = memory_side_of(s)->settings;
    const struct user_settings *old, *new;

    if (was == NULL || is->user_count == 0)
        return false;
    if (s->state->user == NULL)
        return true; /* nobody had to log in */
    old = find_user(was, s->state->user);
    new = find_user(is, s->state->user);
    return old == NULL || new == NULL || !user_may_the_same(old, new);
}

static void end_session(struct memory_session *s, enum close_reason reason)
{
    if (s->subscriber->request != NULL) {
        session_close(&s->base, reason);
        return;
    }
    memory_subscriber_end(s);
    session_finish(&s->base, reason);
}

void memory_subscribers_follow(struct memory_side *side, const struct memory_pool *was)
{
    LIST_EACH (&side->worker->sessions, link) {
        struct memory_session *s = (struct memory_session *)LIST_ITEM(link, struct session, link);

        if (s->base.limits != &side->limits || s->subscriber == NULL)
            continue;
        if (is_misplaced(s->subscriber))
            end_session(s, CLOSE_MAP_CHANGED);
        else if (has_lost_rights(s, was))
            end_session(s, CLOSE_RIGHTS_CHANGED);
    }
}

void memory_subscriber_count(const struct memory_session *s, size_t counts[3])
{
    for (enum redis_space space = 0; space < REDIS_SPACES; space++)
        counts[space] = s->subscriber == NULL ? 0 : s->subscriber->counts[space];
}
