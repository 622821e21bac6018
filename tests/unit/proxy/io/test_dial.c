/* Against sockets of the test's own: the backlog of a listening socket is peer enough. */
#include "proxy/io/dial.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "tests/unit/check.h"

static uint64_t soon(void)
{
    return clock_now_us() + 5000000;
}

/* Listens on a free port of 127.0.0.1. */
static int listen_somewhere(uint16_t *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_INT(bind(fd, (struct sockaddr *)&at, len), 0);
    CHECK_INT(listen(fd, 8), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void talk(struct dial *d, int listening)
{
    int peer = accept(listening, NULL, NULL);
    char at[8];
    size_t len = 0;

    CHECK_INT(dial_write(d, "ping", 4, soon(), &len), ERR_NONE);
    CHECK_INT(len, 4);
    CHECK_INT(recv(peer, at, sizeof(at), 0), 4);
    CHECK_INT(send(peer, "pong!", 5, 0), 5);
    CHECK_INT(dial_read(d, at, sizeof(at), soon(), &len), ERR_NONE);
    CHECK_BYTES(slice_of(at, len), bytes("pong!"));
    CHECK_INT(dial_read(d, at, sizeof(at), clock_now_us() + 2000, &len), ERR_TIMEOUT);
    close(peer);
    CHECK_INT(dial_read(d, at, sizeof(at), soon(), &len), ERR_CLOSED);
}

static void bytes_go_both_ways_over_tcp_and_unix_sockets(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct buf why = { 0 };
    struct dial *d = NULL;
    uint16_t port;
    int listening = listen_somewhere(&port);

    CHECK_INT(
        dial_open(&(struct dial_options){ .host = "127.0.0.1", .port = port }, soon(), &d, &why),
        ERR_NONE);
    talk(d, listening);
    dial_close(&d);
    CHECK(d == NULL);
    close(listening);

    listening = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/sheaf-dial-%d", (int)getpid());
    CHECK_INT(bind(listening, (struct sockaddr *)&at, sizeof(at)), 0);
    CHECK_INT(listen(listening, 1), 0);
    CHECK_INT(dial_open(&(struct dial_options){ .unix_path = at.sun_path }, soon(), &d, &why),
              ERR_NONE);
    talk(d, listening);
    dial_close(&d);
    close(listening);
    unlink(at.sun_path);
    buf_fini(&why);
}

static void expect_failure(struct dial_options o, enum err err, const char *reason)
{
    struct buf why = { 0 };
    struct dial *d = NULL;

    CHECK_INT(dial_open(&o, clock_now_us() + 200000, &d, &why), err);
    CHECK(d == NULL);
    CHECK_BYTES(buf_all(&why), slice_text(reason));
    buf_fini(&why);
}

static enum err no_such_name(const char *host, struct resolve_list *list, const char **why)
{
    (void)host;
    (void)list;
    *why = "nobody is called so";
    return ERR_RESOLVE;
}

static void failures_say_what_happened(void)
{
    struct resolver *resolver = NULL;
    uint16_t port;
    int listening = listen_somewhere(&port);
    char path[200];

    close(listening); /* now nobody listens there */
    expect_failure((struct dial_options){ .host = "127.0.0.1", .port = port }, ERR_CONNECT,
                   "Connection refused");
    expect_failure((struct dial_options){ .unix_path = "/tmp/sheaf-no-such-socket" }, ERR_CONNECT,
                   "No such file or directory");
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    expect_failure((struct dial_options){ .unix_path = path }, ERR_CONNECT, "the path is too long");
    CHECK_INT(resolver_start(&(struct resolve_settings){ .lookup = no_such_name }, &resolver),
              ERR_NONE);
    expect_failure((struct dial_options){ .host = "redis-1", .port = 1, .resolver = resolver },
                   ERR_RESOLVE, "nobody is called so");
    resolver_stop(&resolver);
}

static void a_full_backlog_is_a_timeout(void)
{
    struct buf why = { 0 };
    struct dial *d[16] = { 0 };
    enum err err = ERR_NONE;
    uint16_t port;
    int listening = listen_somewhere(&port), count;

    CHECK_INT(listen(listening, 0),
              0); /* nobody accepts: after one or two, no handshake is answered */
    for (count = 0; count < 16 && err == ERR_NONE; count++)
        err = dial_open(&(struct dial_options){ .host = "127.0.0.1", .port = port },
                        clock_now_us() + 50000, &d[count], &why);
    CHECK_INT(err, ERR_TIMEOUT);
    CHECK_BYTES(buf_all(&why), bytes("deadline passed"));
    while (count-- > 0)
        dial_close(&d[count]);
    close(listening);
    buf_fini(&why);
}

/* 127.0.0.2, then 127.0.0.1. */
static enum err two_addresses(const char *host, struct resolve_list *list, const char **why)
{
    (void)host;
    (void)why;
    *list = (struct resolve_list){ .count = 2 };
    for (uint8_t i = 0; i < 2; i++) {
        list->item[i].at.v4 = (struct sockaddr_in){ .sin_family = AF_INET,
                                                    .sin_addr.s_addr = htonl(0x7f000002u - i) };
        list->item[i].len = sizeof(list->item[i].at.v4);
    }
    return ERR_NONE;
}

static void a_silent_address_does_not_hide_the_next(void)
{
    struct resolver *resolver = NULL;
    struct buf why = { 0 };
    struct dial *d = NULL;
    uint16_t port;
    int listening = listen_somewhere(&port), silent = socket(AF_INET, SOCK_STREAM, 0), fds[4];
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(0x7f000002u) };

    CHECK_INT(bind(silent, (struct sockaddr *)&at, sizeof(at)), 0);
    CHECK_INT(listen(silent, 0), 0);
    for (int i = 0; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fds[i], (struct sockaddr *)&at, sizeof(at));
    }
    CHECK_INT(resolver_start(&(struct resolve_settings){ .lookup = two_addresses }, &resolver),
              ERR_NONE);
    CHECK_INT(
        dial_open(&(struct dial_options){ .host = "redis", .port = port, .resolver = resolver },
                  clock_now_us() + 400000, &d, &why),
        ERR_NONE);
    dial_close(&d);
    resolver_stop(&resolver);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(silent);
    close(listening);
    buf_fini(&why);
}

static void a_peer_that_does_not_answer_tls_is_told(void)
{
    struct tls_context *tls = NULL;
    struct buf why = { 0 };
    struct dial *d = NULL;
    uint16_t port;
    int listening = listen_somewhere(&port);

    CHECK_INT(tls_context_new(&(struct tls_options){ .side = TLS_CONNECT, .accept_anyone = true },
                              &tls, &why),
              ERR_NONE);
    CHECK_INT(dial_open(&(struct dial_options){ .host = "127.0.0.1", .port = port, .tls = tls },
                        clock_now_us() + 50000, &d, &why),
              ERR_TIMEOUT);
    CHECK_BYTES(buf_all(&why), bytes("no TLS handshake in time"));
    tls_context_unref(&tls);
    close(listening);
    buf_fini(&why);
}

static void a_readable_cancel_fd_ends_every_wait_before_its_deadline(void)
{
    uint64_t begun_us = clock_now_us(), far_us = begun_us + 60 * (uint64_t)1000000;
    struct buf why = { 0 };
    struct dial *d = NULL;
    uint16_t port;
    int listening = listen_somewhere(&port), ends[2];
    struct dial_options options = { .host = "127.0.0.1", .port = port };
    char at[8];
    size_t len = 0;

    CHECK_INT(pipe(ends), 0);
    options.cancel_fd = ends[0];
    CHECK_INT(dial_open(&options, far_us, &d, &why), ERR_NONE);
    CHECK_INT(dial_read(d, at, sizeof(at), clock_now_us() + 2000, &len), ERR_TIMEOUT);
    CHECK_INT(write(ends[1], "", 1), 1);
    CHECK_INT(dial_read(d, at, sizeof(at), far_us, &len), ERR_TIMEOUT);
    CHECK(clock_now_us() < far_us - 30 * (uint64_t)1000000);
    dial_close(&d);
    close(listening);
    close(ends[0]);
    close(ends[1]);
    buf_fini(&why);
}

int main(void)
{
    RUN(bytes_go_both_ways_over_tcp_and_unix_sockets);
    RUN(failures_say_what_happened);
    RUN(a_full_backlog_is_a_timeout);
    RUN(a_silent_address_does_not_hide_the_next);
    RUN(a_peer_that_does_not_answer_tls_is_told);
    RUN(a_readable_cancel_fd_ends_every_wait_before_its_deadline);
    return check_report();
}
