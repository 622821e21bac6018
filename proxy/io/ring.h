/* Sends and receives of many sockets in one system call, by io_uring(7).
 *
 *     n = ring_send(&ring, fd, places, count);           or ring_receive(), while ring_has_room()
 *     ...
 *     ring_submit(&ring);
 *     ring_result(&ring, n)                              as send(), with -errno in place of -1
 *
 * It is used as a shorter way to say what send() and recv() say: nothing blocks, nothing is left
 * under way when ring_submit() returns, and no thread of the kernel works for it.  Where the kernel
 * has no io_uring, or forbids it (containers do), there is no ring, and the caller does without. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    RING_MOST = 64,  /* between two submits */
    RING_PLACES = 4, /* of one send */
};

struct io_uring_sqe;
struct io_uring_cqe;

struct ring {
    int fd;         /* owned; -1: there is none */
    uint32_t count; /* since the last submit */
    void *rings;    /* shared with the kernel, as are: */
    size_t rings_bytes;
    struct io_uring_sqe *requests;
    const struct io_uring_cqe *completions;
    uint32_t *request_tail, *completion_head;
    const uint32_t *request_head, *completion_tail;
    uint32_t request_mask, completion_mask;
    struct msghdr messages[RING_MOST];
    struct iovec places[RING_MOST][RING_PLACES];
    int results[RING_MOST];
};

/* In the thread that will use it, which alone may. */
void ring_open(struct ring *r);
void ring_close(struct ring *r);
static inline bool ring_has_room(const struct ring *r)
{
    return r->count < RING_MOST;
}
/* `count` is at most RING_PLACES; what they describe stays where it is until ring_submit().
 * Returns the number to ask for the result by. */
uint32_t ring_send(struct ring *r, int fd, const struct iovec *places, int count);
uint32_t ring_receive(struct ring *r, int fd, void *at, size_t len);
void ring_submit(struct ring *r);
/* Until the next ring_send() or ring_receive(). */
static inline int ring_result(const struct ring *r, uint32_t number)
{
    return r->results[number];
}
