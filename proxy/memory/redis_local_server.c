/* What a pool says of itself as a server: CONFIG GET, CLUSTER, ACL, ROLE, SLOWLOG. */
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "proxy/memory/redis_local.h"
#include "proxy/wire/resp_reader.h"
#include "shard/hash.h"
#include "shard/redis_glob.h"

#define NO_CLUSTER "ERR This instance has cluster support disabled"

/* What libraries ask for: constants, or a number of the pool's settings. */
struct setting {
    const char *name, *value; /* NULL: from `number` */
    uint64_t (*number)(const struct memory_pool *);
};

static uint64_t timeout_s(const struct memory_pool *pool)
{
    return pool->base.idle_timeout_ms / 1000;
}

static uint64_t databases(const struct memory_pool *pool)
{
    return pool->databases;
}

static uint64_t request_bytes(const struct memory_pool *pool)
{
    return pool->max_request_bytes;
}

static uint64_t sessions(const struct memory_pool *pool)
{
    return pool->base.max_sessions == 0 ? UINT32_MAX : pool->base.max_sessions;
}

static const struct setting SETTINGS[] = {
    { "appendonly", "no", NULL },
    { "cluster-enabled", "no", NULL },
    { "databases", NULL, databases },
    { "maxclients", NULL, sessions },
    { "maxmemory", "0", NULL },
    { "maxmemory-policy", "noeviction", NULL },
    { "notify-keyspace-events", "", NULL },
    { "proto-max-bulk-len", NULL, request_bytes },
    { "replica-read-only", "yes", NULL },
    { "save", "", NULL },
    { "slave-read-only", "yes", NULL },
    { "slowlog-max-len", "128", NULL },
    { "tcp-keepalive", "300", NULL },
    { "timeout", NULL, timeout_s },
};

enum { SETTING_COUNT = sizeof(SETTINGS) / sizeof(SETTINGS[0]) };

static bool is_asked_for(struct redis_call *call, const struct setting *setting)
{
    for (size_t i = 2; i < call->count; i++)
        if (redis_glob_fits(call->args[i], slice_text(setting->name)))
            return true;
    return false;
}

static void plan_config_get(struct redis_call *call)
{
    struct buf *out = redis_answer(call);
    bool asked[SETTING_COUNT];
    size_t count = 0;

    for (size_t i = 0; i < SETTING_COUNT; i++)
        count += asked[i] = is_asked_for(call, &SETTINGS[i]);
    resp_put_map(out, redis_version(call), count);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        char number[24];

        if (!asked[i])
            continue;
        resp_put_bulk_text(out, SETTINGS[i].name);
        if (SETTINGS[i].value == NULL)
            snprintf(number, sizeof(number), "%" PRIu64, SETTINGS[i].number(call->site->pool));
        resp_put_bulk_text(out, SETTINGS[i].value == NULL ? number : SETTINGS[i].value);
    }
}

static void plan_no_cluster(struct redis_call *call)
{
    redis_error(call, NO_CLUSTER);
}

static void plan_cluster_info(struct redis_call *call)
{
    resp_put_verbatim(redis_answer(call), redis_version(call), "txt",
                      slice_text("cluster_enabled:0\r\ncluster_state:ok\r\n"
                                 "cluster_slots_assigned:0\r\ncluster_known_nodes:1\r\n"
                                 "cluster_size:0\r\n"));
}

/* What is between the first '{' and the next '}', if that is anything; else all. */
static struct slice hash_tag(struct slice key)
{
    const uint8_t *open = key.len == 0 ? NULL : memchr(key.at, '{', key.len), *close;
    size_t rest;

    if (open == NULL)
        return key;
    rest = key.len - (size_t)(open + 1 - key.at);
    close = memchr(open + 1, '}', rest);
    if (close == NULL || close == open + 1)
        return key;
    return slice_of(open + 1, (size_t)(close - open - 1));
}

static void plan_keyslot(struct redis_call *call)
{
    const struct shard_hash *crc = shard_hash_find("crc16");

    resp_put_integer(redis_answer(call), (int64_t)(crc->hash(hash_tag(call->args[2])) & 0x3fff));
}

static void plan_role(struct redis_call *call)
{
    struct buf *out = redis_answer(call);

    resp_put_array(out, 3);
    resp_put_bulk_text(out, "master");
    resp_put_integer(out, 0);
    resp_put_array(out, 0);
}

static void plan_whoami(struct redis_call *call)
{
    resp_put_bulk_text(redis_answer(call),
                       call->session->base.user == NULL ? "default" : call->session->base.user);
}

static void put_categories(struct buf *out)
{
    size_t count = 0;

    for (uint32_t bit = 1; bit < REDIS_CATEGORY_ALL; bit <<= 1)
        count++;
    resp_put_array(out, count);
    for (uint32_t bit = 1; bit < REDIS_CATEGORY_ALL; bit <<= 1)
        resp_put_bulk_text(out, redis_category_name(bit));
}

static void put_commands_of(struct buf *out, uint32_t category)
{
    const struct redis_command *cmd;
    size_t count = 0;

    for (size_t i = 0; (cmd = redis_command_at(i)) != NULL; i++)
        count += (cmd->categories & category) != 0;
    resp_put_array(out, count);
    for (size_t i = 0; (cmd = redis_command_at(i)) != NULL; i++)
        if ((cmd->categories & category) != 0)
            resp_put_bulk_text(out, cmd->name);
}

static void refuse_words(struct redis_call *call)
{
    redis_error(call,
                "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try ACL HELP.",
                (int)call->args[1].len, (const char *)call->args[1].at);
}

static void plan_cat(struct redis_call *call)
{
    uint32_t category;

    if (call->count > 3) {
        refuse_words(call);
        return;
    }
    if (call->count == 2) {
        put_categories(redis_answer(call));
        return;
    }
    category = redis_category_find(call->args[2]);
    if (category == 0 || call->args[2].at[0] == '@')
        redis_error(call, "ERR Unknown category '%.*s'", (int)call->args[2].len,
                    (const char *)call->args[2].at);
    else
        put_commands_of(redis_answer(call), category);
}

static void plan_genpass(struct redis_call *call)
{
    enum { MOST_BITS = 4096 };
    static const char DIGITS[] = "0123456789abcdef";
    uint8_t random[MOST_BITS / 4];
    int64_t bits = 256;
    size_t len;

    if (call->count > 3) {
        refuse_words(call);
        return;
    }
    if (call->count == 3 && !slice_to_i64(call->args[2], &bits)) {
        redis_error(call, "ERR value is not an integer or out of range");
        return;
    }
    if (bits <= 0 || bits > MOST_BITS) {
        redis_error(call, "ERR ACL GENPASS argument must be the number of bits for the output "
                          "password, a positive number up to 4096");
        return;
    }
    len = (size_t)(bits + 3) / 4;
    if (RAND_bytes(random, (int)len) != 1) {
        redis_error(call, "ERR the system has no random bytes");
        return;
    }
    for (size_t i = 0; i < len; i++)
        random[i] = (uint8_t)DIGITS[random[i] & 15];
    resp_put_bulk(redis_answer(call), slice_of(random, len));
}

static void list_slow(struct redis_call *call, uint32_t most, struct buf *out)
{
    if (call->site->host->slow_list != NULL)
        call->site->host->slow_list(call->site, most, out);
    else
        resp_put_array(out, 0);
}

static void plan_slowlog_get(struct redis_call *call)
{
    int64_t most = 10;

    if (call->count > 3 || (call->count == 3 && !slice_to_i64(call->args[2], &most)) || most < -1) {
        redis_error(call, "ERR count should be greater than or equal to -1");
        return;
    }
    list_slow(call, most < 0 || most > UINT32_MAX ? UINT32_MAX : (uint32_t)most,
              redis_answer(call));
}

static void plan_slowlog_len(struct redis_call *call)
{
    struct buf list = { 0 };
    struct resp_item item = { 0 };
    struct resp_reader reader;

    list_slow(call, UINT32_MAX, &list);
    reader.in = buf_all(&list);
    if (resp_read(&reader, &item) != ERR_NONE)
        item.count = 0;
    resp_put_integer(redis_answer(call), (int64_t)item.count);
    buf_fini(&list);
}

static void plan_slowlog_reset(struct redis_call *call)
{
    if (call->site->host->slow_forget != NULL)
        call->site->host->slow_forget(call->site);
    redis_answer_ok(call);
}

const struct redis_local REDIS_LOCAL_SERVER[] = {
    { "config|get", plan_config_get },
    { "cluster|info", plan_cluster_info },
    { "cluster|keyslot", plan_keyslot },
    { "cluster|countkeysinslot", plan_no_cluster },
    { "cluster|getkeysinslot", plan_no_cluster },
    { "cluster|links", plan_no_cluster },
    { "cluster|myid", plan_no_cluster },
    { "cluster|myshardid", plan_no_cluster },
    { "cluster|nodes", plan_no_cluster },
    { "cluster|shards", plan_no_cluster },
    { "cluster|slots", plan_no_cluster },
    { "role", plan_role },
    { "acl|whoami", plan_whoami },
    { "acl|cat", plan_cat },
    { "acl|genpass", plan_genpass },
    { "slowlog|get", plan_slowlog_get },
    { "slowlog|len", plan_slowlog_len },
    { "slowlog|reset", plan_slowlog_reset },
    { NULL, NULL },
};
