/* memcached: `get` of one key or many, and `set`, in text. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/ledger.h"
#include "bench/load.h"
#include "bench/target.h"
#include "proxy/wire/memcached_text_reply.h"

enum { MANY_MOST = 1000 };

/* What an entry of the mix asks, as its `prepared`. */
static const struct verb {
    const char *name;
    bool writes;
} VERBS[] = { { "get", false }, { "set", true } };

static enum err memcached_prepare(const struct load *load, struct mix_entry *entry, char *why,
                                  size_t why_size)
{
    (void)load;
    entry->prepared = NULL;
    for (size_t i = 0; i < sizeof(VERBS) / sizeof(VERBS[0]) && !entry->is_template; i++)
        if (strcasecmp(entry->text, VERBS[i].name) == 0)
            entry->prepared = (void *)&VERBS[i]; /* which is only read */
    if (entry->prepared == NULL) {
        snprintf(why, why_size, "no verb \"%.40s\"; there are get set", entry->text);
        return ERR_NOT_FOUND;
    }
    if (entry->many > (entry->prepared == &VERBS[0] ? MANY_MOST : 1)) {
        snprintf(why, why_size, "get takes %d keys at most, set one", MANY_MOST);
        return ERR_RANGE;
    }
    return ERR_NONE;
}

static void memcached_release(struct mix_entry *entry)
{
    entry->prepared = NULL;
}

static bool writes(const struct load *load, const struct load_call *call)
{
    return ((const struct verb *)load->mix->entries[call->command].prepared)->writes;
}

static uint32_t key_count(const struct load *load, const struct load_call *call)
{
    uint32_t many = load->mix->entries[call->command].many;

    return many == 0 ? 1 : many;
}

static uint32_t memcached_greet(const struct load *load, struct buf *out)
{
    const struct target *t = load->target;
    const char *user = t->user != NULL ? t->user : "default";

    if (t->password == NULL)
        return 0;
    buf_format(out, "set login 0 0 %zu\r\n%s %s\r\n", strlen(user) + 1 + strlen(t->password), user,
               t->password);
    return 1;
}

static struct slice name_of(const struct load *load, uint64_t key,
                            uint8_t name[static KEYSPACE_NAME_MAX])
{
    keyspace_name(&load->keys, key, name);
    return slice_of(name, keyspace_name_len(&load->keys));
}

static void memcached_encode(const struct load *load, const struct load_call *call, struct buf *out)
{
    struct dice keys = load_dice(call), sizes = { ~call->seed };
    uint8_t name[KEYSPACE_NAME_MAX];
    struct slice key;
    size_t size;

    if (!writes(load, call)) {
        buf_text(out, "get");
        for (uint32_t i = 0; i < key_count(load, call); i++) {
            buf_text(out, " ");
            buf_slice(out, name_of(load, load_key(load, call, &keys), name));
        }
        buf_text(out, "\r\n");
        return;
    }
    key = name_of(load, load_key(load, call, &keys), name);
    size = payload_size(&load->values, key, &sizes);
    buf_format(out, "set %.*s 0 0 %zu\r\n", (int)key.len, (const char *)key.at, size);
    payload_put(&load->values, out, key, call->version, size);
    buf_text(out, "\r\n");
}

static enum parse memcached_bound(struct load_scan *scan, struct slice in, size_t *len)
{
    struct memcached_scan *text = (struct memcached_scan *)scan->words;
    size_t used = 0;
    enum parse found;

    static_assert(sizeof(*text) <= sizeof(scan->words), "the driver's progress has room");
    found = memcached_reply_scan(text, slice_from(in, scan->passed), &used);
    scan->passed += used;
    if (found == PARSE_DONE) {
        *len = scan->passed;
        *scan = (struct load_scan){ 0 };
    }
    return found;
}

/* One key of a get: its row is the next one, or it has none. */
static void judge_key(const struct load *load, uint64_t key, struct slice *rows,
                      struct load_outcome *out)
{
    uint8_t bytes[KEYSPACE_NAME_MAX];
    struct slice name = name_of(load, key, bytes), rest = *rows;
    struct memcached_row row;
    uint32_t version = 0;
    bool is_there = memcached_row_read(&rest, &row) == ERR_NONE && slice_is(row.key, name);

    if (is_there)
        *rows = rest;
    out->key = key;
    if (is_there && !payload_check(name, row.value, &version)) {
        out->verdict = LOAD_FOREIGN;
        out->text = row.value;
    } else if (load->ledger != NULL && !ledger_allows(load->ledger, key, version)) {
        out->verdict = LOAD_LOST;
        out->text = slice_text(is_there ? "an older value" : "nothing is there");
    } else if (!is_there) {
        out->verdict = LOAD_MISS;
    }
}

static void judge_get(const struct load *load, const struct load_call *call, struct slice reply,
                      struct load_outcome *out)
{
    struct dice keys = load_dice(call);

    for (uint32_t i = 0; i < key_count(load, call) && out->verdict < LOAD_ERROR; i++)
        judge_key(load, load_key(load, call, &keys), &reply, out);
    if (out->verdict < LOAD_ERROR && !slice_is_text(reply, "END\r\n")) {
        out->verdict = LOAD_FOREIGN;
        out->text = reply;
    }
}

static void judge_set(const struct load *load, const struct load_call *call, struct slice reply,
                      struct load_outcome *out)
{
    struct dice keys = load_dice(call);
    uint64_t key = load_key(load, call, &keys);

    if (!slice_is_text(reply, "STORED\r\n")) {
        out->verdict = LOAD_FOREIGN;
        out->text = reply;
        out->key = key;
    } else if (load->ledger != NULL) {
        ledger_acknowledge(load->ledger, key, call->version);
    }
}

static void memcached_judge(const struct load *load, const struct load_call *call,
                            struct slice reply, struct load_outcome *out)
{
    *out = (struct load_outcome){ LOAD_FINE, { 0 }, LOAD_ANY_KEY };
    if (memcached_reply_is_error(reply)) {
        out->verdict = LOAD_ERROR;
        out->text = reply;
    } else if (call != NULL && load->verify && writes(load, call)) {
        judge_set(load, call, reply, out);
    } else if (call != NULL && load->verify) {
        judge_get(load, call, reply, out);
    } else if (slice_is_text(reply, "END\r\n")) {
        out->verdict = LOAD_MISS;
    }
}

static void memcached_forget(const struct load *load, const struct load_call *call)
{
    struct dice keys = load_dice(call);

    if (load->ledger != NULL && writes(load, call))
        ledger_doubt(load->ledger, load_key(load, call, &keys), call->version);
}

const struct load_driver load_memcached = {
    .scheme = "memcached",
    .port = 11211,
    .prepare = memcached_prepare,
    .release = memcached_release,
    .greet = memcached_greet,
    .encode = memcached_encode,
    .bound = memcached_bound,
    .judge = memcached_judge,
    .forget = memcached_forget,
};
