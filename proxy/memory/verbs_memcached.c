/* What memcached's clients ask for that Redis has no command for.  Over Redis servers it is a
 * script (memcached_script.c), which stores here know by its name: there are no others.  What it
 * answers is the same, word for word. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "proxy/memory/memcached_kept.h"
#include "proxy/memory/memcached_script.h"
#include "proxy/memory/verbs_call.h"

/* When a key is to end. */
struct end {
    bool keeps; /* as it is */
    int64_t expires_ms;
};

/* What is asked, and what is there. */
struct change {
    char op, mode;
    bool compares;
    uint64_t compared, cas;
    uint32_t flags;
    struct slice name, value;
    uint64_t delta; /* the value, of numbers */
    struct end end;
    bool makes; /* a number that is not there */
    struct end first_end;
    struct slice first;
    uint64_t most; /* what A and P may make; 0: anything */
    bool found;
    struct store_value stored;
    struct memcached_kept was;
};

/* ---- reading ---- */

static bool take_end(const struct verb_call *c, size_t at, struct end *out)
{
    bool is_relative = slice_is_text(c->args[at], "EX");
    int64_t time_s;

    *out = (struct end){ .keeps = c->args[at].len == 0 || slice_is_text(c->args[at], "KEEP") };
    if (out->keeps || slice_is_text(c->args[at], "PERSIST"))
        return true;
    if ((!is_relative && !slice_is_text(c->args[at], "EXAT")) ||
        !slice_to_i64(c->args[at + 1], &time_s) || time_s < 1 || time_s > INT32_MAX)
        return false;
    out->expires_ms = time_s * 1000 + (is_relative ? c->v->now_ms : 0);
    return true;
}

static char letter(const struct verb_call *c, size_t at)
{
    if (c->args[at].len != 1)
        return '\0';
    return (char)c->args[at].at[0];
}

static bool is_one_of(char letter, const char *letters)
{
    return letter != '\0' && strchr(letters, letter) != NULL;
}

static bool take(const struct verb_call *c, struct change *o)
{
    struct slice compared = c->args[MEMCACHED_SCRIPT_COMPARED], cas = c->args[MEMCACHED_SCRIPT_CAS],
                 flags = c->args[MEMCACHED_SCRIPT_FLAGS];

    *o = (struct change){ .op = letter(c, MEMCACHED_SCRIPT_OP),
                          .mode = letter(c, MEMCACHED_SCRIPT_MODE),
                          .compares = compared.len > 0,
                          .compared = memcached_kept_number(compared),
                          .cas = memcached_kept_number(cas),
                          .flags = (uint32_t)memcached_kept_number(flags),
                          .name = c->args[MEMCACHED_SCRIPT_KEY],
                          .value = c->args[MEMCACHED_SCRIPT_VALUE],
                          .makes = c->args[MEMCACHED_SCRIPT_FIRST_UNIT].len > 0,
                          .first = c->args[MEMCACHED_SCRIPT_FIRST] };
    if (c->args[MEMCACHED_SCRIPT_MOST].len > 0 &&
        !slice_to_u64(c->args[MEMCACHED_SCRIPT_MOST], &o->most))
        return false;
    if ((o->compares && compared.len != MEMCACHED_KEPT_CAS_BYTES) ||
        cas.len != MEMCACHED_KEPT_CAS_BYTES || flags.len != MEMCACHED_KEPT_FLAGS_BYTES ||
        !take_end(c, MEMCACHED_SCRIPT_UNIT, &o->end) ||
        !take_end(c, MEMCACHED_SCRIPT_FIRST_UNIT, &o->first_end))
        return false;
    if (o->op == 's')
        return is_one_of(o->mode, "SERAP");
    if (o->op == 'i')
        return is_one_of(o->mode, "ID") && slice_to_u64(o->value, &o->delta);
    return is_one_of(o->op, "dgt");
}

bool verb_is_memcached(const struct verb_call *c)
{
    struct change ignored;

    return c->count == MEMCACHED_SCRIPT_WORDS && slice_is(c->args[1], memcached_script_sha()) &&
           slice_is_text(c->args[2], "1") && take(c, &ignored);
}

/* ---- answering ---- */

static void answer(struct verb_call *c, const char *code)
{
    resp_put_array(c->out, 1);
    resp_put_bulk_text(c->out, code);
}

/* As PTTL tells it. */
static int64_t left_ms(const struct verb_call *c, int64_t expires_ms)
{
    if (expires_ms == 0)
        return -1;
    return expires_ms <= c->v->now_ms ? -2 : expires_ms - c->v->now_ms;
}

/* `left_before_ms` is what the key had left before. */
static void answer_value(struct verb_call *c, struct slice value, int64_t expires_ms,
                         int64_t left_before_ms)
{
    resp_put_array(c->out, 4);
    resp_put_bulk_text(c->out, "VA");
    resp_put_bulk(c->out, value);
    resp_put_integer(c->out, left_ms(c, expires_ms));
    resp_put_integer(c->out, left_before_ms);
}

/* ---- doing ---- */

static bool is_late(const struct change *o)
{
    return o->compares && o->compared != o->was.cas;
}

static int64_t end_of(const struct change *o, const struct end *end)
{
    return end->keeps ? o->stored.expires_ms : end->expires_ms;
}

/* What is in c->v->scratch; a time that is over drops the key.  False: answered. */
static bool put(struct verb_call *c, const struct change *o, int64_t expires_ms)
{
    if (expires_ms != 0 && expires_ms <= c->v->now_ms) {
        verb_drop(c, o->name);
        return true;
    }
    return verb_put(c, o->name, buf_all(&c->v->scratch), expires_ms);
}

static void begin_value(struct verb_call *c, const struct change *o, uint32_t flags)
{
    uint8_t head[MEMCACHED_KEPT_HEAD_BYTES];

    memcached_kept_put_head(head, flags, o->cas);
    buf_clear(&c->v->scratch);
    buf_put(&c->v->scratch, head, sizeof(head));
}

static void do_append(struct verb_call *c, const struct change *o)
{
    bool is_append = o->mode == 'A';

    if (!o->found) {
        answer(c, "NS");
    } else if (is_late(o)) {
        answer(c, "EX");
    } else if (o->most > 0 && (uint64_t)o->was.value.len + o->value.len > o->most) {
        answer(c, "TL");
    } else if (verb_may_be_so_long(c, (uint64_t)o->was.value.len + o->value.len)) {
        begin_value(c, o, o->was.flags);
        buf_slice(&c->v->scratch, is_append ? o->was.value : o->value);
        buf_slice(&c->v->scratch, is_append ? o->value : o->was.value);
        if (put(c, o, o->stored.expires_ms))
            answer(c, "HD");
    }
}

static void do_set(struct verb_call *c, const struct change *o)
{
    if (o->mode == 'A' || o->mode == 'P') {
        do_append(c, o);
    } else if ((o->mode == 'E' && o->found) || (o->mode == 'R' && !o->found && !o->compares)) {
        answer(c, "NS");
    } else if (o->mode != 'E' && o->compares && !o->found) {
        answer(c, "NF");
    } else if (o->mode != 'E' && is_late(o)) {
        answer(c, "EX");
    } else {
        begin_value(c, o, o->flags);
        buf_slice(&c->v->scratch, o->value);
        if (put(c, o, end_of(o, &o->end)))
            answer(c, "HD");
    }
}

static void do_delete(struct verb_call *c, const struct change *o)
{
    if (!o->found) {
        answer(c, "NF");
    } else if (is_late(o)) {
        answer(c, "EX");
    } else {
        verb_drop(c, o->name);
        answer(c, "HD");
    }
}

/* Gets, and touches. */
static void do_touch(struct verb_call *c, const struct change *o)
{
    int64_t expires_ms = end_of(o, &o->end);

    struct slice bytes = o->stored.bytes;

    if (!o->found) {
        answer(c, "NF");
        return;
    }
    if (expires_ms != o->stored.expires_ms) {
        buf_clear(&c->v->scratch);
        buf_slice(&c->v->scratch, bytes);
        bytes = buf_all(&c->v->scratch);
        if (!put(c, o, expires_ms))
            return;
    }
    if (o->op == 't')
        answer(c, "HD");
    else
        answer_value(c, bytes, expires_ms, left_ms(c, o->stored.expires_ms));
}

/* As strtoull reads it, and memcached believes it. */
static bool read_number(struct slice text, uint64_t *out)
{
    size_t at = 0, begin;
    uint64_t number = 0;
    bool is_negative;

    while (at < text.len && isspace(text.at[at]))
        at++;
    is_negative = at < text.len && text.at[at] == '-';
    at += at < text.len && (text.at[at] == '-' || text.at[at] == '+');
    for (begin = at; at < text.len && isdigit(text.at[at]); at++)
        if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.at[at] - '0'), &number))
            return false;
    if (at == begin || (at < text.len && text.at[at] != '\0' && !isspace(text.at[at])))
        return false;
    *out = is_negative ? -number : number;
    return !is_negative || *out <= INT64_MAX;
}

/* One that is not there yet. */
static void make_number(struct verb_call *c, const struct change *o)
{
    if (!o->makes) {
        answer(c, "NF");
        return;
    }
    begin_value(c, o, 0);
    buf_slice(&c->v->scratch, o->first);
    if (put(c, o, o->first_end.expires_ms))
        answer_value(c, o->first, o->first_end.expires_ms, MEMCACHED_SCRIPT_NOT_THERE);
}

/* The number that becomes of one; its text is as long as the old one at least. */
static void put_number(struct verb_call *c, const struct change *o, uint64_t was)
{
    int64_t expires_ms = end_of(o, &o->end);
    uint64_t number = o->mode == 'I' ? was + o->delta : o->delta > was ? 0 : was - o->delta;
    char text[24];
    size_t len = (size_t)snprintf(text, sizeof(text), "%" PRIu64, number);

    begin_value(c, o, o->was.flags);
    buf_put(&c->v->scratch, text, len);
    for (size_t i = len; i < o->was.value.len; i++)
        buf_put(&c->v->scratch, " ", 1);
    if (put(c, o, expires_ms))
        answer_value(c, slice_of(text, len), expires_ms, left_ms(c, o->stored.expires_ms));
}

static void do_number(struct verb_call *c, const struct change *o)
{
    uint64_t was;

    if (!o->found)
        make_number(c, o);
    else if (is_late(o) && o->was.value.len > 0)
        answer(c, "EX");
    else if (!read_number(o->was.value, &was))
        answer(c, "NN");
    else
        put_number(c, o, was);
}

void verb_memcached(struct verb_call *c)
{
    struct change o;

    if (!take(c, &o))
        return; /* such are not run: verb_is_memcached() */
    o.found = verb_get(c, o.name, &o.stored);
    if (!o.found)
        o.stored = (struct store_value){ 0 };
    o.was = memcached_kept_read(o.stored.bytes, o.compares);
    if (o.op == 's')
        do_set(c, &o);
    else if (o.op == 'd')
        do_delete(c, &o);
    else if (o.op == 'i')
        do_number(c, &o);
    else
        do_touch(c, &o);
}
