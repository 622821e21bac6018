/* Stamps: a small object of ours in each bucket of each shard that says which place in which map it
 * has.  It is read before the first use, written if there is none, and a bucket whose stamp says
 * otherwise is not used: a swapped line in the configuration would make all that it holds
 * unreachable. */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/blob/blob_flow.h"
#include "shard/stamp.h"

enum {
    STAMPS_MOST = 4096,         /* buckets remembered per shard; the rest is read again */
    STAMP_BAD_US = 1000 * 1000, /* so long a bad one is believed */
    STAMP_READ_BYTES = 1024,
};

enum stamp_state { STAMP_READING, STAMP_WRITING, STAMP_GOOD, STAMP_BAD };

struct bucket_stamp {
    struct list link;
    struct blob_shard *shard;
    char *bucket; /* owned; "" of shards that have one place for all */
    struct list waiting;
    struct blob_call call;
    struct blob_gathered text;
    enum stamp_state state;
    uint64_t judged_us;
    struct buf why; /* of a bad one */
    bool again;     /* it was written: read once more, two may have */
};

static struct slice expected(const struct blob_shard *shard)
{
    return buf_all(&shard->side->assembly->stamps[shard->settings->number]);
}

/* Shards with a bucket or a folder of their own have one stamp, others one in each bucket. */
static struct slice place_of(const struct blob_call *c)
{
    const struct blob_store *store = &c->shard->settings->store;

    return store->folder != NULL || store->bucket != NULL ? slice_text("") : c->ask.bucket;
}

static struct bucket_stamp *find(struct blob_shard *shard, struct slice bucket)
{
    LIST_EACH (&shard->stamps, link) {
        struct bucket_stamp *stamp = LIST_ITEM(link, struct bucket_stamp, link);

        if (!slice_is_text(bucket, stamp->bucket))
            continue;
        list_remove(link);
        list_prepend(&shard->stamps, link);
        return stamp;
    }
    return NULL;
}

static void stamp_free(struct bucket_stamp *stamp)
{
    list_remove(&stamp->link);
    stamp->shard->stamp_count--;
    buf_fini(&stamp->why);
    buf_fini(&stamp->text.body);
    free(stamp->bucket);
    free(stamp);
}

/* ---- the outcome ---- */

static void release(struct bucket_stamp *stamp, enum err err, const char *why)
{
    struct list waiting, *link;

    list_init(&waiting);
    while ((link = list_first(&stamp->waiting)) != NULL) {
        list_remove(link);
        list_append(&waiting, link);
    }
    while ((link = list_first(&waiting)) != NULL) {
        struct blob_call *c = LIST_ITEM(link, struct blob_call, link);

        list_remove(link);
        list_append(&c->shard->calls, link);
        if (err == ERR_NONE)
            blob_call_stamped(c);
        else
            blob_call_fail_later(c, err, why);
    }
}

static void judge(struct bucket_stamp *stamp, enum stamp_state state)
{
    stamp->state = state;
    stamp->judged_us = worker_now_us(stamp->shard->side->worker);
    if (state == STAMP_GOOD)
        release(stamp, ERR_NONE, NULL);
    else
        release(stamp, ERR_STAMP, (const char *)stamp->why.at);
}

/* Nothing was learned; those who wait fail, and the next asks again. */
static void give_up(struct bucket_stamp *stamp, enum err err, const char *why)
{
    release(stamp, err, why);
    stamp_free(stamp);
}

/* There is no such bucket: that is the store's to say, to each who asks. */
static void let_pass(struct bucket_stamp *stamp)
{
    release(stamp, ERR_NONE, NULL);
    stamp_free(stamp);
}

static void compare(struct bucket_stamp *stamp)
{
    struct stamp wanted, found;
    struct slice text = buf_all(&stamp->text.body);

    while (text.len > 0 && (text.at[text.len - 1] == '\n' || text.at[text.len - 1] == '\r'))
        text.len--;
    if (slice_is(text, expected(stamp->shard))) {
        judge(stamp, STAMP_GOOD);
        return;
    }
    buf_clear(&stamp->why);
    if (stamp_read(expected(stamp->shard), &wanted) == ERR_NONE &&
        stamp_read(text, &found) == ERR_NONE)
        (void)stamp_agrees(&wanted, &found, &stamp->why);
    else
        buf_format(&stamp->why, "its object '%s' is no stamp", BLOB_STAMP_KEY);
    buf_put(&stamp->why, "", 1);
    judge(stamp, STAMP_BAD);
}

/* ---- asking ---- */

static void ask(struct bucket_stamp *stamp);

static void on_body(struct blob_call *c, struct slice bytes)
{
    struct bucket_stamp *stamp = c->owner;

    if (stamp->text.body.len + bytes.len <= STAMP_READ_BYTES)
        buf_slice(&stamp->text.body, bytes);
    else
        stamp->text.is_too_long = true;
}

static bool is_missing_bucket(const struct bucket_stamp *stamp)
{
    struct slice body = buf_all(&stamp->text.body);

    return body.len > 0 && memmem(body.at, body.len, "NoSuchBucket", 12) != NULL;
}

static void on_written(struct bucket_stamp *stamp, uint16_t status)
{
    if (status == 404) {
        let_pass(stamp);
        return;
    }
    /* Any 2xx: servers of WebDAV say 201. */
    if (status / 100 != 2 && status != 409 && status != 412) {
        give_up(stamp, ERR_STAMP, "its stamp could not be written");
        return;
    }
    stamp->again = true;
    stamp->state = STAMP_READING;
    ask(stamp);
}

static void on_read(struct bucket_stamp *stamp, uint16_t status)
{
    if (status == 200) {
        compare(stamp);
    } else if (status == 404 && is_missing_bucket(stamp)) {
        let_pass(stamp);
    } else if (status == 404 && !stamp->again) {
        stamp->state = STAMP_WRITING;
        ask(stamp);
    } else if (status == 403 || status == 401) {
        give_up(stamp, ERR_LOGIN, "it does not let us read its stamp: are the credentials right?");
    } else {
        give_up(stamp, ERR_STAMP, "its stamp could not be read");
    }
}

static void on_ended(struct blob_call *c, enum err err, const char *why)
{
    struct bucket_stamp *stamp = c->owner;

    if (err != ERR_NONE)
        give_up(stamp, err, why);
    else if (stamp->state == STAMP_WRITING)
        on_written(stamp, c->answer.status);
    else
        on_read(stamp, c->answer.status);
}

static const struct blob_events EVENTS = { .body = on_body, .ended = on_ended };

static void ask(struct bucket_stamp *stamp)
{
    struct blob_call *c = &stamp->call;

    buf_clear(&stamp->text.body);
    stamp->text.is_too_long = false;
    c->owner = stamp;
    c->is_stamp = true;
    c->ask = (struct blob_ask){
        .op = S3_OP_GET_OBJECT,
        .bucket = slice_text(stamp->bucket),
        .key = slice_text(BLOB_STAMP_KEY),
    };
    if (stamp->state == STAMP_WRITING) {
        c->ask.op = S3_OP_PUT_OBJECT;
        c->ask.has_body = true;
        c->ask.body = expected(stamp->shard);
        c->ask.length = c->ask.body.len;
    }
    blob_call_start(c, stamp->shard, &EVENTS);
}

static struct bucket_stamp *stamp_new(struct blob_shard *shard, struct slice bucket)
{
    struct bucket_stamp *stamp = mem_new(sizeof(*stamp));

    stamp->shard = shard;
    stamp->bucket = mem_text_of((const char *)bucket.at, bucket.len);
    list_init(&stamp->waiting);
    list_prepend(&shard->stamps, &stamp->link);
    shard->stamp_count++;
    return stamp;
}

/* The ones used last are kept, and those that calls wait for. */
static void make_room(struct blob_shard *shard)
{
    struct list *last;

    if (shard->stamp_count < STAMPS_MOST)
        return;
    last = list_is_empty(&shard->stamps) ? NULL : shard->stamps.prev;
    if (last != NULL && LIST_ITEM(last, struct bucket_stamp, link)->state >= STAMP_GOOD)
        stamp_free(LIST_ITEM(last, struct bucket_stamp, link));
}

bool blob_stamp_admits(struct blob_call *c)
{
    struct blob_shard *shard = c->shard;
    enum s3_where where = s3_op_traits(c->ask.op)->where;
    struct bucket_stamp *stamp;
    struct slice place;

    if (expected(shard).len == 0 || where == S3_WHERE_SERVICE ||
        (where == S3_WHERE_BUCKET && c->ask.op == S3_OP_CREATE_BUCKET))
        return true;
    place = place_of(c);
    stamp = find(shard, place);
    if (stamp != NULL && stamp->state == STAMP_GOOD)
        return true;
    if (stamp != NULL && stamp->state == STAMP_BAD) {
        if (c->started_us - stamp->judged_us < STAMP_BAD_US) {
            blob_call_fail_later(c, ERR_STAMP, (const char *)stamp->why.at);
            return false;
        }
        stamp->state = STAMP_READING;
        stamp->again = false;
        ask(stamp);
    }
    if (stamp == NULL) {
        make_room(shard);
        stamp = stamp_new(shard, place);
        ask(stamp);
    }
    list_remove(&c->link);
    list_append(&stamp->waiting, &c->link);
    return false;
}

void blob_stamp_forget(struct blob_shard *shard, struct slice bucket)
{
    struct bucket_stamp *stamp = find(shard, bucket);

    if (stamp != NULL && stamp->state >= STAMP_GOOD)
        stamp_free(stamp);
}

void blob_stamps_forget(struct blob_shard *shard)
{
    LIST_EACH (&shard->stamps, link) {
        struct bucket_stamp *stamp = LIST_ITEM(link, struct bucket_stamp, link);

        blob_call_abort(&stamp->call);
        release(stamp, ERR_DOWN, "the configuration changed");
        stamp_free(stamp);
    }
}
