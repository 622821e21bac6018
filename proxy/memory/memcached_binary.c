/* Binary commands, translated to meta commands and back; gets of keys that are words go another
 * way, see memcached_binary_get.c.
 *
 *     GET GETK     mg k f c v        SET           ms k n T F c (C)     INCREMENT  ma k MI D v c
 *     TOUCH        mg k T f c        ADD REPLACE   ... ME, MR                      (J N) (C)
 *     GAT GATK     mg k T f c v      APPEND ...    ms k n MA, MP c (C)  DELETE     md k (C)
 *
 * A key that is no word of a text command goes in base64 (flag b). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/memory/memcached_front.h"
#include "proxy/wire/base64.h"
#include "proxy/wire/memcached_meta.h"

enum {
    NO_VIVIFY = 0xffffffff, /* an expiry that says: do not create the counter */
    WORD_BYTES = 24,
};

/* What a reply is made from. */
struct note {
    uint8_t opcode, loud;
    bool is_quiet, gives_key;
    uint32_t opaque;
    struct slice key; /* in the arena; only if the reply gives it */
};

/* ---- replies ---- */

static uint64_t number_of(struct slice token)
{
    uint64_t number = 0;

    return token.at != NULL && slice_to_u64(token, &number) ? number : 0;
}

static bool is_get(const struct note *note)
{
    return note->loud == MEMCACHED_BINARY_GET || note->loud == MEMCACHED_BINARY_GETK ||
           note->loud == MEMCACHED_BINARY_GAT || note->loud == MEMCACHED_BINARY_GATK;
}

void memcached_put_miss(struct buf *out, uint8_t opcode, uint32_t opaque, struct slice key)
{
    struct memcached_binary_reply reply = {
        .opcode = opcode, .opaque = opaque, .status = MEMCACHED_STATUS_NOT_FOUND, .key = key
    };

    if (key.len == 0)
        reply.value = slice_text(memcached_status_text(reply.status));
    memcached_binary_put(out, &reply);
}

void memcached_put_value(struct buf *out, uint8_t opcode, uint32_t opaque, struct slice flags,
                         struct slice cas, struct slice key, struct slice value)
{
    uint32_t number = (uint32_t)number_of(flags);
    uint8_t extras[4] = { (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                          (uint8_t)number };
    struct memcached_binary_reply reply = { .opcode = opcode,
                                            .opaque = opaque,
                                            .cas = number_of(cas),
                                            .extras = slice_of(extras, sizeof(extras)),
                                            .key = key,
                                            .value = value };

    memcached_binary_put(out, &reply);
}

static void put_hit(const struct note *note, const struct memcached_reply *from, struct buf *out)
{
    memcached_put_value(out, note->opcode, note->opaque, memcached_reply_flag(from, 'f'),
                        memcached_reply_flag(from, 'c'), note->key, from->value);
}

static void put_number(const struct note *note, const struct memcached_reply *from, struct buf *out)
{
    struct slice digits = from->value;
    uint8_t bytes[8];
    uint64_t number;
    struct memcached_binary_reply reply = { .opcode = note->opcode,
                                            .opaque = note->opaque,
                                            .cas = number_of(memcached_reply_flag(from, 'c')),
                                            .value = slice_of(bytes, sizeof(bytes)) };

    while (digits.len > 0 && digits.at[digits.len - 1] == ' ') /* decr pads */
        digits.len--;
    number = number_of(digits);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    memcached_binary_put(out, &reply);
}

/* "NS" of an add says that the key is there, of a replace that it is not. */
static enum memcached_status not_stored(const struct note *note)
{
    if (note->loud == MEMCACHED_BINARY_ADD)
        return MEMCACHED_STATUS_EXISTS;
    return note->loud == MEMCACHED_BINARY_REPLACE ? MEMCACHED_STATUS_NOT_FOUND
                                                  : MEMCACHED_STATUS_NOT_STORED;
}

static void put_done(const struct note *note, const struct memcached_reply *from, struct buf *out)
{
    struct memcached_binary_reply reply = { .opcode = note->opcode,
                                            .opaque = note->opaque,
                                            .cas = number_of(memcached_reply_flag(from, 'c')) };

    if (!note->is_quiet)
        memcached_binary_put(out, &reply);
}

static void put_found(const struct note *note, const struct memcached_reply *from, struct buf *out)
{
    if (is_get(note) || note->loud == MEMCACHED_BINARY_TOUCH)
        put_hit(note, from, out);
    else if (!from->has_value)
        put_done(note, from, out);
    else if (!note->is_quiet)
        put_number(note, from, out);
}

/* What a code that is no success means; false: no server says so. */
static bool status_of(const struct note *note, struct slice code, enum memcached_status *out)
{
    if (slice_is_text(code, "EN") || slice_is_text(code, "NF"))
        *out = MEMCACHED_STATUS_NOT_FOUND;
    else if (slice_is_text(code, "EX"))
        *out = MEMCACHED_STATUS_EXISTS;
    else if (slice_is_text(code, "NS"))
        *out = not_stored(note);
    else
        return false;
    return true;
}

/* From a meta command's reply to the binary one. */
static void merge_meta(struct memory_merge *m)
{
    const struct note *note = m->note;
    struct slice whole = m->parts[0].reply;
    struct memcached_reply reply = { 0 };
    enum memcached_status status;

    if (memcached_reply_is_error(whole))
        memcached_put_error(m->out, note->opcode, note->opaque, whole);
    else if (memcached_reply_read(whole, &reply) == ERR_NONE &&
             (slice_is_text(reply.code, "VA") || slice_is_text(reply.code, "HD")))
        put_found(note, &reply, m->out);
    else if (slice_is_text(reply.code, "EN") && is_get(note)) {
        if (!note->is_quiet)
            memcached_put_miss(m->out, note->opcode, note->opaque, note->key);
    } else if (status_of(note, reply.code, &status))
        memcached_put_status(m->out, note->opcode, note->opaque, status);
    else
        memcached_put_error(m->out, note->opcode, note->opaque, memcached_out_of_step(m, 0));
}

/* ---- requests ---- */

/* A meta command in the making: the line is measured by its room, then written at once. */
struct line {
    uint8_t *at;
    const struct memcached_call *call;
    const struct key_class *class; /* which limits the key's life; NULL: none does */
};

static void put(struct line *line, const void *bytes, size_t len)
{
    line->at = mempcpy(line->at, bytes, len);
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* " F17"; the letters are the flag's, or " " alone. */
static void put_flag(struct line *line, const char *letters, uint64_t number)
{
    char text[WORD_BYTES];
    int len = snprintf(text, sizeof(text), "%" PRIu64, number);

    put_text(line, letters);
    put(line, text, (size_t)len);
}

/* memcached reads an expiry as a signed number of 32 bits; beyond it there is only "later". */
static void put_expiry(struct line *line, const char *letters, uint32_t expiry)
{
    int64_t allowed =
        memcached_class_expiry(line->call, line->class, expiry > INT32_MAX ? INT32_MAX : expiry);

    put_flag(line, letters, (uint64_t)allowed);
}

static const char *const MODES[] = {
    [MEMCACHED_BINARY_SET] = "",          [MEMCACHED_BINARY_ADD] = " ME",
    [MEMCACHED_BINARY_REPLACE] = " MR",   [MEMCACHED_BINARY_APPEND] = " MA",
    [MEMCACHED_BINARY_PREPEND] = " MP",   [MEMCACHED_BINARY_INCREMENT] = " MI",
    [MEMCACHED_BINARY_DECREMENT] = " MD",
};

/* A cas turns add and replace into the command cas, as in memcached. */
static void put_store_flags(struct line *line, const struct memcached_binary_request *r)
{
    bool joins = r->extras.len == 0;

    if (!joins) {
        put_flag(line, " F", memcached_binary_u32(r->extras, 0));
        put_expiry(line, " T", memcached_binary_u32(r->extras, 4));
    }
    if (joins || r->cas == 0)
        put_text(line, MODES[r->loud]);
    put_text(line, " c");
}

static void put_number_flags(struct line *line, const struct memcached_binary_request *r)
{
    uint32_t expiry = memcached_binary_u32(r->extras, 16);

    put_text(line, MODES[r->loud]);
    put_flag(line, " D", memcached_binary_u64(r->extras, 0));
    if (expiry != NO_VIVIFY) {
        put_flag(line, " J", memcached_binary_u64(r->extras, 8));
        put_expiry(line, " N", expiry);
    }
    put_text(line, " v c");
}

static bool stores(uint8_t loud)
{
    return loud == MEMCACHED_BINARY_SET || loud == MEMCACHED_BINARY_ADD ||
           loud == MEMCACHED_BINARY_REPLACE || loud == MEMCACHED_BINARY_APPEND ||
           loud == MEMCACHED_BINARY_PREPEND;
}

static void put_flags(struct line *line, const struct memcached_binary_request *r)
{
    if (stores(r->loud))
        put_store_flags(line, r);
    else if (r->loud == MEMCACHED_BINARY_INCREMENT || r->loud == MEMCACHED_BINARY_DECREMENT)
        put_number_flags(line, r);
    else if (r->loud == MEMCACHED_BINARY_TOUCH)
        put_expiry(line, " f c T", memcached_binary_u32(r->extras, 0));
    else if (r->loud == MEMCACHED_BINARY_GAT || r->loud == MEMCACHED_BINARY_GATK)
        put_expiry(line, " f c v T", memcached_binary_u32(r->extras, 0));
    else if (r->loud != MEMCACHED_BINARY_DELETE)
        put_text(line, " f c v");
    if (r->cas != 0 &&
        (stores(r->loud) || r->loud == MEMCACHED_BINARY_DELETE ||
         r->loud == MEMCACHED_BINARY_INCREMENT || r->loud == MEMCACHED_BINARY_DECREMENT))
        put_flag(line, " C", r->cas);
}

static const char *command_of(uint8_t loud)
{
    if (stores(loud))
        return "ms ";
    if (loud == MEMCACHED_BINARY_DELETE)
        return "md ";
    if (loud == MEMCACHED_BINARY_INCREMENT || loud == MEMCACHED_BINARY_DECREMENT)
        return "ma ";
    return "mg ";
}

static struct slice meta_bytes(struct memcached_call *call)
{
    enum { FLAGS_BYTES = 8 * WORD_BYTES };
    const struct memcached_binary_request *r = call->binary;
    uint8_t *bytes =
        arena_bytes(call->op->arena, BASE64_BYTES(r->key.len) + r->value.len + FLAGS_BYTES);
    struct line line = { bytes, call, memcached_class_of(call, r->key) };
    bool is_plain = memcached_key_is_word(r->key);

    put_text(&line, command_of(r->loud));
    if (is_plain) {
        put(&line, r->key.at, r->key.len);
    } else {
        base64_encode(r->key, (char *)line.at);
        line.at += BASE64_BYTES(r->key.len);
    }
    if (stores(r->loud))
        put_flag(&line, " ", r->value.len);
    if (!is_plain)
        put_text(&line, " b");
    put_flags(&line, r);
    put_text(&line, "\r\n");
    if (stores(r->loud)) {
        put(&line, r->value.at, r->value.len);
        put_text(&line, "\r\n");
    }
    return slice_of(bytes, (size_t)(line.at - bytes));
}

static void plan_keyed(struct memcached_call *call)
{
    const struct memcached_binary_request *r = call->binary;
    struct memory_operation *op = call->op;
    struct note *note;
    uint32_t shard;

    if (!call->site->translates && !memcached_key_fits(r->key)) {
        memcached_refuse(call, MEMCACHED_STATUS_INVALID,
                         "a key with blanks or control characters has 186 bytes at most, as "
                         "servers are sent it in base64");
        return;
    }
    if (!memcached_place(call, r->key, &shard))
        return;
    note = arena_new(op->arena, sizeof(*note));
    note->opcode = r->opcode;
    note->loud = r->loud;
    note->is_quiet = r->is_quiet;
    note->opaque = r->opaque;
    note->gives_key = r->loud == MEMCACHED_BINARY_GETK || r->loud == MEMCACHED_BINARY_GATK;
    if (note->gives_key)
        note->key = arena_copy(op->arena, r->key);
    op->key = r->key;
    if (is_get(note))
        memcached_miss_if_down(call, "EN\r\n");
    memcached_plan_one(call, shard, meta_bytes(call));
    op->merge = merge_meta;
    op->note = note;
    memcached_limit_join(call, r->key);
}

/* ---- what has no key, or is wrong ---- */

static void merge_too_large(struct memory_merge *m)
{
    const struct note *note = m->note;

    memcached_put_status(m->out, note->opcode, note->opaque, MEMCACHED_STATUS_TOO_LARGE);
}

/* See plan_too_large() of memcached_text.c. */
static void plan_too_large(struct memcached_call *call)
{
    struct memcached_binary_request forget = *call->binary;

    if (forget.loud != MEMCACHED_BINARY_SET || !forget.is_well_formed) {
        memcached_answer_status(call, MEMCACHED_STATUS_TOO_LARGE);
        return;
    }
    forget.loud = MEMCACHED_BINARY_DELETE;
    forget.cas = 0;
    call->binary = &forget;
    plan_keyed(call);
    if (call->op->way == MEMORY_PARTS)
        call->op->merge = merge_too_large;
}

static void answer_version(struct memcached_call *call)
{
    struct memcached_binary_reply reply = { .opcode = call->binary->opcode,
                                            .opaque = call->binary->opaque,
                                            .value = slice_text(MEMCACHED_SERVER_VERSION) };

    memcached_binary_put(memcached_answer(call), &reply);
}

static void plan_quit(struct memcached_call *call)
{
    memcached_answer(call);
    if (!call->binary->is_quiet)
        memcached_answer_status(call, MEMCACHED_STATUS_OK);
    call->session->base.closes = true;
}

static void plan_flush(struct memcached_call *call)
{
    struct slice extras = call->binary->extras;
    char expiry[WORD_BYTES] = "";

    if (extras.len > 0 && memcached_binary_u32(extras, 0) != 0)
        snprintf(expiry, sizeof(expiry), "%" PRIu32, memcached_binary_u32(extras, 0));
    memcached_plan_flush(call, slice_text(expiry));
}

static void plan_command(struct memcached_call *call)
{
    switch (call->binary->loud) {
    case MEMCACHED_BINARY_NOOP:
        memcached_answer_status(call, MEMCACHED_STATUS_OK);
        return;
    case MEMCACHED_BINARY_VERSION:
        answer_version(call);
        return;
    case MEMCACHED_BINARY_QUIT:
        plan_quit(call);
        return;
    case MEMCACHED_BINARY_FLUSH:
        plan_flush(call);
        return;
    case MEMCACHED_BINARY_STAT:
        memcached_plan_stats(call, call->binary->key);
        return;
    case MEMCACHED_BINARY_GET:
    case MEMCACHED_BINARY_GETK:
        (memcached_key_is_word(call->binary->key) && !call->site->translates
             ? memcached_plan_binary_get
             : plan_keyed)(call);
        return;
    default:
        if (stores(call->binary->loud) &&
            !memcached_class_has_room(call, call->binary->key, call->binary->value.len))
            plan_too_large(call);
        else
            plan_keyed(call);
        return;
    }
}

/* The text command of the same meaning, by which users' rights are told. */
static const char *text_name(uint8_t loud)
{
    static const struct {
        uint8_t loud;
        const char *name;
    } NAMES[] = {
        { MEMCACHED_BINARY_GET, "get" },         { MEMCACHED_BINARY_GETK, "get" },
        { MEMCACHED_BINARY_SET, "set" },         { MEMCACHED_BINARY_ADD, "add" },
        { MEMCACHED_BINARY_REPLACE, "replace" }, { MEMCACHED_BINARY_DELETE, "delete" },
        { MEMCACHED_BINARY_INCREMENT, "incr" },  { MEMCACHED_BINARY_DECREMENT, "decr" },
        { MEMCACHED_BINARY_APPEND, "append" },   { MEMCACHED_BINARY_PREPEND, "prepend" },
        { MEMCACHED_BINARY_TOUCH, "touch" },     { MEMCACHED_BINARY_GAT, "gat" },
        { MEMCACHED_BINARY_GATK, "gat" },        { MEMCACHED_BINARY_FLUSH, "flush_all" },
        { MEMCACHED_BINARY_STAT, "stats" },      { MEMCACHED_BINARY_VERSION, "version" },
        { MEMCACHED_BINARY_NOOP, "mn" },         { MEMCACHED_BINARY_QUIT, "quit" },
    };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (NAMES[i].loud == loud)
            return NAMES[i].name;
    return "unknown";
}

static bool is_read(uint8_t loud)
{
    return loud == MEMCACHED_BINARY_GET || loud == MEMCACHED_BINARY_GETK ||
           loud == MEMCACHED_BINARY_STAT || loud == MEMCACHED_BINARY_VERSION ||
           loud == MEMCACHED_BINARY_NOOP || loud == MEMCACHED_BINARY_QUIT;
}

static bool is_sasl(uint8_t loud)
{
    return loud == MEMCACHED_BINARY_SASL_LIST || loud == MEMCACHED_BINARY_SASL_AUTH ||
           loud == MEMCACHED_BINARY_SASL_STEP;
}

static void close_with(struct memcached_call *call, enum memcached_status status)
{
    memcached_answer_status(call, status);
    call->session->base.closes = true;
}

void memcached_plan_binary(struct memcached_call *call)
{
    const struct memcached_binary_request *r = call->binary;
    bool is_known = memcached_user_find(call);
    struct memory_operation *op = call->op;

    op->name = text_name(r->loud);
    op->is_write = !is_read(r->loud);
    if (r->name == NULL)
        memcached_answer_status(call, MEMCACHED_STATUS_UNKNOWN_COMMAND);
    else if (!r->is_well_formed)
        close_with(call, MEMCACHED_STATUS_INVALID);
    else if (is_sasl(r->loud))
        memcached_plan_sasl(call);
    else if (!is_known && r->loud != MEMCACHED_BINARY_VERSION)
        close_with(call, MEMCACHED_STATUS_NOT_LET_IN);
    else if (!memcached_user_may_run(call, op->name, op->is_write))
        memcached_refuse(call, MEMCACHED_STATUS_NOT_LET_IN, "this user may not run '%s'", op->name);
    else if (r->skip > 0)
        plan_too_large(call);
    else
        plan_command(call);
}
