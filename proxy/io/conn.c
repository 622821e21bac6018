/* See conn.h. */
#include "proxy/io/conn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

static void do_not_delay(int fd)
{
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* Redis's own: after five minutes, and a peer that says nothing for five more is gone. */
static void be_patient(int fd)
{
    int idle_s = 300, interval_s = 100, count = 3;

    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

bool conn_is_loopback(const struct sockaddr *address)
{
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;

    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127));
}

/* No network lies between two of one machine, and an algorithm that paces what is sent, as BBR
 * does, has large answers wait for its clock all the same. */
void conn_do_not_pace(int fd)
{
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", sizeof("reno") - 1);
}

void conn_prepare(int fd, const struct sockaddr *address)
{
    do_not_delay(fd);
    be_patient(fd);
    if (conn_is_loopback(address))
        conn_do_not_pace(fd);
}

void conn_open(struct conn *c, struct event_base *base, int fd, conn_ready_f *ready)
{
    c->fd = fd;
    c->watching_read = c->watching_write = c->handshaking = false;
    c->tls = NULL;
    event_assign(&c->event, base, fd, EV_READ | EV_PERSIST, ready, c);
}

void conn_keep_alive(struct conn *c, bool inherits)
{
    int one = 1;

    if (!inherits)
        be_patient(c->fd);
    setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

void conn_read_from(struct conn *c, int bytes)
{
    setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

void conn_secure(struct conn *c, struct tls_stream *stream)
{
    c->tls = stream;
    c->handshaking = true;
}

enum err conn_handshake(struct conn *c)
{
    enum err err = tls_handshake(c->tls);

    if (err == ERR_NONE)
        c->handshaking = false;
    if (err == ERR_AGAIN)
        conn_watch(c, true, tls_wants_write(c->tls));
    return err;
}

enum err conn_connect(struct conn *c, struct event_base *base, const struct sockaddr *address,
                      socklen_t len, conn_ready_f *ready)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return ERR_SYSTEM;
    if (address->sa_family != AF_UNIX)
        do_not_delay(fd);
    if (conn_is_loopback(address))
        conn_do_not_pace(fd);
    if (connect(fd, address, len) != 0 && errno != EINPROGRESS) {
        int why = errno;

        close(fd);
        errno = why;
        return why == EAGAIN ? ERR_LIMIT : ERR_CONNECT; /* EAGAIN: a Unix socket's full backlog */
    }
    conn_open(c, base, fd, ready);
    return ERR_NONE;
}

bool conn_is_connected(const struct conn *c)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);

    return getpeername(c->fd, (struct sockaddr *)&peer, &len) == 0;
}

int conn_connect_result(const struct conn *c)
{
    int error = 0;
    socklen_t len = sizeof(error);

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    return error;
}

void conn_reset_at_close(struct conn *c)
{
    const struct linger at_once = { .l_onoff = 1 };

    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void conn_close(struct conn *c)
{
    if (c->fd < 0)
        return;
    if (c->watching_read || c->watching_write)
        event_del(&c->event);
    if (c->tls != NULL) {
        if (!c->handshaking)
            (void)!tls_shutdown(
                c->tls); /* if it fails, the peer learns it from the closed socket */
        tls_stream_free(&c->tls);
    }
    close(c->fd);
    c->fd = -1;
    c->watching_read = c->watching_write = false;
}

void conn_move(struct conn *c, struct event_base *base)
{
    assert(!c->watching_read && !c->watching_write);
    event_assign(&c->event, base, c->fd, EV_READ | EV_PERSIST, event_get_callback(&c->event), c);
}

void conn_watch(struct conn *c, bool read, bool write)
{
    struct event_base *base = event_get_base(&c->event);
    conn_ready_f *ready = event_get_callback(&c->event);

    if (read == c->watching_read && write == c->watching_write)
        return;
    if (c->watching_read || c->watching_write)
        event_del(&c->event);
    c->watching_read = read;
    c->watching_write = write;
    if (!read && !write)
        return;
    event_assign(&c->event, base, c->fd,
                 (short)((read ? EV_READ : 0) | (write ? EV_WRITE : 0) | EV_PERSIST), ready, c);
    event_add(&c->event, NULL);
}

enum err conn_was_read(int result, size_t *got)
{
    if (result > 0) {
        *got = (size_t)result;
        return ERR_NONE;
    }
    if (result == 0)
        return ERR_CLOSED;
    return result == -EAGAIN || result == -EINTR ? ERR_AGAIN : ERR_SYSTEM;
}

enum err conn_was_written(int result, size_t *put)
{
    if (result >= 0) {
        *put = (size_t)result;
        return ERR_NONE;
    }
    return result == -EAGAIN || result == -EINTR ? ERR_AGAIN : ERR_CLOSED;
}

static enum err receive(struct conn *c, void *at, size_t len, int flags, size_t *got)
{
    ssize_t n = recv(c->fd, at, len, flags);

    return conn_was_read(n < 0 ? -errno : (int)n, got);
}

enum err conn_read(struct conn *c, void *at, size_t len, size_t *got)
{
    return c->tls != NULL ? tls_read(c->tls, at, len, got) : receive(c, at, len, 0, got);
}

enum err conn_peek(struct conn *c, void *at, size_t len, size_t *got)
{
    assert(c->tls == NULL);
    return receive(c, at, len, MSG_PEEK, got);
}

size_t conn_room(const struct conn *c)
{
    uint32_t is[SK_MEMINFO_VARS] = { 0 };
    socklen_t len = sizeof(is);

    if (getsockopt(c->fd, SOL_SOCKET, SO_MEMINFO, is, &len) != 0 ||
        is[SK_MEMINFO_SNDBUF] <= is[SK_MEMINFO_WMEM_QUEUED])
        return 0;
    return is[SK_MEMINFO_SNDBUF] - is[SK_MEMINFO_WMEM_QUEUED];
}

bool conn_has_input(const struct conn *c)
{
    uint8_t byte;

    return conn_has_pending(c) || recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool conn_is_left(const struct conn *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

    return poll(&p, 1, 0) == 1;
}

bool conn_is_reset(const struct conn *c)
{
    struct pollfd p = { .fd = c->fd };

    return poll(&p, 1, 0) == 1;
}

static enum err write_secured(struct conn *c, const struct iovec *places, int count, size_t *put)
{
    size_t sum = 0;

    for (int i = 0; i < count; i++) {
        size_t here = 0;

        while (here < places[i].iov_len) {
            size_t n = 0;
            enum err err = tls_write(c->tls, (const char *)places[i].iov_base + here,
                                     places[i].iov_len - here, &n);

            if (err != ERR_NONE) {
                *put = sum;
                return err == ERR_AGAIN && sum > 0 ? ERR_NONE : err;
            }
            here += n;
            sum += n;
        }
    }
    *put = sum;
    return ERR_NONE;
}

enum err conn_write(struct conn *c, const struct iovec *places, int count, size_t *put)
{
    ssize_t n;

    if (c->tls != NULL)
        return write_secured(c, places, count, put);
    if (count == 1) {
        n = send(c->fd, places[0].iov_base, places[0].iov_len, MSG_NOSIGNAL);
    } else {
        struct msghdr message = { .msg_iov = (struct iovec *)places, .msg_iovlen = (size_t)count };

        n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
    }
    return conn_was_written(n < 0 ? -errno : (int)n, put);
}

/* ---- pipes ---- */

void conn_pipe_open(struct conn_pipe *pipe, size_t bytes)
{
    int ends[2];

    *pipe = (struct conn_pipe){ -1, -1 };
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return;
    (void)!fcntl(ends[1], F_SETPIPE_SZ, (int)bytes);
    *pipe = (struct conn_pipe){ .out = ends[0], .in = ends[1] };
}

size_t conn_pipe_bytes(const struct conn_pipe *pipe)
{
    int bytes = pipe->in < 0 ? 0 : fcntl(pipe->in, F_GETPIPE_SZ);

    return bytes < 0 ? 0 : (size_t)bytes;
}

void conn_pipe_close(struct conn_pipe *pipe)
{
    if (pipe->in < 0)
        return;
    close(pipe->in);
    close(pipe->out);
    *pipe = (struct conn_pipe){ -1, -1 };
}

enum err conn_pipe_take(struct conn_pipe *pipe, struct conn *from, size_t most, size_t *taken)
{
    ssize_t n = splice(from->fd, NULL, pipe->in, NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

    if (n > 0) {
        *taken = (size_t)n;
        return ERR_NONE;
    }
    if (n == 0)
        return ERR_CLOSED;
    if (errno == EINVAL || errno == ENOSYS ||
        errno == EPERM) { /* not with such sockets, or never */
        conn_pipe_close(pipe);
        return ERR_AGAIN;
    }
    return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_SYSTEM;
}

enum err conn_pipe_put(struct conn_pipe *pipe, struct conn *to, size_t len, size_t *put)
{
    ssize_t n = splice(pipe->out, NULL, to->fd, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

    if (n >= 0) {
        *put = (size_t)n;
        return ERR_NONE;
    }
    return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_CLOSED;
}

void conn_pipe_read(struct conn_pipe *pipe, void *at, size_t len)
{
    uint8_t *to = at;

    while (len > 0) {
        ssize_t n = read(pipe->out, to, len);

        assert(n > 0 || errno == EINTR);
        if (n > 0) {
            to += n;
            len -= (size_t)n;
        }
    }
}
