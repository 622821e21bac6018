/* See sigv4_sign.h.  Fields are put in order by their names in small letters; those that the
 * signature itself adds are among them. */
#include "proxy/wire/sigv4_sign.h"

#include "proxy/wire/http_date.h"
#include "proxy/wire/sigv4_canonical.h"

enum { FIELDS_MOST = HTTP1_FIELDS_MAX + 3 };

struct signing {
    const struct sigv4_signer *signer;
    const struct sigv4_request *request;
    struct sigv4_query query;
    char time[SIGV4_TIME], scope[SIGV4_SCOPE_MOST];
    size_t scope_len;
    size_t count;
    struct {
        struct slice name, value;
    } fields[FIELDS_MOST];
};

static struct slice time_of(const struct signing *s)
{
    return slice_of(s->time, SIGV4_TIME);
}

static struct slice scope_of(const struct signing *s)
{
    return slice_of(s->scope, s->scope_len);
}

static int compare_names(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = strncasecmp((const char *)a.at, (const char *)b.at, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Behind those of the same name: their values are signed in the order in which they are sent. */
static void add_field(struct signing *s, struct slice name, struct slice value)
{
    size_t at = s->count++;

    for (; at > 0 && compare_names(s->fields[at - 1].name, name) > 0; at--)
        s->fields[at] = s->fields[at - 1];
    s->fields[at].name = name;
    s->fields[at].value = value;
}

static void put_scope(struct signing *s)
{
    static const char end[] = "/s3/aws4_request";
    struct slice region = s->signer->region;
    char *to = s->scope;

    memcpy(to, s->time, SIGV4_DATE);
    to[SIGV4_DATE] = '/';
    to += SIGV4_DATE + 1;
    if (region.len > 0)
        memcpy(to, region.at, region.len);
    memcpy(to + region.len, end, sizeof(end) - 1);
    s->scope_len = SIGV4_DATE + 1 + region.len + sizeof(end) - 1;
}

static enum err begin(struct signing *s, const struct sigv4_signer *signer,
                      const struct sigv4_request *request, uint64_t now_s)
{
    s->signer = signer;
    s->request = request;
    s->count = 0;
    if (request->field_count > HTTP1_FIELDS_MAX || signer->region.len > SIGV4_REGION_MOST)
        return ERR_LIMIT;
    iso_basic_write((int64_t)now_s, (uint8_t *)s->time);
    put_scope(s);
    for (size_t i = 0; i < request->field_count; i++)
        add_field(s, request->fields[i].name, request->fields[i].value);
    return ERR_NONE;
}

static bool is_next_named(const struct signing *s, size_t i)
{
    return i + 1 < s->count && compare_names(s->fields[i].name, s->fields[i + 1].name) == 0;
}

/* Appends to `out`, with `between` after each but the last. */
static void put_names(const struct signing *s, const char *between, struct buf *out)
{
    for (size_t i = 0; i < s->count; i++) {
        struct slice name = s->fields[i].name;
        uint8_t *to;

        if (is_next_named(s, i))
            continue;
        to = buf_reserve(out, name.len);
        for (size_t n = 0; n < name.len; n++)
            to[n] = name.at[n] >= 'A' && name.at[n] <= 'Z' ? name.at[n] | 0x20 : name.at[n];
        buf_grow(out, name.len);
        if (i + 1 < s->count)
            buf_text(out, between);
    }
}

/* With the names of its fields: those stand in `scratch->query`, behind the query. */
static enum err sign(struct signing *s, struct slice payload, char signature[DIGEST_SHA256_HEX],
                     struct slice *names)
{
    struct sigv4_scratch *scratch = s->signer->scratch;
    char string[SIGV4_STRING_MOST];
    uint8_t hash[DIGEST_SHA256_BYTES];
    size_t before;

    TRY(sigv4_canonical_begin(scratch, s->request->method, s->request->path, &s->query, ""));
    for (size_t i = 0; i < s->count; i++) {
        if (i == 0 || !is_next_named(s, i - 1))
            sigv4_canonical_name(scratch, s->fields[i].name);
        sigv4_canonical_value(scratch, s->fields[i].value, !is_next_named(s, i));
    }
    before = scratch->query.len;
    put_names(s, ";", &scratch->query); /* may move what the query was in: that is written */
    *names = slice_from(buf_all(&scratch->query), before);
    sigv4_canonical_end(scratch, *names, payload, hash);
    sigv4_string_sign(sigv4_keys_get(s->signer->keys, s->signer->secret,
                                     slice_of(s->time, SIGV4_DATE), s->signer->region),
                      slice_of(string, sigv4_string_write(time_of(s), scope_of(s), hash, string)),
                      signature);
    return ERR_NONE;
}

static void fill_seed(const struct signing *s, const char signature[DIGEST_SHA256_HEX],
                      struct sigv4_seed *seed)
{
    seed->key = *sigv4_keys_get(s->signer->keys, s->signer->secret, slice_of(s->time, SIGV4_DATE),
                                s->signer->region);
    memcpy(seed->time, s->time, SIGV4_TIME);
    seed->scope_len = (uint8_t)s->scope_len;
    memcpy(seed->scope, s->scope, s->scope_len);
    memcpy(seed->signature, signature, DIGEST_SHA256_HEX);
}

static void put_line(struct buf *out, const char *name, struct slice value)
{
    buf_text(out, name);
    buf_slice(out, value);
    buf_put(out, "\r\n", 2);
}

enum err sigv4_sign(const struct sigv4_signer *signer, const struct sigv4_request *request,
                    struct slice payload, uint64_t now_s, struct sigv4_seed *seed, struct buf *out)
{
    struct signing s;
    char signature[DIGEST_SHA256_HEX];
    struct slice names;

    TRY(begin(&s, signer, request, now_s));
    TRY(sigv4_query_read(signer->scratch, request->query, &s.query));
    add_field(&s, slice_text("x-amz-content-sha256"), payload);
    add_field(&s, slice_text("x-amz-date"), time_of(&s));
    if (signer->token.len > 0)
        add_field(&s, slice_text("x-amz-security-token"), signer->token);
    TRY(sign(&s, payload, signature, &names));
    if (seed != NULL)
        fill_seed(&s, signature, seed);
    put_line(out, "x-amz-date: ", time_of(&s));
    put_line(out, "x-amz-content-sha256: ", payload);
    if (signer->token.len > 0)
        put_line(out, "x-amz-security-token: ", signer->token);
    buf_text(out, "Authorization: AWS4-HMAC-SHA256 Credential=");
    buf_slice(out, signer->id);
    buf_put(out, "/", 1);
    buf_slice(out, scope_of(&s));
    buf_text(out, ", SignedHeaders=");
    buf_slice(out, names);
    put_line(out, ", Signature=", slice_of(signature, DIGEST_SHA256_HEX));
    return ERR_NONE;
}

enum err sigv4_presign(const struct sigv4_signer *signer, const struct sigv4_request *request,
                       uint64_t now_s, uint32_t expires_s, struct buf *out)
{
    struct signing s;
    char signature[DIGEST_SHA256_HEX];
    struct slice names;
    size_t before = out->len;
    enum err err;

    if (expires_s < 1 || expires_s > SIGV4_EXPIRES_MOST_S)
        return ERR_RANGE;
    TRY(begin(&s, signer, request, now_s));
    buf_slice(out, request->query);
    buf_format(out, "%sX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=",
               request->query.len > 0 ? "&" : "");
    uri_put_encoded(out, signer->id, URI_KEEP_UNRESERVED);
    buf_text(out, "%2F");
    uri_put_encoded(out, scope_of(&s), URI_KEEP_UNRESERVED);
    buf_format(out, "&X-Amz-Date=%.*s&X-Amz-Expires=%u&X-Amz-SignedHeaders=", SIGV4_TIME, s.time,
               expires_s);
    put_names(&s, "%3B", out);
    if (signer->token.len > 0) {
        buf_text(out, "&X-Amz-Security-Token=");
        uri_put_encoded(out, signer->token, URI_KEEP_UNRESERVED);
    }
    err = sigv4_query_read(signer->scratch, slice_from(buf_all(out), before), &s.query);
    if (err == ERR_NONE)
        err = sign(&s, slice_text("UNSIGNED-PAYLOAD"), signature, &names);
    if (err != ERR_NONE) {
        out->len = before;
        return err;
    }
    buf_text(out, "&X-Amz-Signature=");
    buf_put(out, signature, DIGEST_SHA256_HEX);
    return ERR_NONE;
}
