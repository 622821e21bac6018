/* Forms: a browser uploads by POST what a policy allows it to.  Fields come first, then the file.
 * It streams to its shard but for its last byte, which is held back until the form has ended and
 * all that it declares was verified.
 *
 * Stores want to know a file's length, and a form does not tell it.  A small form is read whole; of
 * a larger one it is known if the file is its last part, which is what all programs send.  A page
 * with a button behind the file is asked to put it before. */
#include <string.h>
#include <time.h>

#include "proxy/blob/blob_flow.h"
#include "proxy/blob/s3_form.h"
#include "proxy/wire/form_data.h"
#include "proxy/wire/http1_write.h"
#include "proxy/wire/s3_write.h"
#include "proxy/wire/uri.h"

enum { FORM_WHOLE_BYTES = 1024 * 1024 };

struct form_deed {
    struct blob_request *request;
    struct blob_shard *shard; /* NULL: the file has not begun */
    struct form_data reader;
    struct s3_form form;
    struct s3_policy_terms terms;
    struct checksum_set sums;
    struct blob_call call;
    struct buf kept; /* of the file: all of a small one, or what came before the store wanted it */
    struct blob_gathered refusal;
    uint64_t read;          /* bytes of the form */
    uint64_t length, taken; /* of the file */
    uint8_t last_byte;
    bool streams, holds_last, wants, file_ended, is_whole;
};

static bool refuse(struct form_deed *deed, const struct s3_fault *fault)
{
    blob_refuse(deed->request, fault);
    return false;
}

static bool refuse_with(struct form_deed *deed, enum s3_error error)
{
    blob_refuse_with(deed->request, error);
    return false;
}

/* ---- answers ---- */

static void let_go(struct form_deed *deed)
{
    form_data_fini(&deed->reader);
    buf_fini(&deed->kept);
    buf_fini(&deed->refusal.body);
}

static struct slice etag_of(const struct blob_answer *answer)
{
    for (size_t i = 0; i < answer->field_count; i++)
        if (slice_is_word(answer->fields[i].name, "etag"))
            return answer->fields[i].value;
    return (struct slice){ 0 };
}

static struct slice without_quotes(struct slice etag)
{
    return etag.len >= 2 && etag.at[0] == '"' ? slice_of(etag.at + 1, etag.len - 2) : etag;
}

static void put_location(const struct blob_request *r, struct buf *out)
{
    struct slice path = r->http.path;

    while (path.len > 0 && path.at[path.len - 1] == '/')
        path.len--;
    buf_text(out, r->side->settings->base.listen_tls.on ? "https://" : "http://");
    buf_slice(out, http1_value(&r->http.head, HTTP1_NAME_HOST));
    buf_slice(out, path);
    buf_text(out, "/");
    uri_put_encoded(out, r->op.key, URI_KEEP_SLASH);
}

/* Where the browser is sent, with what was done in the query; false: nowhere. */
static bool put_redirect(const struct form_deed *deed, struct slice etag, struct buf *out)
{
    const struct blob_request *r = deed->request;
    struct slice url = s3_form_value(&deed->form, "success_action_redirect");

    if (url.len == 0)
        url = s3_form_value(&deed->form, "redirect");
    if (!slice_starts(url, slice_text("http://")) && !slice_starts(url, slice_text("https://")))
        return false;
    for (size_t i = 0; i < url.len; i++)
        if (url.at[i] <= ' ' || url.at[i] == 0x7f)
            return false;
    buf_slice(out, url);
    buf_text(out, memchr(url.at, '?', url.len) == NULL ? "?bucket=" : "&bucket=");
    uri_put_encoded(out, r->op.bucket, URI_KEEP_UNRESERVED);
    buf_text(out, "&key=");
    uri_put_encoded(out, r->op.key, URI_KEEP_UNRESERVED);
    buf_text(out, "&etag=");
    uri_put_encoded(out, etag, URI_KEEP_UNRESERVED);
    return true;
}

static unsigned status_asked(const struct form_deed *deed)
{
    struct slice status = s3_form_value(&deed->form, "success_action_status");

    return slice_is_text(status, "200") ? 200 : slice_is_text(status, "201") ? 201 : 204;
}

/* What stores say of the object, not of themselves. */
static void put_fields(const struct blob_answer *answer, struct buf *out)
{
    for (size_t i = 0; i < answer->field_count; i++) {
        struct slice name = answer->fields[i].name;

        if (slice_is_word(name, "etag") ||
            (slice_starts(name, slice_text("x-amz-")) && !slice_is_text(name, "x-amz-request-id") &&
             !slice_is_text(name, "x-amz-id-2")))
            (void)!http1_put_field_named(out, name, answer->fields[i].value);
    }
}

static void answer(struct form_deed *deed)
{
    struct blob_request *r = deed->request;
    struct slice etag = etag_of(&deed->call.answer);
    struct buf *out, location = { 0 }, body = { 0 };
    unsigned status = status_asked(deed);

    if (put_redirect(deed, etag, &location))
        status = 303;
    else
        put_location(r, &location);
    if (status == 201)
        s3_write_posted(&body, &(struct s3_completed){ .location = buf_all(&location),
                                                       .bucket = r->op.bucket,
                                                       .key = r->op.key,
                                                       .etag = without_quotes(etag) });
    out = blob_answer_begin(r, status);
    put_fields(&deed->call.answer, out);
    (void)!http1_put_field(out, "location", buf_all(&location));
    if (body.len > 0)
        http1_put_field_text(out, "content-type", "application/xml");
    blob_answer_head(r, body.len);
    blob_answer_put(r, buf_all(&body));
    if (r->session->request == r) {
        let_go(deed);
        blob_answer_end(r);
    }
    buf_fini(&location);
    buf_fini(&body);
}

/* ---- the store ---- */

/* Once it wants the body, all that came meanwhile. */
static void on_room(struct blob_call *c)
{
    struct form_deed *deed = c->owner;

    if (!deed->wants) {
        deed->wants = true;
        blob_call_send(c, buf_all(&deed->kept));
        buf_fini(&deed->kept);
    }
    if (blob_call_has_room(c))
        blob_body_wanted(deed->request);
}

static void on_body(struct blob_call *c, struct slice bytes)
{
    struct form_deed *deed = c->owner;

    blob_gather(&deed->refusal, bytes);
}

static void on_ended(struct blob_call *c, enum err err, const char *why)
{
    struct form_deed *deed = c->owner;
    struct blob_request *r = deed->request;
    struct s3_fault fault = { 0 };

    if (err != ERR_NONE) {
        blob_fault_of_call(c, deed->shard, err, why, &fault);
        refuse(deed, &fault);
    } else if (c->answer.status >= 300) {
        struct slice body = arena_copy(&r->arena, buf_all(&deed->refusal.body));
        uint16_t status = c->answer.status;

        let_go(deed);
        blob_answer_refusal(r, deed->shard, status, body);
    } else if (!deed->is_whole) { /* of a body that it has not had */
        refuse_with(deed, S3_INTERNAL_ERROR);
    } else {
        answer(deed);
    }
}

static const struct blob_events EVENTS = { .room = on_room, .body = on_body, .ended = on_ended };

static enum s3_error start_call(struct form_deed *deed, struct s3_fault *fault)
{
    struct blob_request *r = deed->request;
    struct blob_ask *ask = &deed->call.ask;

    *ask = (struct blob_ask){ .op = S3_OP_PUT_OBJECT,
                              .request_id = slice_text(deed->request->id),
                              .bucket = r->op.bucket,
                              .key = r->op.key,
                              .has_body = true,
                              .length = deed->length };
    if (s3_form_ask(&deed->form, ask, fault) != S3_NONE)
        return fault->error;
    for (size_t i = 0; i < ask->field_count; i++)
        if (slice_starts(ask->fields[i].name, slice_text("x-amz-server-side-encryption")) &&
            !blob_heeds_encryption(r)) {
            s3_fault_set(fault, S3_NOT_IMPLEMENTED);
            return fault->error;
        }
    if (!deed->streams)
        ask->body = deed->length > 0 ? buf_all(&deed->kept) : slice_text("");
    deed->call.owner = deed;
    blob_call_start(&deed->call, deed->shard, &EVENTS);
    return S3_NONE;
}

/* ---- the form ---- */

static enum s3_error check_length(const struct form_deed *deed, struct s3_fault *fault)
{
    uint64_t most = deed->request->side->settings->max_object_bytes;

    if (deed->length > deed->terms.length_most || deed->length > most)
        s3_fault_set(fault, S3_ENTITY_TOO_LARGE);
    else if (deed->length < deed->terms.length_least)
        s3_fault_set(fault, S3_ENTITY_TOO_SMALL);
    return fault->error;
}

/* Who allows this form, and what? */
static enum s3_error check_policy(struct form_deed *deed, struct s3_fault *fault)
{
    struct blob_request *r = deed->request;
    struct sigv4_form signing;
    bool is_signed;
    enum s3_error error;

    s3_form_signing(&deed->form, &signing);
    is_signed = signing.policy.at != NULL || signing.signature.at != NULL;
    deed->terms.length_most = UINT64_MAX;
    error = blob_permit_form(r, is_signed ? &signing : NULL, fault);
    if (error == S3_NONE && is_signed)
        error = s3_policy_check(signing.policy, deed->form.fields, deed->form.count,
                                (uint64_t)time(NULL), &deed->terms, fault);
    return error;
}

static bool begin_file(struct form_deed *deed, struct slice file_name)
{
    struct blob_request *r = deed->request;
    uint64_t rest = r->length - deed->read,
             behind = deed->reader.delimiter_len + FORM_DATA_CLOSE_BYTES;
    struct s3_fault fault = { 0 };
    enum s3_error error = s3_form_close(&deed->form, r->op.bucket, file_name, &r->op.key, &fault);

    if (error == S3_NONE)
        error = check_policy(deed, &fault);
    if (error == S3_NONE)
        error = s3_form_declare(&deed->form, &deed->sums, &fault);
    if (error != S3_NONE)
        return refuse(deed, &fault);
    deed->shard = blob_shard_of(r->side, r->op.key);
    deed->streams = rest > FORM_WHOLE_BYTES;
    if (!deed->streams)
        return true;
    deed->length = rest - behind;
    if (check_length(deed, &fault) != S3_NONE || start_call(deed, &fault) != S3_NONE)
        return refuse(deed, &fault);
    blob_body_wait(r); /* of this piece what is left is kept */
    return true;
}

static void give(struct form_deed *deed, struct slice bytes)
{
    if (deed->streams && deed->wants)
        blob_call_send(&deed->call, bytes);
    else
        buf_slice(&deed->kept, bytes);
}

static bool refuse_length(struct form_deed *deed)
{
    struct s3_fault fault = { 0 };

    s3_fault_say(&fault, S3_MALFORMED_POST_REQUEST,
                 "A form of more than 1 MiB must end with its file and \"--\\r\\n\": put other "
                 "fields before it.");
    return refuse(deed, &fault);
}

static bool take_bytes(struct form_deed *deed, struct slice bytes)
{
    checksum_set_add(&deed->sums, bytes);
    if (deed->streams && bytes.len > deed->length - deed->taken)
        return refuse_length(deed);
    deed->taken += bytes.len;
    if (deed->streams && deed->taken == deed->length) {
        deed->holds_last = true;
        deed->last_byte = bytes.at[--bytes.len];
    }
    give(deed, bytes);
    return true;
}

static bool end_file(struct form_deed *deed)
{
    deed->file_ended = true;
    if (deed->streams && deed->taken != deed->length)
        return refuse_length(deed);
    deed->length = deed->taken;
    return true;
}

/* False: the request is over. */
static bool take(struct form_deed *deed, enum form_data_found found,
                 const struct form_data_part *part)
{
    struct s3_fault fault = { 0 };

    switch (found) {
    case FORM_DATA_FIELD:
        return s3_form_add(&deed->form, part->name, part->value, &fault) == S3_NONE ||
               refuse(deed, &fault);
    case FORM_DATA_FILE:
        return begin_file(deed, part->file_name);
    case FORM_DATA_BYTES:
        return take_bytes(deed, part->value);
    case FORM_DATA_FILE_END:
        return end_file(deed);
    case FORM_DATA_MORE:
    case FORM_DATA_END:
        return true;
    case FORM_DATA_TOO_LONG:
        return refuse_with(deed, S3_MAX_POST_PRE_DATA_LENGTH_EXCEEDED);
    case FORM_DATA_BAD:
        return refuse_with(deed, S3_MALFORMED_POST_REQUEST);
    }
    return true;
}

/* ---- the deed ---- */

static void begin(struct blob_request *r)
{
    struct form_deed *deed = arena_new(&r->arena, sizeof(*deed));

    r->state = deed;
    deed->request = r;
    deed->form.arena = &r->arena;
    if (form_data_init(&deed->reader, http1_value(&r->http.head, HTTP1_NAME_CONTENT_TYPE)) !=
        ERR_NONE) {
        struct s3_fault fault = { 0 };

        s3_fault_say(&fault, S3_INVALID_REQUEST,
                     "Bucket POST must be of the enclosure-type multipart/form-data");
        refuse(deed, &fault);
        return;
    }
    blob_body_wanted(r);
}

static void body(struct blob_request *r, struct slice piece)
{
    struct form_deed *deed = r->state;
    struct form_data_part part;
    enum form_data_found found;

    do {
        size_t before = piece.len;

        found = form_data_next(&deed->reader, &piece, &part);
        deed->read += before - piece.len;
        if (!take(deed, found, &part))
            return;
    } while (found != FORM_DATA_MORE);
    if (deed->streams && (!deed->wants || !blob_call_has_room(&deed->call)))
        blob_body_wait(r);
}

static void body_ended(struct blob_request *r)
{
    struct form_deed *deed = r->state;
    struct s3_fault fault = { 0 };
    enum s3_error error;

    if (deed->shard == NULL) {
        refuse_with(deed, S3_INCORRECT_NUMBER_OF_FILES_IN_POST_REQUEST);
        return;
    }
    if (!deed->file_ended || deed->reader.stage != FORM_DATA_IN_EPILOGUE) {
        refuse_with(deed, S3_MALFORMED_POST_REQUEST);
        return;
    }
    error = check_length(deed, &fault);
    if (error == S3_NONE)
        error = checksum_set_end(&deed->sums, &fault);
    deed->is_whole = error == S3_NONE;
    if (error == S3_NONE && !deed->streams)
        error = start_call(deed, &fault);
    if (error != S3_NONE)
        refuse(deed, &fault);
    else if (deed->holds_last)
        give(deed, slice_of(&deed->last_byte, 1));
}

static void abandon(struct blob_request *r)
{
    struct form_deed *deed = r->state;

    blob_call_abort(&deed->call);
    let_go(deed);
}

const struct blob_deed blob_deed_form = {
    .begin = begin,
    .body = body,
    .body_ended = body_ended,
    .abandon = abandon,
};
