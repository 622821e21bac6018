/* See lane.h.
 *
 *     CLOSED --lane_open--> CONNECTING --connected--> GREETING --greeted--> READY
 *        ^                      |                        |                    |
 *        +----------------------+------ lose() ----------+--------------------+
 *
 * GREETING is the driver's login, where it has one, and then its greeting.  Events are registered
 * for reading all the time, for writing only while the socket is full. */
#include "bench/lane.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/target.h"
#include "proxy/base/clock.h"
#include "proxy/base/mem.h"

enum { LANE_READ_MIN = 16 << 10, LANE_READ_MAX = 1 << 20, LANE_KEEP_BYTES = 64 << 10 };

void lane_init(struct lane *l, uint32_t depth)
{
    l->state = LANE_CLOSED;
    l->fd = -1;
    l->depth = depth;
    l->appetite = LANE_READ_MIN;
    l->calls = depth > 0 ? mem_new(depth * sizeof(*l->calls)) : NULL;
}

static void shut(struct lane *l)
{
    if (l->fd < 0)
        return;
    event_del(&l->readable);
    event_del(&l->writable);
    if (l->login != NULL)
        l->load->driver->login_end(&l->login);
    close(l->fd);
    l->fd = -1;
    l->state = LANE_CLOSED;
    l->written = l->dropped = 0;
    l->greetings = 0;
    l->scan = (struct load_scan){ 0 };
    buf_fini(&l->in);
    buf_fini(&l->out);
}

static void lose(struct lane *l, const char *why)
{
    snprintf(l->problem, sizeof(l->problem), "%s", why);
    l->lost_from = l->state;
    shut(l);
    l->events->lost(l);
    l->head = l->count = 0;
}

static void lose_by_errno(struct lane *l, int number)
{
    char text[80];

    lose(l, strerror_r(number, text, sizeof(text)));
}

void lane_give_up(struct lane *l, const char *why)
{
    lose(l, why);
}

void lane_fini(struct lane *l)
{
    shut(l);
    free(l->calls);
    l->calls = NULL;
}

void lane_flush(struct lane *l)
{
    while (l->written < l->out.len) {
        ssize_t n = send(l->fd, l->out.at + l->written, l->out.len - l->written, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            lose_by_errno(l, errno);
            return;
        }
        if (n < 0) {
            event_add(&l->writable, NULL);
            return;
        }
        l->written += (size_t)n;
    }
    l->written = 0;
    if (l->out.cap > LANE_KEEP_BYTES)
        buf_fini(&l->out);
    else
        buf_clear(&l->out);
}

void lane_call(struct lane *l, const struct load_call *call)
{
    assert(lane_has_room(l));
    l->calls[(l->head + l->count) % l->depth] = *call;
    l->count++;
    l->load->driver->encode(l->load, call, &l->out);
}

static void become_ready(struct lane *l)
{
    l->state = LANE_READY;
    l->events->ready(l);
}

static size_t line_len(struct slice text)
{
    const uint8_t *end = text.len > 0 ? memchr(text.at, '\r', text.len) : NULL;

    return end != NULL ? (size_t)(end - text.at) : text.len;
}

/* A reply to a call, or to the greeting; false if the lane is lost over it. */
static bool take_reply(struct lane *l, struct slice reply, uint64_t now_us)
{
    struct load_outcome outcome;
    struct load_call call;
    char why[sizeof(l->problem)];

    if (l->greetings > 0) {
        l->load->driver->judge(l->load, NULL, reply, &outcome);
        if (outcome.verdict == LOAD_ERROR) {
            snprintf(why, sizeof(why), "login: %.*s", (int)line_len(outcome.text),
                     (const char *)outcome.text.at);
            lose(l, why);
            return false;
        }
        l->greetings--;
        if (l->greetings == 0)
            become_ready(l);
        return l->state != LANE_CLOSED;
    }
    call = *lane_oldest(l);
    l->head = (l->head + 1) % l->depth;
    l->count--;
    l->load->driver->judge(l->load, &call, reply, &outcome);
    l->events->answered(l, &call, &outcome, reply.len + l->dropped, now_us);
    l->dropped = 0;
    return true;
}

/* Bytes came though no reply is due: an error before closing, or a reply that is not ours. */
static void lose_unasked(struct lane *l, struct slice bytes)
{
    struct load_outcome outcome;
    char why[sizeof(l->problem)];

    l->load->driver->judge(l->load, NULL, bytes, &outcome);
    l->unasked = outcome.verdict != LOAD_ERROR;
    if (!l->unasked)
        bytes = outcome.text;
    bytes.len = bytes.len < 100 ? bytes.len : 100;
    snprintf(why, sizeof(why), "a reply that nothing asked for: %.*s", (int)bytes.len,
             (const char *)bytes.at);
    why[strcspn(why, "\r")] = '\0';
    lose(l, why);
}

/* What came while no reply is due; false if nothing more can be done now. */
static bool take_unasked(struct lane *l, struct slice rest, size_t *len)
{
    load_aside_f *aside = l->load->driver->aside;
    enum parse found = aside != NULL ? aside(rest, len) : PARSE_BAD;

    if (found == PARSE_BAD)
        lose_unasked(l, rest);
    return found == PARSE_DONE;
}

/* What its driver has seen and nobody needs. */
static void drop_tail(struct lane *l, size_t len)
{
    l->in.len -= len;
    l->dropped += len;
}

/* Takes all whole replies; false if the lane is lost. */
static bool take_replies(struct lane *l)
{
    uint64_t now_us = clock_now_us();
    size_t at = 0, len = 0;

    while (at < l->in.len) {
        struct slice rest = slice_from(buf_all(&l->in), at);
        enum parse found;

        if (l->greetings + l->count == 0) {
            if (!take_unasked(l, rest, &len))
                break;
            at += len;
            continue;
        }
        l->scan.keeps = l->load->verify;
        len = 0;
        found = l->load->driver->bound(&l->scan, rest, &len);
        if (found == PARSE_MORE) {
            drop_tail(l, len);
            break;
        }
        if (found == PARSE_BAD) {
            lose(l, "the bytes are not of the protocol");
            return false;
        }
        if (!take_reply(l, slice_of(rest.at, len), now_us))
            return false;
        at += len;
    }
    if (l->state == LANE_CLOSED)
        return false;
    if (at > 0)
        buf_skip(&l->in, at);
    if (l->in.len == 0 && l->in.cap > LANE_KEEP_BYTES)
        buf_fini(&l->in);
    return true;
}

static void greet(struct lane *l)
{
    l->greetings = l->load->driver->greet(l->load, &l->out);
    if (l->greetings == 0)
        become_ready(l);
    else
        lane_flush(l);
}

/* A step of the login; false if it is not over. */
static bool take_login(struct lane *l)
{
    const char *why = "refused";
    char text[sizeof(l->problem)];
    size_t used = 0;
    enum err err = l->load->driver->login_feed(l->login, buf_all(&l->in), &used, &l->out, &why);

    buf_skip(&l->in, used);
    if (err == ERR_AGAIN) {
        lane_flush(l);
        return false;
    }
    if (err != ERR_NONE) {
        snprintf(text, sizeof(text), "login: %s", why);
        lose(l, text);
        return false;
    }
    l->load->driver->login_end(&l->login);
    greet(l);
    return l->state != LANE_CLOSED;
}

static void begin_greeting(struct lane *l)
{
    const struct load_driver *d = l->load->driver;

    l->state = LANE_GREETING;
    event_add(&l->readable, NULL);
    if (d->login_begin == NULL) {
        greet(l);
        return;
    }
    l->login = d->login_begin(l->load, &l->out);
    lane_flush(l);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct lane *l = arg;
    uint8_t *room = buf_reserve(&l->in, l->appetite);
    ssize_t n = read(fd, room, l->appetite);

    (void)what;
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            lose_by_errno(l, errno);
        return;
    }
    if (n == 0) {
        lose(l, "closed by the other side");
        return;
    }
    buf_grow(&l->in, (size_t)n);
    if ((size_t)n == l->appetite && l->appetite < LANE_READ_MAX)
        l->appetite *= 2;
    else if ((size_t)n < l->appetite / 4 && l->appetite > LANE_READ_MIN)
        l->appetite /= 2;
    if (l->login != NULL && !take_login(l))
        return;
    if (take_replies(l) && l->state == LANE_READY)
        l->events->resumed(l);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct lane *l = arg;
    int failed = 0;
    socklen_t len = sizeof(failed);

    (void)what;
    if (l->state != LANE_CONNECTING) {
        lane_flush(l);
        return;
    }
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len);
    if (failed != 0)
        lose_by_errno(l, failed);
    else
        begin_greeting(l);
}

void lane_open(struct lane *l)
{
    const struct target *t = l->load->target;
    int yes = 1;

    l->reopen_us = 0;
    l->fd = socket(t->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        lose_by_errno(l, errno);
        return;
    }
    if (t->path == NULL)
        setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    event_assign(&l->readable, l->base, l->fd, EV_READ | EV_PERSIST, on_readable, l);
    event_assign(&l->writable, l->base, l->fd, EV_WRITE, on_writable, l);
    l->state = LANE_CONNECTING;
    if (connect(l->fd, (const struct sockaddr *)&t->address, t->address_len) == 0)
        begin_greeting(l);
    else if (errno == EINPROGRESS)
        event_add(&l->writable, NULL);
    else
        lose_by_errno(l, errno);
}
