/* A module for a real server: PAIR.SET key value, PAIR.GET key, PAIR.TAKE key (which says of itself
 * that it may block), PAIR.MGET count key..., PAIR.HIDE count key... (which tells nobody where its
 * keys are), PAIR.ALL.  The server's module API is a table that it hands out by name, so no header
 * of its is needed. */
#include <stddef.h>

typedef int command_f(void *ctx, void **words, int count);

static int (*get_api)(const char *name, void *place);
static int (*set_attributes)(void *ctx, const char *name, int version, int api_version);
static int (*create_command)(void *ctx, const char *name, command_f *run, const char *flags,
                             int first, int last, int step);
static void *(*call)(void *ctx, const char *name, const char *format, ...);
static int (*reply_with)(void *ctx, void *reply);
static int (*wrong_arity)(void *ctx);
static void *(*get_command)(void *ctx, const char *name);
static int (*set_info)(void *command, const void *info);

static int pair_set(void *ctx, void **words, int count)
{
    return count != 3 ? wrong_arity(ctx)
                      : reply_with(ctx, call(ctx, "SET", "ss!", words[1], words[2]));
}

static int pair_get(void *ctx, void **words, int count)
{
    return count != 2 ? wrong_arity(ctx) : reply_with(ctx, call(ctx, "GET", "s", words[1]));
}

static int pair_take(void *ctx, void **words, int count)
{
    return count != 2 ? wrong_arity(ctx) : reply_with(ctx, call(ctx, "GETDEL", "s!", words[1]));
}

static int pair_mget(void *ctx, void **words, int count)
{
    return count < 3 ? wrong_arity(ctx)
                     : reply_with(ctx, call(ctx, "MGET", "v", words + 2, (size_t)(count - 2)));
}

static int pair_all(void *ctx, void **words, int count)
{
    (void)words, (void)count;
    return reply_with(ctx, call(ctx, "DBSIZE", ""));
}

/* As of version 1 of the API. */
struct key_spec {
    const char *notes;
    unsigned long long flags;
    int begin; /* 2: index */
    struct {
        int index;
        const char *keyword_place;
    } at;
    int find; /* 3: keynum */
    struct {
        int keynumidx, firstkey, keystep;
    } keys;
};

struct info_version {
    int version;
    size_t history_size, spec_size, argument_size;
};

static const struct info_version VERSION = { 1, 24, sizeof(struct key_spec), 80 };

struct info {
    const struct info_version *version;
    const char *summary, *complexity, *since;
    void *history;
    const char *tips;
    int arity;
    struct key_spec *specs;
    void *arguments;
};

static int tell_keys(void *ctx, const char *name)
{
    struct key_spec specs[2] = { { .flags = 1ULL << 0 | 1ULL << 4, .begin = 2, .find = 3 } };
    struct info info = { .version = &VERSION, .arity = -3, .specs = specs };

    specs[0].at.index = 1;
    specs[0].keys.firstkey = specs[0].keys.keystep = 1;
    return set_info(get_command(ctx, name), &info);
}

int RedisModule_OnLoad(void *ctx, void **words, int count);

int RedisModule_OnLoad(void *ctx, void **words, int count)
{
    (void)words, (void)count;
    get_api = ((int (**)(const char *, void *))ctx)[0];
    get_api("RedisModule_SetModuleAttribs", &set_attributes);
    get_api("RedisModule_CreateCommand", &create_command);
    get_api("RedisModule_Call", &call);
    get_api("RedisModule_ReplyWithCallReply", &reply_with);
    get_api("RedisModule_WrongArity", &wrong_arity);
    set_attributes(ctx, "pair", 1, 1);
    if (create_command(ctx, "pair.set", pair_set, "write deny-oom", 1, 1, 1) != 0)
        return 1;
    get_api("RedisModule_GetCommand", &get_command);
    get_api("RedisModule_SetCommandInfo", &set_info);
    if (create_command(ctx, "pair.get", pair_get, "readonly", 1, 1, 1) != 0 ||
        create_command(ctx, "pair.take", pair_take, "write blocking", 1, 1, 1) != 0 ||
        create_command(ctx, "pair.mget", pair_mget, "readonly", 0, 0, 0) != 0 ||
        create_command(ctx, "pair.hide", pair_mget, "readonly getkeys-api", 0, 0, 0) != 0)
        return 1;
    return tell_keys(ctx, "pair.mget") != 0 ||
           create_command(ctx, "pair.all", pair_all, "readonly", 0, 0, 0) != 0;
}
