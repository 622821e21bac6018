/* See back_s3.h. */
#include "proxy/blob/back_s3.h"

#include <stdio.h>
#include <string.h>

#include "proxy/wire/base64.h"
#include "proxy/wire/digest.h"
#include "proxy/wire/http1_write.h"
#include "proxy/wire/uri.h"

enum { FIELDS_MOST = HTTP1_FIELDS_MAX + 8 };

struct saying {
    const struct endpoint_settings *endpoint;
    const struct blob_store *store;
    const struct blob_ask *ask;
    struct buf host, path, query, source, text;
    struct http1_field *fields; /* borrowed: FIELDS_MOST, of which `field_count` are set */
    size_t field_count;
};

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

static void put_path(struct saying *s)
{
    const struct blob_ask *ask = s->ask;
    struct slice bucket = bucket_meant(s->store, ask->bucket);
    struct buf key = { 0 };

    buf_text(&s->path, "/");
    if (s->store->style == BLOB_STYLE_PATH && bucket.len > 0) {
        uri_put_encoded(&s->path, bucket, URI_KEEP_SLASH);
        if (ask->key.len > 0)
            buf_text(&s->path, "/");
    }
    if (ask->key.len == 0)
        return;
    s3_put_key(s->store, ask->bucket, ask->key, &key);
    uri_put_encoded(&s->path, buf_all(&key), URI_KEEP_SLASH);
    buf_fini(&key);
}

static void put_host(struct saying *s)
{
    const struct address *a = &s->endpoint->address;
    struct slice bucket = bucket_meant(s->store, s->ask->bucket);
    uint16_t usual = s->endpoint->tls.on ? 443 : 80;

    if (s->store->style == BLOB_STYLE_VIRTUAL && bucket.len > 0) {
        buf_slice(&s->host, bucket);
        buf_text(&s->host, ".");
    }
    if (a->path != NULL)
        buf_text(&s->host, "localhost");
    else if (strchr(a->host, ':') != NULL)
        buf_format(&s->host, "[%s]", a->host);
    else
        buf_text(&s->host, a->host);
    if (a->path == NULL && a->port != usual)
        buf_format(&s->host, ":%u", a->port);
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
    if (s->query.len > 0)
        buf_text(&s->query, "&");
    uri_put_encoded(&s->query, name, URI_KEEP_UNRESERVED);
    if (!has_value && value.len == 0)
        return;
    buf_text(&s->query, "=");
    uri_put_encoded(&s->query, value, URI_KEEP_UNRESERVED);
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

static void add(struct saying *s, struct slice name, struct slice value)
{
    s->fields[s->field_count++] = (struct http1_field){ .name = name, .value = value };
}

/* Encoded once, with nothing left that a store could decode a second time: a source key with "%25"
 * in it makes some abort. */
static void add_source(struct saying *s)
{
    const struct s3_source *source = &s->ask->source;
    struct buf key = { 0 };

    if (source->bucket.at == NULL)
        return;
    buf_text(&s->source, "/");
    uri_put_encoded(&s->source, bucket_meant(s->store, source->bucket), URI_KEEP_SLASH);
    buf_text(&s->source, "/");
    s3_put_key(s->store, source->bucket, source->key, &key);
    uri_put_encoded(&s->source, buf_all(&key), URI_KEEP_SLASH);
    buf_fini(&key);
    if (source->version.len > 0) {
        buf_text(&s->source, "?versionId=");
        uri_put_encoded(&s->source, source->version, URI_KEEP_UNRESERVED);
    }
    add(s, slice_text("x-amz-copy-source"), buf_all(&s->source));
}

static enum err add_fields(struct saying *s)
{
    const struct blob_ask *ask = s->ask;

    if (ask->field_count > HTTP1_FIELDS_MAX)
        return ERR_LIMIT;
    add(s, slice_text("host"), buf_all(&s->host));
    for (size_t i = 0; i < ask->field_count; i++)
        add(s, ask->fields[i].name, ask->fields[i].value);
    add_source(s);
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

static const char *method_of(enum s3_op op)
{
    static const char *const NAMES[] = {
        [HTTP1_METHOD_GET] = "GET",       [HTTP1_METHOD_HEAD] = "HEAD",
        [HTTP1_METHOD_PUT] = "PUT",       [HTTP1_METHOD_POST] = "POST",
        [HTTP1_METHOD_DELETE] = "DELETE", [HTTP1_METHOD_OPTIONS] = "OPTIONS",
    };

    return NAMES[s3_op_traits(op)->method];
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

static enum err put_lines(const struct saying *s, const struct s3_speaker *speaker, struct buf *out)
{
    const struct blob_ask *ask = s->ask;
    struct slice method = slice_text(method_of(op_meant(s->store, ask->op)));
    struct sigv4_request request = { .method = method,
                                     .path = buf_all(&s->path),
                                     .query = buf_all(&s->query),
                                     .fields = s->fields,
                                     .field_count = s->field_count };
    struct buf target = { 0 };
    char hex[DIGEST_SHA256_HEX];
    enum err err;

    buf_slice(&target, buf_all(&s->path));
    if (s->query.len > 0) {
        buf_text(&target, "?");
        buf_slice(&target, buf_all(&s->query));
    }
    err = http1_put_request_line(out, method, buf_all(&target));
    buf_fini(&target);
    TRY(err);
    for (size_t i = 0; i < s->field_count; i++)
        TRY(http1_put_field_named(out, s->fields[i].name, s->fields[i].value));
    put_md5(ask, out);
    if (ask->has_body)
        http1_put_field_u64(out, "content-length", ask->length);
    else if (s3_op_traits(ask->op)->method == HTTP1_METHOD_PUT ||
             s3_op_traits(ask->op)->method == HTTP1_METHOD_POST)
        http1_put_field_u64(out, "content-length", 0);
    if (speaker->expects_continue)
        http1_put_field_text(out, "expect", "100-continue");
    if (speaker->signer.id.len > 0)
        TRY(sigv4_sign(&speaker->signer, &request, payload_of(ask, hex), speaker->now_s, NULL,
                       out));
    http1_put_end(out);
    return ERR_NONE;
}

enum err s3_put_ask(const struct endpoint_settings *endpoint, const struct blob_ask *ask,
                    const struct s3_speaker *speaker, struct buf *out)
{
    struct http1_field fields[FIELDS_MOST]; /* zeroing them takes 4,500 instructions */
    struct saying s = {
        .endpoint = endpoint, .store = &endpoint->store, .ask = ask, .fields = fields
    };
    size_t before = out->len;
    enum err err;

    put_path(&s);
    put_host(&s);
    put_query(&s);
    err = add_fields(&s);
    if (err == ERR_NONE)
        err = put_lines(&s, speaker, out);
    if (err != ERR_NONE)
        out->len = before;
    buf_fini(&s.host);
    buf_fini(&s.path);
    buf_fini(&s.query);
    buf_fini(&s.source);
    buf_fini(&s.text);
    return err;
}
