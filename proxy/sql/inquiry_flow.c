/* auth_query: what the servers know of users whom neither the configuration nor auth_file does.
 *
 *     sql_inquiry_find() --> an answer that is still fresh
 *     sql_inquiry_ask()  --> the session waits; its question is asked over a connection of its own,
 *                            as auth_user, one after another --> sql_entry_answered()
 *
 * Sessions that ask for the same user wait for one question.  Answers are kept for a moment, those
 * that say that there is none too, so that clients who try names cost the server little.  A proof
 * that fails against a kept answer has the next one ask again: the password may be another now.
 *
 * An answer is one row of two texts, the user's name as it was asked for and his secret; anything
 * else is a mistake in the configuration, which the log explains and clients are only told of. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/sql/console_flow.h"
#include "proxy/sql/halt_flow.h"
#include "proxy/sql/inquiry_flow.h"
#include "proxy/sql/own_flow.h"
#include "proxy/sql/sql_flow.h"

enum {
    KNOWN_FOR_US = 10 * 1000 * 1000,
    UNKNOWN_FOR_US = 2 * 1000 * 1000,
    DOUBTED_FOR_US = 1000 * 1000, /* who failed makes us ask again, but not at once */
    IDLE_US = 10 * 1000 * 1000,   /* of a connection that nobody asks over */
    ANSWERS_MOST = 4096,
    BUCKETS = 1024,
    INQUIRERS_MOST = 8, /* databases that are asked at a time */
    USER_MOST = 255,    /* of a name; a longer one is nobody's */
    SECRET_MOST = 1024, /* of a verifier, a hash or a password */
    ROWS_ASKED = 2,     /* of which there must not be a second */
    TRIES = 2,          /* over a connection that may have died while it was idle */
};

/* What was answered, last. */
struct sql_answer {
    struct list link;       /* in its bucket */
    struct list by_age;     /* on inquiries->answers; the oldest is the first */
    char *user, *database;  /* owned */
    char *secret;           /* owned; NULL: there is none, or no such user */
    struct scram_keys keys; /* of a clear one; iterations 0: not derived yet */
    uint64_t asked_us;
    bool doubted;
};

struct question {
    struct list link;    /* on inquirer->questions; the first is under way */
    struct list waiters; /* sql_sessions, by wait_link */
    char *user;          /* owned */
    uint64_t since_us;
    int tries;
    bool for_console; /* by one who may come to end a PAUSE: that does not stop it */
};

/* Who asks, in one database. */
struct sql_inquirer {
    struct list link; /* on inquiries->inquirers */
    struct sql_side *side;
    char *database; /* as clients name it; owned */
    struct list questions;
    struct sql_upstream *upstream;    /* NULL: none */
    struct scram_keys keys;           /* of auth_user; iterations 0: not derived */
    bool asks;                        /* the first question was sent: */
    const struct question *under_way; /* only compared */
    uint64_t asked_us, used_us;
    /* Of the answer under way. */
    uint32_t rows;
    char *secret;     /* owned */
    char why[200];    /* it can't be used; "" */
    char sqlstate[6]; /* of the server's error; "" */
};

/* A worker's, of one pool. */
struct sql_inquiries {
    struct list inquirers, answers;
    struct list crowd; /* sql_sessions, whose database must wait for one of these */
    uint32_t inquirer_count, answer_count;
    uint64_t seed;
    struct list buckets[BUCKETS];
};

static struct sql_inquirer *inquirer_of(struct list *link)
{
    return LIST_ITEM(link, struct sql_inquirer, link);
}

static struct question *question_of(struct list *link)
{
    return LIST_ITEM(link, struct question, link);
}

static void forget_secret(char **secret)
{
    if (*secret != NULL)
        OPENSSL_cleanse(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

static struct sql_inquiries *inquiries_of(struct sql_side *side)
{
    struct sql_inquiries *all = side->inquiries;

    if (all != NULL)
        return all;
    all = mem_new(sizeof(*all));
    list_init(&all->inquirers);
    list_init(&all->answers);
    list_init(&all->crowd);
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&all->buckets[i]);
    all->seed = (uint64_t)worker_random(side->worker) << 32 | worker_random(side->worker);
    side->inquiries = all;
    return all;
}

/* ---- answers ---- */

static struct list *bucket_of(struct sql_inquiries *all, const char *user, const char *database)
{
    uint64_t hash = XXH3_64bits_withSeed(user, strlen(user), all->seed);

    return &all->buckets[XXH3_64bits_withSeed(database, strlen(database), hash) % BUCKETS];
}

static struct sql_answer *answer_find(struct sql_inquiries *all, const char *user,
                                      const char *database)
{
    LIST_EACH (bucket_of(all, user, database), link) {
        struct sql_answer *a = LIST_ITEM(link, struct sql_answer, link);

        if (strcmp(a->user, user) == 0 && strcmp(a->database, database) == 0)
            return a;
    }
    return NULL;
}

static void answer_forget(struct sql_inquiries *all, struct sql_answer *a)
{
    list_remove(&a->link);
    list_remove(&a->by_age);
    all->answer_count--;
    forget_secret(&a->secret);
    scram_keys_wipe(&a->keys);
    free(a->user);
    free(a->database);
    free(a);
}

static struct sql_answer *answer_keep(struct sql_inquirer *q, const char *user)
{
    struct sql_inquiries *all = inquiries_of(q->side);
    struct sql_answer *a = answer_find(all, user, q->database);

    if (a != NULL)
        answer_forget(all, a);
    if (all->answer_count == ANSWERS_MOST)
        answer_forget(all, LIST_ITEM(list_first(&all->answers), struct sql_answer, by_age));
    a = mem_new(sizeof(*a));
    a->user = mem_text(user);
    a->database = mem_text(q->database);
    a->secret = q->secret;
    q->secret = NULL;
    a->asked_us = worker_now_us(q->side->worker);
    list_append(bucket_of(all, user, q->database), &a->link);
    list_append(&all->answers, &a->by_age);
    all->answer_count++;
    if (a->secret != NULL)
        sql_admission_saw(q->side, a->secret);
    return a;
}

static bool is_fresh(const struct sql_answer *a, uint64_t now_us)
{
    uint64_t age_us = now_us - a->asked_us;

    if (a->doubted && age_us > DOUBTED_FOR_US)
        return false;
    return age_us < (uint64_t)(a->secret != NULL ? KNOWN_FOR_US : UNKNOWN_FOR_US);
}

static const char *asked_in(const struct sql_side *side, const char *database)
{
    return side->settings->auth_dbname != NULL ? side->settings->auth_dbname : database;
}

struct sql_answer *sql_inquiry_find(struct sql_side *side, const char *user, const char *database)
{
    struct sql_answer *a;

    if (side->inquiries == NULL)
        return NULL;
    a = answer_find(side->inquiries, user, asked_in(side, database));
    return a != NULL && is_fresh(a, worker_now_us(side->worker)) ? a : NULL;
}

const char *sql_answer_secret(struct sql_answer *a, struct scram_keys **kept)
{
    *kept = &a->keys;
    return a->secret;
}

void sql_inquiry_doubt(struct sql_side *side, const char *user, const char *database)
{
    struct sql_answer *a = side->inquiries == NULL
                               ? NULL
                               : answer_find(side->inquiries, user, asked_in(side, database));

    if (a != NULL)
        a->doubted = true;
}

/* ---- who asks ---- */

static void inquirer_free(struct sql_inquirer *q)
{
    q->side->inquiries->inquirer_count--;
    list_remove(&q->link);
    scram_keys_wipe(&q->keys);
    forget_secret(&q->secret);
    free(q->database);
    free(q);
}

static void close_upstream(struct sql_inquirer *q)
{
    struct sql_upstream *u = q->upstream;

    u->inquirer = NULL;
    q->upstream = NULL;
    q->asks = false;
    sql_upstream_close(u);
}

/* One that nobody asks makes room. */
static void make_room(struct sql_inquiries *all)
{
    /* Each leaves the list before it goes: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    LIST_EACH (&all->inquirers, link) {
        struct sql_inquirer *q = inquirer_of(link);

        if (all->inquirer_count < INQUIRERS_MOST)
            return;
        if (!list_is_empty(&q->questions))
            continue;
        if (q->upstream != NULL)
            close_upstream(q);
        inquirer_free(q);
    }
}

static struct sql_inquirer *inquirer_find(struct sql_side *side, const char *database)
{
    struct sql_inquiries *all = inquiries_of(side);
    struct sql_inquirer *q;

    LIST_EACH (&all->inquirers, link)
        if (strcmp(inquirer_of(link)->database, database) == 0)
            return inquirer_of(link);
    make_room(all);
    if (all->inquirer_count == INQUIRERS_MOST)
        return NULL;
    q = mem_new(sizeof(*q));
    q->side = side;
    q->database = mem_text(database);
    q->used_us = worker_now_us(side->worker);
    list_init(&q->questions);
    list_append(&all->inquirers, &q->link);
    all->inquirer_count++;
    return q;
}

static void question_free(struct question *one)
{
    list_remove(&one->link);
    free(one->user);
    free(one);
}

static void begin_reading(struct sql_inquirer *q)
{
    q->rows = 0;
    q->why[0] = q->sqlstate[0] = '\0';
    forget_secret(&q->secret);
}

/* The first question, if the connection has nothing else to do. */
static void ask(struct sql_inquirer *q)
{
    struct list *first = list_first(&q->questions);
    struct slice nothing = slice_of(NULL, 0);
    struct buf out = { 0 };
    struct pg_value user;

    if (first == NULL || q->asks || q->upstream == NULL ||
        q->upstream->base.state != UPSTREAM_READY)
        return;
    begin_reading(q);
    q->asks = true;
    q->under_way = question_of(first);
    q->asked_us = q->used_us = worker_now_us(q->side->worker);
    question_of(first)->tries++;
    user = (struct pg_value){ .bytes = slice_text(question_of(first)->user) };
    pg_put_parse(&out, nothing, slice_text(q->side->settings->auth_query), nothing);
    pg_put_bind(&out, nothing, nothing, &user, 1);
    pg_put_describe(&out, PG_KIND_PORTAL, nothing);
    pg_put_execute(&out, nothing, ROWS_ASKED);
    pg_put_sync(&out);
    upstream_put(&q->upstream->base, buf_all(&out));
    buf_fini(&out);
    worker_be_busy(q->side->worker);
}

/* Its database is paused, and nobody asks who is to be let in all the same. */
static bool is_halted(const struct sql_inquirer *q, const struct sql_account *a)
{
    if (!sql_halt_is_on(a))
        return false;
    LIST_EACH (&q->questions, link)
        if (question_of(link)->for_console)
            return false;
    return true;
}

/* A connection, unless there is one, nobody is there to connect to, or the database is paused. */
static void open_upstream(struct sql_inquirer *q)
{
    struct sql_side *side = q->side;
    struct sql_endpoint *e = sql_endpoint_for_login(side);
    struct sql_account *a;

    if (q->upstream != NULL || e == NULL || side->settings->auth_user == NULL)
        return;
    a = sql_account_find(side, slice_text(q->database), slice_text(side->settings->auth_user));
    if (is_halted(q, a))
        return;
    q->upstream = sql_upstream_open_alone(a, e);
    q->upstream->inquirer = q;
    q->asked_us = worker_now_us(side->worker);
}

/* ---- asking ---- */

static struct question *question_find(struct sql_inquirer *q, const char *user)
{
    struct question *one;

    LIST_EACH (&q->questions, link)
        if (strcmp(question_of(link)->user, user) == 0)
            return question_of(link);
    one = mem_new(sizeof(*one));
    one->user = mem_text(user);
    one->since_us = worker_now_us(q->side->worker);
    list_init(&one->waiters);
    list_append(&q->questions, &one->link);
    return one;
}

bool sql_inquiry_asks_of(const struct sql_side *side, const char *user)
{
    return side->settings->auth_user != NULL && strlen(user) <= USER_MOST &&
           sql_pool_user(side->settings, user) == NULL;
}

void sql_inquiry_ask(struct sql_session *s, const char *user, const char *database)
{
    struct sql_side *side = sql_side_of(s);
    struct sql_inquirer *q;
    struct question *one;

    if (side->settings->auth_dbname == NULL &&
        sql_pool_database(side->settings, database) == NULL) {
        sql_session_fatal(s, "3D000", "database \"%s\" does not exist", database);
        return;
    }
    q = inquirer_find(side, asked_in(side, database));
    worker_be_busy(side->worker);
    if (q == NULL) {
        list_append(&inquiries_of(side)->crowd, &s->wait_link);
        return;
    }
    one = question_find(q, user);
    one->for_console |= sql_console_is(side, database);
    list_append(&one->waiters, &s->wait_link);
    open_upstream(q);
    ask(q);
}

/* ---- answers ---- */

/* Those who wait go on: who is answered, or knows why he is not. */
static void be_answered(struct sql_inquirer *q, struct question *one, struct sql_answer *a)
{
    struct list *link;

    while ((link = list_first(&one->waiters)) != NULL) {
        struct sql_session *s = LIST_ITEM(link, struct sql_session, wait_link);

        list_remove(link);
        sql_entry_answered(s, a);
    }
    question_free(one);
    q->used_us = worker_now_us(q->side->worker);
}

/* What a client may know of it: who he is has not been proved. */
static void be_refused(struct sql_inquirer *q, struct question *one, const char *sqlstate)
{
    bool is_database = strcmp(sqlstate, "3D000") == 0, is_full = strncmp(sqlstate, "53", 2) == 0;
    struct list *link;

    while ((link = list_first(&one->waiters)) != NULL) {
        struct sql_session *s = LIST_ITEM(link, struct sql_session, wait_link);

        list_remove(link);
        if (is_database)
            sql_session_fatal(s, sqlstate, "database \"%s\" does not exist", q->database);
        else if (is_full)
            sql_session_fatal(s, "53300", "sorry, too many clients already");
        else
            sql_session_fatal(s, sqlstate,
                              "the servers can't be asked who user \"%s\" is (auth_query)",
                              one->user);
    }
    question_free(one);
}

static void refuse_all(struct sql_inquirer *q, const char *sqlstate)
{
    struct list *first;

    while ((first = list_first(&q->questions)) != NULL)
        be_refused(q, question_of(first), sqlstate);
}

static void note_why(struct sql_inquirer *q, const char *why)
{
    if (q->why[0] == '\0')
        snprintf(q->why, sizeof(q->why), "%s", why);
}

static bool is_text(uint32_t type)
{
    static const uint32_t TYPES[] = { 18, 19, 25, 705, 1042, 1043 }; /* "char" name text ... */

    for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++)
        if (type == TYPES[i])
            return true;
    return false;
}

static void read_columns(struct sql_inquirer *q, struct slice body)
{
    struct pg_columns columns;
    struct pg_column column;

    if (pg_read_columns(body, &columns) != ERR_NONE || columns.count != 2) {
        note_why(q, "its answer must have two columns, the user's name and his password");
        return;
    }
    while (pg_column_next(&columns, &column))
        if (!is_text(column.type))
            note_why(q, "its columns must be texts");
}

static void read_row(struct sql_inquirer *q, struct slice body)
{
    const struct question *one = question_of(list_first(&q->questions));
    struct pg_value name, secret;
    struct pg_row row;

    if (++q->rows > 1)
        note_why(q, "it answers with more than one row");
    if (q->why[0] != '\0')
        return;
    if (pg_read_row(body, &row) != ERR_NONE || row.count != 2) {
        note_why(q, "its answer is malformed");
        return;
    }
    name = pg_row_value(&row, 0);
    secret = pg_row_value(&row, 1);
    if (name.is_null || !slice_is_text(name.bytes, one->user))
        note_why(q, "it answers with another user than was asked for");
    else if (!secret.is_null && (secret.bytes.len > SECRET_MOST ||
                                 memchr(secret.bytes.at, 0, secret.bytes.len) != NULL))
        note_why(q, "it answers with a password that is too long");
    else if (!secret.is_null && secret.bytes.len > 0)
        q->secret = mem_text_of((const char *)secret.bytes.at, secret.bytes.len);
}

static void read_error(struct sql_inquirer *q, struct slice body)
{
    struct pg_report report;

    if (pg_read_report(body, &report) != ERR_NONE) {
        note_why(q, "its answer is malformed");
        return;
    }
    snprintf(q->why, sizeof(q->why), "%.*s", (int)report.message.len,
             (const char *)report.message.at);
    snprintf(q->sqlstate, sizeof(q->sqlstate), "%.*s", (int)report.sqlstate.len,
             (const char *)report.sqlstate.at);
}

static void log_failure(const struct sql_inquirer *q, const char *user)
{
    log_event(LOG_WARN, "auth_query failed", log_text("pool", q->side->name),
              log_text("database", q->database), log_text("user", user), log_text("why", q->why));
}

/* ReadyForQuery came. */
static void answered(struct sql_inquirer *q)
{
    struct question *one = question_of(list_first(&q->questions));

    q->asks = false;
    if (q->why[0] == '\0') {
        be_answered(q, one, answer_keep(q, one->user));
        ask(q);
        return;
    }
    log_failure(q, one->user);
    /* Among the server's own: 57P0x, it goes or comes up; 53xxx, it has no room. */
    be_refused(q, one, strncmp(q->sqlstate, "57P", 3) == 0 ? "57P03" : "58000");
    ask(q);
}

void sql_inquiry_ready(struct sql_upstream *u)
{
    ask(u->inquirer);
}

static void read_message(struct sql_inquirer *q, uint8_t type, struct slice body)
{
    switch (type) {
    case PG_BACK_ROW_DESCRIPTION:
        read_columns(q, body);
        break;
    case PG_BACK_NO_DATA:
        note_why(q, "it must be a query that answers with rows");
        break;
    case PG_BACK_DATA_ROW:
        read_row(q, body);
        break;
    case PG_BACK_ERROR:
        read_error(q, body);
        break;
    case PG_BACK_READY:
        answered(q);
        break;
    }
}

static const char NO_ANSWER[] = "not an answer to auth_query";

static bool take_frame(struct sql_upstream *u, void *owner, struct pg_frame f, struct slice body)
{
    struct sql_inquirer *q = owner;

    if (f.type == PG_BACK_COPY_IN || f.type == PG_BACK_COPY_BOTH)
        upstream_fail(&u->base, ERR_PROTOCOL, NO_ANSWER);
    else if (!q->asks && f.type == PG_BACK_ERROR) /* of its own accord: it goes */
        upstream_fail(&u->base, ERR_CLOSED, "the server ended the connection");
    else if (q->asks)
        read_message(q, f.type, body);
    return u->inquirer == q;
}

size_t sql_inquiry_input(struct sql_upstream *u, struct slice in)
{
    return sql_own_input(u, in, take_frame, u->inquirer, NO_ANSWER);
}

/* ---- losses ---- */

void sql_inquiry_forget(struct sql_upstream *u)
{
    struct sql_inquirer *q = u->inquirer;

    if (q == NULL)
        return;
    u->inquirer = NULL;
    q->upstream = NULL;
    q->asks = false;
}

/* The first question is asked once more over another connection, if this one had been there
 * before; where no server is, they wait for one. */
void sql_inquiry_lost(struct sql_inquirer *q, enum err err, const char *sqlstate, const char *why)
{
    struct list *first = list_first(&q->questions);

    if (first == NULL)
        return;
    snprintf(q->why, sizeof(q->why), "%s", why);
    if (err == ERR_LOGIN || err == ERR_UNSUPPORTED || err == ERR_LIMIT) {
        log_failure(q, question_of(first)->user);
        refuse_all(q, strcmp(sqlstate, "3D000") == 0 ? sqlstate
                      : err == ERR_LIMIT             ? "53300"
                                                     : "58000");
        return;
    }
    if (question_of(first)->tries >= TRIES) {
        log_failure(q, question_of(first)->user);
        be_refused(q, question_of(first), "57P03");
    }
    worker_be_busy(q->side->worker);
}

void sql_inquiry_secrets(struct sql_inquirer *q, const char **password, struct scram_keys **keys)
{
    const struct sql_side *side = q->side;
    const char *name = side->settings->auth_user;
    const struct sql_user *user = name == NULL ? NULL : sql_pool_user(side->settings, name);

    *password = user == NULL ? NULL : user->secret;
    *keys = &q->keys;
}

/* ---- clock ---- */

static void expire(struct sql_inquirer *q, uint64_t now_us)
{
    const struct sql_pool *settings = q->side->settings;
    uint64_t most_ms = settings->failover_wait_ms > settings->base.connect_timeout_ms
                           ? settings->failover_wait_ms
                           : settings->base.connect_timeout_ms;

    LIST_EACH (&q->questions, link) {
        struct question *one = question_of(link);
        bool is_asked = q->asks && one == q->under_way;

        if (list_is_empty(&one->waiters) && !is_asked)
            question_free(one); /* they left */
        else if (now_us - one->since_us > most_ms * 1000 && !is_asked)
            be_refused(q, one, "57P03");
    }
}

static bool is_to_go(struct sql_inquirer *q, uint64_t now_us)
{
    const struct sql_upstream *u = q->upstream;

    return q->side->gone || u->ending || !u->endpoint->present || is_halted(q, u->account) ||
           (list_is_empty(&q->questions) && now_us - q->used_us > IDLE_US);
}

static void inquirer_tick(struct sql_inquirer *q, uint64_t now_us)
{
    expire(q, now_us);
    if (q->upstream != NULL && q->asks &&
        now_us - q->asked_us > q->side->settings->base.connect_timeout_ms * 1000) {
        upstream_fail(&q->upstream->base, ERR_TIMEOUT, "the server does not answer auth_query");
        return;
    }
    if (q->upstream != NULL && !q->asks && q->upstream->base.state == UPSTREAM_READY &&
        is_to_go(q, now_us))
        close_upstream(q);
    if (!list_is_empty(&q->questions)) {
        open_upstream(q);
        worker_be_busy(q->side->worker);
    } else if (q->upstream == NULL && now_us - q->used_us > IDLE_US) {
        inquirer_free(q);
    }
}

/* Each looks for one again; those who find none are a crowd as before. */
static void disperse(struct sql_inquiries *all)
{
    struct list *last = all->crowd.prev;
    struct list *link;

    do {
        link = list_first(&all->crowd);
        list_remove(link);
        sql_entry_admit(LIST_ITEM(link, struct sql_session, wait_link));
    } while (link != last && !list_is_empty(&all->crowd));
}

void sql_inquiries_tick(struct sql_side *side, uint64_t now_us)
{
    if (side->inquiries == NULL)
        return;
    LIST_EACH (&side->inquiries->inquirers, link)
        inquirer_tick(inquirer_of(link), now_us);
    make_room(side->inquiries);
    if (list_is_empty(&side->inquiries->crowd))
        return;
    worker_be_busy(side->worker);
    if (side->inquiries->inquirer_count < INQUIRERS_MOST)
        disperse(side->inquiries);
}

void sql_inquiries_follow(struct sql_side *side)
{
    if (side->inquiries == NULL)
        return;
    LIST_EACH (&side->inquiries->answers, link)
        answer_forget(side->inquiries, LIST_ITEM(link, struct sql_answer, by_age));
    LIST_EACH (&side->inquiries->inquirers, link) {
        scram_keys_wipe(&inquirer_of(link)->keys);
        if (inquirer_of(link)->upstream != NULL)
            inquirer_of(link)->upstream->ending = true; /* auth_user may be another */
    }
}

void sql_inquiries_free(struct sql_side *side)
{
    sql_inquiries_follow(side);
    if (side->inquiries == NULL)
        return;
    LIST_EACH (&side->inquiries->inquirers, link) {
        struct sql_inquirer *q = inquirer_of(link);

        LIST_EACH (&q->questions, one)
            question_free(question_of(one));
        inquirer_free(q);
    }
    free(side->inquiries);
    side->inquiries = NULL;
}
