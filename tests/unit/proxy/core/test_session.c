/* A session in a worker of the test's own, with a flow that only notes what it is shown. */
#include "proxy/core/session.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/mem.h"
#include "tests/unit/check.h"

enum { ARGUMENT_BYTES = 10, REQUEST_BYTES = 100000 * ARGUMENT_BYTES };

static size_t shown_times, used_bytes, first_use;
static bool ended;

static void begin(struct session *s)
{
    s->logged_in = true;
}

static void end(struct session *s)
{
    (void)s;
    ended = true;
}

static size_t use(struct slice in)
{
    if (used_bytes == 0)
        first_use = in.len;
    used_bytes += in.len;
    return in.len;
}

/* One request of arguments of ten bytes each: no more is known than where the next one ends. */
static size_t short_arguments(struct session *s, struct slice in)
{
    shown_times++;
    if (in.len >= REQUEST_BYTES)
        return use(in);
    s->need = in.len - in.len % ARGUMENT_BYTES + ARGUMENT_BYTES;
    return 0;
}

/* One request that is one long value, whose length is known from the start. */
static size_t long_value(struct session *s, struct slice in)
{
    shown_times++;
    if (used_bytes > 0 || in.len >= REQUEST_BYTES)
        return use(in);
    s->need = REQUEST_BYTES;
    return 0;
}

/* Sends `len` bytes to a session of that flow and has it read them all. */
static void send_to(size_t (*input)(struct session *, struct slice), size_t len)
{
    struct flow flow = { .session_begin = begin, .session_input = input, .session_end = end };
    struct snapshot snapshot = { .proxy = { .max_memory_bytes = 1 << 30, .max_sessions = 1 } };
    struct assembly assembly = { .refs = 2, .snapshot = &snapshot };
    struct slab slab = { .size = sizeof(struct session) };
    atomic_uint sessions = 0;
    struct session_limits limits = {
        .flow = &flow, .slab = &slab, .sessions = &sessions, .max_bytes = 1 << 30
    };
    uint8_t *bytes = mem_new(len);
    size_t sent = 0;
    struct worker w;
    int ends[2];

    shown_times = used_bytes = first_use = 0;
    ended = false;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    worker_init(&w, 0, 1, &assembly);
    session_open(&w, ends[0], &(struct listener_peer){ 0 }, &limits, NULL);
    while (used_bytes < len && !ended) {
        ssize_t n = sent < len ? write(ends[1], bytes + sent, len - sent) : 0;

        sent += n > 0 ? (size_t)n : 0;
        worker_turn(&w);
    }
    close(ends[1]);
    while (!ended)
        worker_turn(&w);
    worker_fini(&w);
    slab_fini(&slab);
    free(bytes);
}

static void of_many_short_arguments_each_read_brings_many(void)
{
    send_to(short_arguments, REQUEST_BYTES);
    CHECK_INT(used_bytes, REQUEST_BYTES);
    /* A Unix socket passes on what its buffer holds, at least some 100 KiB; each such piece may end
     * in a read that brought little. */
    CHECK(shown_times <= 2 * REQUEST_BYTES / (64 * 1024) + 8);
}

static void a_long_value_is_read_to_its_end_and_no_further(void)
{
    send_to(long_value, REQUEST_BYTES + 100);
    CHECK_INT(used_bytes, REQUEST_BYTES + 100);
    CHECK_INT(first_use, REQUEST_BYTES);
}

int main(void)
{
    RUN(of_many_short_arguments_each_read_brings_many);
    RUN(a_long_value_is_read_to_its_end_and_no_further);
    return check_report();
}
