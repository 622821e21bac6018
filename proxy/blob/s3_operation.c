/* See s3_operation.h. */
#include "proxy/blob/s3_operation.h"

#include <string.h>

#include "proxy/wire/uri.h"

#define METHOD_OF(method) HTTP1_METHOD_##method

const struct s3_op_traits s3_ops_traits[S3_OPS] = {
#define S3_OPERATION(name, method, where, right, body, words)                                      \
    [S3_OP_##                                                                                      \
        name] = { words, METHOD_OF(method), S3_WHERE_##where, S3_RIGHT_##right, S3_BODY_##body },
#include "proxy/blob/s3_operations.def"
#undef S3_OPERATION
};

/* ---- buckets ---- */

static const bool of_name[256] = {
    ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true,
    ['-'] = true,         ['.'] = true,         ['_'] = true,
};

bool s3_bucket_is_legal(struct slice name)
{
    if (name.len < S3_BUCKET_LEAST || name.len > S3_BUCKET_MOST || name.at[0] == '.' ||
        name.at[0] == '-')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!of_name[name.at[i]] || (name.at[i] == '.' && name.at[i - 1] == '.'))
            return false;
    return true;
}

/* "photos" of "photos.s3.example.org:9000"; .at NULL: the host names no bucket. */
static struct slice bucket_of_host(struct slice host, const struct s3_hosts *hosts)
{
    const uint8_t *colon;

    if (host.len == 0 || hosts->count == 0)
        return (struct slice){ 0 };
    colon = memrchr(host.at, ':', host.len);
    if (colon != NULL)
        host.len = (size_t)(colon - host.at);
    for (size_t i = 0; i < hosts->count; i++) {
        size_t len = strlen(hosts->names[i]);

        if (host.len > len + 1 && host.at[host.len - len - 1] == '.' &&
            slice_is_word(slice_from(host, host.len - len), hosts->names[i]))
            return slice_of(host.at, host.len - len - 1);
    }
    return (struct slice){ 0 };
}

/* ---- parameters ---- */

/* Signing, or the name of an operation that the rest of the request tells as well: there is one
 * that nothing else tells from another. */
static bool tells_nothing(const struct blob_param *p)
{
    static const char START[] = "x-amz-";

    if (slice_is_text(p->name, "x-id"))
        return !slice_is_text(p->value, "ListDirectoryBuckets");
    return p->name.len > sizeof(START) - 1 &&
           strncasecmp((const char *)p->name.at, START, sizeof(START) - 1) == 0;
}

/* What is not coded stays where it lies. */
static enum err decode(struct arena *arena, struct slice in, struct slice *out)
{
    uint8_t *at;
    size_t len = 0;

    *out = in;
    if (in.len == 0 || memchr(in.at, '%', in.len) == NULL)
        return ERR_NONE;
    at = arena_bytes(arena, in.len + 1);
    TRY(uri_decode(in, at, &len));
    *out = slice_of(at, len);
    return ERR_NONE;
}

/* In queries a '+' is a blank, as forms have it; AWS takes it so, too. */
static struct slice without_plus(struct arena *arena, struct slice in)
{
    uint8_t *at;

    if (in.len == 0 || memchr(in.at, '+', in.len) == NULL)
        return in;
    at = arena_bytes(arena, in.len);
    for (size_t i = 0; i < in.len; i++)
        at[i] = in.at[i] == '+' ? ' ' : in.at[i];
    return slice_of(at, in.len);
}

static enum err read_params(struct slice query, struct arena *arena, struct s3_operation *out)
{
    struct uri_item items[URI_QUERY_MAX_ITEMS];
    size_t count = 0;

    if (query.len == 0)
        return ERR_NONE;
    TRY(uri_query_split(query, items, URI_QUERY_MAX_ITEMS, &count));
    out->params = arena_new(arena, (count + 1) * sizeof(*out->params));
    for (size_t i = 0; i < count; i++) {
        struct blob_param *p = &out->params[out->param_count];

        TRY(decode(arena, without_plus(arena, items[i].name), &p->name));
        TRY(decode(arena, without_plus(arena, items[i].value), &p->value));
        p->has_value = items[i].has_value;
        if (!tells_nothing(p))
            out->param_count++;
    }
    return ERR_NONE;
}

const struct blob_param *s3_param(const struct s3_operation *o, const char *name)
{
    for (size_t i = 0; i < o->param_count; i++)
        if (slice_is_text(o->params[i].name, name))
            return &o->params[i];
    return NULL;
}

struct slice s3_param_value(const struct s3_operation *o, const char *name)
{
    const struct blob_param *p = s3_param(o, name);

    return p == NULL ? (struct slice){ 0 } : p->value;
}

/* ---- which operation ---- */

/* The first that fits counts; more special ones stand first. */
static const struct {
    const char *first, *second; /* parameters that must be there; second NULL: one */
    enum s3_op op;
    bool copies; /* x-amz-copy-source must be there */
} FORMS[] = {
    { "location", NULL, S3_OP_GET_LOCATION, false },
    { "versioning", NULL, S3_OP_GET_VERSIONING, false },
    { "versioning", NULL, S3_OP_PUT_VERSIONING, false },
    { "acl", NULL, S3_OP_GET_BUCKET_ACL, false },
    { "acl", NULL, S3_OP_PUT_BUCKET_ACL, false },
    { "versions", NULL, S3_OP_LIST_VERSIONS, false },
    { "uploads", NULL, S3_OP_LIST_UPLOADS, false },
    { "list-type", NULL, S3_OP_LIST_OBJECTS_V2, false },
    { "delete", NULL, S3_OP_DELETE_OBJECTS, false },
    { "tagging", NULL, S3_OP_GET_TAGGING, false },
    { "tagging", NULL, S3_OP_PUT_TAGGING, false },
    { "tagging", NULL, S3_OP_DELETE_TAGGING, false },
    { "acl", NULL, S3_OP_GET_ACL, false },
    { "acl", NULL, S3_OP_PUT_ACL, false },
    { "attributes", NULL, S3_OP_GET_ATTRIBUTES, false },
    { "uploads", NULL, S3_OP_CREATE_UPLOAD, false },
    { "partNumber", "uploadId", S3_OP_COPY_PART, true },
    { "partNumber", "uploadId", S3_OP_PUT_PART, false },
    { "uploadId", NULL, S3_OP_LIST_PARTS, false },
    { "uploadId", NULL, S3_OP_COMPLETE_UPLOAD, false },
    { "uploadId", NULL, S3_OP_ABORT_UPLOAD, false },
};

/* What is asked where none of those is, by the method and what it is of: one more than its number;
 * 0: nothing. */
static const uint8_t PLAIN[HTTP1_METHOD_OPTIONS + 1][S3_WHERE_OBJECT + 1] = {
    [HTTP1_METHOD_GET] = { [S3_WHERE_SERVICE] = 1 + S3_OP_LIST_BUCKETS,
                           [S3_WHERE_BUCKET] = 1 + S3_OP_LIST_OBJECTS,
                           [S3_WHERE_OBJECT] = 1 + S3_OP_GET_OBJECT },
    [HTTP1_METHOD_HEAD] = { [S3_WHERE_BUCKET] = 1 + S3_OP_HEAD_BUCKET,
                            [S3_WHERE_OBJECT] = 1 + S3_OP_HEAD_OBJECT },
    [HTTP1_METHOD_PUT] = { [S3_WHERE_BUCKET] = 1 + S3_OP_CREATE_BUCKET,
                           [S3_WHERE_OBJECT] = 1 + S3_OP_PUT_OBJECT },
    [HTTP1_METHOD_POST] = { [S3_WHERE_BUCKET] = 1 + S3_OP_POST_OBJECT },
    [HTTP1_METHOD_DELETE] = { [S3_WHERE_BUCKET] = 1 + S3_OP_DELETE_BUCKET,
                              [S3_WHERE_OBJECT] = 1 + S3_OP_DELETE_OBJECT },
};
_Static_assert(S3_OPS < UINT8_MAX, "numbers of operations are bytes");

/* Parts of S3 that are not offered: their presence changes what is asked. */
static bool is_unknown_part(struct slice name)
{
    static const char *const NAMES[] = {
        "abac",
        "accelerate",
        "analytics",
        "annotation",
        "append",
        "cors",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "logging",
        "metadataAnnotationTable",
        "metadataConfiguration",
        "metadataInventoryTable",
        "metadataJournalTable",
        "metadataTable",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "renameObject",
        "replication",
        "requestPayment",
        "restore",
        "retention",
        "select",
        "select-type",
        "session",
        "torrent",
        "website",
        "x-id",
    };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (slice_is_text(name, NAMES[i]))
            return true;
    return false;
}

static bool is_known(const struct s3_operation *o, enum s3_where where)
{
    for (size_t i = 0; i < o->param_count; i++)
        if (is_unknown_part(o->params[i].name) ||
            /* a bucket's tags are not an object's */
            (where == S3_WHERE_BUCKET && slice_is_text(o->params[i].name, "tagging")))
            return false;
    return true;
}

/* Is this parameter what makes the operation that? */
static bool is_of(enum s3_op op, struct slice name)
{
    for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++)
        if (FORMS[i].op == op)
            return slice_is_text(name, FORMS[i].first) ||
                   (FORMS[i].second != NULL && slice_is_text(name, FORMS[i].second));
    return false;
}

static enum s3_op find_plain(enum http1_method method, enum s3_where where, bool copies)
{
    enum s3_op op = PLAIN[method][where] == 0 ? S3_OP_OTHER : PLAIN[method][where] - 1U;

    return copies && op == S3_OP_PUT_OBJECT ? S3_OP_COPY_OBJECT : op;
}

static enum s3_op find(const struct s3_operation *o, enum http1_method method, enum s3_where where,
                       bool copies)
{
    if (!is_known(o, where))
        return S3_OP_OTHER;
    for (size_t i = 0; o->param_count > 0 && i < sizeof(FORMS) / sizeof(FORMS[0]); i++) {
        const struct s3_op_traits *t = s3_op_traits(FORMS[i].op);

        if (t->method != method || t->where != where || (FORMS[i].copies && !copies))
            continue;
        if (s3_param(o, FORMS[i].first) != NULL &&
            (FORMS[i].second == NULL || s3_param(o, FORMS[i].second) != NULL))
            return FORMS[i].op;
    }
    return find_plain(method, where, copies);
}

/* A part of S3 that the operation found is not about: with another method it would mean something,
 * with this one nothing.  To do without it would be another thing than what was asked: DELETE
 * ?acl would delete the object. */
static bool asks_more(const struct s3_operation *o)
{
    static const char *const NAMES[] = { "acl",      "attributes", "delete",  "list-type",
                                         "location", "partNumber", "tagging", "uploadId",
                                         "uploads",  "versioning", "versions" };
    bool reads = o->op == S3_OP_GET_OBJECT || o->op == S3_OP_HEAD_OBJECT;

    for (size_t i = 0; i < o->param_count; i++) {
        struct slice name = o->params[i].name;
        bool is_part = false;

        for (size_t k = 0; k < sizeof(NAMES) / sizeof(NAMES[0]); k++)
            is_part |= slice_is_text(name, NAMES[k]);
        if (is_part && !is_of(o->op, name) && !(reads && slice_is_text(name, "partNumber")))
            return true;
    }
    return false;
}

/* What is written gets its version from the store. */
static bool writes_a_version(const struct s3_operation *o)
{
    return o->param_count > 0 && s3_param_value(o, "versionId").len > 0 &&
           (o->op == S3_OP_PUT_OBJECT || o->op == S3_OP_COPY_OBJECT ||
            o->op == S3_OP_CREATE_UPLOAD || o->op == S3_OP_PUT_PART || o->op == S3_OP_COPY_PART ||
            o->op == S3_OP_COMPLETE_UPLOAD || o->op == S3_OP_ABORT_UPLOAD);
}

/* ---- sources of copies ---- */

/* "/bucket/key?versionId=..", encoded or not: decoded once, as AWS does. */
static enum err read_source(struct slice text, struct arena *arena, struct s3_source *out)
{
    static const char MARK[] = "?versionId=";
    const uint8_t *mark = memmem(text.at, text.len, MARK, sizeof(MARK) - 1);
    struct slice path = text, whole;
    const uint8_t *slash;

    if (mark != NULL) {
        path.len = (size_t)(mark - text.at);
        TRY(decode(arena, slice_from(text, path.len + sizeof(MARK) - 1), &out->version));
    }
    TRY(decode(arena, path, &whole));
    if (whole.len > 0 && whole.at[0] == '/')
        whole = slice_from(whole, 1);
    slash = memchr(whole.at, '/', whole.len);
    if (slash == NULL)
        return ERR_SYNTAX;
    out->bucket = slice_of(whole.at, (size_t)(slash - whole.at));
    out->key = slice_from(whole, out->bucket.len + 1);
    if (!s3_bucket_is_legal(out->bucket) || out->key.len == 0 || out->key.len > S3_KEY_MOST ||
        memchr(out->key.at, '\0', out->key.len) != NULL)
        return ERR_SYNTAX;
    return ERR_NONE;
}

/* ---- the whole ---- */

static enum s3_error fail(struct s3_fault *fault, enum s3_error error)
{
    s3_fault_set(fault, error);
    return error;
}

static enum s3_error fail_words(struct s3_fault *fault, const char *words)
{
    s3_fault_say(fault, S3_INVALID_ARGUMENT, "%s", words);
    return fault->error;
}

/* The path: "/", "/bucket", "/bucket/", "/bucket/key"; with a bucket in the host "/key". */
static enum s3_error read_path(const struct http1_request *request, const struct s3_hosts *hosts,
                               struct arena *arena, struct s3_operation *out,
                               struct s3_fault *fault)
{
    struct slice path, bucket = bucket_of_host(http1_value(&request->head, HTTP1_NAME_HOST), hosts);
    bool is_plain = request->path_is_plain || uri_is_plain(request->path, URI_KEEP_SLASH);
    const uint8_t *slash;

    if (is_plain)
        path = out->path = request->path;
    else if (decode(arena, request->path, &path) != ERR_NONE)
        return fail(fault, S3_INVALID_URI);
    if (path.len == 0 || path.at[0] != '/')
        return fail(fault, S3_INVALID_URI);
    path = slice_from(path, 1);
    if (bucket.at != NULL) {
        out->path = (struct slice){ 0 };
    } else {
        slash = memchr(path.at, '/', path.len);
        bucket = slash == NULL ? path : slice_of(path.at, (size_t)(slash - path.at));
        path = slice_from(path, bucket.len + (slash != NULL));
    }
    out->bucket = bucket;
    out->key = path;
    if (bucket.len == 0)
        return path.len == 0 ? S3_NONE : fail(fault, S3_INVALID_BUCKET_NAME);
    if (!s3_bucket_is_legal(bucket))
        return fail(fault, S3_INVALID_BUCKET_NAME);
    if (path.len > S3_KEY_MOST)
        return fail(fault, S3_KEY_TOO_LONG_ERROR);
    if (!is_plain && path.len > 0 && memchr(path.at, '\0', path.len) != NULL)
        return fail(fault, S3_INVALID_URI);
    return S3_NONE;
}

static enum s3_error read_part(struct s3_operation *out, struct s3_fault *fault)
{
    uint64_t number;

    if (out->param_count == 0)
        return S3_NONE;
    out->upload_id = s3_param_value(out, "uploadId");
    if (out->op != S3_OP_PUT_PART && out->op != S3_OP_COPY_PART &&
        s3_param(out, "partNumber") == NULL)
        return S3_NONE;
    if (!slice_to_u64(s3_param_value(out, "partNumber"), &number) || number < 1 ||
        number > S3_PART_MOST)
        return fail_words(fault, "Part number must be an integer between 1 and 10000, inclusive");
    out->part = (uint32_t)number;
    return S3_NONE;
}

enum s3_error s3_operation_read(const struct http1_request *request, const struct s3_hosts *hosts,
                                struct arena *arena, struct s3_operation *out,
                                struct s3_fault *fault)
{
    struct slice source = http1_value(&request->head, HTTP1_NAME_X_AMZ_COPY_SOURCE);
    enum s3_where where;
    enum s3_error error;

    memset(out, 0, sizeof(*out));
    out->op = S3_OP_OTHER;
    error = read_path(request, hosts, arena, out, fault);
    if (error != S3_NONE)
        return error;
    if (read_params(request->query, arena, out) != ERR_NONE)
        return fail(fault, S3_INVALID_URI);
    where = out->bucket.len == 0 ? S3_WHERE_SERVICE
            : out->key.len == 0  ? S3_WHERE_BUCKET
                                 : S3_WHERE_OBJECT;
    out->op = find(out, request->method, where, source.at != NULL);
    if (out->op == S3_OP_OTHER ? request->method == HTTP1_METHOD_OTHER : asks_more(out))
        return fail(fault, S3_METHOD_NOT_ALLOWED);
    if (writes_a_version(out))
        return fail_words(fault, "This operation does not accept a version-id.");
    if (out->op == S3_OP_LIST_OBJECTS_V2 && !slice_is_text(s3_param_value(out, "list-type"), "2"))
        return fail_words(fault, "Invalid List Type specified in Request");
    if (source.at != NULL && (out->op == S3_OP_COPY_OBJECT || out->op == S3_OP_COPY_PART) &&
        read_source(source, arena, &out->source) != ERR_NONE)
        return fail_words(fault, "Copy Source must mention the source bucket and key: "
                                 "sourcebucket/sourcekey");
    return read_part(out, fault);
}
