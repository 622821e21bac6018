/* See back_s3.h.  All is written once, where it is to be sent; what is signed of it is remembered
 * by its place, since the buffer may move while it grows. */
#include "proxy/blob/back_s3.h"

#include <assert.h>
#include <string.h>

#include "proxy/wire/base64.h"
#include "proxy/wire/digest.h"
#include "proxy/wire/http1_write.h"
#include "proxy/wire/uri.h"

enum { FIELDS_MOST = HTTP1_FIELDS_MAX + 8 };

struct part {
    size_t at, len; /* of the buffer */
};

struct saying {
    const struct endpoint_settings *endpoint;
    const struct blob_store *store;
    const struct blob_ask *ask;
    struct buf *out;
    struct part path, query, host, source; /* of `out` */
    struct buf text;                       /* a parameter's value */
    bool bares_tags;
};

static void part_begin(const struct saying *s, struct part *part)
{
    part->at = s->out->len;
}

static void part_end(const struct saying *s, struct part *part)
{
    part->len = s->out->len - part->at;
}

static struct slice part_of(const struct saying *s, struct part part)
{
    return slice_of(s->out->at + part.at, part.len);
}

/* ---- names ---- */

void s3_put_key(const struct blob_store *store, struct slice bucket, struct slice key,
                struct buf *out)
{
    if (store->prefix != NULL && store->prefix[0] != '\0') {
        buf_text(out, store->prefix);
        buf_text(out, "/");
    }
    if (store->bucket != NULL && bucket.len > 0) {
        buf_slice(out, bucket);
        buf_text(out, "/");
    }
    buf_slice(out, key);
}

/* The same as it stands in a path. */
static void put_encoded_key(const struct blob_store *store, struct slice bucket, struct slice key,
                            struct buf *out)
{
    if (store->prefix != NULL && store->prefix[0] != '\0') {
        uri_put_encoded(out, slice_text(store->prefix), URI_KEEP_SLASH);
        buf_text(out, "/");
    }
    if (store->bucket != NULL && bucket.len > 0) {
        uri_put_encoded(out, bucket, URI_KEEP_SLASH);
        buf_text(out, "/");
    }
    uri_put_encoded(out, key, URI_KEEP_SLASH);
}

/* The stamp of a shard with a bucket of its own is not within a client's bucket. */
static struct slice bucket_meant(const struct blob_store *store, struct slice bucket)
{
    return store->bucket != NULL ? slice_text(store->bucket) : bucket;
}

/* Where all buckets are prefixes in one, that one stands for each: it is there, or it is not. */
static enum s3_op op_meant(const struct blob_store *store, enum s3_op op)
{
    if (store->bucket == NULL)
        return op;
    switch ((int)op) {
    case S3_OP_LIST_BUCKETS:
        return S3_OP_LIST_OBJECTS_V2;
    case S3_OP_CREATE_BUCKET:
    case S3_OP_DELETE_BUCKET:
        return S3_OP_HEAD_BUCKET;
    default:
        return op;
    }
}

/* Is it with the store as with the client? */
static bool is_path_kept(const struct blob_store *store, const struct blob_ask *ask)
{
    return ask->key.len > 0 && ask->path.len == ask->bucket.len + ask->key.len + 2 &&
           store->bucket == NULL && store->prefix == NULL && store->style == BLOB_STYLE_PATH;
}

static void put_path(struct saying *s)
{
    const struct blob_ask *ask = s->ask;
    struct slice bucket = bucket_meant(s->store, ask->bucket);

    part_begin(s, &s->path);
    if (is_path_kept(s->store, ask)) {
        buf_slice(s->out, ask->path);
        part_end(s, &s->path);
        return;
    }
    buf_text(s->out, "/");
    if (s->store->style == BLOB_STYLE_PATH && bucket.len > 0) {
        uri_put_encoded(s->out, bucket, URI_KEEP_SLASH);
        if (ask->key.len > 0)
            buf_text(s->out, "/");
    }
    if (ask->key.len > 0)
        put_encoded_key(s->store, ask->bucket, ask->key, s->out);
    part_end(s, &s->path);
}

static void put_host(struct saying *s)
{
    const struct address *a = &s->endpoint->address;
    struct slice bucket = bucket_meant(s->store, s->ask->bucket);
    uint16_t usual = s->endpoint->tls.on ? 443 : 80;
    bool is_v6 = a->path == NULL && strchr(a->host, ':') != NULL;

    buf_text(s->out, "host: ");
    part_begin(s, &s->host);
    if (s->store->style == BLOB_STYLE_VIRTUAL && bucket.len > 0) {
        buf_slice(s->out, bucket);
        buf_text(s->out, ".");
    }
    buf_text(s->out, is_v6 ? "[" : "");
    buf_text(s->out, a->path != NULL ? "localhost" : a->host);
    buf_text(s->out, is_v6 ? "]" : "");
    if (a->path == NULL && a->port != usual) {
        buf_text(s->out, ":");
        buf_u64(s->out, a->port);
    }
    part_end(s, &s->host);
    buf_text(s->out, "\r\n");
}

/* Parameters that name keys, or what keys begin with. */
static bool names_key(struct slice name)
{
    static const char *const NAMES[] = { "prefix", "marker", "start-after", "key-marker" };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (slice_is_text(name, NAMES[i]))
            return true;
    return false;
}

static void put_param(struct saying *s, struct slice name, struct slice value, bool has_value)
{
    buf_text(s->out, s->query.len > 0 ? "&" : "?");
    if (s->query.len == 0)
        part_begin(s, &s->query);
    uri_put_encoded(s->out, name, URI_KEEP_UNRESERVED);
    if (has_value || value.len > 0) {
        buf_text(s->out, "=");
        uri_put_encoded(s->out, value, URI_KEEP_UNRESERVED);
    }
    part_end(s, &s->query);
}

/* The names of buckets, where these are prefixes. */
static void put_bucket_query(struct saying *s)
{
    put_param(s, slice_text("list-type"), slice_text("2"), true);
    put_param(s, slice_text("delimiter"), slice_text("/"), true);
    buf_clear(&s->text);
    s3_put_key(s->store, (struct slice){ 0 }, (struct slice){ 0 }, &s->text);
    if (s->text.len > 0)
        put_param(s, slice_text("prefix"), buf_all(&s->text), true);
    for (size_t i = 0; i < s->ask->param_count; i++)
        if (slice_is_text(s->ask->params[i].name, "continuation-token"))
            put_param(s, s->ask->params[i].name, s->ask->params[i].value, true);
}

static void put_query(struct saying *s)
{
    const struct blob_ask *ask = s->ask;
    bool has_prefix = false, is_list = ask->key.len == 0 && ask->bucket.len > 0;

    if (ask->op == S3_OP_LIST_BUCKETS && s->store->bucket != NULL) {
        put_bucket_query(s);
        return;
    }

    for (size_t i = 0; i < ask->param_count; i++) {
        const struct blob_param *p = &ask->params[i];

        if (is_list && names_key(p->name) &&
            (p->value.len > 0 || slice_is_text(p->name, "prefix"))) {
            buf_clear(&s->text);
            s3_put_key(s->store, ask->bucket, p->value, &s->text);
            put_param(s, p->name, buf_all(&s->text), true);
            has_prefix |= slice_is_text(p->name, "prefix");
        } else {
            put_param(s, p->name, p->value, p->has_value);
        }
    }
    /* A list of a bucket that is a prefix in the store's has one, whether it was asked or not. */
    if (has_prefix || s3_op_traits(ask->op)->right != S3_RIGHT_LIST ||
        (ask->op != S3_OP_LIST_OBJECTS && ask->op != S3_OP_LIST_OBJECTS_V2 &&
         ask->op != S3_OP_LIST_VERSIONS && ask->op != S3_OP_LIST_UPLOADS))
        return;
    buf_clear(&s->text);
    s3_put_key(s->store, ask->bucket, slice_text(""), &s->text);
    if (s->text.len > 0)
        put_param(s, slice_text("prefix"), buf_all(&s->text), true);
}

/* ---- fields ---- */

/* Encoded once, with nothing left that a store could decode a second time: a source key with "%25"
 * in it makes some abort. */
static void put_source(struct saying *s)
{
    const struct s3_source *source = &s->ask->source;

    buf_text(s->out, "x-amz-copy-source: ");
    part_begin(s, &s->source);
    buf_text(s->out, "/");
    uri_put_encoded(s->out, bucket_meant(s->store, source->bucket), URI_KEEP_SLASH);
    buf_text(s->out, "/");
    put_encoded_key(s->store, source->bucket, source->key, s->out);
    if (source->version.len > 0) {
        buf_text(s->out, "?versionId=");
        uri_put_encoded(s->out, source->version, URI_KEEP_UNRESERVED);
    }
    part_end(s, &s->source);
    buf_text(s->out, "\r\n");
}

/* A field's value, as the store wants it. */
static struct slice value_of(const struct saying *s, const struct http1_field *f)
{
    struct slice tag = f->value;

    if (s->bares_tags && slice_is_text(f->name, "if-match") && tag.len > 2 && tag.at[0] == '"' &&
        memchr(tag.at + 1, '"', tag.len - 1) == tag.at + tag.len - 1)
        return slice_of(tag.at + 1, tag.len - 2);
    return tag;
}

static enum err put_fields(struct saying *s)
{
    const struct blob_ask *ask = s->ask;

    put_host(s);
    if (ask->field_count > HTTP1_FIELDS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < ask->field_count; i++)
        TRY(http1_put_field_named(s->out, ask->fields[i].name, value_of(s, &ask->fields[i])));
    if (ask->source.bucket.at != NULL)
        put_source(s);
    return ERR_NONE;
}

static struct slice payload_of(const struct blob_ask *ask, char hex[DIGEST_SHA256_HEX])
{
    uint8_t digest[DIGEST_SHA256_BYTES];

    if (!ask->has_body)
        return slice_text(DIGEST_OF_NOTHING);
    if (ask->body.at != NULL) {
        digest_sha256(ask->body, digest);
        digest_hex(slice_of(digest, sizeof(digest)), hex);
        return slice_of(hex, DIGEST_SHA256_HEX);
    }
    return ask->payload_hash.len > 0 ? ask->payload_hash : slice_text("UNSIGNED-PAYLOAD");
}

static struct slice method_of(enum s3_op op)
{
    switch (s3_op_traits(op)->method) {
    case HTTP1_METHOD_GET:
        return slice_text("GET");
    case HTTP1_METHOD_HEAD:
        return slice_text("HEAD");
    case HTTP1_METHOD_PUT:
        return slice_text("PUT");
    case HTTP1_METHOD_POST:
        return slice_text("POST");
    case HTTP1_METHOD_DELETE:
        return slice_text("DELETE");
    case HTTP1_METHOD_OPTIONS:
        return slice_text("OPTIONS");
    case HTTP1_METHOD_OTHER:
        break;
    }
    assert(false); /* no operation has another */
    return slice_text("");
}

/* Deletes of many keys must come with an MD5 for stores of before 2025. */
static void put_md5(const struct blob_ask *ask, struct buf *out)
{
    char text[BASE64_BYTES(DIGEST_MD5_BYTES) + 1] = "";
    uint8_t digest[DIGEST_MD5_BYTES];

    if (ask->op != S3_OP_DELETE_OBJECTS || ask->body.at == NULL)
        return;
    digest_md5(ask->body, digest);
    base64_encode(slice_of(digest, sizeof(digest)), text);
    http1_put_field_text(out, "content-md5", text);
}

static void put_body_fields(struct saying *s, const struct s3_speaker *speaker)
{
    const struct blob_ask *ask = s->ask;
    enum http1_method method = s3_op_traits(ask->op)->method;

    put_md5(ask, s->out);
    if (ask->has_body)
        http1_put_field_u64(s->out, "content-length", ask->length);
    else if (method == HTTP1_METHOD_PUT || method == HTTP1_METHOD_POST)
        http1_put_field_u64(s->out, "content-length", 0);
    if (speaker->expects_continue)
        http1_put_field_text(s->out, "expect", "100-continue");
}

static struct http1_field field_of(struct slice name, struct slice value)
{
    return (struct http1_field){ .name = name, .value = value };
}

/* What was put is signed. */
static enum err sign(struct saying *s, const struct s3_speaker *speaker, struct slice method)
{
    struct http1_field fields[FIELDS_MOST]; /* zeroing them takes 4,500 instructions */
    const struct blob_ask *ask = s->ask;
    struct sigv4_request request = { .method = method,
                                     .path = part_of(s, s->path),
                                     .query = part_of(s, s->query),
                                     .fields = fields };
    char hex[DIGEST_SHA256_HEX];

    fields[request.field_count++] = field_of(slice_text("host"), part_of(s, s->host));
    for (size_t i = 0; i < ask->field_count; i++)
        fields[request.field_count++] = field_of(ask->fields[i].name, value_of(s, &ask->fields[i]));
    if (s->source.len > 0)
        fields[request.field_count++] =
            field_of(slice_text("x-amz-copy-source"), part_of(s, s->source));
    return sigv4_sign(&speaker->signer, &request, payload_of(ask, hex), speaker->now_s, NULL,
                      s->out);
}

static enum err put_head(struct saying *s, const struct s3_speaker *speaker)
{
    struct slice method = method_of(op_meant(s->store, s->ask->op));

    buf_slice(s->out, method);
    buf_text(s->out, " ");
    put_path(s);
    put_query(s);
    buf_text(s->out, " HTTP/1.1\r\n");
    TRY(put_fields(s));
    put_body_fields(s, speaker);
    if (speaker->signer.id.len > 0)
        TRY(sign(s, speaker, method));
    http1_put_end(s->out);
    return ERR_NONE;
}

enum err s3_put_ask(const struct endpoint_settings *endpoint, const struct blob_ask *ask,
                    const struct s3_speaker *speaker, struct buf *out)
{
    struct saying s = { .endpoint = endpoint,
                        .store = &endpoint->store,
                        .ask = ask,
                        .out = out,
                        .bares_tags = speaker->bares_tags };
    size_t before = out->len;
    enum err err = put_head(&s, speaker);

    if (err != ERR_NONE)
        out->len = before;
    buf_fini(&s.text);
    return err;
}

/* ---- what is asked most: objects, and nothing else said ---- */

/* May its head be made of what stays the same?  A bucket in the host does not. */
static bool is_plain(const struct blob_store *store, const struct blob_ask *ask)
{
    enum http1_method method = s3_op_traits(ask->op)->method;

    return ask->key.len > 0 && (method == HTTP1_METHOD_GET || method == HTTP1_METHOD_HEAD) &&
           ask->param_count == 0 && ask->field_count == 0 && !ask->has_body &&
           ask->source.bucket.at == NULL &&
           (store->style == BLOB_STYLE_PATH || store->bucket != NULL);
}

enum err s3_make_plain(const struct endpoint_settings *endpoint, const struct s3_speaker *speaker,
                       struct sigv4_plain *plain)
{
    static const struct blob_ask NOTHING;
    struct buf line = { 0 };
    struct saying s = {
        .endpoint = endpoint, .store = &endpoint->store, .ask = &NOTHING, .out = &line
    };
    enum err err;

    put_host(&s);
    err = sigv4_plain_make(plain, &speaker->signer, part_of(&s, s.host), speaker->now_s);
    buf_fini(&line);
    return err;
}

bool s3_put_plain(const struct endpoint_settings *endpoint, const struct blob_ask *ask,
                  struct sigv4_plain *plain, struct sigv4_scratch *scratch, struct buf *out)
{
    struct saying s = { .endpoint = endpoint, .store = &endpoint->store, .ask = ask, .out = out };
    struct slice method;

    if (!is_plain(s.store, ask))
        return false;
    method = method_of(ask->op);
    buf_slice(out, method);
    buf_put(out, " ", 1);
    put_path(&s);
    sigv4_plain_put(plain, scratch, method, s.path.len, out);
    return true;
}

/* tx00000(16 more)-006b0babbc-1014-ZONE.  Swift's have one dash. */
bool s3_is_of_ceph(struct slice request_id)
{
    unsigned dashes = 0;

    for (size_t i = 0; i < request_id.len; i++)
        dashes += request_id.at[i] == '-';
    return dashes >= 3 && slice_starts(request_id, slice_text("tx"));
}
