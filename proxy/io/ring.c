/* See ring.h.  The kernel's side is described in io_uring(7) and io_uring_enter(2): requests are
 * put at the tail of one ring, completions are taken from the head of the other. */
#include "proxy/io/ring.h"

#include <assert.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int enter(const struct ring *r, uint32_t submit, uint32_t wait)
{
    return (int)syscall(SYS_io_uring_enter, r->fd, submit, wait, IORING_ENTER_GETEVENTS, NULL, 0);
}

static int set_up(struct io_uring_params *p)
{
    int fd;

    *p = (struct io_uring_params){ .flags =
                                       IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN };
    fd = (int)syscall(SYS_io_uring_setup, RING_MOST, p);
    if (fd >= 0 || errno != EINVAL)
        return fd;
    *p = (struct io_uring_params){ 0 }; /* a kernel before 6.1 */
    return (int)syscall(SYS_io_uring_setup, RING_MOST, p);
}

static void *map(int fd, size_t bytes, off_t offset)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);

    return at == MAP_FAILED ? NULL : at;
}

static void find_parts(struct ring *r, const struct io_uring_params *p)
{
    uint8_t *at = r->rings;
    uint32_t *order = (void *)(at + p->sq_off.array);

    r->request_head = (void *)(at + p->sq_off.head);
    r->request_tail = (void *)(at + p->sq_off.tail);
    r->request_mask = p->sq_entries - 1;
    r->completion_head = (void *)(at + p->cq_off.head);
    r->completion_tail = (void *)(at + p->cq_off.tail);
    r->completion_mask = p->cq_entries - 1;
    r->completions = (void *)(at + p->cq_off.cqes);
    for (uint32_t i = 0; i < p->sq_entries; i++)
        order[i] = i;
}

void ring_open(struct ring *r)
{
    struct io_uring_params p;
    size_t requests_bytes = RING_MOST * sizeof(struct io_uring_sqe), completions_end;

    *r = (struct ring){ .fd = set_up(&p) };
    if (r->fd < 0)
        return;
    if (!(p.features & IORING_FEAT_SINGLE_MMAP) || p.sq_entries != RING_MOST) {
        ring_close(r);
        return;
    }
    r->rings_bytes = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
    completions_end = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    if (r->rings_bytes < completions_end)
        r->rings_bytes = completions_end;
    r->rings = map(r->fd, r->rings_bytes, IORING_OFF_SQ_RING);
    r->requests = map(r->fd, requests_bytes, IORING_OFF_SQES);
    if (r->rings == NULL || r->requests == NULL) {
        ring_close(r);
        return;
    }
    find_parts(r, &p);
}

void ring_close(struct ring *r)
{
    if (r->fd < 0)
        return;
    if (r->rings != NULL)
        munmap(r->rings, r->rings_bytes);
    if (r->requests != NULL)
        munmap(r->requests, RING_MOST * sizeof(struct io_uring_sqe));
    close(r->fd);
    *r = (struct ring){ .fd = -1 };
}

static struct io_uring_sqe *add(struct ring *r, uint8_t what, int fd)
{
    uint32_t at = *r->request_tail + r->count; /* the kernel only reads it */
    struct io_uring_sqe *request = &r->requests[at & r->request_mask];

    assert(ring_has_room(r));
    memset(request, 0, sizeof(*request));
    request->opcode = what;
    request->fd = fd;
    request->user_data = r->count;
    request->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    r->results[r->count] = -EAGAIN;
    return request;
}

uint32_t ring_send(struct ring *r, int fd, const struct iovec *places, int count)
{
    struct io_uring_sqe *request = add(r, count == 1 ? IORING_OP_SEND : IORING_OP_SENDMSG, fd);
    uint32_t number = r->count++;

    if (count == 1) {
        request->addr = (uintptr_t)places->iov_base;
        request->len = (uint32_t)places->iov_len;
        return number;
    }
    memcpy(r->places[number], places, (size_t)count * sizeof(*places));
    r->messages[number] =
        (struct msghdr){ .msg_iov = r->places[number], .msg_iovlen = (size_t)count };
    request->addr = (uintptr_t)&r->messages[number];
    request->len = 1;
    return number;
}

uint32_t ring_receive(struct ring *r, int fd, void *at, size_t len)
{
    struct io_uring_sqe *request = add(r, IORING_OP_RECV, fd);

    request->addr = (uintptr_t)at;
    request->len = (uint32_t)len;
    return r->count++;
}

/* Returns how many there were. */
static uint32_t take_results(struct ring *r)
{
    uint32_t head = *r->completion_head, first = head;
    uint32_t tail = __atomic_load_n(r->completion_tail, __ATOMIC_ACQUIRE);

    for (; head != tail; head++) {
        const struct io_uring_cqe *completion = &r->completions[head & r->completion_mask];

        r->results[completion->user_data] = completion->res;
    }
    __atomic_store_n(r->completion_head, head, __ATOMIC_RELEASE);
    return head - first;
}

/* What the kernel did not take, for want of memory, is as if its socket had had no room. */
void ring_submit(struct ring *r)
{
    uint32_t begun = 0, ended = 0;
    int n = 1;

    __atomic_store_n(r->request_tail, *r->request_tail + r->count, __ATOMIC_RELEASE);
    while (begun < r->count && (n > 0 || (n < 0 && errno == EINTR))) {
        n = enter(r, r->count - begun, r->count - begun);
        begun += n > 0 ? (uint32_t)n : 0;
        ended += take_results(r);
    }
    *r->request_tail = __atomic_load_n(r->request_head, __ATOMIC_ACQUIRE);
    while (ended < begun) {
        (void)enter(r, 0, begun - ended);
        ended += take_results(r);
    }
    r->count = 0;
}
