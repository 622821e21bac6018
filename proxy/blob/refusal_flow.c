/* What a store refuses with, told as a refusal of ours: its code and words, but what was asked
 * here, in names that clients know.  A store's bucket may be another, and some say little. */
#include "proxy/base/log.h"
#include "proxy/blob/blob_flow.h"
#include "proxy/wire/s3_reply_xml.h"
#include "proxy/wire/s3_write.h"

enum { REFUSAL_BYTES = 64 * 1024 };

enum s3_error blob_error_of_status(const struct blob_request *r, unsigned status)
{
    switch (status) {
    case 404:
        return r->op.key.len > 0 ? S3_NO_SUCH_KEY : S3_NO_SUCH_BUCKET;
    case 403:
        return S3_ACCESS_DENIED;
    case 412:
        return S3_PRECONDITION_FAILED;
    case 416:
        return S3_INVALID_RANGE;
    case 501:
        return S3_NOT_IMPLEMENTED;
    case 503:
        return S3_SLOW_DOWN;
    default:
        return status >= 400 && status < 500 ? S3_INVALID_REQUEST : S3_INTERNAL_ERROR;
    }
}

/* False: it is no document that says what is wrong. */
static bool reads(struct s3_reply_xml *reply, struct arena *arena, struct slice document)
{
    s3_reply_xml_open(reply, arena, NULL, NULL, false);
    return s3_reply_xml_feed(reply, document) == ERR_NONE && s3_reply_xml_end(reply) == ERR_NONE &&
           reply->root == S3_ROOT_ERROR && reply->code.len > 0;
}

/* `reply` NULL: it says nothing. */
static void put_document(struct blob_request *r, unsigned status, const struct s3_reply_xml *reply,
                         struct buf *out)
{
    enum s3_error by_status = blob_error_of_status(r, status),
                  known = reply != NULL ? s3_error_of_code(reply->code) : by_status;
    struct s3_error_document document = {
        .code = reply != NULL ? arena_text(&r->arena, reply->code) : s3_error_code(known),
        .message = slice_text(s3_error_message(known != S3_NONE ? known : by_status)),
        .resource = r->http.path,
        .bucket = r->op.bucket,
        .request_id = slice_text(r->id),
    };

    if (reply != NULL && reply->message.len > 0)
        document.message = reply->message;
    if (reply != NULL)
        document.host_id = reply->request_id; /* so that the store's log has it, too */
    if (known == S3_NO_SUCH_KEY)
        document.key = r->op.key;
    s3_write_error(out, &document, false);
}

static bool is_of_login(const struct blob_request *r, enum s3_error error)
{
    switch ((int)error) {
    case S3_AUTHORIZATION_HEADER_MALFORMED:
    case S3_EXPIRED_TOKEN:
    case S3_INVALID_ACCESS_KEY_ID:
    case S3_INVALID_TOKEN:
    case S3_REQUEST_TIME_TOO_SKEWED:
        return true;
    case S3_SIGNATURE_DOES_NOT_MATCH: /* of a hash that the client said, it may be his fault */
        return r->payload_hash.len == 0;
    default:
        return false;
    }
}

bool blob_fault_of_login(const struct blob_request *r, const struct blob_shard *shard,
                         enum s3_error error, struct s3_fault *fault)
{
    if (shard->back != &blob_back_s3 || !is_of_login(r, error))
        return false;
    log_event(LOG_WARN, "a store does not take the keys that it is asked with",
              log_text("shard", shard->name), log_text("pool", r->side->name),
              log_text("why", s3_error_code(error)));
    s3_fault_say(fault, S3_SLOW_DOWN, "Shard %u (%s) does not serve: it does not take our keys: %s",
                 shard->index, shard->name, s3_error_code(error));
    return true;
}

/* In place of the store's document. */
static void put_fault(struct blob_request *r, const struct s3_fault *fault, struct buf *out)
{
    struct s3_error_document document = { .code = s3_error_code(fault->error),
                                          .message = slice_text(s3_fault_message(fault)),
                                          .resource = r->http.path,
                                          .request_id = slice_text(r->id) };

    s3_write_error(out, &document, false);
}

void blob_answer_refusal(struct blob_request *r, const struct blob_shard *shard, unsigned status,
                         struct slice document)
{
    struct s3_fault fault = { 0 };
    struct s3_reply_xml reply;
    struct buf out = { 0 };
    bool is_error;

    if (r->http.method == HTTP1_METHOD_HEAD) {
        blob_answer_nothing(r, status);
        return;
    }
    is_error = reads(&reply, &r->arena, document);
    if (is_error && slice_is_text(reply.request_id, r->id)) { /* a folder's: it is ours already */
        blob_answer_xml(r, status, document);
    } else if (is_error && blob_fault_of_login(r, shard, s3_error_of_code(reply.code), &fault)) {
        put_fault(r, &fault, &out);
        blob_answer_xml(r, s3_error_status(fault.error), buf_all(&out));
    } else {
        put_document(r, status, is_error ? &reply : NULL, &out);
        blob_answer_xml(r, status, buf_all(&out));
    }
    s3_reply_xml_fini(&reply);
    buf_fini(&out);
}

/* ---- of answers that stream ---- */

bool blob_refusal_begins(struct blob_request *r, const struct blob_answer *answer)
{
    if (answer->status < 300 || answer->status == 304 || r->http.method == HTTP1_METHOD_HEAD)
        return false;
    r->is_refused = true;
    r->status = answer->status;
    r->has_waited = r->waits;
    blob_answer_keep(r, answer);
    blob_body_wait(r);
    return true;
}

bool blob_refusal_takes(struct blob_request *r, struct slice bytes)
{
    if (r->is_refused && r->refusal.body.len + bytes.len <= REFUSAL_BYTES)
        blob_gather(&r->refusal, bytes);
    return r->is_refused;
}

bool blob_refusal_ends(struct blob_request *r)
{
    if (!r->is_refused)
        return false;
    r->waits = r->has_waited;
    blob_answer_refusal(r, blob_shard_of(r->side, r->op.key), r->status,
                        arena_copy(&r->arena, buf_all(&r->refusal.body)));
    return true;
}
