/* See listener.h. */
#include "proxy/io/listener.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/io/conn.h"
#include "proxy/io/resolve.h"

enum { ACCEPTS_PER_TURN = 64, ACCEPT_REST_MS = 100 };

struct listener {
    struct event event;
    struct event_base *base; /* borrowed */
    int fd;                  /* owned */
    bool is_wide;            /* listens beyond loopback: where a client is, its address tells */
    listener_accepted_f *accepted;
    void *arg;
};

/* ---- binding ---- */

static enum err say_why(struct buf *why, const char *what, const struct listener_options *o)
{
    if (o->unix_path != NULL)
        buf_format(why, "%s %s: %s", what, o->unix_path, strerrordesc_np(errno));
    else
        buf_format(why, "%s %s port %u: %s", what, o->host, o->port, strerrordesc_np(errno));
    return ERR_SYSTEM;
}

static enum err bind_one(const struct sockaddr *address, socklen_t len,
                         const struct listener_options *o, int *out, struct buf *why)
{
    int one = 1, fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return say_why(why, "cannot open a socket for", o);
    if (address->sa_family != AF_UNIX) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
        conn_prepare(fd, address);
    }
    if (bind(fd, address, len) != 0 || listen(fd, (int)o->backlog) != 0) {
        enum err err = say_why(why, "cannot listen on", o);

        close(fd);
        return err;
    }
    *out = fd;
    return ERR_NONE;
}

/* SO_REUSEPORT would let a second Sheaf join in, and take half of the clients: another listener of
 * ours is told by a socket without it. */
static enum err check_free(const struct resolve_address *a, const struct listener_options *o,
                           struct buf *why)
{
    int one = 1, fd = socket(a->at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    enum err err = ERR_NONE;

    if (fd < 0)
        return say_why(why, "cannot open a socket for", o);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, &a->at.any, a->len) != 0)
        err = say_why(why, "cannot listen on", o);
    close(fd);
    return err;
}

static enum err bind_tcp(const struct listener_options *o, int *fds, uint32_t count, uint32_t *made,
                         struct buf *why)
{
    struct resolve_list list;
    const char *reason = "";

    if (resolve_wait(NULL, o->host, o->port, 0, &list, &reason) != ERR_NONE) {
        buf_format(why, "cannot listen on %s: %s", o->host, reason);
        return ERR_RESOLVE;
    }
    struct resolve_address *a = &list.item[0];

    if (o->port != 0 && !o->port_is_ours)
        TRY(check_free(a, o, why));
    for (; *made < count; ++*made) {
        TRY(bind_one(&a->at.any, a->len, o, &fds[*made], why));
        if (a->at.any.sa_family == AF_INET)
            a->at.v4.sin_port = htons(listener_port(fds[0]));
        else
            a->at.v6.sin6_port = htons(listener_port(fds[0]));
    }
    return ERR_NONE;
}

/* A socket file that nobody listens on any more is in the way, one that somebody does is not
 * ours. */
static enum err clear_path(const struct sockaddr_un *address, const struct listener_options *o,
                           struct buf *why)
{
    struct stat status;
    int fd, why_not;

    if (lstat(o->unix_path, &status) != 0)
        return ERR_NONE;
    if (!S_ISSOCK(status.st_mode)) {
        errno = EEXIST;
        return say_why(why, "cannot listen on", o);
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return say_why(why, "cannot open a socket for", o);
    why_not =
        connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? EADDRINUSE : errno;
    close(fd);
    if (why_not == ECONNREFUSED) {
        unlink(o->unix_path);
        return ERR_NONE;
    }
    errno = why_not == EAGAIN ? EADDRINUSE : why_not; /* its backlog is full */
    return say_why(why, "cannot listen on", o);
}

static enum err bind_unix(const struct listener_options *o, int *fds, uint32_t count,
                          uint32_t *made, struct buf *why)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s", o->unix_path) >=
        sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return say_why(why, "cannot listen on", o);
    }
    TRY(clear_path(&address, o, why));
    TRY(bind_one((const struct sockaddr *)&address, sizeof(address), o, &fds[0], why));
    *made = 1;
    if (chmod(o->unix_path, o->socket_mode) != 0)
        return say_why(why, "cannot set the mode of", o);
    for (; *made < count; ++*made) {
        fds[*made] = fcntl(fds[0], F_DUPFD_CLOEXEC, 3);
        if (fds[*made] < 0)
            return say_why(why, "cannot open a socket for", o);
    }
    return ERR_NONE;
}

enum err listener_bind(const struct listener_options *options, int *fds, uint32_t count,
                       struct buf *why)
{
    uint32_t made = 0;
    enum err err = options->unix_path != NULL ? bind_unix(options, fds, count, &made, why)
                                              : bind_tcp(options, fds, count, &made, why);

    if (err != ERR_NONE)
        while (made > 0)
            close(fds[--made]);
    return err;
}

uint16_t listener_port(int fd)
{
    struct sockaddr_storage at = { 0 };
    socklen_t len = sizeof(at);

    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return 0;
    if (at.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&at)->sin_port);
    return at.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)&at)->sin6_port) : 0;
}

/* ---- accepting ---- */

struct listener_peer listener_peer_of(const struct sockaddr *address)
{
    struct listener_peer peer = { .family = address->sa_family };

    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

        peer.port = v4->sin_port;
        peer.host.v4 = v4->sin_addr;
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

        peer.port = v6->sin6_port;
        peer.host.v6 = v6->sin6_addr;
    }
    return peer;
}

/* False: nothing more to accept now. */
static bool accept_one(struct listener *l)
{
    struct sockaddr_storage from = { 0 };
    socklen_t len = sizeof(from);
    int fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        struct listener_peer peer = listener_peer_of((struct sockaddr *)&from);

        if (l->is_wide && conn_is_loopback((struct sockaddr *)&from))
            conn_do_not_pace(fd);
        l->accepted(l->arg, fd, &peer);
        return true;
    }
    return errno == ECONNABORTED || errno == EINTR;
}

static bool listens_wide(int fd)
{
    struct sockaddr_storage at = { 0 };
    socklen_t len = sizeof(at);

    return getsockname(fd, (struct sockaddr *)&at, &len) == 0 && at.ss_family != AF_UNIX &&
           !conn_is_loopback((struct sockaddr *)&at);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;

    (void)fd;
    if (what & EV_TIMEOUT) { /* the rest is over */
        event_del(&l->event);
        event_assign(&l->event, l->base, l->fd, EV_READ | EV_PERSIST, on_event, l);
        event_add(&l->event, NULL);
        return;
    }
    for (int i = 0; i < ACCEPTS_PER_TURN; i++)
        if (!accept_one(l)) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                struct timeval rest = { .tv_usec = ACCEPT_REST_MS * 1000 };

                log_event(
                    LOG_ERROR, "cannot accept", log_text("reason", strerrordesc_np(errno)),
                    log_text("hint", "raise the limit of open files (LimitNOFILE, ulimit -n)"));
                event_del(&l->event);
                event_assign(&l->event, l->base, -1, EV_PERSIST, on_event, l);
                event_add(&l->event, &rest);
            }
            return;
        }
}

struct listener *listener_open(struct event_base *base, int fd, listener_accepted_f *accepted,
                               void *arg)
{
    struct listener *l = mem_new(sizeof(*l));

    l->base = base;
    l->fd = fd;
    l->is_wide = listens_wide(fd);
    l->accepted = accepted;
    l->arg = arg;
    event_assign(&l->event, base, fd, EV_READ | EV_PERSIST, on_event, l);
    event_add(&l->event, NULL);
    return l;
}

void listener_close(struct listener **where)
{
    struct listener *l = *where;

    *where = NULL;
    if (l == NULL)
        return;
    while (accept_one(l))
        ;
    event_del(&l->event);
    close(l->fd);
    free(l);
}
