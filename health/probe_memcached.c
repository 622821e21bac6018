/* See probe_memcached.h.  One command at a time and its whole reply. */
#include "health/probe_memcached.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/buf.h"
#include "proxy/base/clock.h"

enum { READ_BYTES = 4096, MOST_REPLY_BYTES = 64 * 1024 };

static void fail(struct probe_outcome *o, enum health_reason reason)
{
    o->reason = reason;
    o->connection_is_good = false;
}

static bool ends_with(struct slice text, const char *end)
{
    size_t len = strlen(end);

    return text.len >= len && memcmp(text.at + text.len - len, end, len) == 0;
}

static bool is_error(struct slice reply)
{
    return slice_starts(reply, slice_text("ERROR")) ||
           slice_starts(reply, slice_text("CLIENT_ERROR")) ||
           slice_starts(reply, slice_text("SERVER_ERROR"));
}

/* Rows end with END, all else is one line. */
static bool is_whole(struct slice reply)
{
    bool rows =
        slice_starts(reply, slice_text("STAT ")) || slice_starts(reply, slice_text("VALUE "));

    return rows ? ends_with(reply, "\r\nEND\r\n") : ends_with(reply, "\r\n");
}

static enum err exchange(const struct probe_stream *s, struct slice question, uint64_t deadline_us,
                         struct buf *reply)
{
    while (question.len > 0) {
        size_t put = 0;

        TRY(s->write(s->state, question.at, question.len, deadline_us, &put));
        question = slice_from(question, put);
    }
    while (!is_whole(buf_all(reply))) {
        size_t got = 0;

        if (reply->len > MOST_REPLY_BYTES)
            return ERR_PROTOCOL;
        TRY(s->read(s->state, buf_reserve(reply, READ_BYTES), READ_BYTES, deadline_us, &got));
        buf_grow(reply, got);
    }
    return ERR_NONE;
}

/* Asks one thing.  False: the outcome is complete.  An error that memcached answers is a reply. */
static bool ask(const struct probe_stream *s, struct slice question, uint64_t deadline_us,
                struct buf *reply, struct probe_outcome *o)
{
    enum err err;

    buf_clear(reply);
    err = exchange(s, question, deadline_us, reply);
    if (err == ERR_NONE)
        return true;
    fail(o, reason_of_err(err, false));
    return false;
}

/* Keeps the words of an error for the log. */
static void note_error(struct probe_outcome *o, struct slice reply, enum health_reason otherwise)
{
    size_t len = reply.len < 2 ? 0 : reply.len - 2;

    if (!is_error(reply)) {
        fail(o, HEALTH_PROTOCOL_ERROR);
        return;
    }
    snprintf(o->text, sizeof(o->text), "%.*s", (int)len, (const char *)reply.at);
    if (slice_starts(reply, slice_text("CLIENT_ERROR unauthenticated")))
        otherwise = HEALTH_LOGIN_REFUSED;
    o->reason = otherwise;
}

void probe_memcached_login(const struct probe_stream *s, const struct probe_login *login,
                           uint64_t deadline_us, struct probe_outcome *o)
{
    struct buf question = { 0 }, reply = { 0 };
    const char *user = login->user == NULL ? "default" : login->user;

    *o = (struct probe_outcome){ .connection_is_good = true };
    if (login->password == NULL)
        return;
    buf_format(&question, "set login 0 0 %zu\r\n%s %s\r\n",
               strlen(user) + 1 + strlen(login->password), user, login->password);
    if (ask(s, buf_all(&question), deadline_us, &reply, o) &&
        !slice_is_text(buf_all(&reply), "STORED\r\n")) {
        note_error(o, buf_all(&reply), HEALTH_LOGIN_REFUSED);
        o->connection_is_good = false;
    }
    buf_fini(&question);
    buf_fini(&reply);
}

static void note_stat(struct probe_info *info, struct slice name, struct slice value)
{
    uint64_t number = 0;
    bool is_number = slice_to_u64(value, &number);

    if (slice_is_text(name, "version"))
        snprintf(info->version, sizeof(info->version), "%.*s", (int)value.len,
                 (const char *)value.at);
    else if (slice_is_text(name, "bytes") && is_number)
        info->used_memory = number;
    else if (slice_is_text(name, "limit_maxbytes") && is_number)
        info->most_memory = number;
}

/* "STAT name value" lines. */
static void read_stats(struct probe_info *info, struct slice text)
{
    *info = (struct probe_info){ .is_known = true, .flavor = "memcached" };
    while (text.len > 0) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.at) + 1;
        struct slice line = slice_of(text.at, len < 2 ? 0 : len - 2);
        const uint8_t *blank;

        text = slice_from(text, len);
        if (!slice_starts(line, slice_text("STAT ")))
            continue;
        line = slice_from(line, strlen("STAT "));
        blank = line.len == 0 ? NULL : memchr(line.at, ' ', line.len);
        if (blank != NULL)
            note_stat(info, slice_of(line.at, (size_t)(blank - line.at)),
                      slice_from(line, (size_t)(blank - line.at) + 1));
    }
}

void probe_memcached_check(const struct probe_stream *s, bool with_info, uint64_t deadline_us,
                           struct probe_outcome *o)
{
    uint64_t begun_us = clock_now_us();
    struct buf reply = { 0 };

    *o = (struct probe_outcome){ .connection_is_good = true, .info = o->info };
    if (ask(s, slice_text("version\r\n"), deadline_us, &reply, o)) {
        o->latency_us = clock_now_us() - begun_us;
        if (!slice_starts(buf_all(&reply), slice_text("VERSION ")))
            note_error(o, buf_all(&reply), HEALTH_PROBE_FAILED);
        else if (with_info && ask(s, slice_text("stats\r\n"), deadline_us, &reply, o))
            read_stats(&o->info, buf_all(&reply));
    }
    buf_fini(&reply);
}

/* Is this what stands under the key?  An empty reply to get is "END". */
static bool is_text_of(struct slice reply, const char *text)
{
    const uint8_t *value = reply.len == 0 ? NULL : memchr(reply.at, '\n', reply.len);
    size_t len = strlen(text);

    return value != NULL && (size_t)(reply.at + reply.len - value) > len + 1 &&
           memcmp(value + 1, text, len) == 0 && value[len + 1] == '\r';
}

bool probe_memcached_keep_mark(const struct probe_stream *s, struct probe_mark *mark,
                               uint64_t deadline_us, struct probe_outcome *o)
{
    struct buf question = { 0 }, reply = { 0 };
    bool is_gone = false, is_written = false;

    buf_format(&question, "get %s\r\n", mark->key);
    if (ask(s, buf_all(&question), deadline_us, &reply, o)) {
        is_gone = mark->was_there && slice_is_text(buf_all(&reply), "END\r\n");
        if (!is_gone)
            mark->was_there = is_text_of(buf_all(&reply), mark->text);
    }
    if (is_gone) {
        buf_clear(&question);
        buf_format(&question, "add %s 0 0 %zu\r\n%s\r\n", mark->key, strlen(mark->text),
                   mark->text);
        is_written = ask(s, buf_all(&question), deadline_us, &reply, o) &&
                     slice_is_text(buf_all(&reply), "STORED\r\n");
    }
    buf_fini(&question);
    buf_fini(&reply);
    return is_written;
}
