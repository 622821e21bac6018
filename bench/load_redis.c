/* Redis: commands from named verbs or templates, in RESP2 or RESP3.  An entry of the mix is
 * compiled once into a row of pieces, most of them literal bytes; a call only fills in keys and
 * values. */
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/ledger.h"
#include "bench/load.h"
#include "bench/target.h"
#include "proxy/base/mem.h"
#include "proxy/wire/resp_reader.h"
#include "proxy/wire/resp_reply.h"
#include "proxy/wire/resp_write.h"

enum { REDIS_ARG_PIECES_MAX = 16, REDIS_WORDS_MAX = 64 };

static const char KEY_MARK[] = "__key__", DATA_MARK[] = "__data__";

enum piece_kind { PIECE_LITERAL, PIECE_KEY, PIECE_SIZE, PIECE_DATA };

struct piece {
    enum piece_kind kind;
    size_t at, len; /* LITERAL: its bytes within `literals`; SIZE: `len` bytes besides the data */
};

/* What judge() can say of a reply beyond "no error". */
enum shape_check { CHECK_NOTHING, CHECK_VALUE, CHECK_VALUES, CHECK_WRITTEN };

struct shape {
    enum shape_check check;
    uint32_t keys; /* per call */
    bool writes;
    struct buf literals;
    struct piece *pieces; /* owned */
    size_t count, cap;
};

static const struct verb {
    const char *name, *pattern; /* what each key adds: k its name, d a value */
    enum shape_check check;
    bool many, writes;
} VERBS[] = {
    { "get", "k", CHECK_VALUE, false, false },      { "set", "kd", CHECK_WRITTEN, false, true },
    { "mget", "k", CHECK_VALUES, true, false },     { "mset", "kd", CHECK_WRITTEN, true, true },
    { "del", "k", CHECK_NOTHING, true, false },     { "unlink", "k", CHECK_NOTHING, true, false },
    { "exists", "k", CHECK_NOTHING, true, false },  { "touch", "k", CHECK_NOTHING, true, false },
    { "strlen", "k", CHECK_NOTHING, false, false }, { "ttl", "k", CHECK_NOTHING, false, false },
    { "incr", "k", CHECK_NOTHING, false, false },   { "lpush", "kd", CHECK_NOTHING, false, false },
    { "rpop", "k", CHECK_NOTHING, false, false },   { "sadd", "kd", CHECK_NOTHING, false, false },
    { "ping", "", CHECK_NOTHING, false, false },
};

static void add_piece(struct shape *s, enum piece_kind kind, size_t at, size_t len)
{
    struct piece *last = s->count > 0 ? &s->pieces[s->count - 1] : NULL;

    if (kind == PIECE_LITERAL && last != NULL && last->kind == kind) {
        last->len += len;
        return;
    }
    if (s->pieces == NULL || s->count == s->cap) {
        s->cap = s->cap * 2 + 8;
        s->pieces = mem_resize(s->pieces, s->cap * sizeof(*s->pieces));
    }
    s->pieces[s->count++] = (struct piece){ kind, at, len };
}

static void add_literal(struct shape *s, struct slice text)
{
    add_piece(s, PIECE_LITERAL, s->literals.len, text.len);
    buf_slice(&s->literals, text);
}

/* Finds the next mark in an argument; false if there is none. */
static bool next_mark(struct slice word, size_t *at, enum piece_kind *kind, size_t *len)
{
    const uint8_t *key = memmem(word.at, word.len, KEY_MARK, strlen(KEY_MARK));
    const uint8_t *data = memmem(word.at, word.len, DATA_MARK, strlen(DATA_MARK));

    if (key == NULL && data == NULL)
        return false;
    if (data == NULL || (key != NULL && key < data)) {
        *kind = PIECE_KEY;
        *len = strlen(KEY_MARK);
        *at = (size_t)(key - word.at);
    } else {
        *kind = PIECE_DATA;
        *len = strlen(DATA_MARK);
        *at = (size_t)(data - word.at);
    }
    return true;
}

/* One argument: its length (known now, unless it holds data) and its bytes; false if it holds data
 * twice. */
static bool add_word(struct shape *s, const struct load *load, struct slice word)
{
    size_t fixed = 0, at, len, data = 0;
    enum piece_kind kind;
    char head[32];
    struct slice rest = word;

    for (; next_mark(rest, &at, &kind, &len); rest = slice_from(rest, at + len)) {
        fixed += at + (kind == PIECE_KEY ? keyspace_name_len(&load->keys) : 0);
        data += kind == PIECE_DATA;
    }
    fixed += rest.len;
    if (data > 1)
        return false;
    if (data == 1) {
        add_piece(s, PIECE_SIZE, 0, fixed);
    } else {
        snprintf(head, sizeof(head), "$%zu\r\n", fixed);
        add_literal(s, slice_text(head));
    }
    for (rest = word; next_mark(rest, &at, &kind, &len); rest = slice_from(rest, at + len)) {
        if (at > 0)
            add_literal(s, slice_of(rest.at, at));
        add_piece(s, kind, 0, 0);
        s->keys += kind == PIECE_KEY;
    }
    if (rest.len > 0)
        add_literal(s, rest);
    add_literal(s, slice_text("\r\n"));
    return true;
}

static void add_count(struct shape *s, size_t words)
{
    char head[32];

    snprintf(head, sizeof(head), "*%zu\r\n", words);
    add_literal(s, slice_text(head));
}

static const struct verb *verb_named(const char *name)
{
    for (size_t i = 0; i < sizeof(VERBS) / sizeof(VERBS[0]); i++) {
        if (strcasecmp(VERBS[i].name, name) == 0)
            return &VERBS[i];
    }
    return NULL;
}

static enum err compile_verb(struct shape *s, const struct load *load,
                             const struct mix_entry *entry, char *why, size_t why_size)
{
    const struct verb *verb = verb_named(entry->text);
    char word[16] = { 0 };

    if (verb == NULL) {
        size_t used = (size_t)snprintf(why, why_size, "no verb \"%.40s\"; there are", entry->text);

        for (size_t i = 0; i < sizeof(VERBS) / sizeof(VERBS[0]) && used < why_size; i++)
            used += (size_t)snprintf(why + used, why_size - used, " %s", VERBS[i].name);
        return ERR_NOT_FOUND;
    }
    if (entry->many > 1 && !verb->many) {
        snprintf(why, why_size, "%s takes one key", verb->name);
        return ERR_RANGE;
    }
    for (size_t i = 0; verb->name[i] != '\0'; i++)
        word[i] = (char)toupper((unsigned char)verb->name[i]);
    s->check = verb->check;
    s->writes = verb->writes;
    add_count(s, 1 + entry->many * strlen(verb->pattern));
    (void)add_word(s, load, slice_text(word));
    for (uint32_t i = 0; i < entry->many; i++) {
        for (const char *p = verb->pattern; *p != '\0'; p++)
            (void)add_word(s, load, slice_text(*p == 'k' ? KEY_MARK : DATA_MARK));
    }
    return ERR_NONE;
}

/* Words are separated by spaces; quotes hold one together. */
static size_t split_words(char *text, struct slice words[static REDIS_WORDS_MAX])
{
    size_t count = 0;

    for (char *at = text; count < REDIS_WORDS_MAX;) {
        char quote = 0, *end;

        at += strspn(at, " ");
        if (*at == '\0')
            break;
        if (*at == '"' || *at == '\'')
            quote = *at++;
        end = quote ? strchr(at, quote) : at + strcspn(at, " ");
        if (end == NULL)
            return 0;
        words[count++] = slice_of(at, (size_t)(end - at));
        at = end + (quote != 0);
    }
    return count;
}

static enum err compile_template(struct shape *s, const struct load *load,
                                 const struct mix_entry *entry, char *why, size_t why_size)
{
    struct slice words[REDIS_WORDS_MAX];
    size_t count = split_words(entry->text, words);

    if (count == 0) {
        snprintf(why, why_size, "a command is 1 to %d words, with quotes closed", REDIS_WORDS_MAX);
        return ERR_SYNTAX;
    }
    add_count(s, count);
    for (size_t i = 0; i < count; i++) {
        if (!add_word(s, load, words[i])) {
            snprintf(why, why_size, "__data__ may stand once in a word");
            return ERR_SYNTAX;
        }
    }
    return ERR_NONE;
}

static void redis_release(struct mix_entry *entry)
{
    struct shape *s = entry->prepared;

    if (s == NULL)
        return;
    buf_fini(&s->literals);
    free(s->pieces);
    free(s);
    entry->prepared = NULL;
}

static enum err redis_prepare(const struct load *load, struct mix_entry *entry, char *why,
                              size_t why_size)
{
    struct shape *s = mem_new(sizeof(*s));
    enum err err;

    redis_release(entry);
    entry->prepared = s;
    err = entry->is_template ? compile_template(s, load, entry, why, why_size)
                             : compile_verb(s, load, entry, why, why_size);
    if (err == ERR_NONE && load->ledger != NULL && s->check == CHECK_NOTHING && s->keys > 0) {
        snprintf(why, why_size, "%s: only get, set, mget and mset can be held to their writes",
                 entry->label);
        err = ERR_UNSUPPORTED;
    }
    return err;
}

static void put_command(struct buf *out, const char *const *words, size_t count)
{
    resp_put_array(out, count);
    for (size_t i = 0; i < count; i++)
        resp_put_bulk_text(out, words[i]);
}

static uint32_t redis_greet(const struct load *load, struct buf *out)
{
    const struct target *t = load->target;
    const char *user = t->user != NULL ? t->user : "default";
    uint32_t said = 0;

    if (load->resp == 3) {
        const char *const hello[] = { "HELLO", "3", "AUTH", user, t->password };

        put_command(out, hello, t->password != NULL ? 5 : 2);
        said++;
    } else if (t->password != NULL) {
        const char *const with_user[] = { "AUTH", user, t->password };
        const char *const without[] = { "AUTH", t->password };

        put_command(out, t->user != NULL ? with_user : without, t->user != NULL ? 3 : 2);
        said++;
    }
    if (t->database != NULL) {
        const char *const select[] = { "SELECT", t->database };

        put_command(out, select, 2);
        said++;
    }
    return said;
}

/* Sizes have dice of their own, so that judge() can go through the keys alone. */
static struct dice size_dice(const struct load_call *call)
{
    return (struct dice){ ~call->seed };
}

static void redis_encode(const struct load *load, const struct load_call *call, struct buf *out)
{
    const struct shape *s = load->mix->entries[call->command].prepared;
    struct dice keys = load_dice(call), sizes = size_dice(call);
    uint8_t name[KEYSPACE_NAME_MAX];
    struct slice key = { name, 0 };
    size_t size = 0;

    for (const struct piece *p = s->pieces; p < s->pieces + s->count; p++) {
        switch (p->kind) {
        case PIECE_LITERAL:
            buf_put(out, s->literals.at + p->at, p->len);
            break;
        case PIECE_KEY:
            key.len = keyspace_name_len(&load->keys);
            keyspace_name(&load->keys, load_key(load, call, &keys), name);
            buf_slice(out, key);
            break;
        case PIECE_SIZE:
            size = payload_size(&load->values, key, &sizes);
            buf_format(out, "$%zu\r\n", p->len + size);
            break;
        case PIECE_DATA:
            payload_put(&load->values, out, key, call->version, size);
            break;
        }
    }
}

static enum parse redis_bound(struct load_scan *scan, struct slice in, size_t *len)
{
    struct resp_scan *resp = (struct resp_scan *)scan->words;
    size_t used = 0;
    enum parse found;

    static_assert(sizeof(*resp) <= sizeof(scan->words), "the driver's progress has room");
    if (scan->passed == 0) {
        *len = resp_reply_fast(in);
        if (*len > 0)
            return PARSE_DONE;
    }
    found = resp_reply_scan(resp, slice_from(in, scan->passed), &used);
    scan->passed += used;
    if (found == PARSE_DONE) {
        *len = scan->passed;
        *scan = (struct load_scan){ 0 };
    }
    return found;
}

/* Judges one value that was read for this key. */
static void judge_value(const struct load *load, uint64_t key, const struct resp_item *item,
                        struct load_outcome *out)
{
    uint8_t name[KEYSPACE_NAME_MAX];
    struct slice key_name = { name, keyspace_name_len(&load->keys) };
    uint32_t version = 0;

    out->key = key;
    keyspace_name(&load->keys, key, name);
    if (!item->is_null && (item->type != '$' || !payload_check(key_name, item->text, &version))) {
        out->verdict = LOAD_FOREIGN;
        out->text = item->type == '$' ? item->text : item->raw;
    } else if (load->ledger != NULL && !ledger_allows(load->ledger, key, version)) {
        out->verdict = LOAD_LOST;
        out->text = item->is_null ? slice_text("nothing is there") : slice_text("an older value");
    } else if (item->is_null) {
        out->verdict = LOAD_MISS;
    }
}

static void judge_values(const struct load *load, const struct load_call *call,
                         struct resp_reader *reader, uint64_t count, struct load_outcome *out)
{
    const struct shape *s = load->mix->entries[call->command].prepared;
    struct dice keys = load_dice(call);
    struct resp_item item;

    if (count != s->keys) {
        out->verdict = LOAD_FOREIGN;
        out->text = slice_text("an array of another length");
        return;
    }
    for (uint64_t i = 0; i < count && out->verdict < LOAD_ERROR; i++) {
        if (resp_read(reader, &item) != ERR_NONE) {
            out->verdict = LOAD_FOREIGN;
            out->text = slice_text("an array that ends early");
            return;
        }
        judge_value(load, load_key(load, call, &keys), &item, out);
    }
}

static void acknowledge(const struct load *load, const struct load_call *call)
{
    const struct shape *s = load->mix->entries[call->command].prepared;
    struct dice keys = load_dice(call);

    for (uint32_t i = 0; load->ledger != NULL && i < s->keys; i++)
        ledger_acknowledge(load->ledger, load_key(load, call, &keys), call->version);
}

static void verify(const struct load *load, const struct load_call *call, struct slice reply,
                   struct resp_reader *reader, const struct resp_item *item,
                   struct load_outcome *out)
{
    const struct shape *s = load->mix->entries[call->command].prepared;
    struct dice keys = load_dice(call);

    switch (s->check) {
    case CHECK_NOTHING:
        return;
    case CHECK_VALUE:
        judge_value(load, load_key(load, call, &keys), item, out);
        return;
    case CHECK_VALUES:
        judge_values(load, call, reader, item->type == '*' ? item->count : UINT64_MAX, out);
        return;
    case CHECK_WRITTEN:
        if (slice_is_text(reply, "+OK\r\n")) {
            acknowledge(load, call);
        } else {
            out->verdict = LOAD_FOREIGN;
            out->text = reply;
            out->key = load_key(load, call, &keys);
        }
        return;
    }
}

static void redis_judge(const struct load *load, const struct load_call *call, struct slice reply,
                        struct load_outcome *out)
{
    struct resp_reader reader = { reply };
    struct resp_item item;

    *out = (struct load_outcome){ LOAD_FINE, { 0 }, LOAD_ANY_KEY };
    if (reply.at[0] == '-') {
        out->verdict = LOAD_ERROR;
        out->text = slice_from(reply, 1);
        return;
    }
    if (call != NULL && load->verify) {
        if (resp_read(&reader, &item) == ERR_NONE) {
            verify(load, call, reply, &reader, &item, out);
        } else {
            out->verdict = LOAD_FOREIGN;
            out->text = reply;
        }
    } else if (slice_is_text(reply, "$-1\r\n") || slice_is_text(reply, "_\r\n")) {
        out->verdict = LOAD_MISS;
    }
}

static void redis_forget(const struct load *load, const struct load_call *call)
{
    const struct shape *s = load->mix->entries[call->command].prepared;
    struct dice keys = load_dice(call);

    for (uint32_t i = 0; load->ledger != NULL && s->writes && i < s->keys; i++)
        ledger_doubt(load->ledger, load_key(load, call, &keys), call->version);
}

const struct load_driver load_redis = {
    .scheme = "redis",
    .port = 6379,
    .prepare = redis_prepare,
    .release = redis_release,
    .greet = redis_greet,
    .encode = redis_encode,
    .bound = redis_bound,
    .judge = redis_judge,
    .forget = redis_forget,
};
