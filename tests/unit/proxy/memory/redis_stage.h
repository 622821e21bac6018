/* A place in which the Redis front is tried without sockets: a pool of two shards (or more), one
 * session, and what the flow would do with parts.
 *
 *     stage_begin(2);
 *     CHECK_ANSWER("PING", "+PONG\r\n");
 *     stage_say("MGET a b");                  words are cut at blanks; "" is an empty word
 *     CHECK_INT(op.part_count, 2);
 *     stage_reply(0, "*1\r\n$-1\r\n");        what shard-part 0 says
 *     stage_reply(1, "*1\r\n$1\r\nx\r\n");
 *     CHECK_MERGED("*2\r\n...");
 *     stage_end(); */
#pragma once

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/memory/memory.h"
#include "proxy/wire/resp_write.h"
#include "shard/stamp.h"
#include "tests/unit/check.h"

extern const struct memory_front memory_front_redis;

enum { STAGE_SHARDS = 8 };

static struct memory_pool pool;
static struct endpoint_settings endpoints[STAGE_SHARDS];
static struct endpoint_settings *shards[STAGE_SHARDS];
static struct memory_host host;
static struct memory_site site;
static struct memory_state *state;
static struct memory_operation op;
static struct memory_merge merge;
static struct arena arena;
static struct buf sent, answer, last_words, merged;

static inline void stage_begin_with(uint32_t count, struct user_settings *users,
                                    uint32_t user_count)
{
    struct shard_map_member members[STAGE_SHARDS] = { 0 };
    struct shard_map *map;
    struct buf why = { 0 };

    for (uint32_t i = 0; i < count; i++) {
        endpoints[i] = (struct endpoint_settings){ .name = "10.0.0.1:6379", .shard = i };
        shards[i] = &endpoints[i];
        members[i] = (struct shard_map_member){ .host = "10.0.0.1", .port = (uint16_t)(6379 + i) };
    }
    pool = (struct memory_pool){
        .base.name = "sessions",
        .base.endpoints = shards,
        .base.endpoint_count = count,
        .users = users,
        .user_count = user_count,
        .stamp = true,
        .databases = 16,
        .max_request_bytes = 1 << 20,
        .base.max_session_bytes = 1 << 20,
        .script_cache_bytes = 4096,
        .hash_tag = "{}",
    };
    if (shard_map_new(
            &(struct shard_map_settings){ .members = members, .count = count, .hash_tag = "{}" },
            &map, &why) != ERR_NONE)
        abort();
    buf_fini(&why);
    site = (struct memory_site){ .pool = &pool,
                                 .map = map,
                                 .host = &host,
                                 .session_id = 7,
                                 .idle = true,
                                 .now_us = 1000000,
                                 .wall_us = 1700000000123456 };
    site.shared = memory_front_redis.shared_new(&pool);
    state = calloc(1, memory_front_redis.state_size);
    memory_front_redis.begin(&site, state);
}

static inline void stage_begin(uint32_t count)
{
    stage_begin_with(count, NULL, 0);
}

static inline void stage_end(void)
{
    struct shard_map *map = (struct shard_map *)site.map;

    memory_front_redis.end(state);
    free(state);
    memory_front_redis.shared_free(site.shared);
    shard_map_free(&map);
    arena_fini(&arena);
    buf_fini(&sent);
    buf_fini(&answer);
    buf_fini(&last_words);
    buf_fini(&merged);
    merge = (struct memory_merge){ 0 };
    host = (struct memory_host){ 0 };
}

/* Parses and plans what stands in `sent`. */
static inline enum parse stage_take(void)
{
    size_t need = 0;
    enum parse parse;

    arena_fini(&arena);
    buf_clear(&answer);
    buf_clear(&merged);
    buf_clear(&last_words);
    merge = (struct memory_merge){ 0 };
    op = (struct memory_operation){ .answer = &answer, .arena = &arena };
    parse = memory_front_redis.parse(&site, state, buf_all(&sent), &op, &need, &last_words);
    if (parse == PARSE_DONE)
        memory_front_redis.plan(&site, state, &op);
    return parse;
}

static inline void stage_say_words(const struct slice *words, size_t count)
{
    buf_clear(&sent);
    resp_put_command(&sent, words, count);
    CHECK_INT(stage_take(), PARSE_DONE);
}

static inline void stage_say(const char *line)
{
    struct slice words[64];
    size_t count = 0;

    while (*line != '\0') {
        size_t len = strcspn(line, " ");

        words[count++] =
            len == 2 && memcmp(line, "\"\"", 2) == 0 ? slice_of(line, 0) : slice_of(line, len);
        line += len + (line[len] == ' ');
    }
    stage_say_words(words, count);
}

static inline void stage_prepare_merge(void)
{
    if (merge.parts != NULL)
        return;
    merge.site = &site;
    merge.state = state;
    merge.note = op.note;
    merge.part_count = op.part_count;
    merge.parts = arena_new(&arena, op.part_count * sizeof(*merge.parts));
    memcpy(merge.parts, op.parts, op.part_count * sizeof(*merge.parts));
    merge.arena = &arena;
    merge.out = &merged;
}

static inline void stage_reply(uint32_t part, const char *text)
{
    stage_prepare_merge();
    merge.parts[part].reply = slice_text(text);
}

static inline void stage_fail(uint32_t part, const char *text)
{
    stage_reply(part, text);
    merge.parts[part].failed = true;
}

/* False: it wants another round, which `op` shows then. */
static inline bool stage_merge(void)
{
    merge.again = false;
    if (op.merge == NULL)
        buf_slice(&merged, merge.parts[0].reply);
    else
        op.merge(&merge);
    if (!merge.again)
        return true;
    op.part_count = merge.part_count;
    op.parts = arena_new(&arena, op.part_count * sizeof(*op.parts));
    memcpy(op.parts, merge.parts, op.part_count * sizeof(*op.parts));
    merge.parts = NULL;
    stage_prepare_merge();
    return false;
}

#define CHECK_ANSWER(line, expected)                                                               \
    do {                                                                                           \
        stage_say(line);                                                                           \
        CHECK_INT(op.way, MEMORY_ANSWERED);                                                        \
        CHECK_BYTES(buf_all(&answer), slice_text(expected));                                       \
    } while (0)

#define CHECK_MERGED(expected)                                                                     \
    do {                                                                                           \
        CHECK(stage_merge());                                                                      \
        CHECK_BYTES(buf_all(&merged), slice_text(expected));                                       \
    } while (0)

#define CHECK_PART(index, on_shard, expected)                                                      \
    do {                                                                                           \
        CHECK_INT(op.way, MEMORY_PARTS);                                                           \
        CHECK((index) < op.part_count);                                                            \
        if (op.way == MEMORY_PARTS && (index) < op.part_count) {                                   \
            CHECK_INT(op.parts[index].shard, on_shard);                                            \
            CHECK_BYTES(op.parts[index].bytes, slice_text(expected));                              \
        }                                                                                          \
    } while (0)

static inline uint32_t stage_shard_of(const char *key)
{
    return shard_map_find(site.map, slice_text(key)).shard;
}

/* The n-th key of a row "k0", "k1"... that lives on this shard. */
static inline const char *stage_key(uint32_t shard, int n)
{
    static char keys[8][16];
    static int turn;
    char *key = keys[turn++ % 8];

    for (int i = 0;; i++) {
        snprintf(key, sizeof(keys[0]), "k%d", i);
        if (stage_shard_of(key) == shard && n-- == 0)
            return key;
    }
}

/* A line with keys in it, for CHECK_ANSWER and stage_say. */
static inline const char *line_of(const char *format, ...) PRINTF_LIKE(1, 2);
static inline const char *line_of(const char *format, ...)
{
    static char lines[4][512];
    static int turn;
    char *line = lines[turn++ % 4];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(lines[0]), format, args);
    va_end(args);
    return line;
}
