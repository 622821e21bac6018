/* Sockets as clients and servers on this machine get them. */
#include "proxy/io/listener.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/io/conn.h"
#include "tests/unit/check.h"

static void remember(void *arg, int fd, const struct listener_peer *peer)
{
    (void)peer;
    *(int *)arg = fd;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static void expect_no_pace(int fd)
{
    char name[16] = { 0 };
    socklen_t len = sizeof(name);

    CHECK_INT(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
    CHECK_BYTES(slice_text(name), bytes("reno"));
}

/* From 127.0.0.1, to a listener at `host`. */
static void connect_to(const char *host)
{
    struct event_base *base = event_base_new();
    struct buf why = { 0 };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct conn conn = { .fd = -1 };
    struct listener *l;
    int listening, accepted = -1;

    CHECK_INT(listener_bind(&(struct listener_options){ .host = host, .backlog = 8 }, &listening, 1,
                            &why),
              ERR_NONE);
    to.sin_port = htons(listener_port(listening));
    l = listener_open(base, listening, remember, &accepted);
    CHECK_INT(conn_connect(&conn, base, (struct sockaddr *)&to, sizeof(to), on_ready), ERR_NONE);
    event_base_loop(base, EVLOOP_ONCE);
    CHECK(accepted >= 0);
    expect_no_pace(accepted);
    expect_no_pace(conn.fd);
    close(accepted);
    conn_close(&conn);
    listener_close(&l);
    event_base_free(base);
    buf_fini(&why);
}

static void what_is_sent_on_this_machine_is_not_paced(void)
{
    connect_to("127.0.0.1");
    connect_to("0.0.0.0");
}

static bool is_loopback(int family, const char *text)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

    CHECK_INT(inet_pton(family, text, family == AF_INET ? (void *)&v4.sin_addr : &v6.sin6_addr), 1);
    return conn_is_loopback(family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6);
}

static void addresses_of_this_machine_alone_are_known(void)
{
    CHECK(is_loopback(AF_INET, "127.0.0.1"));
    CHECK(is_loopback(AF_INET, "127.255.255.254"));
    CHECK(!is_loopback(AF_INET, "126.0.0.1"));
    CHECK(!is_loopback(AF_INET, "128.0.0.1"));
    CHECK(!is_loopback(AF_INET, "0.0.0.0"));
    CHECK(is_loopback(AF_INET6, "::1"));
    CHECK(is_loopback(AF_INET6, "::ffff:127.0.0.1"));
    CHECK(!is_loopback(AF_INET6, "::ffff:10.0.0.127"));
    CHECK(!is_loopback(AF_INET6, "::"));
    CHECK(!is_loopback(AF_INET6, "fe80::1"));
    CHECK(!conn_is_loopback(&(struct sockaddr){ .sa_family = AF_UNIX }));
}

int main(void)
{
    RUN(what_is_sent_on_this_machine_is_not_paced);
    RUN(addresses_of_this_machine_alone_are_known);
    return check_report();
}
