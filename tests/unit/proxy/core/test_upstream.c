/* An upstream in a worker of the test's own, with a flow that only notes what it is told. */
#include "proxy/core/upstream.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "tests/unit/check.h"

static bool stood;
static enum err lost;

static void note_connected(struct upstream *u)
{
    (void)u;
    stood = true;
}

static void note_lost(struct upstream *u, enum err err, const char *why)
{
    (void)u;
    (void)why;
    lost = err;
}

static const struct flow flow = { .upstream_connected = note_connected,
                                  .upstream_lost = note_lost };

static struct sockaddr_in loopback(uint8_t last, uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(0x7f000000u + last) };
}

/* Port 0: a free one, which *port then is. */
static int listen_at(uint8_t last, uint16_t *port)
{
    struct sockaddr_in at = loopback(last, *port);
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    CHECK_INT(bind(fd, (struct sockaddr *)&at, len), 0);
    CHECK_INT(listen(fd, 0), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

enum { CROWD = 4 };

/* Fills the backlog, so that who connects next is not answered. */
static void crowd(uint8_t last, uint16_t port, int fds[CROWD])
{
    struct sockaddr_in at = loopback(last, port);

    for (int i = 0; i < CROWD; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fds[i], (struct sockaddr *)&at, sizeof(at));
    }
}

/* 127.0.0.2, then 127.0.0.1. */
static enum err two_addresses(const char *host, struct resolve_list *list, const char **why)
{
    (void)host;
    (void)why;
    *list = (struct resolve_list){ .count = 2 };
    for (uint8_t i = 0; i < 2; i++) {
        list->item[i].at.v4 = loopback((uint8_t)(2 - i), 0);
        list->item[i].len = sizeof(list->item[i].at.v4);
    }
    return ERR_NONE;
}

/* Connects to the two addresses until one stands or connect_timeout is over. */
static void connect_to_port(uint16_t port, uint64_t connect_timeout_ms)
{
    struct snapshot snapshot = { .proxy = { .max_memory_bytes = 1 << 20 } };
    struct tls_context *plain = NULL;
    struct assembly assembly = { .refs = 2, .snapshot = &snapshot, .endpoint_tls = &plain };
    struct pool_settings pool = { .connect_timeout_ms = connect_timeout_ms };
    struct endpoint_settings endpoint = { .address = { .host = "redis", .port = port },
                                          .pool = &pool };
    struct resolver *resolver = NULL;
    struct upstream *u;
    struct worker w;

    stood = false;
    lost = ERR_NONE;
    worker_init(&w, 0, 1, &assembly);
    CHECK_INT(resolver_start(&(struct resolve_settings){ .lookup = two_addresses }, &resolver),
              ERR_NONE);
    CHECK_INT(resolve_desk_open(resolver, w.base, &w.desk), ERR_NONE);
    u = upstream_new(&w, sizeof(*u), &flow, &assembly, &endpoint);
    upstream_start(u);
    while (!stood && lost == ERR_NONE)
        worker_turn(&w);
    upstream_retire(u);
    worker_free_the_dead(&w);
    resolve_desk_close(&w.desk);
    worker_fini(&w);
    resolver_stop(&resolver);
}

/* Whoever had much to say is paused, for its session is slow, and the server is gone. */
static void a_paused_upstream_whose_server_broke_does_not_wake_the_loop(void)
{
    enum { MUCH = 16 << 20 };
    uint16_t port = 0;
    int listener = listen_at(1, &port), peer = -1;
    struct snapshot snapshot = { .proxy = { .max_memory_bytes = 1 << 30 } };
    struct tls_context *plain = NULL;
    struct assembly assembly = { .refs = 2, .snapshot = &snapshot, .endpoint_tls = &plain };
    struct pool_settings pool = { .connect_timeout_ms = 10000 };
    struct endpoint_settings endpoint = { .address = { .host = "127.0.0.1", .port = port },
                                          .pool = &pool };
    struct linger at_once = { .l_onoff = 1 };
    struct buf much = { 0 };
    struct upstream *u;
    struct worker w;

    stood = false;
    lost = ERR_NONE;
    worker_init(&w, 0, 1, &assembly);
    u = upstream_new(&w, sizeof(*u), &flow, &assembly, &endpoint);
    upstream_start(u);
    while (!stood)
        worker_turn(&w);
    peer = accept(listener, NULL, NULL);
    upstream_become_ready(u);
    memset(buf_reserve(&much, MUCH), 'x', MUCH);
    buf_grow(&much, MUCH);
    upstream_take(u, &much);
    worker_turn(&w);
    CHECK(u->conn.watching_write);
    upstream_pause(u, true);
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(peer);
    while (u->conn.watching_write)
        worker_turn(&w);
    CHECK(!u->conn.watching_read);
    CHECK_INT(lost, ERR_NONE);
    upstream_pause(u, false);
    while (lost == ERR_NONE)
        worker_turn(&w);
    CHECK_INT(lost, ERR_CLOSED);
    upstream_retire(u);
    worker_free_the_dead(&w);
    worker_fini(&w);
    close(listener);
}

/* How many bytes its server has got since it was asked last; none is 0. */
static size_t got_by(int peer)
{
    static uint8_t bytes[256 * 1024];
    ssize_t n = recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT);

    return n > 0 ? (size_t)n : 0;
}

static struct slice said;

static void say(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    upstream_say(arg, said);
}

/* Begins a round of a busy worker, see spacing.h, and has a turn within it, in which it is said. */
static void say_within_round(struct upstream *u, struct slice bytes)
{
    enum { WAIT_US = 300 * 1000 };
    struct worker *w = u->worker;
    struct timeval at_once = { 0 };
    uint64_t now_us = clock_now_us();

    said = bytes;
    event_base_once(w->base, -1, EV_TIMEOUT, say, u, &at_once);

    w->crowd = w->peak = SPACING_CROWD;
    w->spacing = (struct spacing){
        .looks = true, .wait_ns = WAIT_US * 1000, .round_us = now_us, .turn_us = now_us
    };
    worker_turn(w);
    CHECK(w->holds);
}

static void little_waits_until_the_round_ends_and_much_does_not(void)
{
    enum { MUCH = 100 * 1000 };
    static uint8_t much[MUCH];
    uint16_t port = 0;
    int listener = listen_at(1, &port), peer;
    struct snapshot snapshot = { .proxy = { .max_memory_bytes = 1 << 30 } };
    struct tls_context *plain = NULL;
    struct assembly assembly = { .refs = 2, .snapshot = &snapshot, .endpoint_tls = &plain };
    struct pool_settings pool = { .connect_timeout_ms = 10000 };
    struct endpoint_settings endpoint = { .address = { .host = "127.0.0.1", .port = port },
                                          .pool = &pool };
    struct flow crowds = flow;
    struct upstream *u;
    struct worker w;

    stood = false;
    crowds.gains_by_crowds = true;
    worker_init(&w, 0, 1, &assembly);
    u = upstream_new(&w, sizeof(*u), &crowds, &assembly, &endpoint);
    upstream_start(u);
    while (!stood)
        worker_turn(&w);
    peer = accept(listener, NULL, NULL);
    upstream_become_ready(u);
    say_within_round(u, slice_text("little"));
    CHECK_INT(got_by(peer), 0);
    while (w.holds) {
        CHECK_INT(got_by(peer), 0);
        worker_turn(&w);
    }
    CHECK_INT(got_by(peer), strlen("little"));
    say_within_round(u, slice_of(much, MUCH));
    CHECK(got_by(peer) > 0);
    upstream_retire(u);
    worker_free_the_dead(&w);
    worker_fini(&w);
    close(peer);
    close(listener);
}

static void a_silent_address_does_not_hide_the_next(void)
{
    uint16_t port = 0;
    int silent = listen_at(2, &port), there = listen_at(1, &port), fds[CROWD], peer;

    crowd(2, port, fds);
    connect_to_port(port, 600);
    CHECK(stood);
    peer = accept(there, NULL, NULL);
    CHECK(peer >= 0);
    close(peer);
    for (int i = 0; i < CROWD; i++)
        close(fds[i]);
    close(silent);
    close(there);
}

static void addresses_that_are_all_silent_are_a_timeout(void)
{
    uint16_t port = 0;
    int one = listen_at(2, &port), other = listen_at(1, &port), fds[2][CROWD];

    crowd(2, port, fds[0]);
    crowd(1, port, fds[1]);
    connect_to_port(port, 100);
    CHECK(!stood);
    CHECK_INT(lost, ERR_TIMEOUT);
    for (int i = 0; i < CROWD; i++) {
        close(fds[0][i]);
        close(fds[1][i]);
    }
    close(one);
    close(other);
}

int main(void)
{
    RUN(a_paused_upstream_whose_server_broke_does_not_wake_the_loop);
    RUN(little_waits_until_the_round_ends_and_much_does_not);
    RUN(a_silent_address_does_not_hide_the_next);
    RUN(addresses_that_are_all_silent_are_a_timeout);
    return check_report();
}
