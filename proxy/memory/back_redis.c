/* The Redis back: how an upstream becomes ready, where its replies end, and what they mean for the
 * health of the server.
 *
 * Ready: log in (or a PING, so that a server that refuses is noticed before the first request is
 * sent) -> the endpoint's own database -> the stamp -> the session's database -> the id.  A pool's
 * database 0 is the one in the endpoint's URL, the others count on from there. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/memory/memory.h"
#include "proxy/wire/resp_reader.h"
#include "proxy/wire/resp_reply.h"
#include "proxy/wire/resp_write.h"

/* One question, whether it must be asked, and what its answer tells. */
struct step {
    bool (*applies)(const struct memory_hello *);
    void (*ask)(const struct memory_hello *, struct buf *out);
    enum err (*take)(struct memory_hello *, const struct resp_item *answer, struct buf *why);
};

static void ask(struct buf *out, const char *word, struct slice argument)
{
    struct slice words[] = { slice_text(word), argument };

    resp_put_command(out, words, 2);
}

static bool always(const struct memory_hello *h)
{
    (void)h;
    return true;
}

static enum err take_nothing(struct memory_hello *h, const struct resp_item *answer,
                             struct buf *why)
{
    (void)h, (void)answer, (void)why;
    return ERR_NONE;
}

static void ask_login(const struct memory_hello *h, struct buf *out)
{
    const struct endpoint_settings *e = h->endpoint;
    const char *user = e->user == NULL || e->user[0] == '\0' ? NULL : e->user;
    struct slice words[5];
    size_t count = 0;

    if (h->version == 3) {
        words[count++] = slice_text("HELLO");
        words[count++] = slice_text("3");
        if (e->password != NULL) {
            words[count++] = slice_text("AUTH");
            words[count++] = slice_text(user == NULL ? "default" : user);
        }
    } else if (e->password != NULL) {
        words[count++] = slice_text("AUTH");
        if (user != NULL)
            words[count++] = slice_text(user);
    } else {
        words[count++] = slice_text("PING");
    }
    if (e->password != NULL)
        words[count++] = slice_text(e->password);
    resp_put_command(out, words, count);
}

static void ask_select(uint32_t database, struct buf *out)
{
    char number[16];
    int len = snprintf(number, sizeof(number), "%" PRIu32, database);

    ask(out, "SELECT", slice_of(number, (size_t)len));
}

static bool has_stamp(const struct memory_hello *h)
{
    return h->stamp.len > 0;
}

static bool selects_home(const struct memory_hello *h)
{
    return h->endpoint->database != 0 && (has_stamp(h) || h->database == 0);
}

static void ask_home(const struct memory_hello *h, struct buf *out)
{
    ask_select(h->endpoint->database, out);
}

static bool selects_other(const struct memory_hello *h)
{
    return h->database != 0;
}

static void ask_other(const struct memory_hello *h, struct buf *out)
{
    ask_select(h->endpoint->database + h->database, out);
}

static void ask_stamp(const struct memory_hello *h, struct buf *out)
{
    ask(out, "GET", h->stamp_key);
}

static enum err take_stamp(struct memory_hello *h, const struct resp_item *answer, struct buf *why)
{
    (void)why;
    h->found_stamp = answer->is_null ? (struct slice){ 0 } : answer->text;
    return ERR_NONE;
}

/* NX: of two that find none, the first one's counts; so it is read again. */
static void ask_new_stamp(const struct memory_hello *h, struct buf *out)
{
    struct slice words[] = { slice_text("SET"), h->stamp_key, h->stamp, slice_text("NX") };

    resp_put_command(out, words, 4);
}

static bool is_leased(const struct memory_hello *h)
{
    return h->leased;
}

static void ask_id(const struct memory_hello *h, struct buf *out)
{
    (void)h;
    ask(out, "CLIENT", slice_text("ID"));
}

static enum err take_id(struct memory_hello *h, const struct resp_item *answer, struct buf *why)
{
    (void)why;
    if (answer->type == ':' && answer->integer > 0)
        h->server_id = (uint64_t)answer->integer;
    return ERR_NONE;
}

enum {
    STEP_LOGIN,
    STEP_HOME,
    STEP_STAMP,
    STEP_NEW_STAMP,
    STEP_STAMP_AGAIN,
    STEP_DATABASE,
    STEP_ID
};

static const struct step STEPS[] = {
    [STEP_LOGIN] = { always, ask_login, take_nothing },
    [STEP_HOME] = { selects_home, ask_home, take_nothing },
    [STEP_STAMP] = { has_stamp, ask_stamp, take_stamp },
    [STEP_NEW_STAMP] = { has_stamp, ask_new_stamp, take_nothing },
    [STEP_STAMP_AGAIN] = { has_stamp, ask_stamp, take_stamp },
    [STEP_DATABASE] = { selects_other, ask_other, take_nothing },
    [STEP_ID] = { is_leased, ask_id, take_id },
};

enum { STEP_COUNT = sizeof(STEPS) / sizeof(STEPS[0]) };

static bool has_code(struct slice text, const char *code)
{
    size_t len = strlen(code);

    return text.len >= len && memcmp(text.at, code, len) == 0 &&
           (text.len == len || text.at[len] == ' ' || text.at[len] == '\r');
}

/* Errors that speak of the server, not of the request, and health's words for them. */
static const struct trouble {
    const char *code, *word;
} TROUBLES[] = {
    { "LOADING", "loading" },
    { "READONLY", "readonly" },
    { "MASTERDOWN", "masterdown" },
    { "OOM", "oom" },
    { "BUSY", "busy" },
    { "MISCONF", "writes_refused" },
    { "NOREPLICAS", "writes_refused" },
    { "NOAUTH", "login_refused" },
    { "CLUSTERDOWN", "in_cluster" },
    { "TRYAGAIN", "in_cluster" },
    { "MOVED", "in_cluster" },
};

static const struct trouble *find_trouble(struct slice text)
{
    for (size_t i = 0; i < sizeof(TROUBLES) / sizeof(TROUBLES[0]); i++)
        if (has_code(text, TROUBLES[i].code))
            return &TROUBLES[i];
    return NULL;
}

static const char *trouble(struct slice reply)
{
    const struct trouble *found = NULL;

    if (reply.len >= 4 && reply.at[0] == '-')
        found = find_trouble(slice_from(reply, 1));
    return found == NULL ? NULL : found->word;
}

/* The server would not: an answer that will be the same tomorrow, or one that may not? */
static enum err refused(const struct memory_hello *h, struct slice text, struct buf *why)
{
    bool stamping = h->step >= STEP_STAMP && h->step <= STEP_STAMP_AGAIN;

    if (has_code(text, "NOPERM") && stamping)
        buf_format(why,
                   "its user may not read and write the key '%.*s' (%.*s): allow that, or set "
                   "stamp = off",
                   (int)h->stamp_key.len, (const char *)h->stamp_key.at, (int)text.len,
                   (const char *)text.at);
    else if (has_code(text, "WRONGTYPE") && stamping)
        buf_format(why, "its key '%.*s' is no stamp: %.*s", (int)h->stamp_key.len,
                   (const char *)h->stamp_key.at, (int)text.len, (const char *)text.at);
    else
        buf_format(why, "%s%.*s", stamping ? "its stamp can't be read or written: " : "",
                   (int)text.len, (const char *)text.at);
    if (find_trouble(text) != NULL && !has_code(text, "NOAUTH"))
        return ERR_DOWN;
    return h->step == STEP_DATABASE ? ERR_RANGE : ERR_LOGIN;
}

/* An old server has no CLIENT ID: then blocked upstreams are closed instead of unblocked.  And to a
 * PING who may not say it, or a server that takes no writes as it can't save them, answers well
 * enough: others are served. */
static bool is_borne(const struct memory_hello *h, struct slice text)
{
    bool pinged = h->step == STEP_LOGIN && h->version != 3 && h->endpoint->password == NULL;

    return h->step == STEP_ID ||
           (pinged && (has_code(text, "NOPERM") || has_code(text, "MISCONF")));
}

static enum err take_answer(struct memory_hello *h, struct slice reply, struct buf *why)
{
    struct resp_reader reader = { reply };
    struct resp_item item;

    if (resp_read(&reader, &item) != ERR_NONE) {
        buf_text(why, "its answer is not of the protocol");
        return ERR_PROTOCOL;
    }
    if (resp_item_is_error(&item))
        return is_borne(h, item.text) ? ERR_NONE : refused(h, item.text, why);
    return STEPS[h->step].take(h, &item, why);
}

/* h->step is the question that was sent last; zero is also "none yet", then there is no reply. */
static enum err hello(struct memory_hello *h, struct slice reply, struct buf *out, struct buf *why)
{
    h->found_stamp = (struct slice){ 0 };
    if (reply.len > 0) {
        TRY(take_answer(h, reply, why));
        h->step = h->found_stamp.at != NULL ? STEP_DATABASE : h->step + 1;
    }
    while (h->step < STEP_COUNT && !STEPS[h->step].applies(h))
        h->step++;
    if (h->step < STEP_COUNT)
        STEPS[h->step].ask(h, out);
    return ERR_NONE;
}

static enum parse scan(void *memory, struct slice in, size_t *used, bool *out_of_band)
{
    struct resp_scan *s = memory;
    enum parse parse;

    if (s->left == 0) {
        size_t len = resp_reply_fast(in);

        if (len > 0) {
            *used = len;
            *out_of_band = false;
            return PARSE_DONE;
        }
    }
    parse = resp_reply_scan(s, in, used);
    *out_of_band = resp_scan_is_push(s);
    return parse;
}

static void unblock(uint64_t server_id, bool with_error, struct buf *out)
{
    char number[24];
    int len = snprintf(number, sizeof(number), "%" PRIu64, server_id);
    struct slice words[] = { slice_text("CLIENT"), slice_text("UNBLOCK"),
                             slice_of(number, (size_t)len), slice_text("ERROR") };

    resp_put_command(out, words, with_error ? 4 : 3);
}

static uint64_t body_left(const void *scan)
{
    return resp_scan_body_left(scan);
}

static void body_passed(void *scan, size_t len)
{
    resp_scan_pass_body(scan, len);
}

_Static_assert(sizeof(struct resp_scan) <= MEMORY_SCAN_BYTES, "the flow keeps no more");

const struct memory_back memory_back_redis = {
    .name = "redis",
    .default_port = 6379,
    .hello = hello,
    .scan = scan,
    .scan_size = sizeof(struct resp_scan),
    .body_left = body_left,
    .body_passed = body_passed,
    .trouble = trouble,
    .trouble_byte = '-',
    .unblock = unblock,
};
