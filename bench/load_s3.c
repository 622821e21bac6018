/* S3: objects in one bucket, `s3://ID:SECRET@HOST:PORT/BUCKET`.  Each request is signed anew, in
 * its fields and with kept keys: that costs less than sending it.  Without an ID nothing is signed.
 *
 * What is written under a key is the same for all keys, so that a large body is hashed once and not
 * for each request; with --verify it is the key's own.  Bodies of answers are dropped as they come,
 * unless they are to be verified. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "bench/ledger.h"
#include "bench/load.h"
#include "bench/target.h"
#include "proxy/base/mem.h"
#include "proxy/wire/base64.h"
#include "proxy/wire/digest.h"
#include "proxy/wire/http1_body.h"
#include "proxy/wire/http1_write.h"
#include "proxy/wire/sigv4_sign.h"
#include "proxy/wire/uri.h"

enum { STATUS_AT = 9, STATUS_DIGITS = 3 }; /* within "HTTP/1.1 200 OK" */

static const char REGION[] = "us-east-1";

/* How a body is declared, and what is asked besides. */
enum s3_manner {
    MANNER_PLAIN,
    MANNER_UNSIGNED, /* a body whose hash the signature does not have */
    MANNER_CHECKED,  /* a body with x-amz-checksum-sha256: whoever takes it verifies that */
    MANNER_REFUSED,  /* a signature that is wrong: the answer must be 403 */
};

static const struct verb {
    const char *name, *method;
    enum http1_method is;
    enum s3_manner manner;
    const char *query; /* NULL: it is of an object */
} VERBS[] = {
    { "get", "GET", HTTP1_METHOD_GET, MANNER_PLAIN, NULL },
    { "set", "PUT", HTTP1_METHOD_PUT, MANNER_PLAIN, NULL },
    { "put", "PUT", HTTP1_METHOD_PUT, MANNER_PLAIN, NULL },
    { "put-unsigned", "PUT", HTTP1_METHOD_PUT, MANNER_UNSIGNED, NULL },
    { "put-checked", "PUT", HTTP1_METHOD_PUT, MANNER_CHECKED, NULL },
    { "del", "DELETE", HTTP1_METHOD_DELETE, MANNER_PLAIN, NULL },
    { "get-refused", "GET", HTTP1_METHOD_GET, MANNER_REFUSED, NULL },
    { "list", "GET", HTTP1_METHOD_GET, MANNER_PLAIN, "list-type=2" },
};

/* A thread's. */
static _Thread_local struct s3_pen {
    struct sigv4_keys *keys;
    struct sigv4_scratch scratch;
    struct buf path, body;
    size_t hashed; /* of bodies of this length, all alike, is: */
    uint8_t digest[DIGEST_SHA256_BYTES];
    bool has_digest;
} pen;

static const struct verb *verb_of(const struct load *load, const struct load_call *call)
{
    return load->mix->entries[call->command].prepared;
}

static enum err s3_prepare(const struct load *load, struct mix_entry *entry, char *why,
                           size_t why_size)
{
    size_t used;

    (void)load;
    if (entry->is_template) {
        snprintf(why, why_size, "S3 has no templates, only verbs (-m)");
        return ERR_UNSUPPORTED;
    }
    if (entry->many > 1) {
        snprintf(why, why_size, "%.40s takes one key", entry->text);
        return ERR_RANGE;
    }
    for (size_t i = 0; i < sizeof(VERBS) / sizeof(VERBS[0]); i++) {
        if (strcasecmp(VERBS[i].name, entry->text) == 0) {
            entry->prepared = (void *)&VERBS[i];
            return ERR_NONE;
        }
    }
    used = (size_t)snprintf(why, why_size, "no verb \"%.40s\"; there are", entry->text);
    for (size_t i = 0; i < sizeof(VERBS) / sizeof(VERBS[0]) && used < why_size; i++)
        used += (size_t)snprintf(why + used, why_size - used, " %s", VERBS[i].name);
    return ERR_NOT_FOUND;
}

static void s3_release(struct mix_entry *entry)
{
    entry->prepared = NULL;
}

static uint32_t s3_greet(const struct load *load, struct buf *out)
{
    (void)load;
    (void)out;
    return 0;
}

/* ---- requests ---- */

/* Sizes have dice of their own, so that judge() can go through the keys alone. */
static struct dice size_dice(const struct load_call *call)
{
    return (struct dice){ ~call->seed };
}

static bool is_put(const struct verb *verb)
{
    return verb->is == HTTP1_METHOD_PUT;
}

/* The body, to pen.body, and its hash. */
static void make_body(const struct load *load, const struct load_call *call, struct slice key)
{
    struct dice sizes = size_dice(call);
    size_t size = payload_size(&load->values, key, &sizes);

    if (!load->values.tagged && pen.has_digest && pen.hashed == size)
        return;
    buf_clear(&pen.body);
    payload_put(&load->values, &pen.body, load->values.tagged ? key : (struct slice){ 0 },
                call->version, size);
    digest_sha256(buf_all(&pen.body), pen.digest);
    pen.hashed = size;
    pen.has_digest = true;
}

static struct slice payload_of(const struct verb *verb, char hex[DIGEST_SHA256_HEX])
{
    if (!is_put(verb))
        return slice_text(DIGEST_OF_NOTHING);
    if (verb->manner != MANNER_PLAIN)
        return slice_text("UNSIGNED-PAYLOAD");
    digest_hex(slice_of(pen.digest, sizeof(pen.digest)), hex);
    return slice_of(hex, DIGEST_SHA256_HEX);
}

static void make_path(const struct load *load, const struct verb *verb, struct slice key)
{
    buf_clear(&pen.path);
    buf_text(&pen.path, "/");
    buf_text(&pen.path, load->target->database != NULL ? load->target->database : "bench");
    if (verb->query != NULL)
        return;
    buf_text(&pen.path, "/");
    uri_put_encoded(&pen.path, key, URI_KEEP_SLASH);
}

/* The lines that prove who asks. */
static void put_signature(const struct load *load, const struct verb *verb, struct slice payload,
                          const struct http1_field *fields, size_t count, struct buf *out)
{
    const struct target *t = load->target;
    struct sigv4_request request = { .method = slice_text(verb->method),
                                     .path = buf_all(&pen.path),
                                     .query = slice_text(verb->query != NULL ? verb->query : ""),
                                     .fields = fields,
                                     .field_count = count };
    struct sigv4_signer signer = { .scratch = &pen.scratch,
                                   .id = slice_text(t->user),
                                   .secret = slice_text(t->password != NULL ? t->password : ""),
                                   .region = slice_text(REGION) };

    if (pen.keys == NULL)
        pen.keys = sigv4_keys_new();
    signer.keys = pen.keys;
    if (sigv4_sign(&signer, &request, payload, (uint64_t)time(NULL), NULL, out) != ERR_NONE)
        abort(); /* our own request is within all limits */
    if (verb->manner == MANNER_REFUSED)
        out->at[out->len - 3] = out->at[out->len - 3] == '0' ? '1' : '0';
}

static void s3_encode(const struct load *load, const struct load_call *call, struct buf *out)
{
    const struct verb *verb = verb_of(load, call);
    struct dice keys = load_dice(call);
    uint8_t name[KEYSPACE_NAME_MAX];
    struct slice key = { name, keyspace_name_len(&load->keys) };
    char hex[DIGEST_SHA256_HEX], checksum[BASE64_BYTES(DIGEST_SHA256_BYTES) + 1] = "";
    struct http1_field fields[2] = { { .name = slice_text("host"),
                                       .value = slice_text(load->target->label) } };
    size_t count = 1;

    keyspace_name(&load->keys, load_key(load, call, &keys), name);
    make_path(load, verb, key);
    if (is_put(verb))
        make_body(load, call, key);
    if (verb->manner == MANNER_CHECKED) {
        base64_encode(slice_of(pen.digest, sizeof(pen.digest)), checksum);
        fields[count++] = (struct http1_field){ .name = slice_text("x-amz-checksum-sha256"),
                                                .value = slice_text(checksum) };
    }
    buf_format(out, "%s %.*s%s%s HTTP/1.1\r\n", verb->method, (int)pen.path.len,
               (const char *)pen.path.at, verb->query != NULL ? "?" : "",
               verb->query != NULL ? verb->query : "");
    http1_put_field_text(out, "accept-encoding", "identity");
    http1_put_field_text(out, "user-agent", "sheaf-bench/" SHEAF_VERSION " (S3; like an SDK)");
    for (size_t i = 0; i < count; i++)
        (void)!http1_put_field_named(out, fields[i].name, fields[i].value);
    if (is_put(verb))
        http1_put_field_u64(out, "content-length", pen.body.len);
    if (load->target->user != NULL)
        put_signature(load, verb, payload_of(verb, hex), fields, count, out);
    http1_put_end(out);
    if (is_put(verb))
        buf_slice(out, buf_all(&pen.body));
}

/* ---- answers ---- */

/* In scan->words. */
struct s3_progress {
    struct http1_body body;
    uint32_t head_len; /* 0: the head is not there */
};

static enum parse take_head(struct load_scan *scan, struct slice in)
{
    static _Thread_local struct http1_response response;
    struct s3_progress *p = (struct s3_progress *)scan->words;
    struct http1_search search = { 0 };
    enum http1_refusal why;
    size_t len = 0;
    enum parse found = http1_search(&search, in, HTTP1_HEAD_MAX_BYTES, &len, NULL, &why);

    if (found != PARSE_DONE)
        return found;
    if (http1_response_parse(slice_of(in.at, len), NULL, HTTP1_METHOD_GET, &response) !=
        HTTP1_REFUSAL_NONE)
        return PARSE_BAD;
    p->head_len = (uint32_t)len;
    scan->passed = len;
    http1_body_begin(&p->body, response.head.framing, response.head.length);
    return PARSE_DONE;
}

static enum parse s3_bound(struct load_scan *scan, struct slice in, size_t *len)
{
    struct s3_progress *p = (struct s3_progress *)scan->words;
    enum http1_refusal why;
    struct slice payload;
    size_t used;

    static_assert(sizeof(*p) <= sizeof(scan->words), "the driver's progress has room");
    if (p->head_len == 0) {
        enum parse found = take_head(scan, in);

        if (found != PARSE_DONE)
            return found;
    }
    while (!http1_body_is_whole(&p->body)) {
        if (http1_body_decode(&p->body, slice_from(in, scan->passed), &used, &payload, &why) ==
            PARSE_BAD)
            return PARSE_BAD;
        scan->passed += used;
        if (used == 0)
            break;
    }
    if (http1_body_is_whole(&p->body)) {
        *len = scan->passed;
        *scan = (struct load_scan){ 0 };
        return PARSE_DONE;
    }
    if (!scan->keeps && scan->passed == in.len) {
        *len = scan->passed - p->head_len;
        scan->passed = p->head_len;
    }
    return PARSE_MORE;
}

/* The body of an answer that has a length. */
static struct slice body_of(struct slice reply)
{
    const uint8_t *end = memmem(reply.at, reply.len, "\r\n\r\n", 4);

    return end == NULL ? (struct slice){ 0 } : slice_from(reply, (size_t)(end + 4 - reply.at));
}

static void judge_value(const struct load *load, uint64_t key, struct slice value,
                        struct load_outcome *out)
{
    uint8_t name[KEYSPACE_NAME_MAX];
    struct slice key_name = { name, keyspace_name_len(&load->keys) };
    uint32_t version = 0;

    out->key = key;
    keyspace_name(&load->keys, key, name);
    if (!payload_check(key_name, value, &version)) {
        out->verdict = LOAD_FOREIGN;
        out->text = value;
    } else if (load->ledger != NULL && !ledger_allows(load->ledger, key, version)) {
        out->verdict = LOAD_LOST;
        out->text = slice_text("an older value");
    }
}

static void judge_missing(const struct load *load, uint64_t key, struct load_outcome *out)
{
    out->key = key;
    out->verdict = LOAD_MISS;
    if (load->ledger != NULL && !ledger_allows(load->ledger, key, 0)) {
        out->verdict = LOAD_LOST;
        out->text = slice_text("nothing is there");
    }
}

static void s3_judge(const struct load *load, const struct load_call *call, struct slice reply,
                     struct load_outcome *out)
{
    const struct verb *verb = call != NULL ? verb_of(load, call) : NULL;
    struct dice keys = call != NULL ? load_dice(call) : (struct dice){ 0 };
    bool is_fine = reply.len > STATUS_AT && reply.at[STATUS_AT] == '2';
    struct slice status = reply.len >= STATUS_AT + STATUS_DIGITS
                              ? slice_of(reply.at + STATUS_AT, STATUS_DIGITS)
                              : reply;

    *out = (struct load_outcome){ LOAD_FINE, { 0 }, LOAD_ANY_KEY };
    if (verb != NULL && verb->manner == MANNER_REFUSED)
        is_fine = slice_is_text(status, "403");
    if (verb != NULL && verb->is == HTTP1_METHOD_GET && slice_is_text(status, "404")) {
        judge_missing(load, load_key(load, call, &keys), out);
        return;
    }
    if (!is_fine) {
        out->verdict = LOAD_ERROR;
        out->text = slice_from(reply, reply.len > STATUS_AT ? STATUS_AT : 0);
        return;
    }
    if (verb == NULL || !load->verify || verb->query != NULL || verb->manner == MANNER_REFUSED)
        return;
    if (verb->is == HTTP1_METHOD_GET)
        judge_value(load, load_key(load, call, &keys), body_of(reply), out);
    else if (is_put(verb) && load->ledger != NULL)
        ledger_acknowledge(load->ledger, load_key(load, call, &keys), call->version);
}

static void s3_forget(const struct load *load, const struct load_call *call)
{
    struct dice keys = load_dice(call);

    if (is_put(verb_of(load, call)) && load->ledger != NULL)
        ledger_doubt(load->ledger, load_key(load, call, &keys), call->version);
}

const struct load_driver load_s3 = {
    .scheme = "s3",
    .port = 80,
    .prepare = s3_prepare,
    .release = s3_release,
    .greet = s3_greet,
    .encode = s3_encode,
    .bound = s3_bound,
    .judge = s3_judge,
    .forget = s3_forget,
};
