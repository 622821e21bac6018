/* The memcached front as a hostile client and hostile servers see it: requests are parsed and
 * planned one after the other in one session, and their parts are answered from the same bytes.
 * What servers are sent must be as many commands as replies are expected, and none of them quiet.
 * The input is the requests, then "\xff\xfe\xff", then what servers say. */
#include <stdlib.h>
#include <string.h>

#include "proxy/memory/memory.h"
#include "proxy/wire/memcached_text_reply.h"
#include "proxy/wire/memcached_text_request.h"

extern const struct memory_front memory_front_memcached;

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

enum { SHARDS = 3, MOST_ROUNDS = 8 };

static struct slice replies; /* what servers have yet to say */

/* The next whole reply, or an error when there is none. */
static struct slice next_reply(void)
{
    static const struct slice NONE = { (const uint8_t *)"SERVER_ERROR down\r\n", 19 };
    struct memcached_scan scan = { 0 };
    struct slice reply = replies;
    size_t used = 0;

    if (replies.len == 0 || memcached_reply_scan(&scan, replies, &used) != PARSE_DONE)
        return NONE;
    reply.len = used;
    replies = slice_from(replies, used);
    return reply;
}

/* All replies of one part, in one piece. */
static void answer_part(struct memory_part *part, struct arena *arena)
{
    struct buf all = { 0 };

    part->failed = replies.len > 0 && replies.at[0] == '!';
    for (uint32_t i = 0; i < (part->failed ? 1 : part->replies); i++)
        buf_slice(&all, next_reply());
    part->reply = arena_copy(arena, buf_all(&all));
    buf_fini(&all);
}

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* The one command at the front of what a server gets; returns its length. */
static size_t check_command(struct slice bytes)
{
    static const struct memcached_text_limits LIMITS = { .line_bytes = 8192, .value_bytes = 8192 };
    struct memcached_text_progress progress = { 0 };
    struct memcached_text_request r;
    size_t need = 0;

    must(memcached_text_parse(&progress, bytes, &LIMITS, &r, &need) == PARSE_DONE);
    must(r.error == NULL && !r.noreply);
    must(r.verb != MEMCACHED_MN && r.verb != MEMCACHED_QUIT && r.verb != MEMCACHED_SHUTDOWN);
    for (uint32_t i = r.verb == MEMCACHED_MS ? 3 : 2; i < r.word_count; i++)
        must(r.verb < MEMCACHED_MG || r.verb > MEMCACHED_MA || r.words[i].at[0] != 'q');
    return r.len;
}

static void check_parts(const struct memory_part *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct slice bytes = parts[i].bytes;

        must(parts[i].shard < SHARDS && parts[i].replies > 0);
        for (uint32_t k = 0; k < parts[i].replies; k++)
            bytes = slice_from(bytes, check_command(bytes));
        must(bytes.len == 0);
    }
}

static void carry_out(struct memory_site *site, struct memory_state *state,
                      struct memory_operation *op)
{
    struct buf out = { 0 };
    struct memory_merge m = {
        .site = site,
        .state = state,
        .note = op->note,
        .parts = op->parts,
        .part_count = op->part_count,
        .arena = op->arena,
        .out = &out,
    };

    for (int round = 0; round < MOST_ROUNDS; round++) {
        check_parts(m.parts, m.part_count);
        for (uint32_t i = 0; i < m.part_count; i++)
            answer_part(&m.parts[i], op->arena);
        m.again = false;
        if (op->merge != NULL)
            op->merge(&m);
        if (!m.again)
            break;
    }
    buf_fini(&out);
}

static void serve(struct memory_site *site, struct memory_state *state, struct slice in)
{
    struct buf answer = { 0 }, last_words = { 0 };
    enum parse parse = PARSE_DONE;

    while (parse == PARSE_DONE && in.len > 0 && !state->closes) {
        struct arena arena = { 0 };
        struct memory_operation op = { .answer = &answer, .arena = &arena, .room = 20 };
        size_t need = 0;

        buf_clear(&answer);
        site->now_us += 10000000;
        parse = memory_front_memcached.parse(site, state, in, &op, &need, &last_words);
        if (parse == PARSE_DONE) {
            memory_front_memcached.plan(site, state, &op);
            in = slice_from(in, op.raw.len);
            if (op.way == MEMORY_PARTS)
                carry_out(site, state, &op);
            else if (op.way == MEMORY_ANSWERED)
                must(answer.len > 0 || op.silent || state->closes);
            else
                must(op.way == MEMORY_NOTHING);
        }
        arena_fini(&arena);
    }
    buf_fini(&answer);
    buf_fini(&last_words);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static struct endpoint_settings endpoints[SHARDS];
    static struct endpoint_settings *shards[SHARDS] = { &endpoints[0], &endpoints[1],
                                                        &endpoints[2] };
    static struct memory_pool pool = {
        .base.name = "p",
        .base.endpoints = shards,
        .base.endpoint_count = SHARDS,
        .stamp = true,
        .databases = 4,
        .max_request_bytes = 4096,
        .base.max_session_bytes = 8192,
        .script_cache_bytes = 1000,
    };
    static const struct memory_host HOST;
    static struct shard_map *map;
    const uint8_t *border = memmem(at, len, "\xff\xfe\xff", 3);
    struct slice in = slice_of(at, border == NULL ? len : (size_t)(border - at));
    struct memory_site site = { .pool = &pool, .host = &HOST, .idle = true, .now_us = 1 };
    struct memory_state *state = calloc(1, memory_front_memcached.state_size);

    if (map == NULL) {
        struct shard_map_member members[SHARDS] = { { .host = "a" },
                                                    { .host = "b" },
                                                    { .host = "c" } };
        struct buf why = { 0 };

        if (shard_map_new(&(struct shard_map_settings){ .members = members, .count = SHARDS }, &map,
                          &why) != ERR_NONE)
            abort();
        buf_fini(&why);
    }
    site.map = map;
    site.shared = memory_front_memcached.shared_new(&pool);
    replies = border == NULL ? slice_of("", 0) : slice_of(border + 3, len - in.len - 3);
    memory_front_memcached.begin(&site, state);
    serve(&site, state, in);
    memory_front_memcached.end(state);
    memory_front_memcached.shared_free(site.shared);
    free(state);
    return 0;
}
