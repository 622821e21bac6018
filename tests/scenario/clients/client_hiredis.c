/* hiredis with its default settings: client_hiredis PORT.  Ends with 0 if all is as it must be. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static redisReply *expect(redisReply *reply, int type, const char *text, const char *what)
{
    if (reply == NULL || reply->type != type || (text != NULL && strcmp(reply->str, text) != 0)) {
        fprintf(stderr, "%s: type %d, %s\n", what, reply == NULL ? -1 : reply->type,
                reply == NULL || reply->str == NULL ? "no text" : reply->str);
        exit(1);
    }
    return reply;
}

static void ask(redisContext *redis, int type, const char *text, const char *command)
{
    freeReplyObject(expect(redisCommand(redis, command), type, text, command));
}

static void strings(redisContext *redis)
{
    ask(redis, REDIS_REPLY_STATUS, "OK", "SET hi:a 1");
    ask(redis, REDIS_REPLY_STRING, "1", "GET hi:a");
    ask(redis, REDIS_REPLY_NIL, NULL, "GET hi:none");
    ask(redis, REDIS_REPLY_STATUS, "OK", "MSET hi:a x hi:b y hi:c z");
    redisReply *all =
        expect(redisCommand(redis, "MGET hi:c hi:none hi:a"), REDIS_REPLY_ARRAY, NULL, "MGET");
    expect(all->element[0], REDIS_REPLY_STRING, "z", "MGET, first");
    expect(all->element[1], REDIS_REPLY_NIL, NULL, "MGET, second");
    expect(all->element[2], REDIS_REPLY_STRING, "x", "MGET, third");
    freeReplyObject(all);
    ask(redis, REDIS_REPLY_ERROR, NULL, "LPUSH hi:a x");
    ask(redis, REDIS_REPLY_ERROR, NULL, "NOSUCHCOMMAND a");
    ask(redis, REDIS_REPLY_INTEGER, NULL, "DEL hi:a hi:b hi:c");
}

static void pipelines(redisContext *redis)
{
    for (int n = 0; n < 1000; n++) {
        redisAppendCommand(redis, "SET hi:p:%d %d", n, n);
        redisAppendCommand(redis, "GET hi:p:%d", n);
    }
    for (int n = 0; n < 1000; n++) {
        redisReply *reply = NULL;
        char text[16];
        snprintf(text, sizeof(text), "%d", n);
        if (redisGetReply(redis, (void **)&reply) != REDIS_OK)
            exit(1);
        freeReplyObject(expect(reply, REDIS_REPLY_STATUS, "OK", "pipelined SET"));
        if (redisGetReply(redis, (void **)&reply) != REDIS_OK)
            exit(1);
        freeReplyObject(expect(reply, REDIS_REPLY_STRING, text, "pipelined GET"));
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    redisContext *redis = redisConnect("127.0.0.1", (int)strtol(argv[1], NULL, 10));
    if (redis == NULL || redis->err != 0)
        return 1;
    strings(redis);
    pipelines(redis);
    redisFree(redis);
    return 0;
}
