/* What a front asks of the process: sessions, status, slow requests.
 *
 * A session is known to its worker alone, and nothing about it is kept for others to read: who asks
 * about all sessions (CLIENT LIST, CLIENT KILL) sends a letter around.  It goes from worker to
 * worker, each adds what it has, and it ends where it began:
 *
 *     memory_inquire --> visit in each worker, by number --> come_home in the asking one
 *
 * The letter knows its request by a number alone, under which the asking worker keeps it: a worker
 * may end, or a pool, before all its letters have come home. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "proxy/base/mem.h"
#include "proxy/core/crew.h"
#include "proxy/memory/memory_flow.h"

/* ---- lines ---- */

static const char *text_or(const char *text, const char *otherwise)
{
    return text == NULL ? otherwise : text;
}

/* Letters as in Redis: N plain, b waits, x in MULTI, P subscribed, U Unix socket, c closing. */
static void put_flags(const struct memory_session *s, const struct memory_portrait *portrait,
                      const char *address, char flags[8])
{
    size_t n = 0;

    if (s->state->subscribed)
        flags[n++] = 'P';
    if (portrait->queued >= 0)
        flags[n++] = 'x';
    if (s->first != NULL && s->first->no_deadline)
        flags[n++] = 'b';
    if (s->base.last_words)
        flags[n++] = 'c';
    if (address[0] == '/' || strncmp(address, "unix", 4) == 0)
        flags[n++] = 'U';
    if (n == 0)
        flags[n++] = 'N';
    flags[n] = '\0';
}

static void put_line(struct memory_session *s, struct buf *out)
{
    struct memory_portrait portrait = { .queued = -1 };
    const struct session *base = &s->base;
    uint32_t now_s = (uint32_t)(worker_now_us(base->worker) / 1000000);
    uint64_t unread = base->out.len + base->held_bytes;
    uint64_t all = base->limits->slab->size + base->in.cap + unread;
    char address[64], local[64], flags[8];
    size_t counts[3];

    memory_side_of(s)->front->portray(s->state, &portrait);
    session_address(base, address, sizeof(address));
    session_local_address(base, local, sizeof(local));
    put_flags(s, &portrait, address, flags);
    memory_subscriber_count(s, counts);
    buf_format(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%u idle=%u flags=%s db=%u ",
               (unsigned long long)base->id, address, local, base->conn.fd,
               text_or(portrait.name, ""), now_s - base->opened_s, now_s - base->active_s, flags,
               s->state->database);
    buf_format(out, "sub=%zu psub=%zu ssub=%zu multi=%lld qbuf=%zu qbuf-free=%zu ", counts[0],
               counts[1], counts[2], (long long)portrait.queued, base->in.len,
               base->in.cap - base->in.len);
    buf_format(out, "argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=%llu tot-mem=%llu ",
               (unsigned long long)unread, (unsigned long long)all);
    buf_format(out, "events=%s cmd=%s user=%s redir=-1 resp=%u lib-name=%s lib-ver=%s\n",
               base->conn.watching_write ? "rw" : "r", text_or(s->command, "NULL"),
               text_or(s->state->user, "default"), s->state->version, text_or(portrait.library, ""),
               text_or(portrait.library_version, ""));
}

static void session_line(const struct memory_site *site, struct buf *out)
{
    struct memory_session *s = site->session;

    s->command = "client|info"; /* it is about itself */
    put_line(s, out);
}

/* ---- letters ---- */

struct inquiry {
    struct list link; /* of memory_works.inquiries */
    uint64_t number;
    struct memory_request *request; /* counted reference */
};

struct letter {
    uint64_t number;   /* of the asking worker's inquiry */
    uint32_t asker;    /* index of its worker */
    uint64_t asker_id; /* of the session */
    char *pool;
    const struct memory_front *front; /* of the sessions that are meant */
    enum memory_deed deed;
    bool spare_self;
    uint64_t id; /* 0: any */
    enum memory_kind kind;
    uint64_t age_s;
    char address[64], local_address[64], user[64]; /* "": any */
    uint64_t done;                                 /* to how many */
    struct buf lines;
};

static void letter_free(struct letter *letter)
{
    buf_fini(&letter->lines);
    free(letter->pool);
    free(letter);
}

static bool is_of_kind(const struct memory_session *s, enum memory_kind kind)
{
    switch (kind) {
    case MEMORY_KIND_ANY:
        return true;
    case MEMORY_KIND_PLAIN:
        return !s->state->subscribed;
    case MEMORY_KIND_SUBSCRIBER:
        return s->state->subscribed;
    case MEMORY_KIND_NONE:
        return false;
    }
    return false;
}

static uint32_t age_s(const struct session *s)
{
    return (uint32_t)(worker_now_us(s->worker) / 1000000) - s->opened_s;
}

static bool is_meant(const struct letter *letter, const struct memory_session *s)
{
    char address[64] = "", local[64] = "";

    if ((letter->id != 0 && letter->id != s->base.id) || age_s(&s->base) < letter->age_s)
        return false;
    if (letter->address[0] != '\0')
        session_address(&s->base, address, sizeof(address));
    if (letter->local_address[0] != '\0')
        session_local_address(&s->base, local, sizeof(local));
    if (strcmp(address, letter->address) != 0 || strcmp(local, letter->local_address) != 0)
        return false;
    if (letter->user[0] != '\0' && strcmp(letter->user, text_or(s->state->user, "default")) != 0)
        return false;
    return is_of_kind(s, letter->kind) && (!letter->spare_self || s->base.id != letter->asker_id);
}

static void copy_text(char text[64], struct slice from)
{
    snprintf(text, 64, "%.*s", (int)(from.len < 64 ? from.len : 63),
             from.len == 0 ? "" : (const char *)from.at);
}

/* False: nothing was done. */
static bool do_deed(struct letter *letter, struct memory_session *s)
{
    switch (letter->deed) {
    case MEMORY_DEED_LIST:
        put_line(s, &letter->lines);
        return true;
    case MEMORY_DEED_KILL:
        if (s->base.id == letter->asker_id)
            session_finish(&s->base, CLOSE_KILLED); /* the answer is still owed */
        else
            session_close(&s->base, CLOSE_KILLED);
        return true;
    case MEMORY_DEED_UNBLOCK:
        return memory_blocked_end_wait(s, false);
    case MEMORY_DEED_UNBLOCK_WITH_ERROR:
        return memory_blocked_end_wait(s, true);
    }
    return false;
}

static void add_sessions(struct worker *w, struct letter *letter)
{
    struct memory_side *side = memory_side_find(w, letter->pool, letter->front);

    if (side == NULL)
        return;
    LIST_EACH (&w->sessions, link) {
        struct memory_session *s = (struct memory_session *)LIST_ITEM(link, struct session, link);

        if (s->base.limits != &side->limits || !s->base.begun || s->base.state == SESSION_CLOSING ||
            !is_meant(letter, s))
            continue;
        letter->done += do_deed(letter, s);
    }
}

static void forget(struct inquiry *inquiry)
{
    list_remove(&inquiry->link);
    memory_request_unref(inquiry->request);
    free(inquiry);
}

void memory_inquiries_forget(struct memory_side *side)
{
    struct memory_works *works = memory_works_of(side->worker);

    LIST_EACH (&works->inquiries, link) {
        struct inquiry *inquiry = LIST_ITEM(link, struct inquiry, link);

        if (inquiry->request->side == side)
            forget(inquiry);
    }
}

static uint64_t remember(struct memory_request *r)
{
    struct memory_works *works = memory_works_of(r->side->worker);
    struct inquiry *inquiry = mem_new(sizeof(*inquiry));

    inquiry->request = r;
    r->refs++;
    inquiry->number = ++works->last_inquiry;
    list_append(&works->inquiries, &inquiry->link);
    return inquiry->number;
}

static struct inquiry *recall(struct worker *w, uint64_t number)
{
    struct memory_works *works = memory_works_of(w);

    LIST_EACH (&works->inquiries, link)
        if (LIST_ITEM(link, struct inquiry, link)->number == number)
            return LIST_ITEM(link, struct inquiry, link);
    return NULL;
}

static void answer(struct memory_request *r, struct letter *letter)
{
    struct memory_session *s = r->session;
    struct memory_part part = { 0 };
    struct memory_merge m = { .site = &r->side->site,
                              .note = r->note,
                              .parts = &part,
                              .part_count = 1,
                              .arena = &r->arena,
                              .out = &r->reply };

    if (letter->deed != MEMORY_DEED_LIST)
        buf_format(&letter->lines, "%llu", (unsigned long long)letter->done);
    part.reply = buf_all(&letter->lines);
    m.state = s->state;
    r->merge(&m);
    r->done = true;
    memory_session_advance(s);
}

static void come_home(struct worker *w, struct letter *letter)
{
    struct inquiry *inquiry = recall(w, letter->number);

    if (inquiry != NULL) {
        if (inquiry->request->session != NULL)
            answer(inquiry->request, letter);
        forget(inquiry);
    }
    letter_free(letter);
}

static void visit(struct worker *w, void *content);

static void send_on(struct letter *letter, uint32_t from, uint32_t count)
{
    if (!crew_send_around(from, count, letter->asker, visit, letter))
        letter_free(letter);
}

static void visit(struct worker *w, void *content)
{
    struct letter *letter = content;

    if (w->index == letter->asker) {
        come_home(w, letter);
        return;
    }
    add_sessions(w, letter);
    send_on(letter, w->index + 1, w->count);
}

void memory_inquire(struct memory_session *s, struct memory_request *r,
                    const struct memory_inquiry *inquiry)
{
    struct worker *w = s->base.worker;
    struct letter *letter = mem_new(sizeof(*letter));

    letter->number = remember(r);
    letter->asker = w->index;
    letter->asker_id = s->base.id;
    letter->pool = mem_text(memory_side_of(s)->name);
    letter->front = memory_side_of(s)->front;
    letter->deed = inquiry->deed;
    letter->spare_self = inquiry->spare_self;
    letter->id = inquiry->id;
    letter->kind = inquiry->kind;
    letter->age_s = inquiry->age_s;
    copy_text(letter->address, inquiry->address);
    copy_text(letter->local_address, inquiry->local_address);
    copy_text(letter->user, inquiry->user);
    add_sessions(w, letter);
    if (w->count == 1)
        come_home(w, letter);
    else
        send_on(letter, 0, w->count);
}

/* ---- status ---- */

struct sums {
    const char *pool;
    const char *endpoint; /* "": the pool itself */
    uint32_t shard;
    uint64_t sessions, requests, failures, timeouts, late_replies, upstreams, bytes_in, bytes_out;
};

static void add_row(const struct stats_row *row, void *arg)
{
    struct sums *sums = arg;

    if (row->shard != sums->shard || strcmp(row->pool, sums->pool) != 0 ||
        strcmp(row->endpoint, sums->endpoint) != 0)
        return;
    sums->sessions += counter_get(&row->sessions_open);
    sums->requests += counter_get(&row->requests);
    sums->failures += counter_get(&row->failures);
    sums->timeouts += counter_get(&row->timeouts);
    sums->late_replies += counter_get(&row->late_replies);
    sums->upstreams += counter_get(&row->upstreams_open);
    sums->bytes_in += counter_get(&row->bytes_in);
    sums->bytes_out += counter_get(&row->bytes_out);
}

static void describe_pool(const struct memory_side *side, struct buf *out)
{
    struct sums sums = { .pool = side->name, .endpoint = "" };

    stats_each(add_row, &sums);
    buf_format(out, "sheaf_version:%s\r\nsheaf_uptime_in_seconds:%llu\r\nsheaf_workers:%u\r\n",
               SHEAF_VERSION, (unsigned long long)crew_uptime_s(), side->worker->count);
    buf_format(out,
               "sheaf_pool:%s\r\nsheaf_shards:%u\r\nsheaf_hash:%s\r\nsheaf_distribution:%s\r\n",
               side->name, side->shard_count, side->settings->hash, side->settings->distribution);
    buf_format(out, "sheaf_sessions:%llu\r\nsheaf_requests:%llu\r\nsheaf_failures:%llu\r\n",
               (unsigned long long)sums.sessions, (unsigned long long)sums.requests,
               (unsigned long long)sums.failures);
    buf_format(out,
               "sheaf_input_bytes:%llu\r\nsheaf_output_bytes:%llu\r\nsheaf_held_bytes:%llu\r\n",
               (unsigned long long)sums.bytes_in, (unsigned long long)sums.bytes_out,
               (unsigned long long)crew_held_bytes());
}

static void describe_shard(const struct memory_side *side, uint32_t index, struct buf *out)
{
    const struct memory_shard *shard = side->shards[index];
    const struct endpoint_settings *endpoint = shard->endpoint;
    struct verdict verdict = board_get(side->assembly->board, endpoint->number);
    struct sums sums = { .pool = shard->pool,
                         .endpoint = endpoint->name,
                         .shard = shard->told_index };

    stats_each(add_row, &sums);
    buf_format(out, "shard%u:endpoint=%s,state=%s", index, endpoint->name,
               shard->failing ? "down" : judge_state_name(verdict.state));
    buf_format(out,
               ",requests=%llu,failures=%llu,timeouts=%llu,late_replies=%llu,upstreams=%llu\r\n",
               (unsigned long long)sums.requests, (unsigned long long)sums.failures,
               (unsigned long long)sums.timeouts, (unsigned long long)sums.late_replies,
               (unsigned long long)sums.upstreams);
}

static void describe(const struct memory_site *site, struct buf *out)
{
    const struct memory_side *side = LIST_ITEM(site, struct memory_side, site);

    describe_pool(side, out);
    for (uint32_t i = 0; i < side->shard_count; i++)
        describe_shard(side, i, out);
}

/* ---- slow requests ---- */

static void put_bulk(struct buf *out, const char *at, size_t len)
{
    buf_format(out, "$%zu\r\n", len);
    buf_put(out, at, len);
    buf_text(out, "\r\n");
}

static void put_text(struct buf *out, const char *text)
{
    put_bulk(out, text, strlen(text));
}

static void put_slow(struct buf *out, const struct slow_entry *e)
{
    buf_format(out, "*6\r\n:%llu\r\n:%lld\r\n:%llu\r\n*%d\r\n", (unsigned long long)e->id,
               (long long)e->wall_s, (unsigned long long)e->took_us, e->key_len > 0 ? 2 : 1);
    put_text(out, e->command);
    if (e->key_len > 0)
        put_bulk(out, e->key, e->key_len);
    put_text(out, e->client);
    put_text(out, e->name);
}

static void slow_list(const struct memory_site *site, uint32_t most, struct buf *out)
{
    struct slow_entry *entries = mem_new(SLOW_ENTRIES_MOST * sizeof(*entries));
    size_t count = slow_copy(entries, SLOW_ENTRIES_MOST), listed = 0;
    struct buf list = { 0 };

    for (size_t i = 0; i < count && listed < most; i++)
        if (strncmp(entries[i].pool, site->pool->base.name, sizeof(entries[i].pool) - 1) == 0) {
            put_slow(&list, &entries[i]);
            listed++;
        }
    buf_format(out, "*%zu\r\n", listed);
    buf_slice(out, buf_all(&list));
    buf_fini(&list);
    free(entries);
}

static void slow_forget_pool(const struct memory_site *site)
{
    slow_forget(site->pool->base.name);
}

const struct memory_host memory_flow_host = {
    .session_line = session_line,
    .describe = describe,
    .slow_list = slow_list,
    .slow_forget = slow_forget_pool,
};
