/* See verify.h. */
#include "proxy/blob/verify.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/arena.h"
#include "proxy/base/mem.h"
#include "proxy/blob/back_s3.h"
#include "proxy/blob/store_ask.h"
#include "proxy/wire/s3_reply_xml.h"
#include "shard/stamp.h"

#define RESERVED  ".sheaf/"
#define STAMP_KEY ".sheaf/stamp"

enum { PARAMS_MOST = 8, STAMP_MOST = 1024 };

struct walk {
    struct verify_shard *v;
    struct store_ask *store;
    struct arena arena; /* of one page */
    struct buf bucket;  /* that is walked */
    struct buf strip;   /* what the store's names begin with, and the clients' do not */
    struct buf after;   /* the last name of a page, as clients have it */
    struct buf buckets; /* a page of them: each behind its length */
    struct blob_param params[PARAMS_MOST];
    size_t param_count;
};

static enum err fail(struct walk *w, enum err err, const char *why)
{
    buf_clear(&w->v->why);
    buf_text(&w->v->why, why);
    return err;
}

static bool is_to_stop(const struct walk *w)
{
    return w->v->stops != NULL && atomic_load(w->v->stops);
}

static void add_param(struct walk *w, const char *name, struct slice value)
{
    if (value.len > 0)
        w->params[w->param_count++] = (struct blob_param){ slice_text(name), value, true };
}

/* ---- asking ---- */

/* Reads an answer that is a list; the caller ends `reply` whatever comes out. */
static enum err read_list(struct walk *w, const struct store_answer *answer, s3_entry_f *take,
                          bool is_url, struct s3_reply_xml *reply)
{
    enum err err;

    s3_reply_xml_open(reply, &w->arena, take, w, is_url);
    err = s3_reply_xml_feed(reply, buf_all(&answer->body));
    if (err == ERR_NONE)
        err = s3_reply_xml_end(reply);
    if (answer->status >= 300 || (err == ERR_NONE && reply->root == S3_ROOT_ERROR)) {
        buf_clear(&w->v->why);
        buf_format(&w->v->why, "it answers with %u%s%.*s", answer->status,
                   reply->code.len > 0 ? " " : "", (int)reply->code.len,
                   (const char *)reply->code.at);
        return ERR_PROTOCOL;
    }
    return err == ERR_NONE ? ERR_NONE : fail(w, err, "its list is not well formed");
}

static enum err ask_list(struct walk *w, const struct blob_ask *ask, s3_entry_f *take, bool is_url,
                         struct s3_reply_xml *reply)
{
    struct store_answer answer = { 0 };
    enum err err = store_ask(w->store, ask, false, &answer, &w->v->why);

    if (err == ERR_NONE)
        err = read_list(w, &answer, take, is_url, reply);
    store_answer_fini(&answer);
    return err;
}

/* ---- stamps ---- */

static void judge_stamp(struct walk *w, struct slice text)
{
    struct verify_finding finding = { .bucket = buf_all(&w->bucket), .key = slice_text(STAMP_KEY) };
    struct stamp wanted, found;
    struct buf why = { 0 };

    while (text.len > 0 && (text.at[text.len - 1] == '\n' || text.at[text.len - 1] == '\r'))
        text.len--;
    if (slice_is(text, w->v->stamp))
        return;
    if (stamp_read(w->v->stamp, &wanted) != ERR_NONE || stamp_read(text, &found) != ERR_NONE)
        buf_text(&why, "it is no stamp");
    else if (stamp_agrees(&wanted, &found, &why))
        return;
    finding.stamp = buf_all(&why);
    atomic_fetch_add(&w->v->bad_stamps, 1);
    w->v->found(w->v, &finding);
    buf_fini(&why);
}

/* Of the shard, or of the bucket where each has its own. */
static enum err look_at_stamp(struct walk *w)
{
    struct blob_ask ask = { .op = S3_OP_GET_OBJECT,
                            .bucket = buf_all(&w->bucket),
                            .key = slice_text(STAMP_KEY) };
    struct store_answer answer = { 0 };
    struct slice text;
    enum err err;

    if (w->v->stamp.len == 0)
        return ERR_NONE;
    err = store_ask(w->store, &ask, true, &answer, &w->v->why);
    text = buf_all(&answer.body);
    if (err == ERR_NONE && answer.status == 404)
        atomic_fetch_add(&w->v->missing_stamps, 1);
    else if (err == ERR_NONE && answer.status >= 300)
        err = fail(w, ERR_STAMP, "its stamp cannot be read");
    else if (err == ERR_NONE)
        judge_stamp(w, text.len > STAMP_MOST ? slice_of(text.at, STAMP_MOST) : text);
    store_answer_fini(&answer);
    return err;
}

/* ---- objects ---- */

static void judge(struct walk *w, struct slice key, uint64_t size)
{
    struct verify_shard *v = w->v;
    uint32_t belongs_on;

    if (slice_starts(key, slice_text(RESERVED)))
        return;
    belongs_on = shard_map_find(v->map, key).shard;
    atomic_fetch_add(&v->objects, 1);
    atomic_fetch_add(&v->bytes, size);
    if (belongs_on == v->endpoint->shard)
        return;
    atomic_fetch_add(&v->misplaced, 1);
    v->found(
        v, &(struct verify_finding){
               .bucket = buf_all(&w->bucket), .key = key, .size = size, .belongs_on = belongs_on });
}

static enum err take_object(void *owner, const struct s3_entry *entry)
{
    struct walk *w = owner;
    struct slice name = entry->name;

    if (entry->kind != S3_ENTRY_OBJECT)
        return ERR_NONE;
    if (!slice_starts(name, buf_all(&w->strip)))
        return ERR_PROTOCOL;
    name = slice_from(name, w->strip.len);
    buf_clear(&w->after);
    buf_slice(&w->after, name);
    judge(w, name, entry->size);
    return ERR_NONE;
}

/* One page behind `after`. */
static enum err walk_page(struct walk *w, bool *more)
{
    struct blob_ask ask = { .op = S3_OP_LIST_OBJECTS_V2, .bucket = buf_all(&w->bucket) };
    struct s3_reply_xml reply = { 0 };
    struct buf from = w->after;
    enum err err;

    w->after = (struct buf){ 0 };
    w->param_count = 0;
    add_param(w, "list-type", slice_text("2"));
    add_param(w, "encoding-type", slice_text("url"));
    add_param(w, "max-keys", slice_text("1000"));
    add_param(w, "prefix", w->v->prefix);
    add_param(w, "start-after", buf_all(&from));
    ask.params = w->params;
    ask.param_count = w->param_count;
    err = ask_list(w, &ask, take_object, true, &reply);
    *more = reply.is_truncated;
    if (err == ERR_NONE && *more &&
        (w->after.len == 0 || slice_is(buf_all(&w->after), buf_all(&from))))
        err = fail(w, ERR_PROTOCOL, "its list does not go on");
    s3_reply_xml_fini(&reply);
    arena_fini(&w->arena);
    buf_fini(&from);
    return err;
}

static enum err walk_bucket(struct walk *w, struct slice bucket)
{
    const struct blob_store *store = &w->v->endpoint->store;
    bool more = true;

    buf_clear(&w->bucket);
    buf_slice(&w->bucket, bucket);
    buf_clear(&w->strip);
    buf_clear(&w->after);
    if (store->folder == NULL)
        s3_put_key(store, bucket, (struct slice){ 0 }, &w->strip);
    if (store->folder == NULL && store->bucket == NULL)
        TRY(look_at_stamp(w));
    while (more && !is_to_stop(w))
        TRY(walk_page(w, &more));
    atomic_fetch_add(&w->v->buckets, 1);
    return ERR_NONE;
}

/* ---- buckets ---- */

static enum err take_bucket(void *owner, const struct s3_entry *entry)
{
    struct walk *w = owner;
    struct slice name = entry->name;
    uint16_t len;

    /* Where buckets are prefixes in one, names have what is before them, and a slash. */
    if (entry->kind == S3_ENTRY_PREFIX) {
        if (!slice_starts(name, buf_all(&w->strip)) || name.len == w->strip.len)
            return ERR_NONE;
        name = slice_from(name, w->strip.len);
        name.len--;
    } else if (entry->kind != S3_ENTRY_BUCKET) {
        return ERR_NONE;
    }
    if (!s3_bucket_is_legal(name) || slice_starts(name, slice_text(".")))
        return ERR_NONE;
    len = (uint16_t)name.len;
    buf_put(&w->buckets, &len, sizeof(len));
    buf_slice(&w->buckets, name);
    return ERR_NONE;
}

static enum err walk_buckets(struct walk *w)
{
    struct buf page = w->buckets;
    enum err err = ERR_NONE;

    w->buckets = (struct buf){ 0 };
    for (size_t at = 0; at < page.len && err == ERR_NONE && !is_to_stop(w);) {
        uint16_t len;

        memcpy(&len, page.at + at, sizeof(len));
        err = walk_bucket(w, slice_of(page.at + at + sizeof(len), len));
        at += sizeof(len) + len;
    }
    buf_fini(&page);
    return err;
}

static enum err walk_all(struct walk *w)
{
    const struct blob_store *store = &w->v->endpoint->store;
    struct buf token = { 0 };
    enum err err = ERR_NONE;
    bool more = true;

    while (err == ERR_NONE && more && !is_to_stop(w)) {
        struct blob_ask ask = { .op = S3_OP_LIST_BUCKETS, .params = w->params };
        struct s3_reply_xml reply = { 0 };

        w->param_count = 0;
        add_param(w, "continuation-token", buf_all(&token));
        ask.param_count = w->param_count;
        buf_clear(&w->strip);
        if (store->folder == NULL)
            s3_put_key(store, (struct slice){ 0 }, (struct slice){ 0 }, &w->strip);
        err = ask_list(w, &ask, take_bucket, false, &reply);
        buf_clear(&token);
        if (err == ERR_NONE && reply.is_truncated)
            buf_slice(&token, reply.next_token);
        more = token.len > 0;
        s3_reply_xml_fini(&reply);
        arena_fini(&w->arena);
        if (err == ERR_NONE)
            err = walk_buckets(w);
    }
    buf_fini(&token);
    return err;
}

/* ---- the shard ---- */

static enum err walk(struct walk *w)
{
    const struct blob_store *store = &w->v->endpoint->store;

    TRY(store_ask_open(w->v->endpoint, &w->store, &w->v->why));
    if (store->folder != NULL || store->bucket != NULL)
        TRY(look_at_stamp(w));
    return w->v->bucket.len > 0 ? walk_bucket(w, w->v->bucket) : walk_all(w);
}

void verify_shard_walk(struct verify_shard *v)
{
    struct walk w = { .v = v };

    v->err = walk(&w);
    arena_fini(&w.arena);
    buf_fini(&w.bucket);
    buf_fini(&w.strip);
    buf_fini(&w.after);
    buf_fini(&w.buckets);
    store_ask_close(&w.store);
    atomic_store(&v->is_done, true);
}

void verify_shard_fini(struct verify_shard *v)
{
    buf_fini(&v->why);
}
