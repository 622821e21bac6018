/* ma with q and N, which is quiet about a number that was there, but tells of one that it made.  A
 * reply does not say which of the two it was, so the server is asked step by step:
 *
 *     ask ---- ma, without N and J ----> HD, VA: nothing is told
 *      ^                                 NF: |
 *      |                                     v
 *      +------------- NS ------------------- ms, as add, of the first number
 *                                            HD: told as ma would */
#include <inttypes.h>
#include <stdio.h>

#include "proxy/memory/memcached_front.h"

enum { TRIES_MOST = 100, FLAGS = 2, MONTH_S = 60 * 60 * 24 * 30 };

/* In the arena. */
struct number {
    struct slice line;     /* the client's */
    struct slice ask, add; /* the server's */
    char digits[24];       /* of the first number */
    int64_t made_end, end; /* of N and T, as memcached takes them */
    uint64_t generation;   /* when it was planned */
    uint32_t tries;
    bool is_adding;
};

static bool has_flag(struct slice line, uint8_t letter)
{
    struct slice word;

    for (uint32_t i = 0; memcached_next_word(&line, &word); i++)
        if (i >= FLAGS && word.at[0] == letter)
            return true;
    return false;
}

/* ---- replies ---- */

static int64_t seconds_left(int64_t end, int64_t now_s)
{
    if (end == 0)
        return -1;
    return end > MONTH_S ? end - now_s : end;
}

/* What a flag of ma asks for, of what ms told. */
static void put_flag(uint8_t letter, const struct memcached_reply *told, struct buf *out)
{
    struct slice token = memcached_reply_flag(told, (char)letter);

    if (token.at == NULL || (letter != 'O' && letter != 'c' && letter != 'k'))
        return;
    buf_format(out, " %c%.*s", letter, (int)token.len, (const char *)token.at);
    if (letter == 'k' && memcached_reply_flag(told, 'b').at != NULL)
        buf_put(out, " b", 2);
}

static void put_made(const struct number *n, const struct memcached_reply *told, int64_t now_s,
                     struct buf *out)
{
    bool has_value = has_flag(n->line, 'v');
    struct slice rest = n->line, word;
    int64_t end = 0; /* memcached sets and tells it in the order of the flags */

    if (has_value)
        buf_format(out, "VA %zu", strlen(n->digits));
    else
        buf_text(out, "HD");
    for (uint32_t i = 0; memcached_next_word(&rest, &word); i++)
        if (i >= FLAGS && word.at[0] == 't')
            buf_format(out, " t%" PRId64, seconds_left(end, now_s));
        else if (i >= FLAGS && (word.at[0] == 'N' || word.at[0] == 'T'))
            end = word.at[0] == 'N' ? n->made_end : n->end;
        else if (i >= FLAGS)
            put_flag(word.at[0], told, out);
    buf_text(out, "\r\n");
    if (has_value)
        buf_format(out, "%s\r\n", n->digits);
}

static void go_on(struct memory_merge *m, struct number *n, bool adds)
{
    if (m->site->generation != n->generation) {
        buf_text(m->out, "SERVER_ERROR the pool's configuration changed meanwhile\r\n");
        return;
    }
    if (++n->tries > TRIES_MOST) {
        buf_text(m->out, "SERVER_ERROR others made and deleted the key again and again\r\n");
        return;
    }
    n->is_adding = adds;
    m->parts[0].bytes = adds ? n->add : n->ask;
    m->again = true;
}

static void merge_number(struct memory_merge *m)
{
    struct number *n = m->note;
    struct slice whole = m->parts[0].reply;
    struct memcached_reply told;
    bool is_line =
        !memcached_reply_is_error(whole) && memcached_reply_read(whole, &told) == ERR_NONE;

    if (is_line && slice_is_text(told.code, "HD") && n->is_adding)
        put_made(n, &told, m->site->wall_us / 1000000, m->out);
    else if (is_line && slice_is_text(told.code, n->is_adding ? "NS" : "NF"))
        go_on(m, n, !n->is_adding);
    else if (!is_line || !(slice_is_text(told.code, "HD") || told.has_value))
        buf_slice(m->out, whole);
}

/* ---- requests ---- */

/* What the flags say of the number that is to be made. */
struct wish {
    struct slice first; /* J; .at is NULL: it is not there, as of the next two */
    struct slice made;  /* N */
    struct slice end;   /* T, which is for a number that was there, too */
    struct slice last;  /* of those two, which is for the one that is made */
};

static struct slice *wish_of(struct wish *wish, uint8_t letter)
{
    return letter == 'J'   ? &wish->first
           : letter == 'N' ? &wish->made
           : letter == 'T' ? &wish->end
                           : NULL;
}

/* False: it is no such number, or the server has a word to say of its flags. */
static bool take_wish(struct memcached_call *call, const struct key_class *class, struct wish *wish)
{
    const struct memcached_text_request *r = call->text;
    uint64_t number;
    int64_t time;

    for (uint32_t i = FLAGS; i < r->word_count; i++) {
        struct slice token = slice_from(r->words[i], 1);
        struct slice *place = wish_of(wish, r->words[i].at[0]);

        if (place == NULL)
            continue;
        if (place->at != NULL ||
            !(place == &wish->first ? slice_to_u64(token, &number) : slice_to_i64(token, &time)))
            return false;
        *place = token;
        if (place != &wish->first) {
            (void)memcached_class_limit(call, class, token, place);
            wish->last = *place;
        }
    }
    return wish->made.at != NULL;
}

static void put_word(struct buf *out, char letter, struct slice token)
{
    buf_format(out, " %c%.*s", letter, (int)token.len, (const char *)token.at);
}

static void put_requests(const struct memcached_call *call, const struct wish *wish,
                         struct number *n)
{
    const struct memcached_text_request *r = call->text;
    struct slice key = r->words[1];
    struct buf ask = { 0 }, add = { 0 };

    buf_format(&ask, "ma %.*s", (int)key.len, (const char *)key.at);
    buf_format(&add, "ms %.*s %zu ME", (int)key.len, (const char *)key.at, strlen(n->digits));
    put_word(&add, 'T', wish->last);
    for (uint32_t i = FLAGS; i < r->word_count; i++) {
        uint8_t letter = r->words[i].at[0];

        if (letter == 'T')
            put_word(&ask, 'T', wish->end);
        else if (letter != 'q' && letter != 'N' && letter != 'J')
            put_word(&ask, (char)letter, slice_from(r->words[i], 1));
        if (letter == 'O' || letter == 'c' || letter == 'k' || letter == 'b')
            put_word(&add, (char)letter, slice_from(r->words[i], 1));
    }
    buf_text(&ask, "\r\n");
    buf_format(&add, "\r\n%s\r\n", n->digits);
    n->ask = arena_copy(call->op->arena, buf_all(&ask));
    n->add = arena_copy(call->op->arena, buf_all(&add));
    buf_fini(&ask);
    buf_fini(&add);
}

bool memcached_plan_quiet_number(struct memcached_call *call, struct slice key, uint32_t shard)
{
    struct memory_operation *op = call->op;
    struct wish wish = { 0 };
    struct number *n;
    uint64_t first = 0;

    if (call->text->verb != MEMCACHED_MA || call->site->translates ||
        !take_wish(call, memcached_class_of(call, key), &wish))
        return false;
    n = arena_new(op->arena, sizeof(*n));
    n->line = arena_copy(op->arena, call->text->line);
    n->generation = call->site->generation;
    if (wish.first.at != NULL)
        (void)slice_to_u64(wish.first, &first);
    snprintf(n->digits, sizeof(n->digits), "%" PRIu64, first);
    (void)slice_to_i64(wish.made, &n->made_end);
    if (wish.end.at != NULL)
        (void)slice_to_i64(wish.end, &n->end);
    put_requests(call, &wish, n);
    memcached_plan_one(call, shard, n->ask);
    op->merge = merge_number;
    op->note = n;
    op->alone = true; /* what the session asks next must find it done, in however many rounds */
    return true;
}
