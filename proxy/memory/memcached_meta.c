/* Meta commands go to their key's shard as they came, but for the flag q: servers always reply, and
 * what a quiet client does not want to hear is left out by the merge. */
#include "proxy/memory/memcached_front.h"
#include "proxy/wire/base64.h"

enum { VALUE_FLAGS = 3, FLAGS = 2 }; /* the words that are a command's first flags */

/* The replies that q hides, by command, as memcached 1.6 does; see memcached_number.c, too. */
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
    struct slice after = slice_from(call->bytes, before + word->len);
    uint8_t *bytes = arena_bytes(call->op->arena, before + after.len);

    memcpy(mempcpy(bytes, r->line.at, before), after.at, after.len);
    return slice_of(bytes, before + after.len);
}

static const char *error_of_key(enum memcached_verb verb)
{
    if (verb == MEMCACHED_ME)
        return MEMCACHED_BAD_FORMAT;
    return verb == MEMCACHED_MD || verb == MEMCACHED_MA
               ? "CLIENT_ERROR invalid or duplicate flag\r\n"
               : "CLIENT_ERROR error decoding key\r\n";
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
        memcached_answer_text(call, error_of_key(call->text->verb));
        return false;
    }
    *key = slice_of(bytes, len);
    return true;
}

/* Where the word stands in the request's bytes without the word `gone` (0: with all). */
static size_t place_of(const struct memcached_text_request *r, uint32_t index, uint32_t gone)
{
    size_t place = (size_t)(r->words[index].at - r->line.at);

    return gone > 0 && index > gone ? place - r->words[gone].len : place;
}

static bool has_flag(const struct memcached_text_request *r, uint32_t first, uint8_t flag)
{
    for (uint32_t i = first; i < r->word_count; i++)
        if (r->words[i].at[0] == flag)
            return true;
    return false;
}

/* The times (flags T and N) as the class allows them, and one where ms has none.  From the last to
 * the first, so that places before stay what they are. */
static struct slice limited_bytes(struct memcached_call *call, const struct key_class *c,
                                  struct slice bytes, uint32_t gone)
{
    const struct memcached_text_request *r = call->text;
    uint32_t first = r->verb == MEMCACHED_MS ? VALUE_FLAGS : FLAGS;
    struct slice number;

    if (c == NULL || r->verb == MEMCACHED_ME)
        return bytes;
    if (r->verb == MEMCACHED_MS && !has_flag(r, first, 'T') &&
        memcached_class_limit(call, c, slice_of("0", 1), &number)) {
        size_t end = r->line.len - (gone > 0 ? r->words[gone].len : 0);

        bytes = memcached_splice(call, bytes, end, 0, number);
        bytes = memcached_splice(call, bytes, end, 0, slice_of(" T", 2));
    }
    for (uint32_t i = r->word_count; i-- > first;) {
        struct slice word = r->words[i];

        if ((word.at[0] == 'T' || word.at[0] == 'N') &&
            memcached_class_limit(call, c, slice_from(word, 1), &number))
            bytes = memcached_splice(call, bytes, place_of(r, i, gone) + 1, word.len - 1, number);
    }
    return bytes;
}

/* The place of the flag q, 0: it is not there, and whether the key is in base64.  False: answered
 * with an error. */
static bool read_flags(struct memcached_call *call, uint32_t *quiet, bool *is_base64)
{
    const struct memcached_text_request *r = call->text;

    for (uint32_t i = r->verb == MEMCACHED_MS ? VALUE_FLAGS : FLAGS; i < r->word_count; i++) {
        uint8_t letter = r->words[i].at[0];

        if (letter == 'q' && r->verb != MEMCACHED_ME) {
            if (*quiet != 0) {
                memcached_answer_text(call, r->verb == MEMCACHED_MD || r->verb == MEMCACHED_MA
                                                ? "CLIENT_ERROR invalid or duplicate flag\r\n"
                                                : "CLIENT_ERROR duplicate flag\r\n");
                return false;
            }
            *quiet = i;
        }
        *is_base64 = *is_base64 || letter == 'b';
        if (letter == 'T' || letter == 'N') /* of mg, too */
            call->op->is_write = true;
    }
    return true;
}

void memcached_plan_meta(struct memcached_call *call)
{
    const struct memcached_text_request *r = call->text;
    uint32_t shard, quiet = 0;
    bool is_base64 = false;
    struct slice key, bytes;

    if (!read_flags(call, &quiet, &is_base64) ||
        (r->verb == MEMCACHED_MG && call->op->is_write && !memcached_user_may_write(call)))
        return;
    if (!read_key(call, is_base64, &key) || !memcached_place(call, key, &shard))
        return;
    if (r->verb == MEMCACHED_MS && !memcached_class_has_room(call, key, r->value.len)) {
        memcached_answer_text(call, MEMCACHED_TOO_LARGE);
        return;
    }
    call->op->key = key;
    if (r->verb == MEMCACHED_MG)
        memcached_miss_if_down(call, "EN\r\n");
    if (quiet != 0 && memcached_plan_quiet_number(call, key, shard))
        return;
    bytes = quiet == 0 ? call->bytes : bytes_without(call, quiet);
    memcached_plan_one(call, shard,
                       limited_bytes(call, memcached_class_of(call, key), bytes, quiet));
    if (quiet != 0)
        hear_quietly(call);
    memcached_limit_join(call, key);
}
