/* Meta commands go to their key's shard as they came, but for the flag q: servers always reply, and
 * what a quiet client does not want to hear is left out by the merge. */
#include "proxy/memory/memcached_front.h"
#include "proxy/wire/base64.h"

enum { VALUE_FLAGS = 3, FLAGS = 2 }; /* the words that are a command's first flags */

/* The replies that q hides, by command, as memcached 1.6 does. */
static const char *const QUIET_GET[] = { "EN", NULL };
static const char *const QUIET_WRITE[] = { "HD", NULL };
static const char *const QUIET_NUMBER[] = { "HD", "VA", NULL };

static void merge_quiet(struct memory_merge *m)
{
    struct slice reply = m->parts[0].reply;

    for (const char *const *code = m->note; *code != NULL; code++)
        if (reply.len > 2 && memcmp(reply.at, *code, 2) == 0 &&
            (reply.at[2] == ' ' || reply.at[2] == '\r'))
            return;
    buf_slice(m->out, reply);
}

static void hear_quietly(struct memcached_call *call)
{
    const char *const *hidden = call->text->verb == MEMCACHED_MG   ? QUIET_GET
                                : call->text->verb == MEMCACHED_MA ? QUIET_NUMBER
                                                                   : QUIET_WRITE;

    call->op->merge = merge_quiet;
    call->op->note = (void *)hidden; /* which is only read */
}

/* The request without the word at `index`. */
static struct slice bytes_without(struct memcached_call *call, uint32_t index)
{
    const struct memcached_text_request *r = call->text;
    const struct slice *word = &r->words[index];
    size_t before = (size_t)(word->at - r->line.at);
    struct slice after = slice_from(call->op->raw, before + word->len);
    uint8_t *bytes = arena_bytes(call->op->arena, before + after.len);

    memcpy(mempcpy(bytes, r->line.at, before), after.at, after.len);
    return slice_of(bytes, before + after.len);
}

/* The key that is meant.  False: answered with an error. */
static bool read_key(struct memcached_call *call, bool is_base64, struct slice *key)
{
    struct slice text = call->text->key;
    uint8_t *bytes;
    size_t len;

    *key = text;
    if (!is_base64)
        return true;
    bytes = arena_bytes(call->op->arena, MEMCACHED_KEY_BYTES);
    if (base64_decode(text, bytes, MEMCACHED_KEY_BYTES, &len) != ERR_NONE || len == 0) {
        memcached_answer_text(call, call->text->verb == MEMCACHED_ME
                                        ? MEMCACHED_BAD_FORMAT
                                        : "CLIENT_ERROR error decoding key\r\n");
        return false;
    }
    *key = slice_of(bytes, len);
    return true;
}

void memcached_plan_meta(struct memcached_call *call)
{
    const struct memcached_text_request *r = call->text;
    uint32_t shard, quiet = 0;
    bool is_base64 = false;
    struct slice key;

    for (uint32_t i = r->verb == MEMCACHED_MS ? VALUE_FLAGS : FLAGS; i < r->word_count; i++) {
        if (r->words[i].at[0] == 'q' && r->verb != MEMCACHED_ME) {
            if (quiet != 0) {
                memcached_answer_text(call, "CLIENT_ERROR duplicate flag\r\n");
                return;
            }
            quiet = i;
        }
        is_base64 = is_base64 || r->words[i].at[0] == 'b';
        if (r->words[i].at[0] == 'T' || r->words[i].at[0] == 'N') /* of mg, too */
            call->op->is_write = true;
    }
    if (!read_key(call, is_base64, &key) || !memcached_place(call, key, &shard))
        return;
    if (r->verb == MEMCACHED_MS && !memcached_class_has_room(call, key, r->value.len)) {
        memcached_answer_text(call, MEMCACHED_TOO_LARGE);
        return;
    }
    call->op->key = key;
    if (r->verb == MEMCACHED_MG)
        memcached_miss_if_down(call, "EN\r\n");
    memcached_plan_one(call, shard, quiet == 0 ? call->op->raw : bytes_without(call, quiet));
    if (quiet != 0)
        hear_quietly(call);
}
