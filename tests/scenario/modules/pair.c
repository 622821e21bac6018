/* A module for a real server: PAIR.SET key value, PAIR.GET key.  The server's module API is a table
 * that it hands out by name, so no header of its is needed. */
#include <stddef.h>

typedef int command_f(void *ctx, void **words, int count);

static int (*get_api)(const char *name, void *place);
static int (*set_attributes)(void *ctx, const char *name, int version, int api_version);
static int (*create_command)(void *ctx, const char *name, command_f *run, const char *flags,
                             int first, int last, int step);
static void *(*call)(void *ctx, const char *name, const char *format, ...);
static int (*reply_with)(void *ctx, void *reply);
static int (*wrong_arity)(void *ctx);

static int pair_set(void *ctx, void **words, int count)
{
    return count != 3 ? wrong_arity(ctx)
                      : reply_with(ctx, call(ctx, "SET", "ss!", words[1], words[2]));
}

static int pair_get(void *ctx, void **words, int count)
{
    return count != 2 ? wrong_arity(ctx) : reply_with(ctx, call(ctx, "GET", "s", words[1]));
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
    return create_command(ctx, "pair.get", pair_get, "readonly", 1, 1, 1);
}
