/* See dial.h.  The descriptor does not block; every wait is a poll() until the deadline. */
#include "proxy/io/dial.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/mem.h"

struct dial {
    int fd;
    int cancel_fd;          /* borrowed; 0: none */
    struct tls_stream *tls; /* NULL: plain */
};

static enum err wait_for(const struct dial *d, short events, uint64_t deadline_us)
{
    struct pollfd p[] = { { .fd = d->fd, .events = events },
                          { .fd = d->cancel_fd > 0 ? d->cancel_fd : -1, .events = POLLIN } };

    for (;;) {
        uint64_t now_us = clock_now_us();
        uint64_t left_ms = deadline_us > now_us ? (deadline_us - now_us + 999) / 1000 : 0;
        int ready = poll(p, 2, left_ms > 1000000 ? 1000000 : (int)left_ms);

        if (ready > 0)
            return p[1].revents != 0 ? ERR_TIMEOUT : ERR_NONE;
        if (ready < 0 && errno != EINTR)
            return ERR_SYSTEM;
        if (clock_now_us() >= deadline_us)
            return ERR_TIMEOUT;
    }
}

/* `system_error` gets the reason of an ERR_CONNECT. */
static enum err connect_until(const struct dial *d, const struct sockaddr *at, socklen_t len,
                              uint64_t deadline_us, int *system_error)
{
    socklen_t size = sizeof(*system_error);

    if (connect(d->fd, at, len) == 0)
        return ERR_NONE;
    *system_error = errno;
    if (errno != EINPROGRESS)
        return ERR_CONNECT;
    TRY(wait_for(d, POLLOUT, deadline_us));
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, system_error, &size) != 0)
        *system_error = errno;
    return *system_error == 0 ? ERR_NONE : ERR_CONNECT;
}

static enum err connect_to(struct dial *d, const struct sockaddr *at, socklen_t len,
                           uint64_t deadline_us, const char **reason)
{
    int system_error = 0;
    enum err err;

    d->fd = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd < 0) {
        *reason = strerrordesc_np(errno);
        return ERR_CONNECT;
    }
    err = connect_until(d, at, len, deadline_us, &system_error);
    if (err == ERR_NONE)
        return ERR_NONE;
    *reason = err == ERR_CONNECT ? strerrordesc_np(system_error) : err_text(err);
    close(d->fd);
    d->fd = -1;
    return err;
}

static enum err connect_unix(struct dial *d, const char *path, uint64_t deadline_us,
                             const char **reason)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(at.sun_path)) {
        *reason = "the path is too long";
        return ERR_CONNECT;
    }
    memcpy(at.sun_path, path, strlen(path));
    return connect_to(d, (struct sockaddr *)&at, sizeof(at), deadline_us, reason);
}

static enum err connect_name(struct dial *d, const struct dial_options *o, uint64_t deadline_us,
                             const char **reason)
{
    struct resolve_list list;
    enum err err = ERR_CONNECT;

    TRY(resolve_wait(o->resolver, o->host, o->port, deadline_us, &list, reason));
    for (size_t i = 0; i < list.count; i++) {
        /* Each gets its share of what is left: a silent one must not hide the next. */
        uint64_t now_us = clock_now_us();
        uint64_t left_us = deadline_us > now_us ? deadline_us - now_us : 0;

        err = connect_to(d, &list.item[i].at.any, list.item[i].len,
                         now_us + left_us / (list.count - i), reason);
        if (err == ERR_NONE)
            break;
    }
    return err;
}

/* After ERR_AGAIN of a TLS call: waits for what it wants. */
static enum err wait_tls(const struct dial *d, uint64_t deadline_us)
{
    return wait_for(d, tls_wants_write(d->tls) ? POLLOUT : POLLIN, deadline_us);
}

static enum err begin_tls(struct dial *d, const struct dial_options *o, uint64_t deadline_us,
                          const char **reason)
{
    const char *name = o->server_name != NULL ? o->server_name : o->host;
    enum err err;

    d->tls = tls_stream_new(o->tls, d->fd, name, NULL);
    while ((err = tls_handshake(d->tls)) == ERR_AGAIN) {
        err = wait_tls(d, deadline_us);
        if (err != ERR_NONE)
            break;
    }
    *reason = err == ERR_TIMEOUT ? "no TLS handshake in time" : tls_reason(d->tls);
    return err == ERR_CLOSED ? ERR_TLS : err;
}

enum err dial_open(const struct dial_options *o, uint64_t deadline_us, struct dial **dial,
                   struct buf *why)
{
    struct dial *d = mem_new(sizeof(*d));
    const char *reason = "";
    enum err err;

    d->fd = -1;
    d->cancel_fd = o->cancel_fd;
    if (o->host != NULL)
        err = connect_name(d, o, deadline_us, &reason);
    else
        err = connect_unix(d, o->unix_path, deadline_us, &reason);
    if (err == ERR_NONE && o->tls != NULL)
        err = begin_tls(d, o, deadline_us, &reason);
    if (err == ERR_NONE) {
        *dial = d;
        return ERR_NONE;
    }
    buf_text(why, reason);
    dial_close(&d);
    return err;
}

void dial_close(struct dial **dial)
{
    struct dial *d = *dial;

    *dial = NULL;
    if (d == NULL)
        return;
    if (d->tls != NULL) {
        enum err ignored = tls_shutdown(d->tls); /* a courtesy */

        (void)ignored;
        tls_stream_free(&d->tls);
    }
    if (d->fd >= 0)
        close(d->fd);
    free(d);
}

static enum err moved(ssize_t count, size_t *out)
{
    if (count > 0) {
        *out = (size_t)count;
        return ERR_NONE;
    }
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? ERR_AGAIN : ERR_CLOSED;
}

enum err dial_read(void *dial, void *at, size_t len, uint64_t deadline_us, size_t *got)
{
    struct dial *d = dial;

    assert(len > 0);
    for (;;) {
        enum err err =
            d->tls != NULL ? tls_read(d->tls, at, len, got) : moved(recv(d->fd, at, len, 0), got);

        if (err != ERR_AGAIN)
            return err;
        if (d->tls != NULL)
            TRY(wait_tls(d, deadline_us));
        else
            TRY(wait_for(d, POLLIN, deadline_us));
    }
}

enum err dial_write(void *dial, const void *at, size_t len, uint64_t deadline_us, size_t *put)
{
    struct dial *d = dial;

    assert(len > 0);
    for (;;) {
        enum err err = d->tls != NULL ? tls_write(d->tls, at, len, put)
                                      : moved(send(d->fd, at, len, MSG_NOSIGNAL), put);

        if (err != ERR_AGAIN)
            return err;
        if (d->tls != NULL)
            TRY(wait_tls(d, deadline_us));
        else
            TRY(wait_for(d, POLLOUT, deadline_us));
    }
}
