/* See probe_redis.h.  One command at a time and its whole reply: what is left over afterwards is an
 * error, since replies must never cross. */
#include "health/probe_redis.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/slice.h"

enum { READ_BYTES = 16384, MOST_REPLY_BYTES = 1024 * 1024 };

static void fail(struct probe_outcome *o, enum health_reason reason)
{
    o->reason = reason;
    o->connection_is_good = false;
}

static enum err send_all(const struct probe_stream *s, const char *at, size_t len,
                         uint64_t deadline_us)
{
    while (len > 0) {
        size_t put = 0;

        TRY(s->write(s->state, at, len, deadline_us, &put));
        at += put;
        len -= put;
    }
    return ERR_NONE;
}

static enum err read_reply(const struct probe_stream *s, redisReader *reader, uint64_t deadline_us,
                           redisReply **reply)
{
    static _Thread_local char bytes[READ_BYTES];
    void *found = NULL;
    size_t total = 0;

    while (found == NULL) {
        size_t got = 0;

        TRY(s->read(s->state, bytes, sizeof(bytes), deadline_us, &got));
        total += got;
        if (total > MOST_REPLY_BYTES || redisReaderFeed(reader, bytes, got) != REDIS_OK ||
            redisReaderGetReply(reader, &found) != REDIS_OK)
            return ERR_PROTOCOL;
    }
    *reply = found;
    if (reader->pos == reader->len)
        return ERR_NONE;
    freeReplyObject(found);
    return ERR_PROTOCOL;
}

/* Asks one thing; on failure the outcome is complete and the result NULL.  Free it with
 * freeReplyObject(). */
static redisReply *ask(const struct probe_stream *s, int count, const char **words,
                       uint64_t deadline_us, struct probe_outcome *o)
{
    redisReader *reader = redisReaderCreate();
    redisReply *reply = NULL;
    char *command = NULL;
    int len = redisFormatCommandArgv(&command, count, words, NULL);
    enum err err =
        reader == NULL || len < 0 ? ERR_SYSTEM : send_all(s, command, (size_t)len, deadline_us);

    if (err == ERR_NONE)
        err = read_reply(s, reader, deadline_us, &reply);
    if (err != ERR_NONE)
        fail(o, reason_of_err(err, false));
    if (len >= 0)
        redisFreeCommand(command);
    if (reader != NULL)
        redisReaderFree(reader);
    return err == ERR_NONE ? reply : NULL;
}

/* What an error reply says of the server; `otherwise` if it is none that is known. */
static enum health_reason reason_of_error(struct slice text, enum health_reason otherwise)
{
    static const struct {
        const char *word;
        enum health_reason reason;
    } TABLE[] = {
        { "LOADING ", HEALTH_LOADING },
        { "MASTERDOWN ", HEALTH_MASTERDOWN },
        { "BUSY ", HEALTH_BUSY },
        { "READONLY ", HEALTH_READONLY },
        { "OOM ", HEALTH_OOM },
        { "MISCONF ", HEALTH_WRITES_REFUSED },
        { "NOAUTH ", HEALTH_LOGIN_REFUSED },
        { "WRONGPASS ", HEALTH_LOGIN_REFUSED },
        { "NOPERM ", HEALTH_LOGIN_REFUSED },
        { "ERR max number of clients", HEALTH_CONNECT_REFUSED },
        { "ERR operation not permitted", HEALTH_LOGIN_REFUSED }, /* before Redis 2.8 */
    };

    for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++)
        if (slice_starts(text, slice_text(TABLE[i].word)))
            return TABLE[i].reason;
    return otherwise;
}

/* Keeps the words of an error for the log; a server that does not know AUTH repeats what it was
 * given, and that must not be told. */
static void note_error(struct probe_outcome *o, const redisReply *reply,
                       enum health_reason otherwise)
{
    char *repeated;

    snprintf(o->text, sizeof(o->text), "%.*s", (int)reply->len, reply->str);
    repeated = strstr(o->text, ", with args");
    if (repeated != NULL)
        *repeated = '\0';
    o->reason = reason_of_error(slice_of(reply->str, reply->len), otherwise);
}

/* Asks what is answered with +OK; anything else is `otherwise` or what the error says. */
static bool ask_for_ok(const struct probe_stream *s, int count, const char **words,
                       enum health_reason otherwise, uint64_t deadline_us, struct probe_outcome *o)
{
    redisReply *reply = ask(s, count, words, deadline_us, o);
    bool is_ok;

    if (reply == NULL)
        return false;
    is_ok = reply->type == REDIS_REPLY_STATUS;
    if (reply->type == REDIS_REPLY_ERROR) {
        note_error(o, reply, otherwise);
        o->connection_is_good = false; /* it is not in the state that was asked for */
    } else if (!is_ok) {
        fail(o, HEALTH_PROTOCOL_ERROR);
    }
    freeReplyObject(reply);
    return is_ok;
}

void probe_redis_login(const struct probe_stream *s, const struct probe_login *login,
                       uint64_t deadline_us, struct probe_outcome *o)
{
    const char *auth[3] = { "AUTH" };
    char db[16];
    int count = 1;

    *o = (struct probe_outcome){ .connection_is_good = true };
    if (login->password != NULL) {
        if (login->user != NULL)
            auth[count++] = login->user;
        auth[count++] = login->password;
        if (!ask_for_ok(s, count, auth, HEALTH_LOGIN_REFUSED, deadline_us, o))
            return;
    }
    if (login->db != 0) {
        snprintf(db, sizeof(db), "%u", login->db);
        ask_for_ok(s, 2, (const char *[]){ "SELECT", db }, HEALTH_LOGIN_REFUSED, deadline_us, o);
    }
}

/* --- INFO --- */

static void set_text(char *to, size_t room, struct slice value)
{
    snprintf(to, room, "%.*s", (int)value.len, (const char *)value.at);
}

static void note_info_line(struct probe_info *info, struct slice key, struct slice value)
{
    uint64_t number = 0;
    bool is_number = slice_to_u64(value, &number);

    if (slice_is_text(key, "role"))
        info->role = slice_is_text(value, "master")  ? PROBE_ROLE_PRIMARY
                     : slice_is_text(value, "slave") ? PROBE_ROLE_REPLICA
                                                     : PROBE_ROLE_UNKNOWN;
    else if (slice_is_text(key, "valkey_version") || /* more to the point than the other */
             (slice_is_text(key, "redis_version") && info->version[0] == '\0'))
        set_text(info->version, sizeof(info->version), value);
    else if (slice_is_text(key, "server_name"))
        set_text(info->flavor, sizeof(info->flavor), value);
    else if (slice_is_text(key, "master_link_status"))
        info->primary_link_is_up = slice_is_text(value, "up");
    else if (slice_is_text(key, "used_memory") && is_number)
        info->used_memory = number;
    else if (slice_is_text(key, "maxmemory") && is_number)
        info->most_memory = number;
    else if (slice_is_text(key, "master_repl_offset") && is_number)
        info->replication_offset = number; /* of a replica too: how far it is */
}

static void read_info(struct probe_info *info, struct slice text)
{
    *info = (struct probe_info){ .is_known = true };
    while (text.len > 0) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.at) : text.len;
        struct slice line = slice_of(text.at, len > 0 && text.at[len - 1] == '\r' ? len - 1 : len);
        const uint8_t *colon = line.len > 0 ? memchr(line.at, ':', line.len) : NULL;

        if (colon != NULL) {
            size_t key_len = (size_t)(colon - line.at);

            note_info_line(info, slice_of(line.at, key_len), slice_from(line, key_len + 1));
        }
        text = slice_from(text, end != NULL ? len + 1 : len);
    }
    if (info->flavor[0] == '\0')
        set_text(info->flavor, sizeof(info->flavor), slice_text("redis"));
}

static void ask_info(const struct probe_stream *s, uint64_t deadline_us, struct probe_outcome *o)
{
    redisReply *reply = ask(s, 1, (const char *[]){ "INFO" }, deadline_us, o);

    if (reply == NULL)
        return;
    if (reply->type == REDIS_REPLY_STRING)
        read_info(&o->info, slice_of(reply->str, reply->len));
    else if (reply->type != REDIS_REPLY_ERROR) /* no right to INFO is no news */
        fail(o, HEALTH_PROTOCOL_ERROR);
    freeReplyObject(reply);
}

/* A server that says so has logged the user in and looked at what it may do: it is well. */
static bool is_not_permitted(const redisReply *reply)
{
    return slice_starts(slice_of(reply->str, reply->len), slice_text("NOPERM "));
}

void probe_redis_check(const struct probe_stream *s, bool with_info, uint64_t deadline_us,
                       struct probe_outcome *o)
{
    uint64_t begun_us = clock_now_us();
    redisReply *reply;

    *o = (struct probe_outcome){ .connection_is_good = true, .info = o->info };
    reply = ask(s, 1, (const char *[]){ "PING" }, deadline_us, o);
    if (reply == NULL)
        return;
    o->latency_us = clock_now_us() - begun_us;
    if (reply->type == REDIS_REPLY_ERROR && !is_not_permitted(reply))
        note_error(o, reply, HEALTH_PROBE_FAILED);
    else if (reply->type != REDIS_REPLY_ERROR &&
             (reply->type != REDIS_REPLY_STATUS || strcmp(reply->str, "PONG") != 0))
        fail(o, HEALTH_PROTOCOL_ERROR);
    freeReplyObject(reply);
    if (with_info && o->connection_is_good && o->reason != HEALTH_BUSY)
        ask_info(s, deadline_us, o);
    if (o->reason == HEALTH_FINE && o->info.role == PROBE_ROLE_REPLICA)
        o->reason = HEALTH_READONLY;
}

bool probe_redis_keep_mark(const struct probe_stream *s, struct probe_mark *mark,
                           uint64_t deadline_us, struct probe_outcome *o)
{
    redisReply *reply = ask(s, 2, (const char *[]){ "GET", mark->key }, deadline_us, o);
    bool is_gone, is_written;

    if (reply == NULL)
        return false;
    is_gone = reply->type == REDIS_REPLY_NIL && mark->was_there;
    if (reply->type == REDIS_REPLY_STRING)
        mark->was_there = slice_is(slice_of(reply->str, reply->len), slice_text(mark->text));
    freeReplyObject(reply);
    if (!is_gone)
        return false;
    reply = ask(s, 4, (const char *[]){ "SET", mark->key, mark->text, "NX" }, deadline_us, o);
    is_written = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    return is_written;
}
