/* The memcached back: how an upstream becomes ready, where its replies end, and what they mean for
 * the health of the server.  Servers are spoken to in text and meta commands, whatever the clients
 * speak: memcached takes both on one connection, and knows the binary protocol's keys in base64.
 *
 * Ready: log in as memcached -Y has it (or ask for the version, so that a server that refuses is
 * noticed before the first request is sent) -> the stamp. */
#include <string.h>

#include "proxy/memory/memory.h"
#include "proxy/wire/memcached_text_reply.h"

/* One question, whether it must be asked, and what its answer tells. */
struct step {
    bool (*applies)(const struct memory_hello *);
    void (*ask)(const struct memory_hello *, struct buf *out);
    enum err (*take)(struct memory_hello *, struct slice answer, struct buf *why);
};

static bool always(const struct memory_hello *h)
{
    (void)h;
    return true;
}

static void put_set(struct buf *out, const char *verb, struct slice key, struct slice value)
{
    buf_format(out, "%s %.*s 0 0 %zu\r\n", verb, (int)key.len, (const char *)key.at, value.len);
    buf_slice(out, value);
    buf_text(out, "\r\n");
}

static void ask_login(const struct memory_hello *h, struct buf *out)
{
    const struct endpoint_settings *e = h->endpoint;
    struct buf words = { 0 };

    if (e->password == NULL) {
        buf_text(out, "version\r\n");
        return;
    }
    buf_format(&words, "%s %s", e->user == NULL ? "default" : e->user, e->password);
    put_set(out, "set", slice_text("login"), buf_all(&words));
    buf_fini(&words);
}

/* The words of an error, without its end of line. */
static struct slice without_end(struct slice answer)
{
    while (answer.len > 0 &&
           (answer.at[answer.len - 1] == '\r' || answer.at[answer.len - 1] == '\n'))
        answer.len--;
    return answer;
}

static enum err take_login(struct memory_hello *h, struct slice answer, struct buf *why)
{
    const char *expected = h->endpoint->password == NULL ? "VERSION" : "STORED";
    struct slice words = without_end(answer);

    if (slice_starts(answer, slice_text(expected)))
        return ERR_NONE;
    buf_slice(why, words);
    return memcached_reply_is_error(answer) ? ERR_LOGIN : ERR_PROTOCOL;
}

static bool has_stamp(const struct memory_hello *h)
{
    return h->stamp.len > 0;
}

static void ask_stamp(const struct memory_hello *h, struct buf *out)
{
    buf_format(out, "get %.*s\r\n", (int)h->stamp_key.len, (const char *)h->stamp_key.at);
}

static enum err take_stamp(struct memory_hello *h, struct slice answer, struct buf *why)
{
    struct memcached_row row;

    if (memcached_row_read(&answer, &row) == ERR_NONE) {
        h->found_stamp = row.value;
        return ERR_NONE;
    }
    if (slice_is_text(answer, "END\r\n"))
        return ERR_NONE;
    buf_format(why, "its stamp can't be read: %.*s", (int)without_end(answer).len,
               (const char *)answer.at);
    return ERR_PROTOCOL;
}

/* By add, so of two that find none, the first one's counts; so it is read again. */
static void ask_new_stamp(const struct memory_hello *h, struct buf *out)
{
    put_set(out, "add", h->stamp_key, h->stamp);
}

static enum err take_new_stamp(struct memory_hello *h, struct slice answer, struct buf *why)
{
    (void)h;
    if (slice_is_text(answer, "STORED\r\n") || slice_is_text(answer, "NOT_STORED\r\n"))
        return ERR_NONE;
    buf_format(why, "its stamp can't be written: %.*s", (int)without_end(answer).len,
               (const char *)answer.at);
    return memcached_reply_is_error(answer) ? ERR_DOWN : ERR_PROTOCOL;
}

static const struct step STEPS[] = {
    { always, ask_login, take_login },
    { has_stamp, ask_stamp, take_stamp },
    { has_stamp, ask_new_stamp, take_new_stamp },
    { has_stamp, ask_stamp, take_stamp },
};

enum { STEP_COUNT = sizeof(STEPS) / sizeof(STEPS[0]), STEP_NEW_STAMP = 2 };

static enum err hello(struct memory_hello *h, struct slice reply, struct buf *out, struct buf *why)
{
    if (reply.len > 0) {
        TRY(STEPS[h->step].take(h, reply, why));
        h->step++;
        if (h->step == STEP_NEW_STAMP && h->found_stamp.at != NULL)
            h->step = STEP_COUNT; /* it is there, and judged next */
    }
    while (h->step < STEP_COUNT && !STEPS[h->step].applies(h))
        h->step++;
    if (h->step < STEP_COUNT)
        STEPS[h->step].ask(h, out);
    return ERR_NONE;
}

static enum parse scan(void *memory, struct slice in, size_t *used, bool *out_of_band)
{
    *out_of_band = false;
    return memcached_reply_scan(memory, in, used);
}

static uint64_t body_left(const void *memory)
{
    return memcached_scan_body_left(memory);
}

static void body_passed(void *memory, size_t len)
{
    memcached_scan_pass_body(memory, len);
}

/* "out of memory storing object" speaks of the server, "object too large" of the request. */
static const char *trouble(struct slice reply)
{
    if (slice_starts(reply, slice_text("SERVER_ERROR out of memory")))
        return "oom";
    return NULL;
}

_Static_assert(sizeof(struct memcached_scan) <= MEMORY_SCAN_BYTES, "the flow keeps no more");

const struct memory_back memory_back_memcached = {
    .name = "memcached",
    .default_port = 11211,
    .hello = hello,
    .scan = scan,
    .scan_size = sizeof(struct memcached_scan),
    .body_left = body_left,
    .body_passed = body_passed,
    .trouble = trouble,
    .trouble_byte = 'S',
};
