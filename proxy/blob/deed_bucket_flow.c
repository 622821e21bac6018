/* What is asked of buckets: a client's bucket lies on all shards of its pool. */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/blob/back_s3.h"
#include "proxy/blob/blob_flow.h"
#include "proxy/wire/http1_write.h"
#include "proxy/wire/s3_reply_xml.h"
#include "proxy/wire/s3_write.h"
#include "shard/list_token.h"

enum bucket_step {
    BUCKET_ASKS,          /* what the client asked */
    BUCKET_READS,         /* before it is changed: do all its stores have that? */
    BUCKET_LOOKS,         /* before it is deleted: is it empty, of versions, too? */
    BUCKET_LOOKS_PLAINLY, /* .. of objects, where there are no versions */
    BUCKET_CLEARS,        /* our stamp goes */
    BUCKET_DELETES,
};

enum {
    BUCKET_PAGES = 100,  /* of a list of buckets that a store tells: a thousand each */
    BUCKET_MOST = 10000, /* of a page that a client may ask for */
};

struct bucket_names {
    struct blob_request *request;
    struct slice strip;     /* what a shard's own names for them begin with */
    struct slice prefix;    /* that the client wants them to have */
    struct slice after;     /* .. and behind which; empty: from the beginning */
    uint64_t most;          /* .. and how many at a time */
    struct s3_entry **list; /* in the arena */
    size_t count, room;
    unsigned pages; /* asked for so far */
    bool is_incomplete;
    struct s3_reply_xml reply;
};

/* Of our stamp in a bucket that is to go; in the arena. */
struct stamp_version {
    struct stamp_version *next;
    struct blob_shard *shard;
    struct blob_param version; /* its value is empty where the store named none */
};

struct bucket_deed {
    struct blob_fan *fan;
    enum bucket_step step;
    struct blob_shard *
        *shards; /* of steps that go together: a reload does not change whom it asks */
    uint32_t shard_count;
    struct stamp_version *stamps;
    uint32_t stamp_count;
    struct bucket_names names;
};

static void ask_all(struct blob_request *r, const struct blob_ask *ask)
{
    struct bucket_deed *deed = r->state;

    for (uint32_t i = 0; i < deed->fan->count; i++) {
        if (deed->fan->parts[i].shard == NULL)
            deed->fan->parts[i].shard = r->side->shards[i];
        deed->fan->parts[i].call.ask = *ask;
    }
    blob_fan_start(deed->fan);
}

static struct blob_ask ask_of(struct blob_request *r)
{
    struct blob_ask ask = {
        .op = r->op.op,
        .bucket = r->op.bucket,
        .params = r->op.params,
        .param_count = r->op.param_count,
    };

    if (r->op.op == S3_OP_LIST_BUCKETS) /* each is asked for all, whatever the client wants */
        ask.param_count = 0;
    else
        blob_ask_fields(r, &ask);
    if (r->whole.len > 0 && r->op.op != S3_OP_CREATE_BUCKET) {
        ask.has_body = true; /* where a bucket is created, each store has its own region */
        ask.body = buf_all(&r->whole);
        ask.length = ask.body.len;
    }
    return ask;
}

/* ---- half of it ---- */

static bool is_done(const struct blob_fan_part *part)
{
    struct slice body = buf_all(&part->answer.body);

    if (part->err != ERR_NONE)
        return false;
    return part->status < 300 ||
           (part->status == 409 && blob_counts_error_in(body) == S3_BUCKET_ALREADY_OWNED_BY_YOU);
}

static void fault_of(const struct blob_fan_part *part, struct s3_fault *fault)
{
    enum s3_error error = blob_counts_error_in(buf_all(&part->answer.body));

    if (part->err != ERR_NONE) {
        blob_fault_of_call(&part->call, part->shard, part->err, part->why, fault);
        return;
    }
    if (blob_fault_of_login(part->fan->request, part->shard, error, fault))
        return;
    if (error == S3_NONE)
        error = blob_error_of_status(part->fan->request, part->status);
    s3_fault_say(fault, error, "Shard %u (%s) does not do it: %s", part->shard->index,
                 part->shard->name, s3_error_message(error));
}

/* As blob_fan_refuses(), of what is done on all shards: where some have done it the client is told
 * which, for nothing is taken back, and the same request makes it whole. */
static bool refuses_a_part(struct blob_fan *fan)
{
    const struct blob_fan_part *failed = NULL;
    struct s3_fault fault = { 0 }, half = { 0 };
    struct buf done = { 0 };

    for (uint32_t i = 0; i < fan->count; i++)
        if (is_done(&fan->parts[i]))
            buf_format(&done, "%s%u", done.len > 0 ? ", " : "", fan->parts[i].shard->index);
        else if (failed == NULL)
            failed = &fan->parts[i];
    if (failed == NULL || done.len == 0) {
        buf_fini(&done);
        return failed != NULL && blob_fan_refuses(fan);
    }
    buf_put(&done, "", 1);
    fault_of(failed, &fault);
    s3_fault_say(&half, fault.error,
                 "%.140s; it is done on others (%.60s), and the same request "
                 "again makes it whole",
                 s3_fault_message(&fault), (const char *)done.at);
    buf_fini(&done);
    blob_refuse(fan->request, &half); /* its deed frees the fan */
    return true;
}

/* ---- lists of buckets ---- */

static bool is_allowed(const struct blob_request *r, struct slice name)
{
    return r->key == NULL || blob_may_bucket(r->key, name);
}

static int order_of(struct slice one, struct slice other)
{
    size_t len = one.len < other.len ? one.len : other.len;
    int order = len == 0 ? 0 : memcmp(one.at, other.at, len);

    return order != 0 ? order : (one.len > other.len) - (one.len < other.len);
}

static enum err take_bucket(void *owner, const struct s3_entry *entry)
{
    struct bucket_names *names = owner;
    struct arena *arena = &names->request->arena;
    struct s3_entry one = *entry;

    /* A shard whose buckets are prefixes in one of its own lists these. */
    if (entry->kind == S3_ENTRY_PREFIX && one.name.len > 0 && one.name.at[one.name.len - 1] == '/')
        one.name.len--;
    if (!slice_starts(one.name, names->strip))
        return ERR_NONE;
    one.name = slice_from(one.name, names->strip.len);
    if (!s3_bucket_is_legal(one.name) || !is_allowed(names->request, one.name) ||
        !slice_starts(one.name, names->prefix) || order_of(one.name, names->after) <= 0)
        return ERR_NONE;
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 64 : names->room * 2;
        struct s3_entry **list = arena_new(arena, room * sizeof(struct s3_entry *));

        if (names->count > 0)
            memcpy(list, names->list, names->count * sizeof(struct s3_entry *));
        names->list = list;
        names->room = room;
    }
    one.kind = S3_ENTRY_BUCKET;
    names->list[names->count++] = s3_entry_copy(arena, &one, NULL);
    return ERR_NONE;
}

static int by_name(const void *a, const void *b)
{
    const struct s3_entry *one = *(struct s3_entry *const *)a,
                          *other = *(struct s3_entry *const *)b;

    return order_of(one->name, other->name);
}

/* All shards have a bucket; it is told once. */
static void keep_each_once(struct bucket_names *names)
{
    size_t count = 0;

    if (names->count > 0)
        qsort(names->list, names->count, sizeof(struct s3_entry *), by_name);
    for (size_t i = 0; i < names->count; i++)
        if (count == 0 || !slice_is(names->list[count - 1]->name, names->list[i]->name))
            names->list[count++] = names->list[i];
    names->count = count;
}

static void tell_buckets(struct blob_request *r, struct bucket_names *names)
{
    struct s3_list_head head = { .owner_id = slice_text(BLOB_OWNER),
                                 .owner_name = slice_text(BLOB_OWNER),
                                 .prefix = names->prefix };
    struct buf out = { 0 }, token = { 0 };
    struct s3_list_writer list;
    size_t count;

    keep_each_once(names);
    count = names->count < names->most ? names->count : (size_t)names->most;
    s3_list_open(&list, S3_LIST_BUCKETS, false);
    for (size_t i = 0; i < count; i++)
        s3_list_put(&list, names->list[i]);
    if (count < names->count)
        list_token_write(&(struct list_token){ .name = names->list[count - 1]->name },
                         blob_token_seed(r), &token);
    head.next_token = buf_all(&token);
    s3_list_close(&list, &head, &out);
    s3_list_fini(&list);
    if (names->is_incomplete) {
        r->kept = arena_new(&r->arena, sizeof(*r->kept));
        r->kept[r->kept_count++] =
            blob_field_of(slice_text("x-sheaf-incomplete"), slice_text("a shard did not answer"));
    }
    blob_answer_xml(r, 200, buf_all(&out));
    buf_fini(&token);
    buf_fini(&out);
}

/* False: what the client says of pages is no good. */
static bool read_paging(struct blob_request *r, struct bucket_names *names)
{
    struct slice most = s3_param_value(&r->op, "max-buckets"),
                 text = s3_param_value(&r->op, "continuation-token");
    struct list_token token = { 0 };

    names->prefix = s3_param_value(&r->op, "prefix");
    names->most = UINT64_MAX;
    if (most.len > 0 &&
        (!slice_to_u64(most, &names->most) || names->most < 1 || names->most > BUCKET_MOST))
        return false;
    if (text.len > 0 && list_token_read(text, blob_token_seed(r), &r->arena, &token) != ERR_NONE)
        return false;
    names->after = token.name;
    return true;
}

static struct slice prefix_in(struct arena *arena, const struct blob_shard *shard)
{
    struct buf text = { 0 };
    struct slice prefix;

    if (shard->settings->store.folder == NULL && shard->settings->store.bucket != NULL)
        s3_put_key(&shard->settings->store, (struct slice){ 0 }, (struct slice){ 0 }, &text);
    prefix = arena_copy(arena, buf_all(&text));
    buf_fini(&text);
    return prefix;
}

/* What a shard's page tells, and by which token it goes on: empty if it was the last one. */
static enum err read_page(struct bucket_names *names, struct blob_fan_part *part,
                          struct slice *token)
{
    enum err err;

    names->strip = prefix_in(&names->request->arena, part->shard);
    err = blob_fan_read(part, &names->reply, take_bucket, names);
    *token = err == ERR_NONE ? arena_copy(&names->request->arena, names->reply.next_token)
                             : (struct slice){ 0 };
    if (err == ERR_NONE && names->reply.is_truncated && token->len == 0)
        err = ERR_PROTOCOL;
    s3_reply_xml_fini(&names->reply);
    return err;
}

static void done(struct blob_fan *fan);

static void add_page(struct blob_request *r, struct blob_fan *fan, struct blob_shard *shard,
                     struct slice token)
{
    struct blob_param *param = arena_new(&r->arena, sizeof(*param));
    struct blob_fan_part *part = &fan->parts[fan->count++];

    *param = (struct blob_param){ slice_text("continuation-token"), token, true };
    part->shard = shard;
    part->call.ask =
        (struct blob_ask){ .op = S3_OP_LIST_BUCKETS, .params = param, .param_count = 1 };
}

/* As lists of objects: what the others have, if the operator wants that, and marked. */
static void forgive_missing(struct blob_fan *fan, struct bucket_names *names)
{
    uint32_t missing = 0;

    for (uint32_t i = 0; i < fan->count; i++)
        missing += fan->parts[i].err != ERR_NONE;
    if (missing == 0 || missing == fan->count ||
        names->request->side->settings->reads_while_shard_down != BLOB_SHARD_DOWN_PARTIAL)
        return;
    names->is_incomplete = true;
    for (uint32_t i = 0; i < fan->count; i++)
        if (fan->parts[i].err != ERR_NONE) {
            fan->parts[i].err = ERR_NONE;
            fan->parts[i].status = 204;
        }
}

static void buckets_came(struct blob_fan *fan)
{
    struct blob_request *r = fan->request;
    struct bucket_deed *deed = r->state;
    struct blob_fan *next = blob_fan_new(r, fan->count, done);
    enum err err = ERR_NONE;

    next->count = 0;
    for (uint32_t i = 0; i < fan->count && err == ERR_NONE; i++) {
        struct slice token;

        if (fan->parts[i].status == 204) /* see forgive_missing() */
            continue;
        err = read_page(&deed->names, &fan->parts[i], &token);
        if (err == ERR_NONE && token.len > 0)
            add_page(r, next, fan->parts[i].shard, token);
    }
    if (err != ERR_NONE || (next->count > 0 && ++deed->names.pages == BUCKET_PAGES)) {
        blob_refuse_with(r, S3_INTERNAL_ERROR);
        return;
    }
    blob_fan_free(fan);
    deed->fan = next;
    if (next->count > 0)
        blob_fan_start(next);
    else
        tell_buckets(r, &deed->names);
}

/* ---- creating ---- */

/* On some shards it may be there, from an attempt before: then it is done on the others. */
static void tell_created(struct blob_fan *fan)
{
    struct blob_request *r = fan->request;
    struct buf location = { 0 };
    uint32_t created = 0;

    if (refuses_a_part(fan))
        return;
    for (uint32_t i = 0; i < fan->count; i++)
        created += fan->parts[i].status < 300;
    if (created == 0) {
        if (!blob_fan_refuses(fan))
            blob_refuse_with(r, S3_INTERNAL_ERROR);
        return;
    }
    blob_fan_free(fan);
    buf_text(&location, "/");
    buf_slice(&location, r->op.bucket);
    (void)!http1_put_field(blob_answer_begin(r, 200), "location", buf_all(&location));
    buf_fini(&location);
    blob_answer_head(r, 0);
    blob_answer_end(r);
}

/* ---- deleting ---- */

static void start_anew(struct bucket_deed *deed, uint32_t count, enum bucket_step step)
{
    blob_fan_free(deed->fan);
    deed->fan = blob_fan_new(deed->names.request, count, done);
    deed->step = step;
}

/* Some stores do not have lists of versions. */
static bool lacks_versions(const struct blob_fan_part *part)
{
    return part->err == ERR_NONE &&
           (part->status == 400 || part->status == 405 || part->status == 501);
}

static bool one_lacks_versions(const struct blob_fan *fan)
{
    for (uint32_t i = 0; i < fan->count; i++)
        if (lacks_versions(&fan->parts[i]))
            return true;
    return false;
}

/* What each shard's part of the bucket has, with all versions of it, where its store knows these:
 * of those that have said that they do not only the objects. */
static void look(struct blob_request *r, enum bucket_step step)
{
    static const struct blob_param VERSIONS[] = {
        { { (const uint8_t *)"versions", 8 }, { 0 }, false },
        { { (const uint8_t *)"max-keys", 8 }, { (const uint8_t *)"100", 3 }, true },
    };
    static const struct blob_param OBJECTS[] = {
        { { (const uint8_t *)"list-type", 9 }, { (const uint8_t *)"2", 1 }, true },
        { { (const uint8_t *)"max-keys", 8 }, { (const uint8_t *)"3", 1 }, true },
    };
    struct bucket_deed *deed = r->state;

    deed->step = step;
    for (uint32_t i = 0; i < deed->fan->count; i++) {
        struct blob_fan_part *part = &deed->fan->parts[i];
        bool plainly = step == BUCKET_LOOKS_PLAINLY && lacks_versions(part);

        part->shard = deed->shards[i];
        part->call.ask =
            (struct blob_ask){ .op = plainly ? S3_OP_LIST_OBJECTS_V2 : S3_OP_LIST_VERSIONS,
                               .bucket = r->op.bucket,
                               .params = plainly ? OBJECTS : VERSIONS,
                               .param_count = 2 };
    }
    blob_fan_start(deed->fan);
}

struct contents {
    struct bucket_deed *deed;
    struct blob_shard *shard;
    bool has_more;
    struct s3_reply_xml reply;
};

static void note_stamp(struct contents *c, struct slice version)
{
    struct bucket_deed *deed = c->deed;
    struct arena *arena = &deed->names.request->arena;
    struct stamp_version *one = arena_new(arena, sizeof(*one));

    one->shard = c->shard;
    one->version = (struct blob_param){ slice_text("versionId"), arena_copy(arena, version), true };
    one->next = deed->stamps;
    deed->stamps = one;
    deed->stamp_count++;
}

/* Nothing but our stamp, with the names that a store has for it. */
static enum err take_object(void *owner, const struct s3_entry *entry)
{
    struct contents *c = owner;

    if (entry->name.len > 0 &&
        memmem(entry->name.at, entry->name.len, BLOB_STAMP_KEY, sizeof(BLOB_STAMP_KEY) - 1) != NULL)
        note_stamp(c, entry->id);
    else
        c->has_more |= !slice_starts(entry->name, slice_text(BLOB_RESERVED));
    return ERR_NONE;
}

/* True: every shard's part of the bucket has nothing of clients in it. */
static bool is_empty(struct bucket_deed *deed, struct blob_fan *fan)
{
    struct contents c = { .deed = deed };

    for (uint32_t i = 0; i < fan->count && !c.has_more; i++) {
        c.shard = fan->parts[i].shard;
        if (fan->parts[i].status == 204) /* see forgive_absence() */
            continue;
        if (blob_fan_read(&fan->parts[i], &c.reply, take_object, &c) != ERR_NONE)
            c.has_more = true;
        s3_reply_xml_fini(&c.reply);
    }
    return !c.has_more;
}

/* What the client asked, now that all shards were looked at: of the same ones. */
static void ask_same(struct blob_request *r, enum bucket_step step)
{
    struct bucket_deed *deed = r->state;
    struct blob_ask ask = ask_of(r);

    start_anew(deed, deed->shard_count, step);
    for (uint32_t i = 0; i < deed->shard_count; i++)
        deed->fan->parts[i].shard = deed->shards[i];
    ask_all(r, &ask);
}

/* Our stamp goes, each version of it: else a bucket that keeps versions would never be empty. */
static void clear(struct blob_request *r)
{
    struct bucket_deed *deed = r->state;
    uint32_t i = 0;

    if (deed->stamp_count == 0) {
        ask_same(r, BUCKET_DELETES);
        return;
    }
    start_anew(deed, deed->stamp_count, BUCKET_CLEARS);
    for (struct stamp_version *one = deed->stamps; one != NULL; one = one->next, i++) {
        deed->fan->parts[i].shard = one->shard;
        deed->fan->parts[i].call.is_stamp = true;
        deed->fan->parts[i].call.ask =
            (struct blob_ask){ .op = S3_OP_DELETE_OBJECT,
                               .bucket = r->op.bucket,
                               .key = slice_text(BLOB_STAMP_KEY),
                               .params = &one->version,
                               .param_count = one->version.value.len > 0 };
    }
    blob_fan_start(deed->fan);
}

/* Those that do not have the bucket, while others do, had it deleted by a request that failed on
 * those: they have done what is asked. */
static void forgive_absence(struct blob_fan *fan)
{
    uint32_t absent = 0;

    for (uint32_t i = 0; i < fan->count; i++)
        absent += fan->parts[i].err == ERR_NONE && fan->parts[i].status == 404;
    for (uint32_t i = 0; i < fan->count && absent < fan->count; i++)
        if (fan->parts[i].err == ERR_NONE && fan->parts[i].status == 404)
            fan->parts[i].status = 204;
}

static void looked(struct blob_fan *fan)
{
    struct blob_request *r = fan->request;
    struct bucket_deed *deed = r->state;

    forgive_absence(fan);
    if (deed->step == BUCKET_LOOKS && one_lacks_versions(fan))
        look(r, BUCKET_LOOKS_PLAINLY);
    else if (blob_fan_refuses(fan))
        return;
    else if (!is_empty(deed, fan))
        blob_refuse_with(r, S3_BUCKET_NOT_EMPTY);
    else
        clear(r);
}

static void delete_step(struct blob_fan *fan)
{
    struct blob_request *r = fan->request;
    struct bucket_deed *deed = r->state;

    switch (deed->step) {
    case BUCKET_LOOKS:
    case BUCKET_LOOKS_PLAINLY:
        looked(fan);
        return;
    case BUCKET_CLEARS:
        ask_same(r, BUCKET_DELETES);
        return;
    case BUCKET_DELETES:
    case BUCKET_ASKS:
    case BUCKET_READS:
        break;
    }
    for (uint32_t i = 0; i < fan->count; i++)
        blob_stamp_forget(fan->parts[i].shard, r->op.bucket);
    forgive_absence(fan);
    if (refuses_a_part(fan))
        return;
    blob_fan_free(fan);
    blob_answer_nothing(r, 204);
}

/* ---- the rest ---- */

static void tell_location(struct blob_fan *fan)
{
    struct blob_request *r = fan->request;
    const struct blob_pool *pool = r->side->settings;
    struct buf out = { 0 };

    blob_fan_free(fan);
    s3_write_location(&out, slice_text(pool->region_count > 0 ? pool->regions[0] : "us-east-1"));
    blob_answer_xml(r, 200, buf_all(&out));
    buf_fini(&out);
}

/* ---- changing ---- */

static bool is_change(enum s3_op op)
{
    return op == S3_OP_PUT_VERSIONING || op == S3_OP_PUT_BUCKET_ACL;
}

/* All shards of a bucket are changed alike, or none: those that cannot be are found first. */
static void look_before_change(struct blob_request *r)
{
    static const struct blob_param VERSIONING = { .name = { (const uint8_t *)"versioning", 10 } };
    static const struct blob_param ACL = { .name = { (const uint8_t *)"acl", 3 } };
    struct bucket_deed *deed = r->state;
    bool is_acl = r->op.op == S3_OP_PUT_BUCKET_ACL;
    struct blob_ask ask = { .op = is_acl ? S3_OP_GET_BUCKET_ACL : S3_OP_GET_VERSIONING,
                            .bucket = r->op.bucket,
                            .params = is_acl ? &ACL : &VERSIONING,
                            .param_count = 1 };

    for (uint32_t i = 0; i < deed->shard_count; i++) {
        const struct blob_store *store = &deed->shards[i]->settings->store;
        struct s3_fault fault = { 0 };

        deed->fan->parts[i].shard = deed->shards[i];
        if (store->folder == NULL && store->bucket == NULL)
            continue;
        s3_fault_say(&fault, S3_NOT_IMPLEMENTED, "Shard %s is %s.", deed->shards[i]->name,
                     store->folder != NULL ? "a folder, which has neither versions nor ACLs"
                                           : "one bucket, with all others inside: it would be "
                                             "done to these, too");
        blob_refuse(r, &fault);
        return;
    }
    deed->step = BUCKET_READS;
    ask_all(r, &ask);
}

/* A store that does not know what is asked passes over it, and tells its objects. */
static bool all_have_it(const struct blob_fan *fan, enum s3_root wanted)
{
    bool have = true;

    for (uint32_t i = 0; i < fan->count && have; i++) {
        struct blob_fan_part part = fan->parts[i];
        struct s3_reply_xml reply;

        have = blob_fan_verify(&part, &reply) == wanted;
        s3_reply_xml_fini(&reply);
    }
    return have;
}

static void change(struct blob_fan *fan)
{
    struct blob_request *r = fan->request;

    if (all_have_it(fan, r->op.op == S3_OP_PUT_VERSIONING ? S3_ROOT_VERSIONING : S3_ROOT_OTHER))
        ask_same(r, BUCKET_ASKS);
    else
        blob_refuse_with(r, S3_NOT_IMPLEMENTED);
}

static void done(struct blob_fan *fan)
{
    struct blob_request *r = fan->request;
    struct bucket_deed *deed = r->state;

    if (r->op.op == S3_OP_CREATE_BUCKET) {
        tell_created(fan);
        return;
    }
    if (r->op.op == S3_OP_DELETE_BUCKET) {
        delete_step(fan);
        return;
    }
    if (r->op.op == S3_OP_LIST_BUCKETS)
        forgive_missing(fan, &deed->names);
    if (is_change(r->op.op) && deed->step == BUCKET_ASKS ? refuses_a_part(fan)
                                                         : blob_fan_refuses(fan))
        return;
    if (deed->step == BUCKET_READS)
        change(fan);
    else if (r->op.op == S3_OP_LIST_BUCKETS)
        buckets_came(fan);
    else if (r->op.op == S3_OP_GET_LOCATION)
        tell_location(fan);
    else
        blob_fan_answer(fan, &fan->parts[0]);
}

/* What is the same on all shards is asked of one. */
static uint32_t how_many(const struct blob_request *r)
{
    switch ((int)r->op.op) {
    case S3_OP_GET_VERSIONING:
    case S3_OP_GET_BUCKET_ACL:
        return 1;
    default:
        return r->side->shard_count;
    }
}

/* A bucket is made nowhere while it is known that one shard cannot: that one is asked alone, and
 * says why. */
static bool asks_one_down(struct blob_request *r, const struct blob_ask *ask)
{
    struct bucket_deed *deed = r->state;

    for (uint32_t i = 0; r->op.op == S3_OP_CREATE_BUCKET && i < r->side->shard_count; i++) {
        if (blob_shard_is_up(r->side->shards[i]))
            continue;
        deed->fan = blob_fan_new(r, 1, done);
        deed->fan->parts[0].shard = r->side->shards[i];
        ask_all(r, ask);
        return true;
    }
    return false;
}

static bool asks_access(const struct http1_field *f)
{
    return (f->known == HTTP1_NAME_X_AMZ_ACL && !slice_is_text(f->value, "private")) ||
           (f->known >= HTTP1_NAME_X_AMZ_GRANT_FULL_CONTROL &&
            f->known <= HTTP1_NAME_X_AMZ_GRANT_WRITE_ACP);
}

/* A bucket inside of another has no ACL of its own. */
static bool refuses_access(struct blob_request *r)
{
    const struct http1_head *head = &r->http.head;

    for (uint32_t i = 0; r->op.op == S3_OP_CREATE_BUCKET && i < r->side->shard_count; i++) {
        const struct blob_shard *shard = r->side->shards[i];
        struct s3_fault fault = { 0 };

        for (size_t k = 0; k < head->field_count && shard->settings->store.bucket != NULL; k++) {
            if (!asks_access(&head->fields[k]))
                continue;
            s3_fault_say(&fault, S3_NOT_IMPLEMENTED,
                         "Shard %s is one bucket, with all others inside: these have no ACL.",
                         shard->name);
            blob_refuse(r, &fault);
            return true;
        }
    }
    return false;
}

static void begin(struct blob_request *r)
{
    struct bucket_deed *deed = arena_new(&r->arena, sizeof(*deed));
    struct blob_ask ask = ask_of(r);

    r->state = deed;
    deed->names.request = r;
    if (r->op.op == S3_OP_LIST_BUCKETS && !read_paging(r, &deed->names)) {
        blob_refuse_with(r, S3_INVALID_ARGUMENT);
        return;
    }
    if (refuses_access(r) || asks_one_down(r, &ask))
        return;
    deed->fan = blob_fan_new(r, how_many(r), done);
    if (r->op.op == S3_OP_DELETE_BUCKET || is_change(r->op.op)) {
        deed->shard_count = r->side->shard_count;
        deed->shards = arena_new(&r->arena, deed->shard_count * sizeof(struct blob_shard *));
        memcpy(deed->shards, r->side->shards, deed->shard_count * sizeof(struct blob_shard *));
        if (is_change(r->op.op))
            look_before_change(r);
        else
            look(r, BUCKET_LOOKS);
        return;
    }
    if (r->op.op == S3_OP_GET_LOCATION) {
        ask.op = S3_OP_HEAD_BUCKET; /* is it there? */
        ask.params = NULL;
        ask.param_count = 0;
    }
    ask_all(r, &ask);
}

static void abandon(struct blob_request *r)
{
    struct bucket_deed *deed = r->state;

    if (deed->fan != NULL)
        blob_fan_free(deed->fan);
}

const struct blob_deed blob_deed_bucket = { .begin = begin, .abandon = abandon };
