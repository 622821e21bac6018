/* A long body from an upstream to a session, both in a worker of the test's own: the flow is shown
 * where it begins and ends, and what lies between goes by inside the kernel. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/mem.h"
#include "proxy/core/session.h"
#include "proxy/core/upstream.h"
#include "tests/unit/check.h"

enum { BODY_BYTES = 1 << 20, MOST_TURNS = 100000 };

static size_t shown_bytes, passed_bytes;

static void no_session(struct session *s)
{
    s->logged_in = true;
}

static void no_upstream(struct upstream *u)
{
    upstream_become_ready(u);
}

static void lost(struct upstream *u, enum err err, const char *why)
{
    (void)u, (void)err, (void)why;
}

static size_t no_input(struct session *s, struct slice in)
{
    (void)s;
    return in.len;
}

/* Of what is shown the session gets all; the rest of the body may go by. */
static size_t upstream_input(struct upstream *u, struct slice in)
{
    shown_bytes += in.len;
    session_write_through(u->pass_to, in);
    u->pass_left = BODY_BYTES - shown_bytes - passed_bytes;
    return in.len;
}

static void passed(struct upstream *u, size_t len)
{
    (void)u;
    passed_bytes += len;
}

static const struct flow flow = { .session_begin = no_session,
                                  .session_input = no_input,
                                  .session_end = no_session,
                                  .upstream_connected = no_upstream,
                                  .upstream_input = upstream_input,
                                  .upstream_passed = passed,
                                  .upstream_lost = lost };

static int listen_at(struct sockaddr_in *at)
{
    socklen_t len = sizeof(*at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK_INT(bind(fd, (struct sockaddr *)at, len), 0);
    CHECK_INT(listen(fd, 1), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

/* Non-blocking on both sides; the accepted one is the first. */
static void connect_pair(int ends[2])
{
    struct sockaddr_in at;
    int listener = listen_at(&at);

    ends[1] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(connect(ends[1], (struct sockaddr *)&at, sizeof(at)), 0);
    ends[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    CHECK(ends[0] >= 0);
    close(listener);
}

/* The server sends the body and the client takes it, while the worker turns. */
static void move_body(struct worker *w, int server, int client, const uint8_t *body, uint8_t *got)
{
    size_t sent = 0, taken = 0;

    for (int turn = 0; taken < BODY_BYTES && turn < MOST_TURNS; turn++) {
        ssize_t n = send(server, body + sent, BODY_BYTES - sent, MSG_DONTWAIT);

        sent += n > 0 ? (size_t)n : 0;
        worker_turn(w);
        n = recv(client, got + taken, BODY_BYTES - taken, MSG_DONTWAIT);
        taken += n > 0 ? (size_t)n : 0;
    }
    CHECK_INT(taken, BODY_BYTES);
    CHECK(memcmp(body, got, BODY_BYTES) == 0);
}

static void a_long_body_goes_by_unseen_and_whole(void)
{
    struct snapshot snapshot = { .proxy = { .max_memory_bytes = 1 << 30, .max_sessions = 1 } };
    struct tls_context *plain = NULL;
    struct assembly assembly = { .refs = 2, .snapshot = &snapshot, .endpoint_tls = &plain };
    struct pool_settings pool = { .connect_timeout_ms = 10000 };
    struct endpoint_settings endpoint = { .address = { .host = "127.0.0.1" }, .pool = &pool };
    struct slab slab = { .size = sizeof(struct session) };
    atomic_uint sessions = 0;
    struct session_limits limits = {
        .flow = &flow, .slab = &slab, .sessions = &sessions, .max_bytes = 1 << 30
    };
    uint8_t *body = mem_new(BODY_BYTES), *got = mem_new(BODY_BYTES);
    struct sockaddr_in server_at;
    struct upstream *u;
    struct worker w;
    int ends[2], listener = listen_at(&server_at), server;

    for (size_t i = 0; i < BODY_BYTES; i++)
        body[i] = (uint8_t)(i * 2654435761u >> 13);
    endpoint.address.port = ntohs(server_at.sin_port);
    connect_pair(ends);
    worker_init(&w, 0, 1, &assembly);
    session_open(&w, ends[0], &(struct listener_peer){ 0 }, &limits, NULL);
    u = upstream_new(&w, sizeof(*u), &flow, &assembly, &endpoint);
    u->pass_to = LIST_ITEM(list_first(&w.sessions), struct session, link);
    upstream_start(u);
    while (u->state != UPSTREAM_READY)
        worker_turn(&w);
    server = accept(listener, NULL, NULL);
    move_body(&w, server, ends[1], body, got);
    CHECK_INT(shown_bytes + passed_bytes, BODY_BYTES);
    CHECK(passed_bytes > BODY_BYTES / 2);
    session_close(u->pass_to, CLOSE_CLIENT_LEFT);
    upstream_retire(u);
    worker_free_the_dead(&w);
    worker_fini(&w);
    slab_fini(&slab);
    close(server);
    close(listener);
    close(ends[1]);
    free(body);
    free(got);
}

int main(void)
{
    RUN(a_long_body_goes_by_unseen_and_whole);
    return check_report();
}
