/* Against a server that answers what a script says, also what no honest server sends, over TCP and
 * a Unix socket.  What TLS and real stores do is for the scenario tests. */
#include "health/probe_s3.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "tests/unit/check.h"

enum { LONG_MS = 30000, SHORT_MS = 100 };

/* ---- the server ---- */

struct answer {
    const char *text; /* to each request of this connection; NULL: silence */
    bool closes;      /* after the first request, answered or not */
    bool is_endless;  /* the text again and again */
};

struct server {
    int fd;
    uint16_t port;
    char path[64];
    const struct answer *answers; /* a connection each; then the door is closed */
    size_t count;
    pthread_t thread;
    char asked[8192]; /* all requests */
    unsigned connections;
};

static bool read_head(struct server *s, int fd)
{
    size_t at = strlen(s->asked), began = at;

    while (at < sizeof(s->asked) - 1) {
        ssize_t n = recv(fd, s->asked + at, sizeof(s->asked) - 1 - at, 0);

        if (n <= 0)
            return false;
        at += (size_t)n;
        s->asked[at] = '\0';
        if (strstr(s->asked + began, "\r\n\r\n") != NULL)
            return true;
    }
    return false;
}

static void serve(struct server *s, int fd, const struct answer *answer)
{
    while (read_head(s, fd)) {
        do {
            if (answer->text != NULL &&
                send(fd, answer->text, strlen(answer->text), MSG_NOSIGNAL) < 0)
                return;
        } while (answer->is_endless);
        if (answer->closes)
            return;
    }
}

static void *run(void *arg)
{
    struct server *s = arg;

    for (size_t i = 0; i < s->count; i++) {
        int fd = accept(s->fd, NULL, NULL);

        if (fd < 0)
            break;
        s->connections++;
        serve(s, fd, &s->answers[i]);
        close(fd);
    }
    return NULL;
}

static void bind_to_port(struct server *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);

    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(s->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    CHECK_INT(getsockname(s->fd, (struct sockaddr *)&at, &len), 0);
    s->port = ntohs(at.sin_port);
}

static void bind_to_path(struct server *s)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };

    snprintf(s->path, sizeof(s->path), "/tmp/probe-s3-%d.sock", (int)getpid());
    memcpy(at.sun_path, s->path, sizeof(s->path));
    unlink(s->path);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(s->fd, (struct sockaddr *)&at, sizeof(at)), 0);
}

static void server_start(struct server *s, const struct answer *answers, size_t count,
                         bool with_path)
{
    *s = (struct server){ .answers = answers, .count = count };
    if (with_path)
        bind_to_path(s);
    else
        bind_to_port(s);
    CHECK_INT(listen(s->fd, 8), 0);
    CHECK_INT(pthread_create(&s->thread, NULL, run, s), 0);
}

/* Its clients have gone. */
static void server_stop(struct server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    if (s->path[0] != '\0')
        unlink(s->path);
}

static const char *const LOOPBACK[] = { "127.0.0.1" };

static struct probe_s3_settings settings_for(const struct server *s)
{
    return (struct probe_s3_settings){ .host = "store.example.org",
                                       .port = s->port,
                                       .addresses = LOOPBACK,
                                       .address_count = 1,
                                       .unix_path = s->path[0] != '\0' ? s->path : NULL };
}

static uint64_t in_ms(uint64_t ms)
{
    return clock_now_us() + ms * 1000;
}

static struct probe_outcome check(const struct answer *answer, uint64_t ms)
{
    struct probe_s3 *probe = probe_s3_new();
    struct probe_outcome o = { 0 };
    struct probe_s3_settings settings;
    struct server s;

    server_start(&s, answer, 1, false);
    settings = settings_for(&s);
    probe_s3_check(probe, &settings, in_ms(ms), &o);
    probe_s3_free(&probe);
    server_stop(&s);
    return o;
}

/* ---- tests ---- */

static void whoever_answers_is_alive_but_for_failures_of_its_own(void)
{
    static const struct {
        const char *text;
        enum health_reason reason;
    } CASES[] = {
        { "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", HEALTH_FINE },
        { "HTTP/1.1 301 Moved\r\nlocation: http://192.0.2.1/\r\n\r\n", HEALTH_FINE },
        { "HTTP/1.1 403 Forbidden\r\ncontent-length: 300\r\n\r\n", HEALTH_FINE },
        { "HTTP/1.1 400 Bad Request\r\n\r\n", HEALTH_FINE },
        { "HTTP/1.0 404 Not Found\r\n\r\n", HEALTH_FINE },
        { "HTTP/1.1 501 Not Implemented\r\n\r\n", HEALTH_FINE },
        { "HTTP/1.1 500 Oops\r\n\r\n", HEALTH_PROBE_FAILED },
        { "HTTP/1.1 502 Bad Gateway\r\n\r\n", HEALTH_PROBE_FAILED },
        { "HTTP/1.1 503 Slow Down\r\ncontent-length: 9\r\n\r\n", HEALTH_PROBE_FAILED },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct answer answer = { .text = CASES[i].text };
        struct probe_outcome o = check(&answer, LONG_MS);

        CHECK_INT(o.reason, CASES[i].reason);
        CHECK(o.connection_is_good);
    }
}

static void what_it_says_is_told(void)
{
    struct answer answer = { .text = "HTTP/1.1 503 Slow Down\r\n\r\n" };
    struct probe_outcome o = check(&answer, LONG_MS);

    CHECK_TEXT(o.text, "HTTP status 503");
}

static void what_is_no_server_has_its_reason(void)
{
    struct answer no_http = { .text = "SSH-2.0-OpenSSH_9.2\r\n\r\n" };
    struct answer endless = { .text = "x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
                              .is_endless = true };
    struct answer endless_head = { .text = "HTTP/1.1 100 Continue\r\nx: y\r\n\r\n",
                                   .is_endless = true };
    struct answer gone = { .closes = true };
    struct answer silent = { 0 };

    CHECK_INT(check(&no_http, LONG_MS).reason, HEALTH_PROTOCOL_ERROR);
    CHECK_INT(check(&endless, LONG_MS).reason, HEALTH_PROTOCOL_ERROR);
    CHECK_INT(check(&endless_head, LONG_MS).reason, HEALTH_PROTOCOL_ERROR);
    CHECK_INT(check(&gone, LONG_MS).reason, HEALTH_CLOSED);
    CHECK_INT(check(&silent, SHORT_MS).reason, HEALTH_RESPONSE_TIMEOUT);
}

static void where_nobody_listens_it_is_refused(void)
{
    struct probe_s3 *probe = probe_s3_new();
    struct probe_outcome o = { 0 };
    struct probe_s3_settings settings;
    struct server s = { 0 };

    bind_to_port(&s); /* and no more */
    settings = settings_for(&s);
    probe_s3_check(probe, &settings, in_ms(LONG_MS), &o);
    CHECK_INT(o.reason, HEALTH_CONNECT_REFUSED);
    CHECK(o.text[0] != '\0');
    close(s.fd);
    probe_s3_free(&probe);
}

static void a_server_without_tls_fails_as_that(void)
{
    struct answer answer = { .text = "HTTP/1.1 400 Bad Request\r\n\r\n", .closes = true };
    struct probe_s3 *probe = probe_s3_new();
    struct probe_outcome o = { 0 };
    struct probe_s3_settings settings;
    struct server s;

    server_start(&s, &answer, 1, false);
    settings = settings_for(&s);
    settings.tls = settings.verify = true;
    probe_s3_check(probe, &settings, in_ms(SHORT_MS), &o);
    CHECK(reason_is_failure(o.reason));
    probe_s3_free(&probe);
    server_stop(&s);
}

static void it_asks_for_a_head_unsigned_and_keeps_its_connection(void)
{
    struct answer answer = { .text = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" };
    struct probe_s3 *probe = probe_s3_new();
    struct probe_outcome o = { 0 };
    struct probe_s3_settings settings;
    struct server s;

    server_start(&s, &answer, 1, false);
    settings = settings_for(&s);
    for (int i = 0; i < 3; i++) {
        probe_s3_check(probe, &settings, in_ms(LONG_MS), &o);
        CHECK_INT(o.reason, HEALTH_FINE);
        settings.bucket = "photos";
    }
    probe_s3_free(&probe);
    server_stop(&s);
    CHECK_INT(s.connections, 1);
    CHECK(strncmp(s.asked, "HEAD / HTTP/1.1\r\nHost: store.example.org:", 40) == 0);
    CHECK(strstr(s.asked, "\r\n\r\nHEAD /photos HTTP/1.1\r\n") != NULL);
    CHECK(strcasestr(s.asked, "authorization") == NULL);
}

static void a_kept_connection_that_was_closed_says_nothing(void)
{
    struct answer answers[] = { { .text = "HTTP/1.1 200 OK\r\n\r\n", .closes = true },
                                { .text = "HTTP/1.1 200 OK\r\n\r\n" } };
    struct probe_s3 *probe = probe_s3_new();
    struct probe_outcome o = { 0 };
    struct probe_s3_settings settings;
    struct server s;

    server_start(&s, answers, 2, false);
    settings = settings_for(&s);
    for (int i = 0; i < 2; i++) {
        probe_s3_check(probe, &settings, in_ms(LONG_MS), &o);
        CHECK_INT(o.reason, HEALTH_FINE);
    }
    probe_s3_free(&probe);
    server_stop(&s);
    CHECK_INT(s.connections, 2);
}

static void a_unix_socket_will_do(void)
{
    struct answer answer = { .text = "HTTP/1.1 403 Forbidden\r\n\r\n" };
    struct probe_s3 *probe = probe_s3_new();
    struct probe_outcome o = { 0 };
    struct probe_s3_settings settings;
    struct server s;

    server_start(&s, &answer, 1, true);
    settings = settings_for(&s);
    settings.host = NULL;
    settings.address_count = 0;
    probe_s3_check(probe, &settings, in_ms(LONG_MS), &o);
    CHECK_INT(o.reason, HEALTH_FINE);
    probe_s3_free(&probe);
    server_stop(&s);
}

static void what_is_cancelled_ends_at_once(void)
{
    struct answer silent = { 0 };
    struct probe_s3 *probe = probe_s3_new();
    struct probe_outcome o = { 0 };
    struct probe_s3_settings settings;
    struct server s;
    int cancel[2];

    CHECK_INT(pipe(cancel), 0);
    CHECK_INT(write(cancel[1], "x", 1), 1);
    server_start(&s, &silent, 1, false);
    settings = settings_for(&s);
    settings.cancel_fd = cancel[0];
    probe_s3_check(probe, &settings, in_ms(1000 * LONG_MS), &o);
    CHECK(reason_is_failure(o.reason));
    probe_s3_free(&probe);
    server_stop(&s);
    close(cancel[0]);
    close(cancel[1]);
}

int main(void)
{
    RUN(whoever_answers_is_alive_but_for_failures_of_its_own);
    RUN(what_it_says_is_told);
    RUN(what_is_no_server_has_its_reason);
    RUN(where_nobody_listens_it_is_refused);
    RUN(a_server_without_tls_fails_as_that);
    RUN(it_asks_for_a_head_unsigned_and_keeps_its_connection);
    RUN(a_kept_connection_that_was_closed_says_nothing);
    RUN(a_unix_socket_will_do);
    RUN(what_is_cancelled_ends_at_once);
    return check_report();
}
