/* Against a server that answers what a script says: errors of every kind, and what no honest server
 * sends.  What real ones say of themselves is for the scenario tests. */
#include "health/probe_postgresql.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/mem.h"
#include "tests/unit/check.h"

/* ---- messages of the server ---- */

struct bytes {
    char at[4096];
    size_t len;
};

static void add(struct bytes *b, const void *at, size_t len)
{
    CHECK(b->len + len <= sizeof(b->at));
    memcpy(b->at + b->len, at, len);
    b->len += len;
}

static void add_number(struct bytes *b, uint32_t number, size_t len)
{
    uint32_t wire = htonl(number);

    add(b, (const char *)&wire + 4 - len, len);
}

static void add_message(struct bytes *b, char type, const struct bytes *body)
{
    add(b, &type, 1);
    add_number(b, (uint32_t)body->len + 4, 4);
    add(b, body->at, body->len);
}

static void add_auth(struct bytes *b, uint32_t code, const char *more, size_t more_len)
{
    struct bytes body = { 0 };

    add_number(&body, code, 4);
    add(&body, more, more_len);
    add_message(b, 'R', &body);
}

static void add_ready(struct bytes *b)
{
    add_message(b, 'Z', &(struct bytes){ .at = "I", .len = 1 });
}

static void add_error(struct bytes *b, const char *severity, const char *state, const char *text)
{
    struct bytes body = { 0 };

    add(&body, "S", 1);
    add(&body, severity, strlen(severity) + 1);
    add(&body, "VFATAL", 7);
    add(&body, "C", 1);
    add(&body, state, strlen(state) + 1);
    add(&body, "M", 1);
    add(&body, text, strlen(text) + 1);
    add(&body, "Fpostmaster.c", 13);
    add(&body, "L2390", 6);
    add(&body, "RProcessStartupPacket", 22);
    add(&body, "", 1);
    add_message(b, 'E', &body);
}

static struct bytes let_in(void)
{
    struct bytes b = { 0 }, version = { 0 };

    add_auth(&b, 0, "", 0);
    add(&version, "server_version", 15);
    add(&version, "15.4", 5);
    add_message(&b, 'S', &version);
    add_ready(&b);
    return b;
}

/* A row of these texts, NULL being null, and all around it. */
static struct bytes row(const char *const *values, size_t count)
{
    struct bytes b = { 0 }, description = { 0 }, data = { 0 };

    add_number(&description, (uint32_t)count, 2);
    add_number(&data, (uint32_t)count, 2);
    for (size_t i = 0; i < count; i++) {
        add(&description, "c", 2);
        add(&description, "\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0", 18);
        add_number(&data, values[i] == NULL ? UINT32_MAX : (uint32_t)strlen(values[i]), 4);
        if (values[i] != NULL)
            add(&data, values[i], strlen(values[i]));
    }
    add_message(&b, 'T', &description);
    add_message(&b, 'D', &data);
    add_message(&b, 'C', &(struct bytes){ .at = "SELECT 1", .len = 9 });
    add_ready(&b);
    return b;
}

/* ---- the server ---- */

enum { ANSWERS = 6 };

/* What it says to a startup message, then to each query, and then it
 * closes the connection. */
struct script {
    struct bytes answers[ANSWERS];
    size_t count;
    bool repeats;  /* the last one for ever, asked or not */
    bool is_quiet; /* keeps the connection, and says no more */
};

struct server {
    int fd;
    uint16_t port;
    pthread_t thread;
    const struct script *scripts; /* one a connection */
    size_t script_count;
    int stop[2];
    char queries[ANSWERS][32]; /* the beginnings of the first ones, of all connections */
    size_t query_count;
};

static bool read_all(const struct server *s, int fd, void *at, size_t len)
{
    for (size_t got = 0; got < len;) {
        struct pollfd p[] = { { .fd = fd, .events = POLLIN },
                              { .fd = s->stop[0], .events = POLLIN } };
        ssize_t n;

        poll(p, 2, -1);
        if (p[1].revents != 0)
            return false;
        n = recv(fd, (char *)at + got, len - got, 0);
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

/* A startup message has no type. */
static bool read_message(struct server *s, int fd, bool is_first)
{
    char type = 0, body[4096];
    uint32_t len;

    if (!is_first && !read_all(s, fd, &type, 1))
        return false;
    if (!read_all(s, fd, &len, 4))
        return false;
    len = ntohl(len) - 4;
    CHECK(len <= sizeof(body));
    if (len > sizeof(body) || !read_all(s, fd, body, len) || type == 'X')
        return false;
    if (type == 'Q' && s->query_count < ANSWERS)
        snprintf(s->queries[s->query_count++], sizeof(s->queries[0]), "%.*s", (int)len, body);
    return true;
}

static bool send_bytes(const struct server *s, int fd, const struct bytes *b)
{
    size_t put = 0;

    while (put < b->len) {
        struct pollfd p[] = { { .fd = fd, .events = POLLOUT },
                              { .fd = s->stop[0], .events = POLLIN } };
        ssize_t n;

        poll(p, 2, -1);
        if (p[1].revents != 0)
            return false;
        n = send(fd, b->at + put, b->len - put, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return false;
        put += (size_t)n;
    }
    return true;
}

static void serve(struct server *s, int fd, const struct script *script)
{
    for (size_t i = 0; i < script->count; i++)
        if (!read_message(s, fd, i == 0) || !send_bytes(s, fd, &script->answers[i]))
            return;
    while (script->repeats && send_bytes(s, fd, &script->answers[script->count - 1]))
        ;
    while (script->is_quiet && read_message(s, fd, script->count == 0))
        ;
}

static void *run(void *arg)
{
    struct server *s = arg;

    for (size_t i = 0; i < s->script_count; i++) {
        struct pollfd p[] = { { .fd = s->fd, .events = POLLIN },
                              { .fd = s->stop[0], .events = POLLIN } };
        int fd;

        poll(p, 2, -1);
        if (p[1].revents != 0)
            break;
        fd = accept(s->fd, NULL, NULL);
        serve(s, fd, &s->scripts[i]);
        close(fd);
    }
    return NULL;
}

static void server_start(struct server *s, const struct script *scripts, size_t count)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);

    *s = (struct server){ .scripts = scripts, .script_count = count };
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(s->fd, (struct sockaddr *)&at, len), 0);
    CHECK_INT(getsockname(s->fd, (struct sockaddr *)&at, &len), 0);
    CHECK_INT(listen(s->fd, 8), 0);
    s->port = ntohs(at.sin_port);
    CHECK_INT(pipe(s->stop), 0);
    CHECK_INT(pthread_create(&s->thread, NULL, run, s), 0);
}

static void server_stop(struct server *s)
{
    CHECK_INT(write(s->stop[1], "x", 1), 1);
    pthread_join(s->thread, NULL);
    close(s->fd);
    close(s->stop[0]);
    close(s->stop[1]);
}

/* ---- asking it ---- */

static const char *const LOOPBACK[] = { "127.0.0.1" };

static struct probe_postgresql_settings settings_for(const struct server *s)
{
    return (struct probe_postgresql_settings){
        .addresses = LOOPBACK, .address_count = 1, .port = s->port, .user = "witness"
    };
}

static uint64_t in_ms(uint64_t ms)
{
    return clock_now_us() + ms * 1000;
}

/* One check of a server with one script. */
static struct probe_outcome check(const struct script *script, uint64_t ms)
{
    struct probe_postgresql *kept = NULL;
    struct probe_outcome outcome = { 0 };
    struct probe_postgresql_settings settings;
    struct server s;

    server_start(&s, script, 1);
    settings = settings_for(&s);
    probe_postgresql_check(&kept, &settings, in_ms(ms), &outcome);
    CHECK_INT(kept != NULL, outcome.connection_is_good);
    probe_postgresql_close(&kept);
    server_stop(&s);
    return outcome;
}

enum { LONG = 20000, SHORT = 200 };

static const char *const OF_PRIMARY[] = { "f",
                                          "off",
                                          "1764318387.551340",
                                          "A/BC0000F8",
                                          NULL,
                                          NULL,
                                          "7713135857958862023",
                                          "000000030000000A000000BC",
                                          "2",
                                          "0",
                                          NULL,
                                          NULL };
static const char *const OF_REPLICA[] = {
    "t", "on", "1764318388", "A/BC000000", "A/BC0000F8", "t", "-1", NULL, "2", "4", "3", "77"
};

static void what_a_primary_tells_is_taken_in(void)
{
    struct script script = { .answers = { let_in(), row(OF_PRIMARY, 12) },
                             .count = 2,
                             .is_quiet = true };
    uint64_t before_us = clock_now_us();
    struct probe_outcome o = check(&script, LONG);

    CHECK_INT(o.reason, HEALTH_FINE);
    CHECK_TEXT(o.text, "");
    CHECK_INT(o.standing.role, STANDING_ROLE_PRIMARY);
    CHECK_INT(o.standing.timeline, 3);
    CHECK_INT(o.standing.system_id, 7713135857958862023);
    CHECK_INT(o.standing.lsn, 0xABC0000F8);
    CHECK_INT(o.standing.received_lsn, 0);
    CHECK_INT(o.standing.started_wall_us, 1764318387551340);
    CHECK_INT(o.standing.version, 150004);
    CHECK(!o.standing.is_read_only && !o.standing.replay_is_paused);
    CHECK(o.standing.measured_us >= before_us && o.standing.measured_us <= clock_now_us());
}

static void what_a_replica_tells_is_taken_in(void)
{
    struct script script = { .answers = { let_in(), row(OF_REPLICA, 12) },
                             .count = 2,
                             .is_quiet = true };
    struct probe_outcome o = check(&script, LONG);

    CHECK_INT(o.reason, HEALTH_FINE);
    CHECK_INT(o.standing.role, STANDING_ROLE_REPLICA);
    CHECK_INT(o.standing.timeline, 4);         /* the newest that anything in it says */
    CHECK(o.standing.system_id == UINT64_MAX); /* it is told as a signed number */
    CHECK_INT(o.standing.lsn, 0xABC000000);
    CHECK_INT(o.standing.received_lsn, 0xABC0000F8);
    CHECK(o.standing.is_read_only && o.standing.replay_is_paused);
    CHECK_INT(o.standing.receiver_pid, 77);
    CHECK(!o.standing.timeline_may_be_newer);
}

/* As an ordinary user is told: that it receives, but not what. */
static void a_replicas_timeline_may_be_newer_than_it_says(void)
{
    static const char *const ORDINARY[] = { "t",          "off", "1764318388", "A/BC000000",
                                            "A/BC0000F8", "f",   "1",          NULL,
                                            "2",          "2",   NULL,         "77" };
    struct script script = { .answers = { let_in(), row(ORDINARY, 12) },
                             .count = 2,
                             .is_quiet = true };
    struct probe_outcome o = check(&script, LONG);

    CHECK_INT(o.standing.timeline, 2);
    CHECK(o.standing.timeline_may_be_newer);
    CHECK_INT(o.standing.receiver_pid, 77);
    script.answers[1] = row(OF_PRIMARY, 12);
    CHECK(!check(&script, LONG).standing.timeline_may_be_newer);
}

static struct bytes error_answer(const char *state)
{
    struct bytes b = { 0 };

    add_error(&b, "ERROR", state, "no");
    add_ready(&b);
    return b;
}

/* As services do that keep their functions from their users. */
static void what_may_not_be_asked_is_left_out(void)
{
    struct script script = { .answers = { let_in(), error_answer("42501"), row(OF_PRIMARY, 6) },
                             .count = 3,
                             .is_quiet = true };
    struct probe_outcome o = check(&script, LONG);

    CHECK_INT(o.reason, HEALTH_FINE);
    CHECK_INT(o.standing.role, STANDING_ROLE_PRIMARY);
    CHECK_INT(o.standing.lsn, 0xABC0000F8);
    CHECK_INT(o.standing.timeline, 0);
    CHECK_INT(o.standing.system_id, 0);

    script = (struct script){ .answers = { let_in(), error_answer("42883"), error_answer("0A000"),
                                           row(OF_REPLICA, 3) },
                              .count = 4,
                              .is_quiet = true };
    o = check(&script, LONG);
    CHECK_INT(o.reason, HEALTH_FINE);
    CHECK_INT(o.standing.role, STANDING_ROLE_REPLICA);
    CHECK_INT(o.standing.lsn, 0);

    script.answers[3] = error_answer("42501");
    o = check(&script, LONG);
    CHECK_INT(o.reason, HEALTH_PROBE_NOT_LET_IN);
    CHECK_TEXT(o.text, "no");
}

static void each_refusal_has_its_reason_whatever_the_language(void)
{
    static const struct {
        const char *state, *text;
        enum health_reason reason;
    } CASES[] = {
        { "57P03", "the database system is starting up", HEALTH_STARTING_UP },
        { "57P03", "das Datenbanksystem startet", HEALTH_STARTING_UP },
        { "57P03", "the database system is shutting down", HEALTH_SHUTTING_DOWN },
        { "57P01", "terminating connection due to administrator command", HEALTH_SHUTTING_DOWN },
        { "53300", "sorry, too many clients already", HEALTH_CROWDED },
        { "28P01", "password authentication failed", HEALTH_PROBE_NOT_LET_IN },
        { "28000", "role \"witness\" does not exist", HEALTH_PROBE_NOT_LET_IN },
        { "3D000", "database \"a:  b: c\" does not exist", HEALTH_PROBE_NOT_LET_IN },
        { "55000", "database \"x\" is not currently accepting connections",
          HEALTH_PROBE_NOT_LET_IN },
        { "08P01", "no such user", HEALTH_PROBE_NOT_LET_IN },
        { "XX000", "could not fork", HEALTH_PROBE_FAILED },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct script script = { .count = 1 };
        struct probe_outcome o;
        char text[128];

        add_error(&script.answers[0], i % 2 == 0 ? "FATAL" : "SCHWERWIEGEND", CASES[i].state,
                  CASES[i].text);
        o = check(&script, LONG);
        if (o.reason != CASES[i].reason)
            printf("case %zu: %s\n", i, reason_word(o.reason));
        CHECK_INT(o.reason, CASES[i].reason);
        snprintf(text, sizeof(text), "%s: %s", CASES[i].state, CASES[i].text);
        CHECK_TEXT(o.text, text);
        CHECK_INT(o.standing.role, STANDING_ROLE_UNKNOWN);
    }
}

static void a_server_that_wants_a_password_is_alive(void)
{
    struct script scripts[3] = { { .count = 1 }, { .count = 1 }, { .count = 1 } };

    add_auth(&scripts[0].answers[0], 3, "", 0);
    add_auth(&scripts[1].answers[0], 5, "salt", 4);
    add_auth(&scripts[2].answers[0], 10, "SCRAM-SHA-256\0", 15);
    for (size_t i = 0; i < 3; i++) {
        struct probe_outcome o = check(&scripts[i], LONG);

        CHECK_INT(o.reason, HEALTH_PROBE_NOT_LET_IN);
        CHECK_TEXT(o.text, "it asks for a password, and none is known");
    }
}

static void what_is_no_server_has_its_reason(void)
{
    struct script closes = { .count = 1 }, http = { .count = 1 }, silent = { .is_quiet = true },
                  half = { .answers = { let_in() }, .count = 1, .is_quiet = true };
    struct probe_postgresql_settings settings;
    struct probe_postgresql *kept = NULL;
    struct probe_outcome o = { 0 };
    struct server s;

    CHECK_INT(check(&closes, LONG).reason, HEALTH_CLOSED);
    add(&http.answers[0], "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    CHECK_INT(check(&http, LONG).reason, HEALTH_PROTOCOL_ERROR);
    CHECK_INT(check(&silent, SHORT).reason, HEALTH_RESPONSE_TIMEOUT);
    CHECK_INT(check(&half, SHORT).reason, HEALTH_RESPONSE_TIMEOUT); /* not to the question */

    server_start(&s, NULL, 0);
    settings = settings_for(&s);
    server_stop(&s);
    probe_postgresql_check(&kept, &settings, in_ms(LONG), &o);
    CHECK_INT(o.reason, HEALTH_CONNECT_REFUSED);
    CHECK_TEXT(o.text, "Connection refused");

    settings.address_count = 0;
    probe_postgresql_check(&kept, &settings, in_ms(LONG), &o);
    CHECK_INT(o.reason, HEALTH_RESOLVE_FAILED);
}

static void an_answer_of_another_form_is_none(void)
{
    struct bytes two_answers = { 0 }, copy = { 0 }, notices = { 0 };
    struct bytes one = row(OF_PRIMARY, 12);
    struct script script = { .answers = { let_in() }, .count = 2, .is_quiet = true };

    script.answers[1] = row(OF_PRIMARY, 11); /* too few columns */
    CHECK_INT(check(&script, LONG).reason, HEALTH_PROTOCOL_ERROR);
    add(&two_answers, one.at, one.len - 6); /* without the end */
    add(&two_answers, one.at, one.len);
    script.answers[1] = two_answers;
    CHECK_INT(check(&script, LONG).reason, HEALTH_PROTOCOL_ERROR);
    add_message(&copy, 'G', &(struct bytes){ .at = "\0\0\0", .len = 3 });
    script.answers[1] = copy;
    CHECK(reason_is_failure(check(&script, SHORT).reason));
    add_ready(&notices);
    script.answers[1] = notices; /* no answer at all */
    CHECK_INT(check(&script, LONG).reason, HEALTH_PROTOCOL_ERROR);
}

static void values_that_are_none_are_not_known(void)
{
    static const char *const ODD[] = { "maybe", "",    "soon", "Z/1", "/",   "",
                                       "many",  "zzz", "-1",   "",    "1e9", "-7" };
    struct script script = { .answers = { let_in(), row(ODD, 12) }, .count = 2, .is_quiet = true };
    struct probe_outcome o = check(&script, LONG);

    CHECK_INT(o.reason, HEALTH_FINE);
    CHECK_INT(o.standing.lsn, 0);
    CHECK_INT(o.standing.timeline, 0);
    CHECK_INT(o.standing.started_wall_us, 0);
}

/* Nothing that a server sends keeps the probe for ever, or fills its memory. */
static void an_endless_answer_is_cut_off(void)
{
    struct script login = { .count = 1, .repeats = true },
                  rows = { .answers = { let_in() }, .count = 2, .repeats = true };
    struct bytes status = { 0 };

    add(&status, "a\0b", 4);
    add_auth(&login.answers[0], 0, "", 0);
    for (int i = 0; i < 100; i++)
        add_message(&login.answers[0], 'S', &status);
    CHECK(reason_is_failure(check(&login, LONG).reason));

    rows.answers[1] = row(OF_PRIMARY, 12);
    rows.answers[1].len -= 6;
    CHECK(reason_is_failure(check(&rows, LONG).reason));
}

static void a_connection_is_kept_and_made_anew(void)
{
    struct script twice = { .answers = { let_in(), row(OF_REPLICA, 12), row(OF_PRIMARY, 12) },
                            .count = 3 },
                  scripts[] = { twice, twice };
    struct probe_postgresql_settings settings;
    struct probe_postgresql *kept = NULL;
    struct probe_outcome o = { 0 };
    struct server s;

    server_start(&s, scripts, 2);
    settings = settings_for(&s);
    probe_postgresql_check(&kept, &settings, in_ms(LONG), &o);
    CHECK_INT(o.standing.role, STANDING_ROLE_REPLICA);
    probe_postgresql_check(&kept, &settings, in_ms(LONG), &o);
    CHECK_INT(o.standing.role, STANDING_ROLE_PRIMARY);
    /* Now the server has closed: no news of its health. */
    probe_postgresql_check(&kept, &settings, in_ms(LONG), &o);
    CHECK_INT(o.reason, HEALTH_FINE);
    CHECK_INT(o.standing.role, STANDING_ROLE_REPLICA);
    CHECK_INT(s.query_count, 3);
    probe_postgresql_close(&kept);
    server_stop(&s);
    /* And now there is none any more: what was found stays. */
    probe_postgresql_check(&kept, &settings, in_ms(LONG), &o);
    CHECK_INT(o.reason, HEALTH_CONNECT_REFUSED);
    CHECK_INT(o.standing.role, STANDING_ROLE_REPLICA);
}

/* An administrator's pg_terminate_backend(): it is there for others. */
static void one_that_is_sent_away_comes_again(void)
{
    struct script scripts[] = {
        { .answers = { let_in(), row(OF_PRIMARY, 12), { .len = 0 } }, .count = 3 },
        { .answers = { let_in(), row(OF_PRIMARY, 12) }, .count = 2, .is_quiet = true },
    };
    struct probe_postgresql_settings settings;
    struct probe_postgresql *kept = NULL;
    struct probe_outcome o = { 0 };
    struct server s;

    add_error(&scripts[0].answers[2], "FATAL", "57P01", "terminating connection");
    server_start(&s, scripts, 2);
    settings = settings_for(&s);
    for (int i = 0; i < 2; i++) {
        probe_postgresql_check(&kept, &settings, in_ms(LONG), &o);
        CHECK_INT(o.reason, HEALTH_FINE);
    }
    CHECK_INT(s.query_count, 3);
    probe_postgresql_close(&kept);
    server_stop(&s);
}

static void the_next_address_is_tried(void)
{
    static const char *const BOTH[] = { "127.0.0.2", "127.0.0.1" };
    struct script script = { .answers = { let_in(), row(OF_PRIMARY, 12) },
                             .count = 2,
                             .is_quiet = true };
    struct probe_postgresql_settings settings;
    struct probe_postgresql *kept = NULL;
    struct probe_outcome o = { 0 };
    struct server s;

    server_start(&s, &script, 1);
    settings = settings_for(&s);
    settings.addresses = BOTH;
    settings.address_count = 2;
    probe_postgresql_check(&kept, &settings, in_ms(LONG), &o);
    CHECK_INT(o.reason, HEALTH_FINE);
    probe_postgresql_close(&kept);
    server_stop(&s);
}

static void what_is_cancelled_ends_at_once(void)
{
    struct script silent = { .is_quiet = true };
    struct probe_postgresql_settings settings;
    struct probe_postgresql *kept = NULL;
    struct probe_outcome o = { 0 };
    struct server s;
    int cancel[2];

    CHECK_INT(pipe(cancel), 0);
    CHECK_INT(write(cancel[1], "x", 1), 1);
    server_start(&s, &silent, 1);
    settings = settings_for(&s);
    settings.cancel_fd = cancel[0];
    probe_postgresql_check(&kept, &settings, in_ms(1000 * LONG), &o);
    CHECK(reason_is_failure(o.reason));
    server_stop(&s);
    close(cancel[0]);
    close(cancel[1]);
}

int main(void)
{
    RUN(what_a_primary_tells_is_taken_in);
    RUN(what_a_replica_tells_is_taken_in);
    RUN(a_replicas_timeline_may_be_newer_than_it_says);
    RUN(what_may_not_be_asked_is_left_out);
    RUN(each_refusal_has_its_reason_whatever_the_language);
    RUN(a_server_that_wants_a_password_is_alive);
    RUN(what_is_no_server_has_its_reason);
    RUN(an_answer_of_another_form_is_none);
    RUN(values_that_are_none_are_not_known);
    RUN(an_endless_answer_is_cut_off);
    RUN(a_connection_is_kept_and_made_anew);
    RUN(one_that_is_sent_away_comes_again);
    RUN(the_next_address_is_tried);
    RUN(what_is_cancelled_ends_at_once);
    return check_report();
}
