/* Lists: each shard gives its own, in pages; merged they are one, by shard/listing.h.  What is
 * asked of shards is always V2 (start-after is understood everywhere alike) and percent-encoded;
 * what the client asked for decides only how it is told. */
#include <stdio.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/blob/back_s3.h"
#include "proxy/blob/blob_flow.h"
#include "proxy/wire/http1_write.h"
#include "proxy/wire/s3_reply_xml.h"
#include "proxy/wire/s3_write.h"
#include "shard/list_token.h"
#include "shard/listing.h"

enum {
    PARAMS_MOST = 8,
    LIST_RETRIES = 2,
    ROOM_BYTES = 1024 * 1024, /* what a list may leave to the next */
};

struct list_part {
    struct list_deed *deed;
    struct blob_shard *shard;
    struct blob_call call;
    struct arena arena; /* of one page: what is asked, and the reply's own texts */
    struct arena *page; /* borrowed: the listing's, whose size it bounds: the entries */
    struct s3_reply_xml reply;
    struct buf strip; /* what the store's names begin with, and the client's do not */
    const struct s3_entry *before;
    char number[16];
    bool is_open, is_missing; /* the reply is read; it is left out */
    bool asks_plainly;        /* names are not to be percent-encoded */
    enum err err;
};

struct list_deed {
    struct blob_request *request;
    struct listing listing;
    struct s3_list_writer writer;
    struct slice prefix, delimiter, after, after_id;
    uint32_t max_keys, part_count, after_shard;
    bool is_groups, is_url, has_missing;
    struct list_part parts[];
};

/* ---- what the client asked ---- */

static bool is_v2(const struct blob_request *r)
{
    return r->op.op == S3_OP_LIST_OBJECTS_V2;
}

static const char *max_name(enum s3_op op)
{
    return op == S3_OP_LIST_UPLOADS ? "max-uploads" : "max-keys";
}

static const char *id_name(enum s3_op op)
{
    return op == S3_OP_LIST_UPLOADS ? "upload-id-marker" : "version-id-marker";
}

static bool read_max(struct blob_request *r, struct list_deed *deed)
{
    struct slice text = s3_param_value(&r->op, max_name(r->op.op));
    uint64_t most = LISTING_MAX_KEYS;

    if (text.len > 0 && (!slice_to_u64(text, &most) || most > INT32_MAX))
        return false;
    deed->max_keys = most > LISTING_MAX_KEYS ? LISTING_MAX_KEYS : (uint32_t)most;
    return true;
}

static bool read_after(struct blob_request *r, struct list_deed *deed)
{
    struct slice token = s3_param_value(&r->op, "continuation-token");
    struct list_token read;

    switch ((int)r->op.op) {
    case S3_OP_LIST_OBJECTS:
        deed->after = s3_param_value(&r->op, "marker");
        return true;
    case S3_OP_LIST_OBJECTS_V2:
        deed->after = s3_param_value(&r->op, "start-after");
        if (s3_param(&r->op, "continuation-token") == NULL)
            return true;
        if (list_token_read(token, blob_token_seed(r), &r->arena, &read) != ERR_NONE ||
            read.epoch != blob_map_epoch(r->side))
            return false;
        deed->after = read.name;
        return true;
    default:
        deed->after = s3_param_value(&r->op, "key-marker");
        deed->after_id = s3_param_value(&r->op, id_name(r->op.op));
        return deed->after.len > 0 || deed->after_id.len == 0 || r->op.op == S3_OP_LIST_UPLOADS;
    }
}

static bool read_encoding(struct blob_request *r, struct list_deed *deed)
{
    struct slice encoding = s3_param_value(&r->op, "encoding-type");

    deed->is_url = slice_is_text(encoding, "url");
    return encoding.len == 0 || deed->is_url;
}

/* In the list's own order, which a reload does not change. */
static uint32_t number_of(const struct list_part *part)
{
    return (uint32_t)(part - part->deed->parts);
}

/* ---- asking a shard ---- */

static void add_param(struct blob_param *params, size_t *count, const char *name,
                      struct slice value)
{
    if (value.len > 0)
        params[(*count)++] = (struct blob_param){ slice_text(name), value, true };
}

static enum s3_op op_asked(const struct blob_request *r)
{
    return r->op.op == S3_OP_LIST_OBJECTS ? S3_OP_LIST_OBJECTS_V2 : r->op.op;
}

static enum err take_entry(void *owner, const struct s3_entry *entry);
static const struct blob_events EVENTS;

static void ask(struct list_part *part, const struct listing_ask *what)
{
    struct list_deed *deed = part->deed;
    enum s3_op op = op_asked(deed->request);
    struct blob_param *params;
    size_t count = 0;

    arena_fini(&part->arena);
    params = arena_new(&part->arena, PARAMS_MOST * sizeof(*params));
    snprintf(part->number, sizeof(part->number), "%u", what->max);
    if (op == S3_OP_LIST_OBJECTS_V2)
        add_param(params, &count, "list-type", slice_text("2"));
    if (op == S3_OP_LIST_VERSIONS || op == S3_OP_LIST_UPLOADS)
        params[count++] = (struct blob_param){
            .name = slice_text(op == S3_OP_LIST_UPLOADS ? "uploads" : "versions")
        };
    add_param(params, &count, "prefix", deed->prefix);
    add_param(params, &count, "delimiter", deed->delimiter);
    if (!part->asks_plainly)
        add_param(params, &count, "encoding-type", slice_text("url"));
    if (op == S3_OP_LIST_OBJECTS_V2 && deed->writer.has_owner)
        add_param(params, &count, "fetch-owner", slice_text("true"));
    add_param(params, &count, max_name(op), slice_text(part->number));
    add_param(params, &count, deed->is_groups ? "key-marker" : "start-after",
              arena_copy(&part->arena, what->after));
    add_param(params, &count, id_name(op), arena_copy(&part->arena, what->after_id));
    part->call.ask = (struct blob_ask){
        .op = op, .bucket = deed->request->op.bucket, .params = params, .param_count = count
    };
    part->call.owner = part;
    part->err = ERR_NONE;
    part->before = NULL;
    s3_reply_xml_open(&part->reply, &part->arena, take_entry, part, !part->asks_plainly);
    part->is_open = true;
    part->page = listing_page_open(&deed->listing, number_of(part));
    part->call.ask.request_id = slice_text(part->deed->request->id);
    blob_call_start(&part->call, part->shard, &EVENTS);
}

static void close_reply(struct list_part *part)
{
    if (part->is_open)
        s3_reply_xml_fini(&part->reply);
    part->is_open = false;
}

/* ---- the answer ---- */

static struct slice text_of(const struct buf *b)
{
    return b->len > 0 ? buf_all(b) : (struct slice){ 0 };
}

/* What a client says to go on within the last key: of an upload, the id that we gave it. */
static struct slice next_id(const struct blob_request *r, const struct listing *l, struct buf *text)
{
    struct upload_token token = { .epoch = blob_map_epoch(r->side),
                                  .shard = l->last_shard,
                                  .id = buf_all(&l->last_id) };

    if (!l->is_truncated || l->last_id.len == 0 || l->last_id.len > UPLOAD_TOKEN_ID_BYTES)
        return (struct slice){ 0 };
    if (r->op.op != S3_OP_LIST_UPLOADS)
        return token.id;
    upload_token_write(&token, blob_token_seed(r), text);
    return buf_all(text);
}

static void fill_head(struct blob_request *r, struct list_deed *deed, struct buf *token,
                      struct s3_list_head *head)
{
    const struct listing *l = &deed->listing;
    struct slice last = l->is_truncated ? text_of(&l->last_name) : (struct slice){ 0 };
    struct list_token next = { .epoch = blob_map_epoch(r->side),
                               .is_prefix = l->last_is_prefix,
                               .name = last };

    *head = (struct s3_list_head){
        .bucket = r->op.bucket,
        .prefix = deed->prefix,
        .delimiter = deed->delimiter,
        .max_keys = deed->max_keys,
        .is_truncated = l->is_truncated,
    };
    if (is_v2(r)) {
        head->start_after = s3_param_value(&r->op, "start-after");
        head->token = s3_param_value(&r->op, "continuation-token");
        if (last.len > 0)
            list_token_write(&next, blob_token_seed(r), token);
        head->next_token = text_of(token);
    } else if (r->op.op == S3_OP_LIST_OBJECTS) {
        head->marker = deed->after;
        head->next_marker = deed->delimiter.len > 0 ? last : (struct slice){ 0 };
    } else {
        head->key_marker = deed->after;
        head->id_marker = s3_param_value(&r->op, id_name(r->op.op));
        head->next_key_marker = last;
        head->next_id_marker = next_id(r, l, token);
    }
}

/* Memory that is as large as an answer is taken from the system anew for each and given back, if
 * nobody keeps it: that took a quarter of the time. */
static void take_room(struct list_deed *deed)
{
    struct blob_works *works = blob_works_of(deed->request->side->worker);

    deed->writer.entries = works->list_room;
    works->list_room = (struct buf){ 0 };
    works->list_room_in_use = true;
}

static void leave_room(struct blob_works *works, struct s3_list_writer *writer)
{
    if (works->list_room.at == NULL && writer->entries.cap <= ROOM_BYTES) {
        works->list_room = writer->entries;
        buf_clear(&works->list_room);
        writer->entries = (struct buf){ 0 };
    }
    s3_list_fini(writer);
}

static void free_deed(struct list_deed *deed)
{
    for (uint32_t i = 0; i < deed->part_count; i++) {
        blob_call_abort(&deed->parts[i].call);
        close_reply(&deed->parts[i]);
        arena_fini(&deed->parts[i].arena);
        buf_fini(&deed->parts[i].strip);
    }
    listing_fini(&deed->listing);
}

static void tell(struct list_deed *deed)
{
    struct blob_request *r = deed->request;
    struct blob_session *s = r->session;
    struct blob_works *works = blob_works_of(s->base.worker);
    struct buf before = { 0 }, token = { 0 }, *answer;
    struct s3_list_writer writer = deed->writer;
    struct s3_list_head head;

    fill_head(r, deed, &token, &head);
    s3_list_wrap(&writer, &head, &before);
    buf_fini(&token);
    answer = blob_answer_begin(r, 200);
    http1_put_field_text(answer, "content-type", "application/xml");
    if (deed->has_missing)
        http1_put_field_text(answer, "x-sheaf-incomplete", "a shard did not answer");
    free_deed(deed);
    r->began = false; /* nothing of it is left to abandon */
    blob_answer_head(r, before.len + writer.entries.len);
    blob_answer_put(r, buf_all(&before));
    if (s->request == r)
        blob_answer_put(r, buf_all(&writer.entries));
    buf_fini(&before);
    leave_room(works, &writer);
    if (s->request == r)
        blob_answer_end(r);
}

/* Pages of all shards, and what is written of the answer. */
static void weigh(struct list_deed *deed)
{
    struct blob_request *r = deed->request;

    r->deed_bytes = deed->writer.entries.cap + deed->writer.prefixes.cap;
    for (uint32_t i = 0; i < deed->part_count; i++) {
        const struct list_part *part = &deed->parts[i];

        r->deed_bytes += part->arena.held + (part->page == NULL ? 0 : part->page->held);
    }
    blob_request_weigh(r);
}

/* Asks whom the merge wants asked, takes what it has.  False: the request is over. */
static bool go_on(struct list_deed *deed)
{
    struct listing_item item;
    struct listing_ask what;
    enum listing_step step;

    for (uint32_t i = 0; i < deed->part_count; i++)
        if (listing_wants(&deed->listing, i, &what))
            ask(&deed->parts[i], &what);
    while ((step = listing_next(&deed->listing, &item)) == LISTING_ITEM)
        s3_list_put(&deed->writer, item.payload);
    weigh(deed);
    if (step == LISTING_ENDED) {
        tell(deed);
        return false;
    }
    for (uint32_t i = 0; i < deed->part_count; i++)
        if (listing_wants(&deed->listing, i, &what))
            ask(&deed->parts[i], &what);
    return true;
}

/* ---- pages ---- */

/* A name as clients have it; false: it is not in their bucket. */
static bool strip(const struct list_part *part, struct slice *name)
{
    if (!slice_starts(*name, buf_all(&part->strip)))
        return part->strip.len == 0;
    *name = slice_from(*name, part->strip.len);
    return true;
}

static void wrap_upload(struct list_part *part, struct s3_entry *entry)
{
    struct blob_request *r = part->deed->request;
    struct upload_token token = { .epoch = blob_map_epoch(r->side),
                                  .shard = part->shard->index,
                                  .id = entry->id };
    struct buf text = { 0 };

    if (entry->id.len == 0 || entry->id.len > UPLOAD_TOKEN_ID_BYTES)
        return;
    upload_token_write(&token, blob_token_seed(r), &text);
    entry->id = arena_copy(&part->arena, buf_all(&text));
    buf_fini(&text);
}

/* Folders know no owners, and clients look for them. */
static void fill_owners(struct s3_entry *entry)
{
    if (entry->owner_id.len == 0)
        entry->owner_id = entry->owner_name = slice_text(BLOB_OWNER);
    if (entry->initiator_id.len == 0)
        entry->initiator_id = entry->initiator_name = slice_text(BLOB_OWNER);
}

static enum err take_entry(void *owner, const struct s3_entry *entry)
{
    struct list_part *part = owner;
    struct list_deed *deed = part->deed;
    struct s3_entry one = *entry;
    struct listing_item item = { .is_prefix = entry->kind == S3_ENTRY_PREFIX };
    struct s3_entry *kept;

    if (!strip(part, &one.name))
        return ERR_PROTOCOL;
    item.id = one.id; /* by the store's own, it is asked to go on */
    if (one.kind == S3_ENTRY_UPLOAD)
        wrap_upload(part, &one);
    if (deed->writer.has_owner && !item.is_prefix)
        fill_owners(&one);
    kept = s3_entry_copy(part->page, &one, part->before);
    part->before = kept;
    item.name = kept->name;
    item.payload = kept;
    return listing_page_put(&deed->listing, number_of(part), &item);
}

static void on_body(struct blob_call *c, struct slice bytes)
{
    struct list_part *part = c->owner;

    if (part->err == ERR_NONE)
        part->err = s3_reply_xml_feed(&part->reply, bytes);
}

static void refuse(struct list_part *part, enum err err, const char *why)
{
    struct list_deed *deed = part->deed;
    struct s3_fault fault = { 0 };

    blob_fault_of_call(&part->call, part->shard, err, why, &fault);
    blob_refuse(deed->request, &fault);
}

/* The store's own refusal is the client's. */
static void pass_error(struct list_part *part)
{
    struct blob_request *r = part->deed->request;
    enum s3_error error = s3_error_of_code(part->reply.code);
    struct s3_fault fault = { 0 };

    if (part->reply.root != S3_ROOT_ERROR || error == S3_NONE) {
        refuse(part, ERR_PROTOCOL, "it answers a list with an error");
        return;
    }
    if (!blob_fault_of_login(r, part->shard, error, &fault))
        s3_fault_set(&fault, error);
    blob_refuse(r, &fault);
}

static bool are_others_missing(const struct list_part *part)
{
    for (uint32_t i = 0; i < part->deed->part_count; i++)
        if (&part->deed->parts[i] != part && !part->deed->parts[i].is_missing)
            return false;
    return true;
}

/* A shard that does not answer makes the list wrong, unless the operator wants it anyway; nothing
 * at all is no part of a list. */
static bool may_be_missing(struct list_part *part)
{
    struct list_deed *deed = part->deed;

    if (deed->request->side->settings->reads_while_shard_down != BLOB_SHARD_DOWN_PARTIAL ||
        are_others_missing(part))
        return false;
    deed->has_missing = part->is_missing = true;
    return listing_page_close(&deed->listing, number_of(part), false) == ERR_NONE;
}

/* A store that does not heed encoding-type=url seems to give other names than it has, and not in
 * their order.  It is asked once more, and in future, for plain ones: then names with characters
 * that XML cannot hold are its own trouble. */
static bool asks_plainly_then(struct list_part *part)
{
    struct list_deed *deed = part->deed;

    if (part->err == ERR_NONE || part->asks_plainly || !part->reply.saw_percent ||
        part->reply.is_url)
        return false;
    part->asks_plainly = part->shard->lists_plainly = true;
    close_reply(part);
    listing_unask(&deed->listing, number_of(part));
    (void)go_on(deed);
    return true;
}

static void on_ended(struct blob_call *c, enum err err, const char *why)
{
    struct list_part *part = c->owner;
    struct list_deed *deed = part->deed;

    if (err != ERR_NONE) {
        close_reply(part);
        if (may_be_missing(part))
            (void)go_on(deed);
        else
            refuse(part, err, why);
        return;
    }
    if (part->err == ERR_NONE)
        part->err = s3_reply_xml_end(&part->reply);
    if (c->answer.status >= 300) {
        pass_error(part);
        return;
    }
    if (asks_plainly_then(part))
        return;
    if (part->err == ERR_NONE)
        part->err = listing_page_close(&deed->listing, number_of(part), part->reply.is_truncated);
    if (part->err != ERR_NONE) {
        refuse(part, part->err,
               deed->listing.problem != NULL ? deed->listing.problem
                                             : "its list is not well formed");
        return;
    }
    s3_reply_xml_fini(&part->reply);
    part->is_open = false;
    (void)go_on(deed);
}

static const struct blob_events EVENTS = { .body = on_body, .ended = on_ended };

/* ---- the deed ---- */

static struct list_deed *deed_new(struct blob_request *r)
{
    uint32_t count = r->side->shard_count;
    struct list_deed *deed = arena_new(&r->arena, sizeof(*deed) + count * sizeof(struct list_part));

    r->state = deed;
    deed->request = r;
    deed->part_count = count;
    deed->is_groups = r->op.op == S3_OP_LIST_VERSIONS || r->op.op == S3_OP_LIST_UPLOADS;
    deed->prefix = s3_param_value(&r->op, "prefix");
    deed->delimiter = s3_param_value(&r->op, "delimiter");
    for (uint32_t i = 0; i < count; i++) {
        struct list_part *part = &deed->parts[i];

        part->deed = deed;
        part->shard = r->side->shards[i];
        part->asks_plainly = part->shard->lists_plainly;
        if (part->shard->settings->store.folder == NULL)
            s3_put_key(&part->shard->settings->store, r->op.bucket, (struct slice){ 0 },
                       &part->strip);
    }
    return deed;
}

static enum s3_list_kind kind_of(enum s3_op op)
{
    switch ((int)op) {
    case S3_OP_LIST_OBJECTS:
        return S3_LIST_OBJECTS_V1;
    case S3_OP_LIST_VERSIONS:
        return S3_LIST_VERSIONS;
    case S3_OP_LIST_UPLOADS:
        return S3_LIST_UPLOADS;
    default:
        return S3_LIST_OBJECTS_V2;
    }
}

/* The id that a client goes on behind is the store's for versions, ours for uploads. */
static bool unwrap_after(struct blob_request *r, struct list_deed *deed)
{
    struct upload_token token;

    deed->after_shard = blob_shard_of(r->side, deed->after)->index;
    if (r->op.op != S3_OP_LIST_UPLOADS || deed->after_id.len == 0)
        return true;
    if (upload_token_read(deed->after_id, blob_token_seed(r), r->side->shard_count, &r->arena,
                          &token) != ERR_NONE ||
        token.epoch != blob_map_epoch(r->side))
        return false;
    deed->after_id = token.id;
    deed->after_shard = token.shard;
    return true;
}

static void begin(struct blob_request *r)
{
    struct list_deed *deed = deed_new(r);
    struct listing_options options;

    if (!read_max(r, deed) || !read_after(r, deed) || !read_encoding(r, deed) ||
        !unwrap_after(r, deed)) {
        blob_refuse_with(r, S3_INVALID_ARGUMENT);
        return;
    }
    options = (struct listing_options){
        .kind = deed->is_groups ? LISTING_GROUPS : LISTING_OBJECTS,
        .shards = deed->part_count,
        .max_keys = deed->max_keys,
        .after = deed->after,
        .after_id = deed->after_id,
        .after_shard = deed->after_shard,
        .hidden = slice_text(BLOB_RESERVED),
    };
    listing_open(&deed->listing, &options);
    s3_list_open(&deed->writer, kind_of(r->op.op), deed->is_url);
    take_room(deed);
    deed->writer.has_owner = r->op.op != S3_OP_LIST_OBJECTS_V2 ||
                             slice_is_text(s3_param_value(&r->op, "fetch-owner"), "true");
    (void)go_on(deed);
}

static void abandon(struct blob_request *r)
{
    struct list_deed *deed = r->state;

    free_deed(deed);
    leave_room(blob_works_of(r->side->worker), &deed->writer);
}

const struct blob_deed blob_deed_list = { .begin = begin, .abandon = abandon };
