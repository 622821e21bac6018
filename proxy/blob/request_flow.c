/* A request from its head to its deed: who is it, what does he ask, may he. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/base/mem.h"
#include "proxy/blob/blob_flow.h"

/* ---- who may what ---- */

/* A '*' at the end stands for anything. */
static bool fits(const char *pattern, struct slice name)
{
    size_t len = strlen(pattern);

    if (len > 0 && pattern[len - 1] == '*')
        return slice_starts(name, slice_of(pattern, len - 1));
    return slice_is(name, slice_of(pattern, len));
}

static bool fits_one(const char *const *patterns, uint32_t count, struct slice name)
{
    for (uint32_t i = 0; i < count; i++)
        if (fits(patterns[i], name))
            return true;
    return false;
}

static bool starts_with_one(const char *const *prefixes, uint32_t count, struct slice key)
{
    for (uint32_t i = 0; i < count; i++)
        if (slice_starts(key, slice_text(prefixes[i])))
            return true;
    return false;
}

/* A list is of what its prefix says; DeleteObjects asks for each key. */
static struct slice key_meant(const struct s3_operation *o)
{
    return s3_op_traits(o->op)->where == S3_WHERE_BUCKET ? s3_param_value(o, "prefix") : o->key;
}

/* Of whom only some keys are, he changes no bucket as a whole: its rights, its versions, its being
 * there.  Many deletes and forms are looked at key by key. */
static bool needs_key_right(enum s3_op op)
{
    const struct s3_op_traits *traits = s3_op_traits(op);

    if (op == S3_OP_DELETE_OBJECTS || op == S3_OP_POST_OBJECT)
        return false;
    return traits->where == S3_WHERE_OBJECT ||
           (traits->where == S3_WHERE_BUCKET && traits->right != S3_RIGHT_LIST) ||
           op == S3_OP_LIST_OBJECTS || op == S3_OP_LIST_OBJECTS_V2 || op == S3_OP_LIST_VERSIONS ||
           op == S3_OP_LIST_UPLOADS;
}

bool blob_may_bucket(const struct blob_access_key *key, struct slice bucket)
{
    return key->bucket_count == 0 || bucket.len == 0 ||
           fits_one(key->buckets, key->bucket_count, bucket);
}

static bool may(const struct blob_access_key *key, unsigned rights, struct slice bucket)
{
    return (key->rights & rights) == rights && blob_may_bucket(key, bucket);
}

bool blob_may_key(const struct blob_access_key *key, struct slice object)
{
    return key == NULL || key->prefix_count == 0 ||
           starts_with_one(key->prefixes, key->prefix_count, object);
}

static bool is_public(const struct blob_pool *pool, const struct s3_operation *o)
{
    return (o->op == S3_OP_GET_OBJECT || o->op == S3_OP_HEAD_OBJECT) &&
           fits_one(pool->public_buckets, pool->public_bucket_count, o->bucket);
}

static enum s3_error permit(struct blob_request *r, struct s3_fault *fault)
{
    const struct blob_pool *pool = r->side->settings;
    const struct s3_operation *o = &r->op;
    bool allowed = true;

    if (o->op == S3_OP_OTHER) {
        s3_fault_set(fault, S3_NOT_IMPLEMENTED);
        return fault->error;
    }
    if (r->key != NULL) {
        allowed = may(r->key, s3_op_traits(o->op)->right, o->bucket) &&
                  (!needs_key_right(o->op) || blob_may_key(r->key, key_meant(o)));
        if (o->source.bucket.at != NULL)
            allowed = allowed && may(r->key, S3_RIGHT_READ, o->source.bucket) &&
                      blob_may_key(r->key, o->source.key);
    } else {
        allowed = pool->unsigned_access || is_public(pool, o) || o->op == S3_OP_POST_OBJECT;
    }
    allowed = allowed && !slice_starts(o->key, slice_text(BLOB_RESERVED)) &&
              !slice_starts(o->source.key, slice_text(BLOB_RESERVED));
    if (!allowed)
        s3_fault_set(fault, S3_ACCESS_DENIED);
    return fault->error;
}

/* ---- who is it ---- */

static const struct sigv4_credential *look_up(const void *directory, struct slice id)
{
    static _Thread_local struct sigv4_credential found;
    const struct blob_pool *pool = directory;

    for (uint32_t i = 0; i < pool->access_key_count; i++) {
        if (!slice_is_text(id, pool->access_keys[i].id))
            continue;
        found = (struct sigv4_credential){ .id = slice_of(pool->access_keys[i].id, id.len),
                                           .secret = slice_text(pool->access_keys[i].secret),
                                           .owner = &pool->access_keys[i] };
        return &found;
    }
    return NULL;
}

/* By the head, or by a form. */
static enum s3_error identify(struct blob_request *r, const struct sigv4_form *form,
                              struct s3_fault *fault)
{
    const struct blob_pool *pool = r->side->settings;
    struct blob_works *works = blob_works_of(r->side->worker);
    struct sigv4_rules rules = {
        .now_s = (uint64_t)time(NULL),
        .regions = pool->regions,
        .region_count = pool->region_count,
        .lookup = look_up,
        .directory = pool,
        .keys = works->keys,
        .scratch = &works->scratch,
    };
    enum s3_error error;

    error = form == NULL ? sigv4_verify(&r->http, &rules, &r->verdict)
                         : sigv4_verify_form(form, &rules, &r->verdict);
    if (error != S3_NONE) {
        *fault = r->verdict.fault;
        return error;
    }
    r->key = r->verdict.credential == NULL ? NULL : r->verdict.credential->owner;
    return S3_NONE;
}

enum s3_error blob_permit_form(struct blob_request *r, const struct sigv4_form *form,
                               struct s3_fault *fault)
{
    bool allowed = r->side->settings->unsigned_access;

    if (form != NULL && identify(r, form, fault) != S3_NONE)
        return fault->error;
    if (r->key != NULL)
        allowed = may(r->key, S3_RIGHT_WRITE, r->op.bucket) && blob_may_key(r->key, r->op.key);
    if (!allowed || slice_starts(r->op.key, slice_text(BLOB_RESERVED)))
        s3_fault_set(fault, S3_ACCESS_DENIED);
    return fault->error;
}

/* ---- life ---- */

#define BYTES_OF_ONE UINT64_C(0x0101010101010101)

static void put_id(struct blob_request *r)
{
    uint32_t number[2] = { worker_random(r->side->worker), worker_random(r->side->worker) };
    uint64_t eight;

    /* Half bytes to bytes of their own; then letters of either kind, all at once. */
    for (size_t i = 0; i < 2; i++) {
        eight = number[i];
        eight = (eight << 16 | eight) & UINT64_C(0x0000ffff0000ffff);
        eight = (eight << 8 | eight) & UINT64_C(0x00ff00ff00ff00ff);
        eight = (eight << 4 | eight) & UINT64_C(0x0f0f0f0f0f0f0f0f);
        eight +=
            '0' * BYTES_OF_ONE + ((eight + 6 * BYTES_OF_ONE) >> 4 & BYTES_OF_ONE) * ('A' - '9' - 1);
        memcpy(r->id + 8 * i, &eight, sizeof(eight));
    }
    r->id[BLOB_ID_BYTES - 1] = '\0';
}

static struct blob_request *request_new(struct blob_session *s)
{
    struct blob_side *side = blob_side_of(s);
    struct blob_request *r = slab_new(&side->request_slab);

    memset(r, 0, offsetof(struct blob_request, sums.sha256)); /* those are begun if wanted */
    memset(&r->whole, 0,
           offsetof(struct blob_request, verdict) - offsetof(struct blob_request, whole));
    r->verdict.payload = SIGV4_PAYLOAD_NONE;
    r->arena.slab = &side->arena_slab;
    r->op.op = S3_OP_OTHER; /* till it is read */
    r->session = s;
    r->side = side;
    r->assembly = assembly_ref(side->assembly);
    r->began_us = r->heard_us = worker_now_us(side->worker);
    put_id(r);
    s->request = r;
    side->requests++;
    counter_add(&side->stats->requests_open, 1);
    worker_be_busy(side->worker);
    return r;
}

void blob_request_weigh(struct blob_request *r)
{
    struct worker *w = r->side->worker;
    size_t now = r->arena.held + r->whole.cap + r->deed_bytes;

    r->session->base.kept_bytes += now - r->weight;
    if (now > r->weight)
        worker_hold(w, now - r->weight);
    else
        worker_release(w, r->weight - now);
    r->weight = now;
}

static void weigh_nothing(struct blob_request *r)
{
    r->session->base.kept_bytes -= r->weight;
    worker_release(r->side->worker, r->weight);
    r->weight = 0;
}

void blob_request_free(struct blob_request *r)
{
    struct blob_side *side = r->side;

    blob_tally_request(r);
    blob_log_request(r);
    weigh_nothing(r);
    counter_sub(&side->stats->requests_open, 1);
    side->requests--;
    if (r->chunked != NULL)
        aws_chunked_fini(r->chunked);
    checksum_set_forget(&r->sums);
    sigv4_forget(&r->verdict);
    buf_fini(&r->whole);
    buf_fini(&r->refusal.body);
    arena_fini(&r->arena);
    assembly_unref(&r->assembly);
    slab_free(&side->request_slab, r);
}

void blob_request_abandon(struct blob_request *r)
{
    r->is_abandoned = true;
    if (r->began && r->deed->abandon != NULL)
        r->deed->abandon(r);
    blob_request_free(r);
}

/* ---- beginning ---- */

static enum s3_error understand(struct blob_request *r, struct s3_fault *fault)
{
    const struct blob_pool *pool = r->side->settings;
    struct s3_hosts hosts = { pool->virtual_hosts, pool->virtual_host_count };
    enum s3_error error = identify(r, NULL, fault);
    struct s3_fault spare;

    if (error == S3_NONE)
        error = s3_operation_read(&r->http, &hosts, &r->arena, &r->op, fault);
    else if (r->side->log_fd >= 0) /* it is told what a stranger asked */
        (void)!s3_operation_read(&r->http, &hosts, &r->arena, &r->op, &spare);
    if (error == S3_NONE)
        error = permit(r, fault);
    if (error == S3_NONE)
        error = blob_heed(r, fault);
    if (error == S3_NONE)
        error = blob_body_begin(r, fault);
    return error;
}

/* Empty bodies are begun when their end is verified, since nothing of them can be held back. */
static bool begins_with_head(const struct blob_request *r)
{
    enum s3_body kind = s3_op_traits(r->op.op)->body;

    if (!r->has_body)
        return true;
    return kind == S3_BODY_STREAM && r->length > 0;
}

/* Each account of a store is another owner: what one shard calls an object's, another does not
 * know. */
static bool owners_differ(const struct blob_side *side)
{
    const struct endpoint_settings *first = side->shards[0]->settings;

    for (uint32_t i = 1; i < side->shard_count; i++) {
        const struct endpoint_settings *other = side->shards[i]->settings;

        if (strcmp(first->protocol, other->protocol) != 0 ||
            strcmp(first->user == NULL ? "" : first->user,
                   other->user == NULL ? "" : other->user) != 0)
            return true;
    }
    return false;
}

/* An ACL in words names owners: those of the shard that it was read from, not always of the one
 * that it is for. */
static bool is_offered(const struct blob_request *r)
{
    if (r->deed == NULL)
        return false;
    if ((r->op.op == S3_OP_PUT_ACL || r->op.op == S3_OP_PUT_BUCKET_ACL) && r->has_body)
        return !owners_differ(r->side);
    return true;
}

bool blob_took_back(struct blob_request *r)
{
    struct session *s = &r->session->base;

    if (!r->side->has_folders ||
        (s3_op_traits(r->op.op)->right & (S3_RIGHT_WRITE | S3_RIGHT_DELETE)) == 0 ||
        !conn_is_reset(&s->conn))
        return false;
    session_close(s, CLOSE_CLIENT_RESET);
    return true;
}

static void go(struct blob_request *r)
{
    struct blob_session *s = r->session;
    bool at_once = begins_with_head(r);

    if (!r->has_body && blob_took_back(r))
        return;
    r->deed = blob_deed_of(r->op.op);
    if (!is_offered(r)) {
        blob_refuse_with(r, S3_NOT_IMPLEMENTED);
        return;
    }
    if (at_once) {
        if (!r->has_body)
            blob_body_continue(r); /* botocore of 2022 loses the next answer without it */
        r->began = true;
        r->body_is_done = !r->has_body;
        r->deed->begin(r);
    } else {
        blob_body_wanted(r); /* it is read first: whole, or to see that it is empty */
    }
    if (s->request == r && r->began && !r->has_body && r->deed->body_ended != NULL &&
        s3_op_traits(r->op.op)->body == S3_BODY_STREAM)
        r->deed->body_ended(r);
}

void blob_request_begin(struct blob_session *s, struct slice head)
{
    struct blob_request *r = request_new(s);
    struct s3_fault fault; /* large: it is not zeroed */
    enum http1_refusal why;

    s3_fault_set(&fault, S3_NONE);

    session_request_begins(&s->base);
    why = http1_request_parse(arena_copy(&r->arena, head), &blob_works_of(s->base.worker)->lines,
                              &r->http);
    if (why != HTTP1_REFUSAL_NONE) {
        memset(&r->http, 0, sizeof(r->http));
        s->closes = true;
        s3_fault_say(&fault, blob_error_of_head(why), "%s", http1_refusal_text(why));
        blob_refuse(r, &fault);
        return;
    }
    s->closes = !r->http.head.keep_alive;
    http1_body_begin(&r->body, r->http.head.framing, r->http.head.length);
    r->has_body = r->http.head.framing != HTTP1_FRAMING_NONE && !http1_body_is_whole(&r->body);
    r->waits = r->has_body;
    s->stage = r->has_body ? BLOB_BODY : BLOB_ANSWERS;
    if (blob_memory_is_short(s->base.worker))
        s3_fault_say(&fault, S3_SLOW_DOWN,
                     "Please reduce your request rate: max_memory is nearly reached.");
    if (fault.error != S3_NONE || understand(r, &fault) != S3_NONE) {
        blob_refuse(r, &fault);
        return;
    }
    blob_request_weigh(r);
    go(r);
}
