/* See sigv4_sign.h.  Fields are put in order by their names in small letters; those that the
 * signature itself adds are among them. */
#include "proxy/wire/sigv4_sign.h"

#include <assert.h>

#include <openssl/crypto.h>

#include "proxy/wire/sigv4_canonical.h"

enum { FIELDS_MOST = HTTP1_FIELDS_MAX + 3 };

struct signing {
    const struct sigv4_signer *signer;
    const struct sigv4_request *request;
    struct sigv4_query query;
    struct slice time;
    char scope[SIGV4_SCOPE_MOST];
    size_t scope_len;
    size_t count;
    struct slice names; /* of the fields, small letters, with ';' between them */
    struct {
        struct slice name, value;
        bool is_again; /* the name is that of the field before */
    } fields[FIELDS_MOST];
};

static struct slice scope_of(const struct signing *s)
{
    return slice_of(s->scope, s->scope_len);
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

static int compare_names(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;

    for (size_t i = 0; i < len; i++) {
        int order = lower(a.at[i]) - lower(b.at[i]);

        if (order != 0)
            return order;
    }
    return (a.len > b.len) - (a.len < b.len);
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

/* When all fields are there. */
static void put_names(struct signing *s)
{
    struct buf *b = &s->signer->scratch->names;
    size_t room = 0;
    uint8_t *to;

    for (size_t i = 0; i < s->count; i++)
        room += s->fields[i].name.len + 1;
    buf_clear(b);
    to = buf_reserve(b, room);
    for (size_t i = 0; i < s->count; i++) {
        struct slice name = slice_of(to, s->fields[i].name.len);

        sigv4_lower(s->fields[i].name, to);
        s->fields[i].name = name;
        s->fields[i].is_again = i > 0 && slice_is(name, s->fields[i - 1].name);
        if (s->fields[i].is_again) {
            s->fields[i].name = s->fields[i - 1].name;
            continue;
        }
        to[name.len] = ';';
        to += name.len + 1;
    }
    b->len = to == b->at ? 0 : (size_t)(to - b->at) - 1;
    s->names = buf_all(b);
}

static void put_scope(struct signing *s)
{
    static const char end[] = "/s3/aws4_request";
    struct slice region = s->signer->region;
    char *to = s->scope;

    memcpy(to, s->time.at, SIGV4_DATE);
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
    s->time = sigv4_time_write(signer->scratch, (int64_t)now_s);
    put_scope(s);
    for (size_t i = 0; i < request->field_count; i++)
        add_field(s, request->fields[i].name, request->fields[i].value);
    return ERR_NONE;
}

/* What is signed of the fields. */
static void put_fields(const struct signing *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (!s->fields[i].is_again)
            sigv4_canonical_name(s->signer->scratch, s->fields[i].name);
        sigv4_canonical_value(s->signer->scratch, s->fields[i].value,
                              i + 1 == s->count || !s->fields[i + 1].is_again);
    }
}

static const struct hmac_sha256 *key_of(const struct signing *s)
{
    return sigv4_keys_get(s->signer->keys, s->signer->secret, slice_of(s->time.at, SIGV4_DATE),
                          s->signer->region);
}

/* Once the canonical request is there. */
static void sign_hash(struct sigv4_scratch *scratch, const struct hmac_sha256 *key,
                      struct slice time, struct slice scope,
                      const uint8_t hash[DIGEST_SHA256_BYTES], char signature[DIGEST_SHA256_HEX])
{
    char string[SIGV4_STRING_MOST];

    sigv4_string_sign(scratch, key, slice_of(string, sigv4_string_write(time, scope, hash, string)),
                      signature);
}

static enum err sign(struct signing *s, struct slice payload, char signature[DIGEST_SHA256_HEX])
{
    struct sigv4_scratch *scratch = s->signer->scratch;
    uint8_t hash[DIGEST_SHA256_BYTES];

    TRY(sigv4_canonical_begin(scratch, s->request->method, s->request->path, false, &s->query,
                              NULL));
    put_fields(s);
    sigv4_canonical_end(scratch, s->names, payload, hash);
    sign_hash(scratch, key_of(s), s->time, scope_of(s), hash, signature);
    return ERR_NONE;
}

static void fill_seed(const struct signing *s, const char signature[DIGEST_SHA256_HEX],
                      struct sigv4_seed *seed)
{
    seed->key = *key_of(s);
    memcpy(seed->time, s->time.at, SIGV4_TIME);
    seed->scope_len = (uint8_t)s->scope_len;
    memcpy(seed->scope, s->scope, s->scope_len);
    memcpy(seed->signature, signature, DIGEST_SHA256_HEX);
}

static inline uint8_t *put(uint8_t *to, struct slice s)
{
    if (s.len > 0)
        memcpy(to, s.at, s.len);
    return to + s.len;
}

/* The lines of a head up to the signature, with room asked for once. */
static void put_lines(const struct signing *s, struct slice payload, struct buf *out)
{
    struct slice token = s->signer->token;
    size_t room =
        payload.len + token.len + s->signer->id.len + s->names.len + scope_of(s).len + 512;
    uint8_t *to = buf_reserve(out, room), *start = to;

    to = put(put(to, slice_text("x-amz-date: ")), s->time);
    to = put(put(to, slice_text("\r\nx-amz-content-sha256: ")), payload);
    if (token.len > 0)
        to = put(put(to, slice_text("\r\nx-amz-security-token: ")), token);
    to = put(to, slice_text("\r\nAuthorization: AWS4-HMAC-SHA256 Credential="));
    to = put(put(put(to, s->signer->id), slice_text("/")), scope_of(s));
    to = put(put(to, slice_text(", SignedHeaders=")), s->names);
    to = put(to, slice_text(", Signature="));
    assert((size_t)(to - start) <= room);
    buf_grow(out, (size_t)(to - start));
}

static void put_signature(const char signature[DIGEST_SHA256_HEX], struct buf *out)
{
    uint8_t *to = buf_reserve(out, DIGEST_SHA256_HEX + 2);

    put(put(to, slice_of(signature, DIGEST_SHA256_HEX)), slice_text("\r\n"));
    buf_grow(out, DIGEST_SHA256_HEX + 2);
}

static enum err prepare(struct signing *s, const struct sigv4_signer *signer,
                        const struct sigv4_request *request, struct slice payload, uint64_t now_s)
{
    TRY(begin(s, signer, request, now_s));
    add_field(s, slice_text("x-amz-content-sha256"), payload);
    add_field(s, slice_text("x-amz-date"), s->time);
    if (signer->token.len > 0)
        add_field(s, slice_text("x-amz-security-token"), signer->token);
    put_names(s);
    return ERR_NONE;
}

/* --- What stays the same ---------------------------------------------------------------------- */

/* Behind the path: an empty query, host and what the signature adds. */
static void put_plain_canonical(struct sigv4_plain *plain, const struct signing *s,
                                struct slice payload)
{
    struct sigv4_scratch *scratch = s->signer->scratch;

    buf_clear(&scratch->canonical);
    put_fields(s);
    sigv4_canonical_last(scratch, s->names, payload);
    buf_text(&plain->canonical, "\n\n");
    buf_slice(&plain->canonical, buf_all(&scratch->canonical));
}

static void put_plain_head(struct sigv4_plain *plain, const struct signing *s, struct slice host,
                           struct slice payload)
{
    buf_text(&plain->head, " HTTP/1.1\r\nhost: ");
    buf_slice(&plain->head, host);
    buf_text(&plain->head, "\r\n");
    put_lines(s, payload, &plain->head);
}

enum err sigv4_plain_make(struct sigv4_plain *plain, const struct sigv4_signer *signer,
                          struct slice host, uint64_t now_s)
{
    struct http1_field field = { .name = slice_text("host"), .value = host };
    struct sigv4_request request = { .fields = &field, .field_count = 1 };
    struct slice payload = slice_text(SIGV4_PLAIN_PAYLOAD);
    struct signing s;

    plain->now_s = 0;
    buf_clear(&plain->canonical);
    buf_clear(&plain->head);
    TRY(prepare(&s, signer, &request, payload, now_s));
    put_plain_canonical(plain, &s, payload);
    put_plain_head(plain, &s, host, payload);
    plain->string_len = sigv4_string_begin(s.time, scope_of(&s), plain->string);
    plain->key = *key_of(&s);
    if (plain->string_len >= SHA256_CBLOCK)
        hmac_sha256_start(&plain->key, (const uint8_t *)plain->string, &plain->start);
    plain->now_s = now_s;
    return ERR_NONE;
}

/* By the hash of the canonical request; `hash` is then what is to be told.  With a region of up to
 * three letters that hash begins within the first block. */
static void sign_plain(struct sigv4_plain *plain, uint8_t hash[DIGEST_SHA256_BYTES])
{
    struct slice string = slice_of(plain->string, plain->string_len + DIGEST_SHA256_HEX);

    digest_hex(slice_of(hash, DIGEST_SHA256_BYTES), plain->string + plain->string_len);
    if (plain->string_len >= SHA256_CBLOCK)
        hmac_sha256_of_rest(&plain->key, &plain->start, string, hash);
    else
        hmac_sha256_of(&plain->key, string, hash);
}

void sigv4_plain_put(struct sigv4_plain *plain, struct sigv4_scratch *scratch, struct slice method,
                     size_t path_len, struct buf *out)
{
    struct buf *canonical = &scratch->canonical;
    size_t rest = plain->head.len + DIGEST_SHA256_HEX + 4;
    uint8_t *to;
    uint8_t hash[DIGEST_SHA256_BYTES];

    buf_clear(canonical);
    to = buf_reserve(canonical, method.len + 1 + path_len + plain->canonical.len);
    to = put(put(to, method), slice_text("\n"));
    to =
        put(put(to, slice_of(out->at + out->len - path_len, path_len)), buf_all(&plain->canonical));
    canonical->len = (size_t)(to - canonical->at);
    digest_sha256(buf_all(canonical), hash);
    sign_plain(plain, hash);
    to = put(buf_reserve(out, rest), buf_all(&plain->head));
    digest_hex(slice_of(hash, sizeof(hash)), (char *)to);
    put(to + DIGEST_SHA256_HEX, slice_text("\r\n\r\n"));
    buf_grow(out, rest);
}

void sigv4_plain_forget(struct sigv4_plain *plain)
{
    buf_fini(&plain->canonical);
    buf_fini(&plain->head);
    OPENSSL_cleanse(plain, sizeof(*plain));
}

/* --- Signing ---------------------------------------------------------------------------------- */

enum err sigv4_sign(const struct sigv4_signer *signer, const struct sigv4_request *request,
                    struct slice payload, uint64_t now_s, struct sigv4_seed *seed, struct buf *out)
{
    struct signing s;
    char signature[DIGEST_SHA256_HEX];

    TRY(sigv4_query_read(signer->scratch, request->query, &s.query));
    TRY(prepare(&s, signer, request, payload, now_s));
    TRY(sign(&s, payload, signature));
    if (seed != NULL)
        fill_seed(&s, signature, seed);
    put_lines(&s, payload, out);
    put_signature(signature, out);
    return ERR_NONE;
}

enum err sigv4_presign(const struct sigv4_signer *signer, const struct sigv4_request *request,
                       uint64_t now_s, uint32_t expires_s, struct buf *out)
{
    struct signing s;
    char signature[DIGEST_SHA256_HEX];
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
    buf_format(out, "&X-Amz-Date=%.*s&X-Amz-Expires=%u&X-Amz-SignedHeaders=", SIGV4_TIME,
               (const char *)s.time.at, expires_s);
    put_names(&s);
    uri_put_encoded(out, s.names, URI_KEEP_UNRESERVED);
    if (signer->token.len > 0) {
        buf_text(out, "&X-Amz-Security-Token=");
        uri_put_encoded(out, signer->token, URI_KEEP_UNRESERVED);
    }
    err = sigv4_query_read(signer->scratch, slice_from(buf_all(out), before), &s.query);
    if (err == ERR_NONE)
        err = sign(&s, slice_text("UNSIGNED-PAYLOAD"), signature);
    if (err != ERR_NONE) {
        out->len = before;
        return err;
    }
    buf_text(out, "&X-Amz-Signature=");
    buf_put(out, signature, DIGEST_SHA256_HEX);
    return ERR_NONE;
}
