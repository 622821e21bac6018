/* The queue of owed replies, against a small model of how a server reads messages and answers.
 *
 * The first byte chooses: a server that keeps to the protocol, whose frames must all fit, whose
 * messages must all come to what the model says, in order, and after which nothing may be owed; or
 * any frames at all, where the queue must stay whole: each entry is given back once, in order. */
#include <stdlib.h>
#include <string.h>

#include "proxy/sql/pg_expect.h"

enum { MESSAGES = 512 };

enum outcome { PENDING, ENDED, FAILED, SKIPPED, FAKED };

struct message {
    uint8_t kind; /* PG_EXPECT_COPY_END included */
    bool fake;
    enum outcome is, due;
};

struct play {
    const uint8_t *at, *end;
    struct pg_expect expect;
    struct message messages[MESSAGES];
    size_t sent;      /* messages that were pushed, or would have been */
    size_t read;      /* by the server */
    size_t last_told; /* entries are given back in order */
    bool server_skips;
    bool over; /* the server has ended the connection, or there is no more room to play */
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static uint8_t next(struct play *p)
{
    return p->at < p->end ? *p->at++ : 0;
}

static void told(struct play *p, const struct pg_expected *entry, enum outcome is)
{
    struct message *m = &p->messages[entry->number];

    require(entry->number < p->sent && entry->kind == m->kind);
    require(entry->number + 1 >= p->last_told);
    require(m->is == PENDING || m->is == FAILED);
    p->last_told = entry->number + 1;
    if (m->is != FAILED)
        m->is = is;
}

static void take(struct play *p)
{
    struct pg_expected entry;

    while (pg_expect_skipped(&p->expect, &entry))
        told(p, &entry, SKIPPED);
    while (pg_expect_fake(&p->expect, &entry))
        told(p, &entry, FAKED);
}

static unsigned frame(struct play *p, char type)
{
    unsigned turn = pg_expect_frame(&p->expect, (uint8_t)type);

    if (turn & PG_TURN_ERROR && !(turn & PG_TURN_STRAY))
        told(p, &p->expect.ended, FAILED);
    else if (turn & PG_TURN_ENDS)
        told(p, &p->expect.ended, ENDED);
    take(p);
    return turn;
}

static void must_fit(struct play *p, char type)
{
    require(!(frame(p, type) & (PG_TURN_BAD | PG_TURN_STRAY)));
}

/* --- The model ------------------------------------------------------------------------------- */

static void send(struct play *p, uint8_t kind, bool fake)
{
    struct message *m = &p->messages[p->sent];
    enum err err;

    if (p->sent == MESSAGES)
        return;
    *m = (struct message){ .kind = kind, .fake = fake };
    p->sent++;
    if (kind == PG_EXPECT_COPY_END) {
        require(pg_expect_push_copy_end(&p->expect) == ERR_NONE);
        return;
    }
    err = pg_expect_push(&p->expect, (struct pg_expected){ .kind = kind,
                                                           .flags = fake ? PG_EXPECT_FAKE : 0,
                                                           .number = (uint32_t)(p->sent - 1) });
    require(err == ERR_NONE || (err == ERR_CLOSED && kind != PG_EXPECT_SYNC));
    if (err == ERR_CLOSED)
        m->is = SKIPPED;
    take(p);
}

static void fails(struct play *p, struct message *m)
{
    m->due = FAILED;
    must_fit(p, 'E');
}

/* The server takes data until the client ends it, which it does sooner or later; Syncs are eaten.
 * False: it failed. */
static bool copy_in(struct play *p, struct message *m, uint8_t how)
{
    must_fit(p, 'G');
    while (true) {
        if (p->read == p->sent) {
            if (how & 0x20 && p->sent < MESSAGES && next(p) & 1)
                send(p, PG_EXPECT_SYNC, false);
            else
                send(p, PG_EXPECT_COPY_END, false);
        }
        if (p->read < p->sent && p->messages[p->read].kind == PG_EXPECT_SYNC &&
            !p->messages[p->read].fake) {
            p->messages[p->read++].is = SKIPPED;
            continue;
        }
        if (p->read < p->sent && p->messages[p->read].kind == PG_EXPECT_COPY_END) {
            p->read++;
            break;
        }
        p->over = true;
        return true;
    }
    if (how & 0x40) {
        fails(p, m);
        return false;
    }
    return true;
}

/* One result; false: an error came. */
static bool result(struct play *p, struct message *m, uint8_t how, bool is_query)
{
    switch (how & 7) {
    case 0:
        fails(p, m);
        return false;
    case 1:
        if (is_query)
            must_fit(p, 'T');
        for (int i = how >> 3 & 3; i > 0; i--)
            must_fit(p, 'D');
        if (how & 0x80) {
            fails(p, m);
            return false;
        }
        must_fit(p, 'C');
        return true;
    case 2:
        must_fit(p, 'H');
        must_fit(p, 'd');
        must_fit(p, 'c');
        must_fit(p, 'C');
        return true;
    case 3:
        if (p->sent > MESSAGES - 8)
            break;
        if (!copy_in(p, m, how))
            return false;
        break;
    case 4:
        must_fit(p, 'N');
        must_fit(p, 'S');
        break;
    default:
        break;
    }
    must_fit(p, 'C');
    return true;
}

static void query(struct play *p, struct message *m)
{
    uint8_t how = next(p);
    size_t count = how & 3;
    bool fine = true;

    m->due = ENDED;
    if (count == 0)
        must_fit(p, 'I');
    for (size_t i = 0; i < count && fine; i++)
        fine = result(p, m, next(p), true);
    must_fit(p, 'Z');
}

static bool execute(struct play *p, struct message *m)
{
    uint8_t how = next(p);

    m->due = ENDED;
    if ((how & 7) == 5 || (how & 7) == 6) {
        must_fit(p, (how & 7) == 5 ? 's' : 'I');
        return true;
    }
    return result(p, m, how, false);
}

static bool simple(struct play *p, struct message *m, const char *frames)
{
    if (next(p) % 5 == 0) {
        fails(p, m);
        return false;
    }
    m->due = ENDED;
    for (; *frames != 0; frames++)
        must_fit(p, *frames);
    return true;
}

static bool extended(struct play *p, struct message *m)
{
    switch ((enum pg_expect_kind)m->kind) {
    case PG_EXPECT_PARSE:
        return simple(p, m, "1");
    case PG_EXPECT_BIND:
        return simple(p, m, "2");
    case PG_EXPECT_CLOSE:
        return simple(p, m, "3");
    case PG_EXPECT_DESCRIBE_STATEMENT:
        return simple(p, m, next(p) & 1 ? "tT" : "tn");
    case PG_EXPECT_DESCRIBE_PORTAL:
        return simple(p, m, next(p) & 1 ? "T" : "n");
    case PG_EXPECT_EXECUTE:
        return execute(p, m);
    case PG_EXPECT_NOTHING:
    case PG_EXPECT_SYNC:
    case PG_EXPECT_QUERY:
    case PG_EXPECT_FUNCTION_CALL:
    case PG_EXPECT_COPY_END:
        break;
    }
    abort();
}

/* The server reads one message. */
static void serve(struct play *p)
{
    struct message *m = &p->messages[p->read++];

    if (m->fake) {
        m->due = p->server_skips ? SKIPPED : FAKED;
    } else if (m->kind == PG_EXPECT_COPY_END) {
        m->is = m->due = SKIPPED;
    } else if (m->kind == PG_EXPECT_SYNC) {
        p->server_skips = false;
        m->due = ENDED;
        if (next(p) % 7 == 0)
            fails(p, m);
        must_fit(p, 'Z');
    } else if (p->server_skips) {
        m->due = SKIPPED;
    } else if (m->kind == PG_EXPECT_QUERY) {
        query(p, m);
    } else if (m->kind == PG_EXPECT_FUNCTION_CALL) {
        simple(p, m, "V");
        must_fit(p, 'Z');
    } else if (!extended(p, m)) {
        p->server_skips = true;
    }
}

static bool may_be_fake(uint8_t kind)
{
    return kind == PG_EXPECT_PARSE || kind == PG_EXPECT_CLOSE;
}

static void play_by_the_rules(struct play *p)
{
    while (p->at < p->end && p->sent < MESSAGES - 16 && !p->over) {
        uint8_t how = next(p);
        uint8_t kind = (uint8_t)(PG_EXPECT_PARSE + (how & 15) % 10);

        if (how & 0x80 && p->read < p->sent)
            serve(p);
        else
            send(p, kind, how & 0x40 && may_be_fake(kind));
    }
    send(p, PG_EXPECT_SYNC, false);
    while (p->read < p->sent && !p->over)
        serve(p);
    if (p->over || p->server_skips || p->expect.unsure)
        return; /* copying ate the last Sync */
    require(pg_expect_is_empty(&p->expect));
    for (size_t i = 0; i < p->sent; i++)
        require(p->messages[i].is == p->messages[i].due ||
                (p->messages[i].is == SKIPPED && p->messages[i].kind == PG_EXPECT_SYNC) ||
                p->messages[i].kind == PG_EXPECT_COPY_END);
}

static void play_anything(struct play *p)
{
    static const char FRAMES[] = "123CDEGHINSATVWZcdnst?";

    while (p->at < p->end) {
        uint8_t how = next(p);

        if (how & 0x80) {
            if (frame(p, how & 0x40 ? (char)next(p) : FRAMES[how % (sizeof(FRAMES) - 1)]) &
                PG_TURN_BAD)
                break;
        } else {
            uint8_t kind = (uint8_t)(PG_EXPECT_PARSE + (how & 15) % 10);

            send(p, kind, how & 0x40 && kind != PG_EXPECT_SYNC && kind != PG_EXPECT_COPY_END);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static struct play p;
    struct pg_expected entry;

    p = (struct play){ .at = at, .end = at + len };
    if (next(&p) & 1)
        play_anything(&p);
    else
        play_by_the_rules(&p);
    while (pg_expect_take(&p.expect, &entry))
        told(&p, &entry, SKIPPED);
    require(pg_expect_is_empty(&p.expect));
    pg_expect_fini(&p.expect);
    return 0;
}
