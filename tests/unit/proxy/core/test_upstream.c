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

static size_t take_all(struct upstream *u, struct slice in)
{
    (void)u;
    return in.len;
}

static const struct flow flow = { .upstream_connected = note_connected,
                                  .upstream_input = take_all,
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

/* One that is ready, and its server. */
struct pair {
    struct snapshot snapshot;
    struct tls_context *plain;
    struct assembly assembly;
    struct pool_settings pool;
    struct endpoint_settings endpoint;
    struct worker w;
    struct upstream *u;
    int listener, peer;
};

static void open_pair(struct pair *p, const struct flow *of)
{
    uint16_t port = 0;

    *p = (struct pair){ .snapshot.proxy.max_memory_bytes = 1 << 30,
                        .pool.connect_timeout_ms = 10000,
                        .listener = listen_at(1, &port) };
    p->assembly =
        (struct assembly){ .refs = 2, .snapshot = &p->snapshot, .endpoint_tls = &p->plain };
    p->endpoint = (struct endpoint_settings){ .address = { .host = "127.0.0.1", .port = port },
                                              .pool = &p->pool };
    stood = false;
    lost = ERR_NONE;
    worker_init(&p->w, 0, 1, &p->assembly);
    p->u = upstream_new(&p->w, sizeof(*p->u), of, &p->assembly, &p->endpoint);
    upstream_start(p->u);
    while (!stood)
        worker_turn(&p->w);
    p->peer = accept(p->listener, NULL, NULL);
    upstream_become_ready(p->u);
}

static void close_pair(struct pair *p)
{
    upstream_retire(p->u);
    worker_free_the_dead(&p->w);
    worker_fini(&p->w);
    close(p->peer);
    close(p->listener);
}

/* Whoever had much to say is paused, for its session is slow, and the server is gone. */
static void a_paused_upstream_whose_server_broke_does_not_wake_the_loop(void)
{
    enum { MUCH = 16 << 20 };
    struct linger at_once = { .l_onoff = 1 };
    struct buf much = { 0 };
    struct pair p;

    open_pair(&p, &flow);
    memset(buf_reserve(&much, MUCH), 'x', MUCH);
    buf_grow(&much, MUCH);
    upstream_take(p.u, &much);
    worker_turn(&p.w);
    CHECK(p.u->conn.watching_write);
    upstream_pause(p.u, true);
    setsockopt(p.peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(p.peer);
    p.peer = -1;
    while (p.u->conn.watching_write)
        worker_turn(&p.w);
    CHECK(!p.u->conn.watching_read);
    CHECK_INT(lost, ERR_NONE);
    upstream_pause(p.u, false);
    while (lost == ERR_NONE)
        worker_turn(&p.w);
    CHECK_INT(lost, ERR_CLOSED);
    close_pair(&p);
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
    struct flow crowds = flow;
    struct pair p;

    crowds.gains_by_crowds = true;
    open_pair(&p, &crowds);
    say_within_round(p.u, slice_text("little"));
    CHECK_INT(got_by(p.peer), 0);
    while (p.w.holds) {
        CHECK_INT(got_by(p.peer), 0);
        worker_turn(&p.w);
    }
    CHECK_INT(got_by(p.peer), strlen("little"));
    say_within_round(p.u, slice_of(much, MUCH));
    CHECK(got_by(p.peer) > 0);
    close_pair(&p);
}

/* By the clock the rest would take ten minutes. */
static void a_rest_ends_when_the_server_that_was_asked_speaks(void)
{
    enum { LONG_US = 600 * 1000 * 1000 };
    struct flow crowds = flow;
    struct pair p;

    crowds.gains_by_crowds = true;
    open_pair(&p, &crowds);
    CHECK_INT(p.w.asked_fd, -1);
    upstream_put(p.u, slice_text("asked"));
    worker_turn(&p.w);
    CHECK_INT(got_by(p.peer), strlen("asked"));
    CHECK_INT(p.w.asked_fd, p.u->conn.fd);
    CHECK_INT(write(p.peer, "told", 4), 4);
    p.w.crowd = p.w.peak = SPACING_CROWD;
    p.w.spacing =
        (struct spacing){ .wait_ns = (uint64_t)LONG_US * 1000, .round_us = clock_now_us() };
    worker_turn(&p.w);
    CHECK_INT(p.w.spacing.words, 1);
    CHECK_INT(p.w.spacing.shy, 0);
    CHECK_INT(p.w.asked_fd, -1);
    close_pair(&p);
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
    RUN(a_rest_ends_when_the_server_that_was_asked_speaks);
    RUN(a_silent_address_does_not_hide_the_next);
    RUN(addresses_that_are_all_silent_are_a_timeout);
    return check_report();
}
