/* append and prepend to a key whose class limits its values: the server can't be told how long what
 * it makes may be, so it is asked how long the value is, and joins them on condition that it still
 * is:
 *
 *     ask ---- mg, s and c ----> too long together: told
 *      ^                         HD:     |
 *      |                                 v
 *      +------- EX -------------- ms, A or P, with the cas of what was asked
 *                                        |-- any other reply is the reply
 *
 * What is missing is appended to with a cas that nothing has. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/memory/memcached_front.h"

enum { TRIES_MOST = 100, MODE_FLAGS = 3 };

/* In the arena. */
struct join {
    memory_merge_f *merge; /* what hears the reply; NULL: it goes as it is */
    void *note;
    struct slice line, value; /* of ms, as the server was to be sent it */
    struct slice ask;
    bool is_text;        /* append or prepend: the reply is told in their words */
    uint64_t most;       /* max_value */
    uint64_t generation; /* when it was planned */
    uint32_t tries;
    bool is_joining;
};

/* ---- replies ---- */

static void put_answer(struct memory_merge *m, const struct join *j, struct slice reply)
{
    if (j->is_text && slice_starts(reply, slice_text("HD")))
        reply = slice_text("STORED\r\n");
    else if (j->is_text && slice_starts(reply, slice_text("NS")))
        reply = slice_text("NOT_STORED\r\n");
    m->parts[0].reply = reply;
    if (j->merge == NULL) {
        buf_slice(m->out, reply);
        return;
    }
    m->note = j->note;
    j->merge(m);
}

static void ask(struct memory_merge *m, struct join *j)
{
    if (m->site->generation != j->generation) {
        put_answer(m, j, slice_text("SERVER_ERROR the pool's configuration changed meanwhile\r\n"));
    } else if (++j->tries > TRIES_MOST) {
        put_answer(m, j, slice_text("SERVER_ERROR others changed the key again and again\r\n"));
    } else {
        j->is_joining = false;
        m->parts[0].bytes = j->ask;
        m->again = true;
    }
}

static void join(struct memory_merge *m, struct join *j, uint64_t cas)
{
    struct buf bytes = { 0 };

    buf_slice(&bytes, j->line);
    if (memcached_line_flag(j->line, MODE_FLAGS, 'C').at == NULL) /* else it is the client's */
        buf_format(&bytes, " C%" PRIu64, cas);
    buf_text(&bytes, "\r\n");
    buf_slice(&bytes, j->value);
    buf_text(&bytes, "\r\n");
    m->parts[0].bytes = arena_copy(m->arena, buf_all(&bytes));
    m->again = true;
    j->is_joining = true;
    buf_fini(&bytes);
}

/* A client's own cas that is another one is not what was asked, and is told so by the server: no
 * value has it again. */
static void merge_join(struct memory_merge *m)
{
    struct join *j = m->note;
    struct slice whole = m->parts[0].reply;
    struct memcached_reply told;
    uint64_t len = 0, cas = UINT64_MAX;
    bool is_line = !m->parts[0].failed && !memcached_reply_is_error(whole) &&
                   memcached_reply_read(whole, &told) == ERR_NONE;

    if (is_line && j->is_joining && slice_is_text(told.code, "EX") &&
        memcached_line_flag(j->line, MODE_FLAGS, 'C').at == NULL)
        ask(m, j);
    else if (!is_line || j->is_joining)
        put_answer(m, j, whole);
    else if (slice_is_text(told.code, "HD") &&
             (!slice_to_u64(memcached_reply_flag(&told, 's'), &len) ||
              !slice_to_u64(memcached_reply_flag(&told, 'c'), &cas)))
        put_answer(m, j, memcached_out_of_step(m, 0));
    else if (len + j->value.len > j->most)
        put_answer(m, j, slice_text(MEMCACHED_TOO_LARGE));
    else
        join(m, j, cas);
}

/* ---- requests ---- */

static bool joins(const struct memcached_text_request *r)
{
    struct slice mode = memcached_line_flag(r->line, MODE_FLAGS, 'M');

    if (r->verb != MEMCACHED_MS)
        return r->verb == MEMCACHED_APPEND || r->verb == MEMCACHED_PREPEND;
    return mode.len == 1 && mode.at[0] != '\0' && strchr("AaPp", mode.at[0]) != NULL;
}

static struct slice ask_of(struct memcached_call *call, const struct memcached_text_request *r)
{
    bool is_base64 =
        r->verb == MEMCACHED_MS && memcached_line_flag(r->line, MODE_FLAGS, 'b').at != NULL;
    struct buf line = { 0 };
    struct slice bytes;

    buf_format(&line, "mg %.*s s c%s\r\n", (int)r->key.len, (const char *)r->key.at,
               is_base64 ? " b" : "");
    bytes = arena_copy(call->op->arena, buf_all(&line));
    buf_fini(&line);
    return bytes;
}

static struct slice line_of(struct memcached_call *call, const struct memcached_text_request *r)
{
    struct buf line = { 0 };
    struct slice bytes;

    if (r->verb == MEMCACHED_MS)
        buf_slice(&line, r->line);
    else
        buf_format(&line, "ms %.*s %zu M%c", (int)r->key.len, (const char *)r->key.at, r->value.len,
                   r->verb == MEMCACHED_APPEND ? 'A' : 'P');
    bytes = arena_copy(call->op->arena, buf_all(&line));
    buf_fini(&line);
    return bytes;
}

void memcached_limit_join(struct memcached_call *call, struct slice key)
{
    const struct memory_class *class = memory_site_class(call->site, key);
    struct memory_operation *op = call->op;
    struct memcached_text_progress progress = { 0 };
    struct memcached_text_request r;
    struct memcached_text_limits limits = { .line_bytes = op->one.bytes.len + 1,
                                            .value_bytes = op->one.bytes.len + 1 };
    struct join *j;
    size_t need;

    if (class == NULL || class->settings->max_value_bytes == 0 || call->site->translates ||
        op->way != MEMORY_PARTS ||
        memcached_text_parse(&progress, op->one.bytes, &limits, &r, &need) != PARSE_DONE ||
        r.error != NULL || !joins(&r))
        return;
    j = arena_new(op->arena, sizeof(*j));
    j->merge = op->merge;
    j->note = op->note;
    j->is_text = r.verb != MEMCACHED_MS;
    j->line = line_of(call, &r);
    j->value = arena_copy(op->arena, r.value);
    j->ask = ask_of(call, &r);
    j->most = class->settings->max_value_bytes;
    j->generation = call->site->generation;
    op->one.bytes = j->ask;
    op->merge = merge_join;
    op->note = j;
    op->alone = true; /* what the session asks next must find it done, in however many rounds */
}
