/* How long keys of a class live (ttl, max_ttl).  What a command says of that itself is rewritten
 * before it is sent; behind what may leave a key without an end, and does not say so, the server is
 * told in the same piece of bytes:
 *
 *     SET k v              SET k v PX <ttl>
 *     SET k v EX 1000000   SET k v PX <max_ttl>       so are SETEX, GETEX, EXPIRE and their like
 *     PERSIST k            PEXPIRE k <max_ttl>
 *     INCR k               INCR k; PEXPIRE k <ttl> NX
 *     RENAME a k           RENAME a k; PEXPIRE k <ttl> NX; PEXPIRE k <max_ttl> LT
 *
 * The replies to what was added are swallowed.  In a transaction it stands behind EXEC.  Over
 * memcached, which can't be told what follows, it is set with the value (redis_over.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/memory/redis_class.h"
#include "proxy/wire/resp_write.h"

enum { NUMBER_BYTES = 24, MS = 1000 };

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

/* ---- words ---- */

/* Words of our own in place of the client's, with room for two more. */
static struct slice *own_words(struct redis_call *call)
{
    struct slice *own = arena_new(call->op->arena, (call->count + 2) * sizeof(*own));

    memcpy(own, call->args, call->count * sizeof(*own));
    return own;
}

static void take_words(struct redis_call *call, const struct slice *words, size_t count)
{
    call->args = words;
    call->count = count;
    call->op->is_inline = true; /* raw is not what is sent any more */
}

static struct slice number(struct redis_call *call, uint64_t value)
{
    char *text = arena_new(call->op->arena, NUMBER_BYTES);

    return slice_of(text, (size_t)snprintf(text, NUMBER_BYTES, "%" PRIu64, value));
}

/* A class's time in milliseconds, of which memcached knows thousands only. */
static struct slice time_word(struct redis_call *call, uint64_t ms)
{
    return number(call, call->site->translates ? (ms + MS - 1) / MS * MS : ms);
}

/* In what a time is told: from now on or since 1970, in seconds or milliseconds. */
struct measure {
    const char *word;
    bool is_in_seconds, is_a_date;
};

static const struct measure MEASURES[] = {
    { "ex", true, false }, { "px", false, false }, { "exat", true, true }, { "pxat", false, true }
};

static const struct measure *measure_of(struct slice word)
{
    for (size_t i = 0; i < sizeof(MEASURES) / sizeof(MEASURES[0]); i++)
        if (slice_is_word(word, MEASURES[i].word))
            return &MEASURES[i];
    return NULL;
}

/* Is it further away than the class allows?  What is no such time is the server's to refuse. */
static bool is_too_far(const struct redis_call *call, const struct key_class *c, struct slice word,
                       const struct measure *m)
{
    int64_t time, now_ms = call->site->wall_us / MS;

    if (c->max_ttl_ms == 0 || !slice_to_i64(word, &time))
        return false;
    if (m->is_in_seconds && __builtin_mul_overflow(time, (int64_t)MS, &time))
        return false;
    if (m->is_a_date && __builtin_sub_overflow(time, now_ms, &time))
        return false;
    return time > (int64_t)c->max_ttl_ms;
}

/* The options of SET and GETEX, from place `first` on.  True: an end is among them. */
static bool limit_options(struct redis_call *call, const struct key_class *c, size_t first)
{
    for (size_t i = first; i < call->count; i++) {
        const struct measure *m = measure_of(call->args[i]);
        struct slice *own;

        if (slice_is_word(call->args[i], "ifeq") || slice_is_word(call->args[i], "ifne") ||
            slice_is_word(call->args[i], "ifdeq") || slice_is_word(call->args[i], "ifdne")) {
            i++;
            continue;
        }
        if (m == NULL || i + 1 == call->count)
            continue;
        if (!is_too_far(call, c, call->args[i + 1], m))
            return true;
        own = own_words(call);
        own[i] = slice_text("PX");
        own[i + 1] = time_word(call, c->max_ttl_ms);
        take_words(call, own, call->count);
        return true;
    }
    return false;
}

/* The place from `first` on at which the word stands; 0: nowhere. */
static size_t find_option(const struct redis_call *call, size_t first, const char *word)
{
    for (size_t i = first; i < call->count; i++)
        if (slice_is_word(call->args[i], word))
            return i;
    return 0;
}

static void limit_set(struct redis_call *call, const struct key_class *c)
{
    struct slice *own;

    if (limit_options(call, c, 3) || find_option(call, 3, "keepttl") > 0)
        return;
    own = own_words(call);
    own[call->count] = slice_text("PX");
    own[call->count + 1] = time_word(call, c->ttl_ms);
    take_words(call, own, call->count + 2);
}

static void limit_getex(struct redis_call *call, const struct key_class *c)
{
    size_t place = find_option(call, 2, "persist");
    struct slice *own;

    if (limit_options(call, c, 2) || c->max_ttl_ms == 0 || place == 0)
        return;
    own = own_words(call);
    own[place] = slice_text("PX");
    memmove(&own[place + 2], &own[place + 1], (call->count - place - 1) * sizeof(*own));
    own[place + 1] = time_word(call, c->max_ttl_ms);
    take_words(call, own, call->count + 1);
}

/* The command `name` with its time at place 2, which is max_ttl if it was further away. */
static void limit_time(struct redis_call *call, const struct key_class *c, const struct measure *m,
                       const char *name)
{
    struct slice *own;

    if (!is_too_far(call, c, call->args[2], m))
        return;
    own = own_words(call);
    own[0] = slice_text(name);
    own[2] = time_word(call, c->max_ttl_ms);
    take_words(call, own, call->count);
}

static void limit_persist(struct redis_call *call, const struct key_class *c)
{
    struct slice *own;

    if (c->max_ttl_ms == 0)
        return;
    own = own_words(call);
    own[0] = slice_text("PEXPIRE");
    own[2] = time_word(call, c->max_ttl_ms);
    take_words(call, own, 3);
}

/* True: the command says itself how long its key lives. */
static bool limit_words(struct redis_call *call, const struct key_class *c)
{
    static const struct {
        const char *name, *as;
        struct measure measure;
    } TIMED[] = {
        { "setex", "PSETEX", { "", true, false } },
        { "psetex", "PSETEX", { "", false, false } },
        { "expire", "PEXPIRE", { "", true, false } },
        { "pexpire", "PEXPIRE", { "", false, false } },
        { "expireat", "PEXPIRE", { "", true, true } },
        { "pexpireat", "PEXPIRE", { "", false, true } },
    };
    const char *name = call->cmd->name;

    for (size_t i = 0; i < sizeof(TIMED) / sizeof(TIMED[0]); i++) {
        if (strcmp(name, TIMED[i].name) == 0) {
            limit_time(call, c, &TIMED[i].measure, TIMED[i].as);
            return true;
        }
    }
    if (strcmp(name, "persist") == 0) {
        limit_persist(call, c);
        return true;
    }
    if (strcmp(name, "getex") == 0) {
        limit_getex(call, c);
        return true;
    }
    if (strcmp(name, "set") != 0)
        return false;
    limit_set(call, c);
    return find_option(call, 3, "keepttl") == 0;
}

/* ---- what follows ---- */

/* May it make a key, or take an end from one? */
static bool may_leave_no_end(const struct redis_call *call)
{
    static const char *const OTHERS[] = { "rename", "renamenx", "smove", NULL };

    return call->cmd->plan == REDIS_SCRIPT || (call->cmd->flags & REDIS_COMMAND_DENYOOM) != 0 ||
           is_one_of(call->cmd->name, OTHERS);
}

/* May it give a key an end from elsewhere? */
static bool may_bring_end(const struct redis_call *call)
{
    static const char *const NAMES[] = { "rename", "renamenx", "copy", "restore", "msetex", NULL };

    return call->cmd->plan == REDIS_SCRIPT || is_one_of(call->cmd->name, NAMES);
}

static void put_expire(struct redis_call *call, struct slice key, uint64_t ms, const char *when,
                       struct buf *out)
{
    struct slice words[] = { slice_text("PEXPIRE"), key, number(call, ms), slice_text(when) };

    resp_put_command(out, words, 4);
}

static uint32_t put_ends(struct redis_call *call, struct slice key, struct buf *out)
{
    const struct memory_class *class = memory_site_class(call->site, key);
    const struct key_class *c = class == NULL ? NULL : class->settings;
    uint32_t count = 0;

    if (c == NULL || c->ttl_ms == 0)
        return 0;
    if (c->ttl_ms != c->max_ttl_ms || !may_bring_end(call)) {
        put_expire(call, key, c->ttl_ms, "NX", out);
        count++;
    }
    if (c->max_ttl_ms != 0 && may_bring_end(call)) {
        put_expire(call, key, c->max_ttl_ms, "LT", out); /* no end is the furthest of all */
        count++;
    }
    return count;
}

struct redis_ends redis_class_ends(struct redis_call *call, const uint32_t *places, size_t count)
{
    struct redis_ends ends = { 0 };
    struct buf bytes = { 0 };

    for (size_t i = 0; i < count; i++)
        ends.count += put_ends(call, call->args[places[i]], &bytes);
    if (ends.count > 0)
        ends.bytes = arena_copy(call->op->arena, buf_all(&bytes));
    buf_fini(&bytes);
    return ends;
}

uint64_t redis_class_end_ms(const struct redis_call *call, struct slice key)
{
    const struct memory_class *class =
        call->leaves_no_end ? memory_site_class(call->site, key) : NULL;

    return class == NULL ? 0 : (class->settings->ttl_ms + MS - 1) / MS * MS;
}

void redis_class_limit(struct redis_call *call, const struct redis_keys *keys)
{
    const struct key_class *c = call->op->class == NULL ? NULL : call->op->class->settings;
    bool says_itself = false;

    if (redis_command_has_one_key(call->cmd) && c != NULL && c->ttl_ms > 0)
        says_itself = limit_words(call, c);
    call->leaves_no_end = !says_itself && may_leave_no_end(call);
    if (call->leaves_no_end && !call->site->translates)
        call->ends = redis_class_ends(call, keys->at, keys->count);
}
