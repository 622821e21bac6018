/* DeleteObjects: split by shard, answered in the order asked.  A shard that does not answer
 * gives an error for each of its keys, and the others' are deleted all the same. */
#include <stdlib.h>
#include <string.h>

#include "proxy/blob/back_s3.h"
#include "proxy/blob/blob_flow.h"
#include "proxy/wire/s3_reply_xml.h"
#include "proxy/wire/s3_request_xml.h"
#include "proxy/wire/s3_write.h"

struct outcome {
    struct s3_entry entry; /* kind DELETED or NOT_DELETED; its name is the request's */
    bool is_known;
};

struct delete_part {
    struct blob_shard *shard;
    size_t *which; /* places in keys, as its store was asked; in the arena */
    size_t count;
    size_t next; /* where the answers are */
    struct buf strip;
};

struct delete_deed {
    struct blob_request *request;
    struct s3_delete_key *keys;
    size_t key_count;
    bool is_quiet;
    struct outcome *outcomes;
    struct blob_fan *fan;
    struct delete_part *parts; /* by the fan's */
    uint32_t part_count;
};

/* ---- asking ---- */

static enum err read_keys(struct blob_request *r, struct delete_deed *deed, struct s3_fault *fault)
{
    struct s3_request_xml body;
    enum err err;

    s3_request_xml_open(&body, S3_REQUEST_DELETE, &r->arena);
    err = s3_request_xml_feed(&body, buf_all(&r->whole));
    if (err == ERR_NONE)
        err = s3_request_xml_end(&body);
    if (err == ERR_NONE) {
        deed->keys = body.keys;
        deed->key_count = body.key_count;
        deed->is_quiet = body.is_quiet;
    } else {
        s3_fault_say(fault, s3_error_of_code(slice_text(body.refusal.code)), "%s",
                     body.refusal.message);
    }
    s3_request_xml_fini(&body);
    return err;
}

static void set_error(struct outcome *o, const char *code, struct slice message)
{
    o->entry.kind = S3_ENTRY_NOT_DELETED;
    o->entry.code = slice_text(code);
    o->entry.message = message;
    o->is_known = true;
}

/* A store that took the key and not its condition would delete what should stay. */
static bool heeds_etags(const struct delete_deed *deed, struct slice key)
{
    const struct blob_store *store = &blob_shard_of(deed->request->side, key)->settings->store;

    return store->folder != NULL || store->conditions == BLOB_CONDITIONS_ALL;
}

/* Keys that must not be asked for have their outcome already. */
static void look_at(struct delete_deed *deed, size_t i)
{
    const struct s3_delete_key *key = &deed->keys[i];
    struct outcome *o = &deed->outcomes[i];

    o->entry = (struct s3_entry){
        .kind = S3_ENTRY_DELETED, .time_ms = S3_NO_TIME, .name = key->key, .id = key->version
    };
    if (slice_starts(key->key, slice_text(BLOB_RESERVED)) ||
        !blob_may_key(deed->request->key, key->key))
        set_error(o, "AccessDenied", slice_text(s3_error_message(S3_ACCESS_DENIED)));
    else if (key->is_conditional || (key->etag.len > 0 && !heeds_etags(deed, key->key)))
        set_error(o, "NotImplemented", slice_text("Its store does not heed this condition."));
    else if (key->key.len > S3_KEY_MOST)
        set_error(o, "KeyTooLongError", slice_text(s3_error_message(S3_KEY_TOO_LONG_ERROR)));
}

static struct delete_part *part_of(struct delete_deed *deed, struct blob_shard *shard)
{
    struct delete_part *part;

    for (uint32_t i = 0; i < deed->part_count; i++)
        if (deed->parts[i].shard == shard)
            return &deed->parts[i];
    part = &deed->parts[deed->part_count++];
    part->shard = shard;
    part->which = arena_bytes(&deed->request->arena, deed->key_count * sizeof(size_t));
    return part;
}

/* The keys in the store's own words. */
static struct slice body_of(struct delete_deed *deed, const struct delete_part *part)
{
    struct blob_request *r = deed->request;
    const struct blob_store *store = &part->shard->settings->store;
    struct s3_delete_key *keys =
        arena_bytes(&r->arena, deed->key_count * sizeof(struct s3_delete_key));
    struct buf name = { 0 }, out = { 0 };
    struct slice body;

    memcpy(keys, deed->keys, deed->key_count * sizeof(struct s3_delete_key));
    for (size_t i = 0; i < part->count && store->folder == NULL; i++) {
        struct s3_delete_key *key = &keys[part->which[i]];

        buf_clear(&name);
        s3_put_key(store, r->op.bucket, key->key, &name);
        key->key = arena_copy(&r->arena, buf_all(&name));
    }
    s3_write_delete(&out, keys, part->which, part->count);
    body = arena_copy(&r->arena, buf_all(&out));
    buf_fini(&name);
    buf_fini(&out);
    return body;
}

static void done(struct blob_fan *fan);

static void ask(struct delete_deed *deed)
{
    static const struct blob_param DELETE[] = {
        { { (const uint8_t *)"delete", 6 }, { 0 }, false }
    };
    struct blob_request *r = deed->request;

    deed->fan = blob_fan_new(r, deed->part_count, done);
    for (uint32_t i = 0; i < deed->part_count; i++) {
        struct delete_part *part = &deed->parts[i];
        struct blob_ask *what = &deed->fan->parts[i].call.ask;

        if (part->shard->settings->store.folder == NULL)
            s3_put_key(&part->shard->settings->store, r->op.bucket, (struct slice){ 0 },
                       &part->strip);
        deed->fan->parts[i].shard = part->shard;
        *what = (struct blob_ask){ .op = S3_OP_DELETE_OBJECTS,
                                   .bucket = r->op.bucket,
                                   .params = DELETE,
                                   .param_count = 1,
                                   .has_body = true,
                                   .body = body_of(deed, part) };
        what->length = what->body.len;
    }
    blob_fan_start(deed->fan);
}

/* ---- answers ---- */

struct reading {
    struct delete_deed *deed;
    struct delete_part *part;
    struct s3_reply_xml reply;
};

/* Stores answer in the order asked, or in any. */
static struct outcome *find(struct reading *reading, const struct s3_entry *entry)
{
    struct delete_deed *deed = reading->deed;
    struct delete_part *part = reading->part;
    struct slice name = entry->name;

    if (!slice_starts(name, buf_all(&part->strip)))
        return NULL;
    name = slice_from(name, part->strip.len);
    for (size_t n = 0; n < part->count; n++) {
        size_t i = part->which[(part->next + n) % part->count];

        if (!deed->outcomes[i].is_known && slice_is(deed->keys[i].key, name) &&
            (deed->keys[i].version.len == 0 || slice_is(deed->keys[i].version, entry->id))) {
            part->next = (part->next + n + 1) % part->count;
            return &deed->outcomes[i];
        }
    }
    return NULL;
}

static enum err take_entry(void *owner, const struct s3_entry *entry)
{
    struct reading *reading = owner;
    struct outcome *o = find(reading, entry);
    struct slice name;

    if (o == NULL)
        return ERR_NONE;
    name = o->entry.name;
    o->entry = *s3_entry_copy(&reading->deed->request->arena, entry, NULL);
    o->entry.name = name;
    o->is_known = true;
    return ERR_NONE;
}

static void fail_all(struct delete_deed *deed, const struct delete_part *part, const char *code,
                     struct slice message)
{
    message = arena_copy(&deed->request->arena, message);
    for (size_t i = 0; i < part->count; i++)
        if (!deed->outcomes[part->which[i]].is_known)
            set_error(&deed->outcomes[part->which[i]], code, message);
}

static void read_part(struct delete_deed *deed, struct delete_part *part,
                      struct blob_fan_part *answer)
{
    struct reading reading = { .deed = deed, .part = part };
    struct s3_fault fault = { 0 };
    enum err err;

    if (answer->err != ERR_NONE) {
        blob_fault_of_call(&answer->call, part->shard, answer->err, answer->why, &fault);
        fail_all(deed, part, s3_error_code(fault.error), slice_text(s3_fault_message(&fault)));
        return;
    }
    err = blob_fan_read(answer, &reading.reply, take_entry, &reading);
    if (answer->status >= 300 && err == ERR_NONE && reading.reply.root == S3_ROOT_ERROR &&
        blob_fault_of_login(deed->request, part->shard, s3_error_of_code(reading.reply.code),
                            &fault))
        fail_all(deed, part, s3_error_code(fault.error), slice_text(s3_fault_message(&fault)));
    else if (answer->status >= 300 && err == ERR_NONE && reading.reply.root == S3_ROOT_ERROR)
        fail_all(deed, part, s3_error_code(s3_error_of_code(reading.reply.code)),
                 reading.reply.message);
    else
        fail_all(deed, part, "InternalError", slice_text("Its store said nothing of it."));
    s3_reply_xml_fini(&reading.reply);
}

static void tell(struct delete_deed *deed)
{
    struct blob_request *r = deed->request;
    struct buf out = { 0 };

    s3_write_begin(&out, "DeleteResult");
    for (size_t i = 0; i < deed->key_count; i++)
        if (!deed->is_quiet || deed->outcomes[i].entry.kind == S3_ENTRY_NOT_DELETED)
            s3_write_deleted(&out, &deed->outcomes[i].entry);
    s3_write_close(&out, "DeleteResult");
    blob_answer_xml(r, 200, buf_all(&out));
    buf_fini(&out);
}

static void free_deed(struct delete_deed *deed)
{
    if (deed->fan != NULL)
        blob_fan_free(deed->fan);
    for (uint32_t i = 0; i < deed->part_count; i++)
        buf_fini(&deed->parts[i].strip);
}

static void done(struct blob_fan *fan)
{
    struct delete_deed *deed = fan->request->state;

    /* A bucket that no shard has is an error of the request. */
    if (fan->parts[0].err == ERR_NONE && fan->parts[0].status == 404) {
        struct blob_request *r = fan->request;
        struct slice body = arena_copy(&r->arena, buf_all(&fan->parts[0].answer.body));

        const struct blob_shard *shard = fan->parts[0].shard;

        free_deed(deed);
        blob_answer_refusal(r, shard, 404, body);
        return;
    }
    for (uint32_t i = 0; i < fan->count; i++)
        read_part(deed, &deed->parts[i], &fan->parts[i]);
    free_deed(deed);
    tell(deed);
}

/* ---- the deed ---- */

static void begin(struct blob_request *r)
{
    struct delete_deed *deed = arena_new(&r->arena, sizeof(*deed));
    struct s3_fault fault = { 0 };

    r->state = deed;
    deed->request = r;
    if (read_keys(r, deed, &fault) != ERR_NONE) {
        blob_refuse(r, &fault);
        return;
    }
    deed->outcomes = arena_new(&r->arena, (deed->key_count + 1) * sizeof(struct outcome));
    deed->parts = arena_new(&r->arena, r->side->shard_count * sizeof(struct delete_part));
    for (size_t i = 0; i < deed->key_count; i++) {
        look_at(deed, i);
        if (!deed->outcomes[i].is_known) {
            struct delete_part *part = part_of(deed, blob_shard_of(r->side, deed->keys[i].key));

            part->which[part->count++] = i;
        }
    }
    if (deed->part_count == 0)
        tell(deed);
    else
        ask(deed);
}

static void abandon(struct blob_request *r)
{
    free_deed(r->state);
}

const struct blob_deed blob_deed_delete = { .begin = begin, .abandon = abandon };
