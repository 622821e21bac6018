/* A stream socket in a loop, plain or TLS: reads, writes and readiness, nothing about meaning.
 *
 * One libevent event for both directions.  Reading is watched while the owner wants it; writing
 * only after a write fell short.  The hot path is one recv() and one send() per turn and socket. */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "proxy/base/err.h"
#include "proxy/io/tls.h"

struct conn;

/* An event callback: runs in the loop, `what` has EV_READ or EV_WRITE, `arg` is the conn.  May
 * close the conn. */
typedef void conn_ready_f(evutil_socket_t fd, short what, void *arg);

struct conn {
    int fd; /* owned; -1: closed */
    bool watching_read, watching_write, handshaking;
    struct tls_stream *tls; /* owned; NULL: plain */
    struct event event;
};

/* Options of a TCP socket at that address; those that a listening one accepts inherit them, and
 * cost no calls. */
void conn_prepare(int fd, const struct sockaddr *address);
bool conn_is_loopback(const struct sockaddr *address);
/* To a peer on this machine: see conn.c. */
void conn_do_not_pace(int fd);
/* Takes the descriptor, which must not block; nothing is watched yet. */
void conn_open(struct conn *c, struct event_base *base, int fd, conn_ready_f *ready);
/* Puts TLS on the open conn (takes the stream); conn_handshake() comes first then. */
void conn_secure(struct conn *c, struct tls_stream *stream);
/* ERR_NONE when done, ERR_AGAIN: wait for readiness (it is watched), else for good. */
enum err conn_handshake(struct conn *c) MUST_CHECK;
/* Begins a connect.  ERR_NONE: under way, or done already, which conn_is_connected() tells: on this
 * machine it is.  If not, conn_watch() until the conn becomes writable, and ask
 * conn_connect_result().  Else it failed at once: nothing is open, and errno says why. */
enum err conn_connect(struct conn *c, struct event_base *base, const struct sockaddr *address,
                      socklen_t len, conn_ready_f *ready) MUST_CHECK;
bool conn_is_connected(const struct conn *c);
/* What became of the connect; 0 or an errno. */
int conn_connect_result(const struct conn *c);
/* When it is closed the peer hears a reset, not the end of input as from one that half-closes, and
 * of what was sent the system lets go what is not on its way. */
void conn_reset_at_close(struct conn *c);
void conn_close(struct conn *c);
/* Has the system ask a silent peer whether it is still there; a Unix socket's always is.  What a
 * listener's socket accepted inherits how. */
void conn_keep_alive(struct conn *c, bool inherits);

/* Tells of what came only when it is so much, or the last; a Unix socket does so at once. */
void conn_read_from(struct conn *c, int bytes);
void conn_watch(struct conn *c, bool read, bool write);
/* To another loop; nothing is watched. */
void conn_move(struct conn *c, struct event_base *base);

/* ERR_NONE with *got > 0; ERR_AGAIN; ERR_CLOSED at the end; ERR_SYSTEM (reset), ERR_TLS. */
enum err conn_read(struct conn *c, void *at, size_t len, size_t *got) MUST_CHECK;
/* As conn_read() of a plain socket, which keeps what it shows. */
enum err conn_peek(struct conn *c, void *at, size_t len, size_t *got) MUST_CHECK;
/* About how much it would take now; 0: not known. */
size_t conn_room(const struct conn *c);
/* ERR_NONE with *put possibly short of all; ERR_AGAIN; ERR_CLOSED, ERR_TLS. */
enum err conn_write(struct conn *c, const struct iovec *places, int count, size_t *put) MUST_CHECK;
/* What a read or write of a plain socket is that another made for it: `result` is what recv() or
 * send() would have returned, with -errno in place of -1. */
enum err conn_was_read(int result, size_t *got) MUST_CHECK;
enum err conn_was_written(int result, size_t *put) MUST_CHECK;
static inline size_t conn_places_bytes(const struct iovec *places, int count)
{
    size_t sum = 0;

    for (int i = 0; i < count; i++)
        sum += places[i].iov_len;
    return sum;
}

/* Bytes on their way from one plain socket to another inside the kernel, without a copy.  What was
 * taken in is put or read out before the next take. */
struct conn_pipe {
    int out, in; /* owned; -1: there is none, nothing can be passed */
};

/* With room for so many bytes, or what the system lets it have: fewer, or none. */
void conn_pipe_open(struct conn_pipe *pipe, size_t bytes);
size_t conn_pipe_bytes(const struct conn_pipe *pipe);
void conn_pipe_close(struct conn_pipe *pipe);
/* Into the pipe, as much as is there and has room, `most` at most; as conn_read(). */
enum err conn_pipe_take(struct conn_pipe *pipe, struct conn *from, size_t most, size_t *taken)
    MUST_CHECK;
/* Out of it, where `len` bytes lie; as conn_write(). */
enum err conn_pipe_put(struct conn_pipe *pipe, struct conn *to, size_t len, size_t *put) MUST_CHECK;
/* Out of it, to memory: `len` bytes, which lie there. */
void conn_pipe_read(struct conn_pipe *pipe, void *at, size_t len);
static inline bool conn_pipe_joins(const struct conn_pipe *pipe, const struct conn *from,
                                   const struct conn *to)
{
    return pipe->in >= 0 && from->tls == NULL && to->tls == NULL;
}

/* Has the peer sent bytes that were not read yet? */
bool conn_has_input(const struct conn *c);
/* Will the peer send no more, or is it gone, whatever it sent before? */
bool conn_is_left(const struct conn *c);
/* Nothing that is sent is heard any more. */
bool conn_is_reset(const struct conn *c);
/* May a further read give bytes at once, though the socket looks idle? (TLS records) */
static inline bool conn_has_pending(const struct conn *c)
{
    return c->tls != NULL && tls_has_pending(c->tls);
}
