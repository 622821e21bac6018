/* See redis_push.h. */
#include "proxy/memory/redis_push.h"

#include <assert.h>
#include <string.h>

#include "proxy/wire/resp_reader.h"
#include "proxy/wire/resp_write.h"

static const struct {
    const char *subscribe, *unsubscribe, *message;
} WORDS[REDIS_SPACES] = {
    [REDIS_CHANNELS] = { "subscribe", "unsubscribe", "message" },
    [REDIS_PATTERNS] = { "psubscribe", "punsubscribe", "pmessage" },
    [REDIS_SHARD_CHANNELS] = { "ssubscribe", "sunsubscribe", "smessage" },
};

static const char *word_of(struct redis_subscribing what)
{
    return what.ends ? WORDS[what.space].unsubscribe : WORDS[what.space].subscribe;
}

static void classify(struct slice word, struct redis_push *out)
{
    for (enum redis_space space = 0; space < REDIS_SPACES; space++) {
        out->space = space;
        if (slice_is_text(word, WORDS[space].message)) {
            out->kind = REDIS_PUSH_MESSAGE;
            return;
        }
        if (slice_is_text(word, WORDS[space].subscribe) ||
            slice_is_text(word, WORDS[space].unsubscribe)) {
            out->kind = REDIS_PUSH_CONFIRMATION;
            return;
        }
    }
}

void redis_push_read(struct slice frame, struct redis_push *out)
{
    struct resp_reader reader = { frame };
    struct resp_item head, word, name;

    *out = (struct redis_push){ .kind = REDIS_PUSH_OTHER };
    if (resp_read(&reader, &head) != ERR_NONE)
        return;
    if (resp_item_is_error(&head))
        out->kind = REDIS_PUSH_ERROR;
    if ((head.type != '*' && head.type != '>') || head.count < 3 ||
        resp_read(&reader, &word) != ERR_NONE || resp_read(&reader, &name) != ERR_NONE)
        return;
    classify(word.text, out);
    out->name = name.text;
}

struct redis_subscribing redis_subscribing_of(const char *command)
{
    struct redis_subscribing what = { 0 };

    what.ends = strstr(command, "unsub") != NULL;
    while (strcmp(word_of(what), command) != 0) {
        what.space++;
        assert(what.space < REDIS_SPACES);
    }
    return what;
}

bool redis_channel_is_of_all_servers(struct slice channel)
{
    return slice_starts(channel, slice_text("__keyspace@")) ||
           slice_starts(channel, slice_text("__keyevent@"));
}

char redis_push_first_byte(unsigned version)
{
    return version == 3 ? '>' : '*';
}

void redis_push_confirm(struct buf *out, unsigned version, struct redis_subscribing what,
                        struct slice name, uint64_t count)
{
    enum resp_version resp = version == 3 ? RESP_VERSION_3 : RESP_VERSION_2;

    resp_put_push(out, resp, 3);
    resp_put_bulk_text(out, word_of(what));
    if (name.at == NULL)
        resp_put_null(out, resp);
    else
        resp_put_bulk(out, name);
    resp_put_integer(out, (int64_t)count);
}

void redis_push_put_name(struct buf *names, struct slice name)
{
    resp_put_bulk(names, name);
}

void redis_push_put_command(struct buf *out, struct redis_subscribing what, size_t count,
                            struct slice names)
{
    resp_put_array(out, count + 1);
    resp_put_bulk_text(out, word_of(what));
    buf_slice(out, names);
}

struct slice redis_push_ping(void)
{
    return slice_text("*1\r\n$4\r\nPING\r\n");
}
