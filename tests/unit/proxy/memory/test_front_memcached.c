/* The memcached front without sockets: what requests' parts are, and what replies become. */
#include <stdlib.h>

#include "proxy/memory/memory.h"
#include "proxy/wire/memcached_binary.h"
#include "proxy/wire/memcached_text_request.h"
#include "shard/stamp.h"
#include "tests/unit/check.h"

extern const struct memory_front memory_front_memcached;

enum { SHARDS = 2 };

#define OUT_OF_STEP(shard)                                                                         \
    "SERVER_ERROR shard " #shard " (10.0.0.1:11211) of pool cache: the server answered something " \
    "else than it was asked; see what listens at its address, and what stands between"

static struct memory_pool pool;
static struct endpoint_settings endpoints[SHARDS];
static struct endpoint_settings *shards[SHARDS];
static struct memory_host host;
static struct memory_site site;
static struct memory_state *state;
static struct memory_operation op;
static struct arena arena;
static struct buf answer, last_words, merged;

static void describe(const struct memory_site *at, struct buf *out)
{
    (void)at;
    buf_text(out, "sheaf_pool:cache\r\n");
}

static void begin_with(struct user_settings *users, uint32_t user_count)
{
    struct shard_map_member members[SHARDS] = { 0 };
    struct shard_map *map;
    struct buf why = { 0 };

    for (uint32_t i = 0; i < SHARDS; i++) {
        endpoints[i] = (struct endpoint_settings){ .name = "10.0.0.1:11211", .shard = i };
        shards[i] = &endpoints[i];
        members[i] = (struct shard_map_member){ .host = "10.0.0.1", .port = (uint16_t)(1 + i) };
    }
    pool = (struct memory_pool){
        .base.name = "cache",
        .base.endpoints = shards,
        .base.endpoint_count = SHARDS,
        .users = users,
        .user_count = user_count,
        .max_request_bytes = 1 << 16,
        .base.max_session_bytes = 1 << 20,
        .hash_tag = "{}",
    };
    host = (struct memory_host){ .describe = describe };
    if (shard_map_new(
            &(struct shard_map_settings){ .members = members, .count = SHARDS, .hash_tag = "{}" },
            &map, &why) != ERR_NONE)
        abort();
    buf_fini(&why);
    site = (struct memory_site){ .pool = &pool, .map = map, .host = &host, .idle = true };
    site.shared = memory_front_memcached.shared_new(&pool);
    state = calloc(1, memory_front_memcached.state_size);
    memory_front_memcached.begin(&site, state);
}

static void begin(void)
{
    begin_with(NULL, 0);
}

static void end(void)
{
    struct shard_map *map = (struct shard_map *)site.map;

    memory_front_memcached.end(state);
    free(state);
    memory_front_memcached.shared_free(site.shared);
    shard_map_free(&map);
    arena_fini(&arena);
    buf_fini(&answer);
    buf_fini(&last_words);
    buf_fini(&merged);
}

static enum parse take(struct slice in)
{
    size_t need = 0;
    enum parse parse;

    arena_fini(&arena);
    buf_clear(&answer);
    buf_clear(&merged);
    buf_clear(&last_words);
    op = (struct memory_operation){ .answer = &answer, .arena = &arena, .room = 4 };
    parse = memory_front_memcached.parse(&site, state, in, &op, &need, &last_words);
    if (parse == PARSE_DONE)
        memory_front_memcached.plan(&site, state, &op);
    return parse;
}

static void say(const char *text)
{
    CHECK_INT(take(slice_text(text)), PARSE_DONE);
    CHECK_INT(op.raw.len, strlen(text));
}

/* What the flow would answer to replies; the second is of the second part. */
static struct slice reply(const char *first, const char *second)
{
    struct memory_merge merge = { .site = &site,
                                  .state = state,
                                  .note = op.note,
                                  .parts = op.parts,
                                  .part_count = op.part_count,
                                  .arena = &arena,
                                  .out = &merged };

    buf_clear(&merged);
    op.parts[0].reply = slice_text(first);
    if (op.part_count > 1)
        op.parts[1].reply = slice_text(second);
    if (op.merge == NULL)
        buf_text(&merged, first);
    else
        op.merge(&merge);
    return buf_all(&merged);
}

static uint32_t shard_of(const char *key)
{
    return shard_map_find(site.map, slice_text(key)).shard;
}

#define CHECK_ANSWER(request, expected)                                                            \
    do {                                                                                           \
        say(request);                                                                              \
        CHECK_INT(op.way, MEMORY_ANSWERED);                                                        \
        CHECK_BYTES(buf_all(&answer), slice_text(expected));                                       \
    } while (0)

#define CHECK_SENT(request, expected)                                                              \
    do {                                                                                           \
        say(request);                                                                              \
        CHECK_INT(op.way, MEMORY_PARTS);                                                           \
        CHECK_BYTES(op.parts[0].bytes, slice_text(expected));                                      \
    } while (0)

/* ---- text ---- */

static void one_key_goes_to_its_shard_as_it_came(void)
{
    begin();
    for (const char *key = "abcdefgh"; *key != '\0'; key++) {
        char name[2] = { *key }, line[32];

        snprintf(line, sizeof(line), "get  %s\r\n", name);
        CHECK_SENT(line, line);
        CHECK_INT(op.parts[0].shard, shard_of(name));
        CHECK(op.merge == NULL && !op.is_write);
    }
    CHECK_SENT("set k 1 2 5\r\nvalue\r\n", "set k 1 2 5\r\nvalue\r\n");
    CHECK(op.merge == NULL && op.is_write && !op.silent);
    CHECK_BYTES(op.key, bytes("k"));
    CHECK_SENT("incr n 1\n", "incr n 1\n");
    end();
}

static void servers_are_never_told_noreply(void)
{
    begin();
    CHECK_SENT("set k 0 0 2 noreply\r\nhi\r\n", "set k 0 0 2 \r\nhi\r\n");
    CHECK(op.silent);
    CHECK_SENT("delete k noreply\r\n", "delete k \r\n");
    CHECK(op.silent);
    CHECK_SENT("delete noreply\r\n", "delete noreply 0\r\n"); /* a key's name, and no doubt of it */
    CHECK(!op.silent);
    say("incr k noreply\r\n");
    CHECK(op.way == MEMORY_ANSWERED && op.silent);
    end();
}

static void many_keys_are_asked_once_a_shard(void)
{
    begin();
    CHECK(shard_of("a") == shard_of("b") && shard_of("a") != shard_of("d"));
    say("gets a  d b a\r\n");
    CHECK_INT(op.part_count, 2);
    CHECK_BYTES(op.parts[0].bytes, bytes("gets a b a\r\n"));
    CHECK_BYTES(op.parts[1].bytes, bytes("gets d\r\n"));
    CHECK_BYTES(reply("VALUE a 0 1 7\r\nA\r\nVALUE a 0 1 7\r\nA\r\nEND\r\n",
                      "VALUE d 5 5 8\r\nEND\r\n\r\nEND\r\n"),
                bytes("VALUE a 0 1 7\r\nA\r\nVALUE d 5 5 8\r\nEND\r\n\r\n"
                      "VALUE a 0 1 7\r\nA\r\nEND\r\n"));
    CHECK_BYTES(reply("END\r\n", "END\r\n"), bytes("END\r\n"));
    CHECK_BYTES(reply("END\r\n", "SERVER_ERROR down\r\n"), bytes("SERVER_ERROR down\r\n"));
    CHECK_BYTES(reply("VALUE x 0 1\r\nA\r\nEND\r\n", "END\r\n"), bytes(OUT_OF_STEP(1) "\r\n"));
    say("gat 60 a d\r\n");
    CHECK_BYTES(op.parts[0].bytes, bytes("gat 60 a\r\n"));
    CHECK_BYTES(op.parts[1].bytes, bytes("gat 60 d\r\n"));
    CHECK_BYTES(reply("END\r\n", "VALUE d 0 0\r\n\r\nEND\r\n"),
                bytes("VALUE d 0 0\r\n\r\nEND\r\n"));
    CHECK_SENT("get a b\r\n", "get a b\r\n");
    CHECK_INT(op.part_count, 1);
    end();
}

static void dead_shards_miss_if_the_pool_says_so(void)
{
    begin();
    say("get a\r\n");
    CHECK_INT(op.instead.len, 0);
    pool.on_shard_down = ON_SHARD_DOWN_MISS;
    say("get a\r\n");
    CHECK_BYTES(op.instead, bytes("END\r\n"));
    say("mg a v\r\n");
    CHECK_BYTES(op.instead, bytes("EN\r\n"));
    say("set a 0 0 1\r\nx\r\n");
    CHECK_INT(op.instead.len, 0);
    say("md a\r\n");
    CHECK_INT(op.instead.len, 0);
    end();
}

static void what_is_known_here_is_answered_here(void)
{
    begin();
    CHECK_ANSWER("mn\r\n", "MN\r\n");
    CHECK_ANSWER("version\r\n", "VERSION 1.6.18\r\n");
    CHECK_ANSWER("bogus\r\n", "ERROR\r\n");
    CHECK_ANSWER("shutdown\r\n", "CLIENT_ERROR 'shutdown' can't work through a pool of shards: it "
                                 "belongs to one server\r\n");
    CHECK_ANSWER("get " SHARD_STAMP_KEY "\r\n",
                 "CLIENT_ERROR the key 'sheaf:stamp' is Sheaf's own: it marks the shard\r\n");
    CHECK_ANSWER("ms c2hlYWY6c3RhbXA= 1 b\r\nx\r\n",
                 "CLIENT_ERROR the key 'sheaf:stamp' is Sheaf's own: it marks the shard\r\n");
    CHECK(!state->closes);
    CHECK_ANSWER("quit\r\n", "");
    CHECK(state->closes);
    end();
}

static void who_speaks_http_is_not_listened_to(void)
{
    begin();
    CHECK_ANSWER("GET /\r\n", "ERROR\r\n");
    CHECK_SENT("get HTTP/1.1\r\n", "get HTTP/1.1\r\n");
    CHECK(!state->closes);
    CHECK_INT(take(bytes("POST / HTTP/1.1\r\nHost: a\r\n\r\nflush_all\r\n")), PARSE_DONE);
    CHECK_INT(op.way, MEMORY_ANSWERED);
    CHECK_BYTES(buf_all(&answer), bytes(""));
    CHECK(state->closes);
    end();
}

static void a_value_that_is_too_large_is_passed_and_the_old_one_forgotten(void)
{
    begin();
    pool.max_request_bytes = 10;
    CHECK_INT(take(bytes("set k 0 0 20\r\n0123456789")), PARSE_DONE);
    CHECK_INT(op.raw.len, 14);
    CHECK_BYTES(op.parts[0].bytes, bytes("md k\r\n"));
    CHECK_BYTES(reply("HD\r\n", NULL), bytes("SERVER_ERROR object too large for cache\r\n"));
    CHECK_INT(take(bytes("0123456789")), PARSE_DONE);
    CHECK_INT(op.way, MEMORY_NOTHING);
    CHECK_INT(op.raw.len, 10);
    CHECK_INT(take(bytes("0123456789\r\nmn\r\n")), PARSE_DONE);
    CHECK_INT(op.raw.len, 12);
    CHECK_ANSWER("mn\r\n", "MN\r\n");
    end();
}

/* ---- meta ---- */

static void quiet_meta_commands_are_heard_out_by_us(void)
{
    begin();
    CHECK_SENT("mg k v\r\n", "mg k v\r\n");
    CHECK(op.merge == NULL);
    CHECK_SENT("mg k q v\r\n", "mg k  v\r\n");
    CHECK_BYTES(reply("EN\r\n", NULL), bytes(""));
    CHECK_BYTES(reply("VA 1\r\nx\r\n", NULL), bytes("VA 1\r\nx\r\n"));
    CHECK_SENT("ms k 2 q O1\r\nhi\r\n", "ms k 2  O1\r\nhi\r\n");
    CHECK_BYTES(reply("HD O1\r\n", NULL), bytes(""));
    CHECK_BYTES(reply("NS O1\r\n", NULL), bytes("NS O1\r\n"));
    CHECK_SENT("md k q\r\n", "md k \r\n");
    CHECK_BYTES(reply("HD\r\n", NULL), bytes(""));
    CHECK_BYTES(reply("NF\r\n", NULL), bytes("NF\r\n"));
    CHECK_SENT("ma k q v\r\n", "ma k  v\r\n");
    CHECK_BYTES(reply("VA 1\r\n5\r\n", NULL), bytes(""));
    CHECK_BYTES(reply("SERVER_ERROR down\r\n", NULL), bytes("SERVER_ERROR down\r\n"));
    CHECK_ANSWER("mg k q qq\r\n", "CLIENT_ERROR duplicate flag\r\n");
    end();
}

static void a_key_in_base64_is_placed_by_its_bytes(void)
{
    begin();
    CHECK_SENT("mg ZA== b v\r\n", "mg ZA== b v\r\n");
    CHECK_INT(op.parts[0].shard, shard_of("d"));
    CHECK_BYTES(op.key, bytes("d"));
    CHECK_ANSWER("mg ZA b v\r\n", "CLIENT_ERROR error decoding key\r\n");
    end();
}

/* ---- all shards ---- */

static void flush_all_puts_the_stamps_back(void)
{
    begin();
    CHECK_SENT("flush_all\r\n", "flush_all\r\n");
    CHECK_INT(op.part_count, 2);
    CHECK_BYTES(reply("OK\r\n", "OK\r\n"), bytes("OK\r\n"));
    CHECK_BYTES(reply("OK\r\n", "SERVER_ERROR down\r\n"), bytes("SERVER_ERROR down\r\n"));
    CHECK_SENT("flush_all 10 noreply\r\n", "flush_all 10\r\n");
    CHECK(op.silent);
    pool.stamp = true;
    say("flush_all\r\n");
    CHECK(slice_starts(op.parts[1].bytes, bytes("flush_all\r\nadd sheaf:stamp 0 0 ")));
    CHECK_INT(op.parts[1].replies, 2);
    CHECK_BYTES(reply("OK\r\nSTORED\r\n", "OK\r\nSTORED\r\n"), bytes("OK\r\n"));
    CHECK_BYTES(reply("OK\r\nSTORED\r\n", "OK\r\nSERVER_ERROR out of memory\r\n"),
                bytes("SERVER_ERROR out of memory\r\n"));
    CHECK_BYTES(reply("OK\r\nEN\r\n", "OK\r\nSTORED\r\n"), bytes(OUT_OF_STEP(0) "\r\n"));
    end();
}

static void stats_are_those_of_one_server(void)
{
    begin();
    pool.stamp = true;
    CHECK_SENT("stats\r\n", "stats\r\n");
    CHECK_BYTES(reply("STAT pid 1\r\nSTAT uptime 9\r\nSTAT curr_items 5\r\nSTAT rusage_user "
                      "1.500000\r\nSTAT version 1.6.18\r\nEND\r\n",
                      "STAT pid 2\r\nSTAT uptime 7\r\nSTAT curr_items 6\r\nSTAT rusage_user "
                      "0.700001\r\nSTAT version 1.6.20\r\nSTAT extra x\r\nEND\r\n"),
                bytes("STAT pid 1\r\nSTAT uptime 7\r\nSTAT curr_items 9\r\nSTAT rusage_user "
                      "2.200001\r\nSTAT version 1.6.18\r\nSTAT extra x\r\nSTAT sheaf_pool "
                      "cache\r\nEND\r\n"));
    CHECK_BYTES(reply("SERVER_ERROR down\r\n", "STAT pid 2\r\nEND\r\n"),
                bytes("STAT pid 2\r\nSTAT sheaf_pool cache\r\nEND\r\n"));
    CHECK_BYTES(reply("SERVER_ERROR down\r\n", "SERVER_ERROR down\r\n"),
                bytes("SERVER_ERROR down\r\n"));
    CHECK_ANSWER("stats sheaf\r\n", "STAT sheaf_pool cache\r\nEND\r\n");
    CHECK_ANSWER("stats detail dump\r\n",
                 "CLIENT_ERROR 'stats detail' can't work through a pool of shards\r\n");
    CHECK_SENT("stats reset\r\n", "stats reset\r\n");
    CHECK_BYTES(reply("RESET\r\n", "RESET\r\n"), bytes("RESET\r\n"));
    end();
}

/* ---- binary ---- */

static struct buf packet;

static void put_binary(struct buf *out, uint8_t opcode, struct slice extras, struct slice key,
                       struct slice value, uint64_t cas)
{
    struct memcached_binary_reply as_reply = { .opcode = opcode,
                                               .opaque = 0xdeadbeef,
                                               .cas = cas,
                                               .extras = extras,
                                               .key = key,
                                               .value = value };
    size_t begin = out->len;

    memcached_binary_put(out, &as_reply);
    out->at[begin] = MEMCACHED_MAGIC;
}

static void say_binary(uint8_t opcode, struct slice extras, struct slice key, struct slice value,
                       uint64_t cas)
{
    buf_clear(&packet);
    put_binary(&packet, opcode, extras, key, value, cas);
    CHECK_INT(take(buf_all(&packet)), PARSE_DONE);
    CHECK_INT(op.raw.len, packet.len);
}

/* The status of the only packet in `from`, whose body must be this. */
static int status(struct slice from, struct slice body)
{
    if (from.len < MEMCACHED_HEADER_BYTES)
        return -1;
    CHECK_INT(memcached_binary_u32(from, 12), 0xdeadbeef);
    CHECK_BYTES(slice_from(from, MEMCACHED_HEADER_BYTES), body);
    return from.at[7];
}

#define NONE slice_of("", 0)
#define CHECK_META(expected)                                                                       \
    do {                                                                                           \
        CHECK_INT(op.way, MEMORY_PARTS);                                                           \
        CHECK_BYTES(op.parts[0].bytes, slice_text(expected));                                      \
    } while (0)

static void binary_commands_become_meta_commands(void)
{
    begin();
    say_binary(MEMCACHED_BINARY_GET, NONE, bytes("k"), NONE, 0);
    CHECK_META("gets k\r\n");
    say_binary(MEMCACHED_BINARY_SETQ, bytes("\0\0\0\5\0\0\0\x3c"), bytes("k"), bytes("\r\n"), 0);
    CHECK_META("ms k 2 F5 T60 c\r\n\r\n\r\n");
    say_binary(MEMCACHED_BINARY_ADD, bytes("\0\0\0\0\xff\xff\xff\xff"), bytes("k"), NONE, 0);
    CHECK_META("ms k 0 F0 T2147483647 ME c\r\n\r\n");
    say_binary(MEMCACHED_BINARY_ADD, bytes("\0\0\0\0\0\0\0\0"), bytes("k"), NONE, 9);
    CHECK_META("ms k 0 F0 T0 c C9\r\n\r\n");
    say_binary(MEMCACHED_BINARY_APPEND, NONE, bytes("k"), bytes("x"), 9);
    CHECK_META("ms k 1 MA c C9\r\nx\r\n");
    say_binary(MEMCACHED_BINARY_DELETE, NONE, bytes("k"), NONE, 9);
    CHECK_META("md k C9\r\n");
    say_binary(MEMCACHED_BINARY_INCREMENT, bytes("\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\3"),
               bytes("k"), NONE, 0);
    CHECK_META("ma k MI D1 J2 N3 v c\r\n");
    say_binary(MEMCACHED_BINARY_DECREMENT,
               bytes("\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\xff\xff\xff\xff"), bytes("k"), NONE, 0);
    CHECK_META("ma k MD D1 v c\r\n");
    say_binary(MEMCACHED_BINARY_TOUCH, bytes("\0\0\0\3"), bytes("k"), NONE, 0);
    CHECK_META("mg k f c T3\r\n");
    say_binary(MEMCACHED_BINARY_GATK, bytes("\0\0\0\3"), bytes("k"), NONE, 0);
    CHECK_META("mg k f c v T3\r\n");
    say_binary(MEMCACHED_BINARY_GET, NONE, bytes("a b"), NONE, 0);
    CHECK_META("mg YSBi b f c v\r\n");
    CHECK_INT(op.parts[0].shard, shard_of("a b"));
    end();
}

static void meta_replies_become_binary_ones(void)
{
    begin();
    say_binary(MEMCACHED_BINARY_GATK, bytes("\0\0\0\0"), bytes("k"), NONE, 0);
    CHECK_INT(status(reply("VA 2 f5 c7\r\nhi\r\n", NULL), bytes("\0\0\0\5khi")), 0);
    CHECK_INT(memcached_binary_u64(buf_all(&merged), 16), 7);
    CHECK_INT(status(reply("EN\r\n", NULL), bytes("k")), MEMCACHED_STATUS_NOT_FOUND);
    CHECK_INT(status(reply("SERVER_ERROR shard 0 is down\r\n", NULL),
                     bytes("SERVER_ERROR shard 0 is down")),
              MEMCACHED_STATUS_FOR_NOW);
    CHECK_INT(status(reply("HD\r", NULL), bytes(OUT_OF_STEP(1))), MEMCACHED_STATUS_FOR_NOW);
    say_binary(MEMCACHED_BINARY_GATKQ, bytes("\0\0\0\0"), bytes("k"), NONE, 0);
    CHECK_BYTES(reply("EN\r\n", NULL), NONE);
    CHECK_INT(status(reply("VA 0 f0 c7\r\n\r\n", NULL), bytes("\0\0\0\0k")), 0);
    say_binary(MEMCACHED_BINARY_ADDQ, bytes("\0\0\0\0\0\0\0\0"), bytes("k"), NONE, 0);
    CHECK_BYTES(reply("HD c5\r\n", NULL), NONE);
    CHECK_INT(status(reply("NS c0\r\n", NULL), bytes("Data exists for key.")),
              MEMCACHED_STATUS_EXISTS);
    say_binary(MEMCACHED_BINARY_REPLACE, bytes("\0\0\0\0\0\0\0\0"), bytes("k"), NONE, 0);
    CHECK_INT(status(reply("HD c5\r\n", NULL), NONE), 0);
    CHECK_INT(status(reply("NS\r\n", NULL), bytes("Not found")), MEMCACHED_STATUS_NOT_FOUND);
    say_binary(MEMCACHED_BINARY_INCREMENT, bytes("\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\3"),
               bytes("k"), NONE, 0);
    CHECK_INT(status(reply("VA 3 c5\r\n256\r\n", NULL), bytes("\0\0\0\0\0\0\1\0")), 0);
    CHECK_INT(
        status(reply("CLIENT_ERROR cannot increment or decrement non-numeric value\r\n", NULL),
               bytes("Non-numeric server-side value for incr or decr")),
        MEMCACHED_STATUS_NOT_A_NUMBER);
    end();
}

static void binary_gets_are_answered_from_rows_of_text(void)
{
    begin();
    say_binary(MEMCACHED_BINARY_GETK, NONE, bytes("k"), NONE, 0);
    CHECK_INT(status(reply("VALUE k 5 2 7\r\nhi\r\nEND\r\n", NULL), bytes("\0\0\0\5khi")), 0);
    CHECK_INT(memcached_binary_u64(buf_all(&merged), 16), 7);
    CHECK_INT(status(reply("END\r\n", NULL), bytes("k")), MEMCACHED_STATUS_NOT_FOUND);
    CHECK_INT(status(reply("SERVER_ERROR shard 0 is down\r\n", NULL),
                     bytes("SERVER_ERROR shard 0 is down")),
              MEMCACHED_STATUS_FOR_NOW);
    CHECK_INT(status(reply("VALUE other 5 2 7\r\nhi\r\nEND\r\n", NULL), bytes(OUT_OF_STEP(1))),
              MEMCACHED_STATUS_FOR_NOW);
    CHECK_INT(status(reply("STORED\r\n", NULL), bytes(OUT_OF_STEP(1))), MEMCACHED_STATUS_FOR_NOW);
    say_binary(MEMCACHED_BINARY_GET, NONE, bytes("k"), NONE, 0);
    CHECK_INT(status(reply("END\r\n", NULL), bytes("Not found")), MEMCACHED_STATUS_NOT_FOUND);
    end();
}

/* Two keys of each shard. */
static void find_keys(char keys[2][SHARDS][4])
{
    int found[SHARDS] = { 0 };

    for (char c = 'a'; c <= 'z'; c++) {
        char key[4] = { 'k', c };
        uint32_t shard = shard_of(key);

        if (found[shard] < 2)
            memcpy(keys[found[shard]++][shard], key, sizeof(key));
    }
    CHECK_INT(found[0] + found[1], 4);
}

static void add_get(uint8_t opcode, const char *key)
{
    put_binary(&packet, opcode, NONE, slice_text(key), NONE, 0);
}

static void quiet_gets_are_asked_once_a_shard(void)
{
    char keys[2][SHARDS][4], expected[64], rows[64];
    size_t len;

    begin();
    find_keys(keys);
    buf_clear(&packet);
    add_get(MEMCACHED_BINARY_GETKQ, keys[0][1]);
    add_get(MEMCACHED_BINARY_GETQ, keys[0][0]);
    add_get(MEMCACHED_BINARY_GETQ, keys[1][1]);
    len = packet.len;
    put_binary(&packet, MEMCACHED_BINARY_NOOP, NONE, NONE, NONE, 0);
    CHECK_INT(take(buf_all(&packet)), PARSE_DONE);
    CHECK_INT(op.raw.len, len);
    CHECK_INT(op.reads, 3);
    CHECK_INT(op.part_count, 2);
    CHECK_INT(op.parts[0].shard, 1);
    snprintf(expected, sizeof(expected), "gets %s %s\r\n", keys[0][1], keys[1][1]);
    CHECK_META(expected);
    snprintf(expected, sizeof(expected), "gets %s\r\n", keys[0][0]);
    CHECK_BYTES(op.parts[1].bytes, slice_text(expected));

    /* Of each shard some are there, some not, and each error is told to all that it hit. */
    snprintf(rows, sizeof(rows), "VALUE %s 0 1 3\r\nx\r\nEND\r\n", keys[1][1]);
    CHECK_INT(status(reply(rows, "END\r\n"), bytes("\0\0\0\0x")), 0);
    CHECK_INT(merged.at[1], MEMCACHED_BINARY_GETQ);
    snprintf(rows, sizeof(rows), "VALUE %s 0 0 3\r\n\r\nEND\r\n", keys[0][0]);
    CHECK_INT(reply("SERVER_ERROR down\r\n", rows).len,
              3 * MEMCACHED_HEADER_BYTES + 2 * strlen("SERVER_ERROR down") + 4);
    CHECK_INT(status(reply("END\r\n", "STORED\r\n"), bytes(OUT_OF_STEP(0))),
              MEMCACHED_STATUS_FOR_NOW);
    end();
}

static void a_row_of_quiet_gets_ends_where_something_else_begins(void)
{
    static const struct {
        uint8_t opcode;
        const char *key;
    } OTHERS[] = {
        { MEMCACHED_BINARY_GET, "k" },     { MEMCACHED_BINARY_GETQ, "a b" },
        { MEMCACHED_BINARY_DELETEQ, "k" }, { MEMCACHED_BINARY_GETQ, SHARD_STAMP_KEY },
        { MEMCACHED_BINARY_GETQ, "" },     { MEMCACHED_BINARY_GETQ, NULL },
    };
    char long_key[MEMCACHED_KEY_BYTES + 2];

    memset(long_key, 'k', sizeof(long_key));
    long_key[sizeof(long_key) - 1] = '\0';
    begin();
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
        size_t len;

        buf_clear(&packet);
        add_get(MEMCACHED_BINARY_GETQ, "a");
        add_get(MEMCACHED_BINARY_GETQ, "b");
        len = packet.len;
        add_get(OTHERS[i].opcode, OTHERS[i].key == NULL ? long_key : OTHERS[i].key);
        CHECK_INT(take(buf_all(&packet)), PARSE_DONE);
        CHECK_INT(op.raw.len, len);
        CHECK_INT(op.reads, 2);
        CHECK_INT(op.way, MEMORY_PARTS);
        CHECK_BYTES(buf_all(&answer), NONE);
        packet.len = len - 1; /* the second one is not whole */
        CHECK_INT(take(buf_all(&packet)), PARSE_DONE);
        CHECK_INT(op.raw.len, MEMCACHED_HEADER_BYTES + 1);
    }
    buf_clear(&packet);
    for (int i = 0; i < 6; i++)
        add_get(MEMCACHED_BINARY_GETQ, "a");
    CHECK_INT(take(buf_all(&packet)), PARSE_DONE);
    CHECK_INT(op.reads, 4); /* there is no more room */
    CHECK_INT(op.part_count, 1);
    CHECK_META("gets a a a a\r\n");
    end();
}

static void what_is_no_binary_command_is_told_so(void)
{
    begin();
    say_binary(0x40, NONE, NONE, NONE, 0);
    CHECK_INT(status(buf_all(&answer), bytes("Unknown command")), MEMCACHED_STATUS_UNKNOWN_COMMAND);
    say_binary(MEMCACHED_BINARY_SASL_LIST, NONE, NONE, NONE, 0);
    CHECK_INT(status(buf_all(&answer), bytes("Unknown command")), MEMCACHED_STATUS_UNKNOWN_COMMAND);
    CHECK(!state->closes);
    say_binary(MEMCACHED_BINARY_GET, NONE, NONE, NONE, 0);
    CHECK_INT(status(buf_all(&answer), bytes("Invalid arguments")), MEMCACHED_STATUS_INVALID);
    CHECK(state->closes);
    CHECK_INT(take(bytes("get a\r\n")), PARSE_BAD);
    end();
}

/* ---- users ---- */

static void begin_with_users(void)
{
    static struct user_password password = { .text = "secret" };
    static struct slice prefixes[] = { { (const uint8_t *)"app:", 4 } };
    static const char *denied[] = { "flush_all", NULL };
    static struct user_settings users[1];

    users[0] = (struct user_settings){ .name = "app",
                                       .passwords = &password,
                                       .password_count = 1,
                                       .key_prefixes = prefixes,
                                       .key_prefix_count = 1,
                                       .deny = denied,
                                       .deny_count = 1 };
    begin_with(users, 1);
}

static void text_clients_log_in_by_a_set(void)
{
    begin_with_users();
    CHECK(!state->logged_in);
    CHECK_ANSWER("get app:k\r\n", "CLIENT_ERROR unauthenticated\r\n");
    CHECK_ANSWER("set any 0 0 9\r\napp wrong\r\n", "CLIENT_ERROR authentication failure\r\n");
    CHECK_ANSWER("set any 0 0 3\r\napp\r\n", "CLIENT_ERROR authentication failure\r\n");
    CHECK_ANSWER("set any 0 0 10\r\napp secret\r\n", "STORED\r\n");
    CHECK(state->logged_in);
    CHECK_SENT("get app:k\r\n", "get app:k\r\n");
    CHECK_ANSWER("get app:k other\r\n",
                 "CLIENT_ERROR this user may not touch keys of that name\r\n");
    CHECK_ANSWER("flush_all\r\n", "CLIENT_ERROR this user may not run 'flush_all'\r\n");
    end();
}

static void binary_clients_log_in_by_sasl(void)
{
    begin_with_users();
    say_binary(MEMCACHED_BINARY_SASL_LIST, NONE, NONE, NONE, 0);
    CHECK_INT(status(buf_all(&answer), bytes("PLAIN")), 0);
    say_binary(MEMCACHED_BINARY_SASL_AUTH, NONE, bytes("PLAIN"), bytes("\0app\0wrong"), 0);
    CHECK_INT(status(buf_all(&answer), bytes("Auth failure.")), MEMCACHED_STATUS_NOT_LET_IN);
    say_binary(MEMCACHED_BINARY_SASL_AUTH, NONE, bytes("PLAIN"), bytes("app"), 0);
    CHECK_INT(status(buf_all(&answer), bytes("Auth failure.")), MEMCACHED_STATUS_NOT_LET_IN);
    CHECK(!state->closes);
    say_binary(MEMCACHED_BINARY_SASL_AUTH, NONE, bytes("PLAIN"), bytes("\0app\0secret"), 0);
    CHECK_INT(status(buf_all(&answer), bytes("Authenticated")), 0);
    say_binary(MEMCACHED_BINARY_GET, NONE, bytes("app:k"), NONE, 0);
    CHECK_META("gets app:k\r\n");
    end();
    begin_with_users();
    say_binary(MEMCACHED_BINARY_GET, NONE, bytes("app:k"), NONE, 0);
    CHECK_INT(status(buf_all(&answer), bytes("Auth failure.")), MEMCACHED_STATUS_NOT_LET_IN);
    CHECK(state->closes);
    end();
}

static void a_refusal_is_one_line(void)
{
    struct memory_refusal why = { .err = ERR_DOWN,
                                  .shard = 1,
                                  .endpoint = "10.0.0.1:1",
                                  .pool = "cache",
                                  .text = "it said\r\nSTORED" };

    begin();
    memory_front_memcached.refuse(state, &why, &merged);
    CHECK_BYTES(
        buf_all(&merged),
        bytes("SERVER_ERROR shard 1 (10.0.0.1:1) of pool cache is down: it said  STORED\r\n"));
    end();
}

/* ---- over Redis shards ---- */

static void what_redis_has_a_command_for_is_that_command(void)
{
    begin();
    site.translates = true;
    CHECK_SENT("get a\r\n", "*2\r\n$4\r\nMGET\r\n$1\r\na\r\n");
    CHECK_BYTES(reply("*1\r\n$2\r\nhi\r\n", ""), bytes("VALUE a 0 2\r\nhi\r\nEND\r\n"));
    CHECK_SENT("get a\r\n", "*2\r\n$4\r\nMGET\r\n$1\r\na\r\n");
    CHECK_BYTES(reply("*1\r\n$-1\r\n", ""), bytes("END\r\n"));
    CHECK_SENT("gat 60 a\r\n", "*4\r\n$5\r\nGETEX\r\n$1\r\na\r\n$2\r\nEX\r\n$2\r\n60\r\n");
    CHECK_SENT("touch a -1\r\n", "*3\r\n$8\r\nEXPIREAT\r\n$1\r\na\r\n$1\r\n1\r\n");
    CHECK_BYTES(reply(":0\r\n", ""), bytes("NOT_FOUND\r\n"));
    CHECK_SENT("delete a noreply\r\n", "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n");
    CHECK(op.silent);
    CHECK_SENT("md a q k\r\n", "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n");
    CHECK_BYTES(reply(":1\r\n", ""), bytes(""));
    end();
}

static void a_value_is_kept_behind_its_flags_and_cas(void)
{
    static const char HEAD[] = "*4\r\n$3\r\nSET\r\n$1\r\na\r\n$18\r\n\xf5mc\x01\0\0\1\2";
    static const char TAIL[] = "hi\r\n$2\r\nNX\r\n";
    struct slice sent;

    begin();
    site.translates = true;
    say("add a 258 0 2\r\nhi\r\n");
    sent = op.parts[0].bytes;
    CHECK_INT(sent.len, sizeof(HEAD) - 1 + 8 + sizeof(TAIL) - 1);
    CHECK(slice_starts(sent, slice_of(HEAD, sizeof(HEAD) - 1)));
    CHECK_BYTES(slice_from(sent, sizeof(HEAD) - 1 + 8), slice_of(TAIL, sizeof(TAIL) - 1));
    CHECK_BYTES(reply("$-1\r\n", ""), bytes("NOT_STORED\r\n"));
    end();
}

static void a_script_that_is_not_known_is_sent(void)
{
    struct memory_merge merge;

    begin();
    site.translates = true;
    say("incr a 5\r\n");
    CHECK(op.alone);
    CHECK(slice_starts(op.parts[0].bytes, bytes("*16\r\n$7\r\nEVALSHA\r\n$40\r\n")));
    op.parts[0].reply = bytes("-NOSCRIPT No matching script.\r\n");
    merge = (struct memory_merge){ .site = &site,
                                   .state = state,
                                   .note = op.note,
                                   .parts = op.parts,
                                   .part_count = 1,
                                   .arena = &arena,
                                   .out = &merged };
    op.merge(&merge);
    CHECK(merge.again);
    CHECK(slice_starts(op.parts[0].bytes, bytes("*16\r\n$4\r\nEVAL\r\n")));
    CHECK_BYTES(reply("*4\r\n$2\r\nVA\r\n$1\r\n7\r\n:-1\r\n:-1\r\n", ""), bytes("7\r\n"));
    say("incr a 5\r\n");
    CHECK_BYTES(reply("*1\r\n$2\r\nNN\r\n", ""),
                bytes("CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"));
    end();
}

static void answers_of_no_redis_are_errors(void)
{
    static const char *const LINES[] = { "get a\r\n", "set a 0 0 1\r\nx\r\n", "delete a\r\n",
                                         "incr a 1\r\n", "mg a v t\r\n" };
    static const char *const ANSWERS[] = { "",
                                           "-ERR no\r\n",
                                           "*1\r\n*0\r\n",
                                           "*0\r\n",
                                           "*2\r\n$2\r\nVA\r\n$1\r\nx\r\n",
                                           "*1\r\n$2\r\nXX\r\n" };

    begin();
    site.translates = true;
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++)
        for (size_t k = 0; k < sizeof(ANSWERS) / sizeof(ANSWERS[0]); k++) {
            bool is_row = k == 5 && i == 0; /* a value as any other */

            say(LINES[i]);
            CHECK(is_row || slice_starts(reply(ANSWERS[k], ""), bytes("SERVER_ERROR ")));
        }
    say("append a 0 0 1\r\nx\r\n");
    CHECK_BYTES(reply("-OOM no\r\n", ""), bytes("SERVER_ERROR out of memory storing object\r\n"));
    end();
}

static void what_redis_can_not_say_is_refused(void)
{
    begin();
    site.translates = true;
    CHECK_ANSWER("verbosity 1\r\n", "CLIENT_ERROR 'verbosity' can't be served over Redis: it has "
                                    "no such level\r\n");
    CHECK_ANSWER("flush_all 10\r\n", "CLIENT_ERROR 'flush_all' can't be served over Redis: it "
                                     "can't empty itself later than now\r\n");
    CHECK_ANSWER("mg a h\r\n", "CLIENT_ERROR 'mg' can't be served over Redis: it does not keep "
                               "whether a value was read (flag h)\r\n");
    CHECK_ANSWER("mg a h T\r\n", "CLIENT_ERROR bad token in command line format\r\n");
    CHECK_ANSWER("mg a Dx Tx Fx\r\n", "CLIENT_ERROR bad token in command line format\r\n");
    CHECK_ANSWER("md a Tx\r\n", "CLIENT_ERROR invalid or duplicate flag\r\n");
    CHECK_ANSWER("ma a Oaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
                 "CLIENT_ERROR opaque token too long\r\n");
    CHECK_ANSWER("mg a x\r\n", "CLIENT_ERROR invalid flag\r\n");
    end();
}

int main(void)
{
    RUN(one_key_goes_to_its_shard_as_it_came);
    RUN(servers_are_never_told_noreply);
    RUN(many_keys_are_asked_once_a_shard);
    RUN(dead_shards_miss_if_the_pool_says_so);
    RUN(what_is_known_here_is_answered_here);
    RUN(who_speaks_http_is_not_listened_to);
    RUN(a_value_that_is_too_large_is_passed_and_the_old_one_forgotten);
    RUN(quiet_meta_commands_are_heard_out_by_us);
    RUN(a_key_in_base64_is_placed_by_its_bytes);
    RUN(flush_all_puts_the_stamps_back);
    RUN(stats_are_those_of_one_server);
    RUN(binary_commands_become_meta_commands);
    RUN(meta_replies_become_binary_ones);
    RUN(binary_gets_are_answered_from_rows_of_text);
    RUN(quiet_gets_are_asked_once_a_shard);
    RUN(a_row_of_quiet_gets_ends_where_something_else_begins);
    RUN(what_is_no_binary_command_is_told_so);
    RUN(text_clients_log_in_by_a_set);
    RUN(binary_clients_log_in_by_sasl);
    RUN(a_refusal_is_one_line);
    buf_fini(&packet);
    RUN(what_redis_has_a_command_for_is_that_command);
    RUN(a_value_is_kept_behind_its_flags_and_cas);
    RUN(a_script_that_is_not_known_is_sent);
    RUN(answers_of_no_redis_are_errors);
    RUN(what_redis_can_not_say_is_refused);
    return check_report();
}
