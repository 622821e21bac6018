/* See steward_keys_answer.h. */
#include "proxy/steward_keys_answer.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "proxy/wire/http_date.h"
#include "proxy/wire/s3_xml.h"

/* As it was found: slices of the answer. */
struct found {
    struct slice id, secret, token, ends, code, message;
};

/* What a service says of its trouble goes into the log. */
static void put_clean(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len && i < 200; i++)
        buf_put(out, text.at[i] >= ' ' && text.at[i] < 0x7f ? (const void *)&text.at[i] : "?", 1);
}

static enum err refused(const struct found *found, struct buf *why)
{
    buf_text(why, "it says ");
    put_clean(why, found->code);
    if (found->message.len > 0) {
        buf_text(why, ": ");
        put_clean(why, found->message);
    }
    return ERR_LOGIN;
}

static enum err take(const struct found *found, struct aws_keys *keys, int64_t *ends_s,
                     struct buf *why)
{
    int64_t ends_ms = INT64_MAX;

    if (found->ends.len > 0 && iso_extended_read(found->ends, &ends_ms) != ERR_NONE) {
        buf_text(why, "the time at which its keys end can't be read");
        return ERR_SYNTAX;
    }
    TRY(aws_keys_of_texts(found->id, found->secret, found->token, keys, why));
    *ends_s = found->ends.len > 0 ? ends_ms / 1000 : INT64_MAX;
    return ERR_NONE;
}

/* ---- JSON ---- */

static struct slice text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(item) ? slice_text(item->valuestring) : (struct slice){ 0 };
}

static enum err read_json(const cJSON *object, struct aws_keys *keys, int64_t *ends_s,
                          struct buf *why)
{
    struct found found = { .id = text_of(object, "AccessKeyId"),
                           .secret = text_of(object, "SecretAccessKey"),
                           .token = text_of(object, "Token"),
                           .ends = text_of(object, "Expiration"),
                           .code = text_of(object, "Code"),
                           .message = text_of(object, "Message") };

    if (!cJSON_IsObject(object)) {
        buf_text(why, "its answer is no JSON of keys");
        return ERR_SYNTAX;
    }
    if (found.code.len == 0) /* containers' agents write errors so */
        found.code = text_of(object, "code");
    if (found.message.len == 0)
        found.message = text_of(object, "message");
    if (found.code.len > 0 && !slice_is_text(found.code, "Success"))
        return refused(&found, why);
    return take(&found, keys, ends_s, why);
}

/* cJSON's copies are wiped before they are freed. */
static void forget(const cJSON *object)
{
    static const char *const NAMES[] = { "SecretAccessKey", "Token" };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        struct slice secret = text_of(object, NAMES[i]);

        if (secret.len > 0)
            explicit_bzero((void *)secret.at, secret.len);
    }
}

enum err keys_answer_json(struct slice text, struct aws_keys *keys, int64_t *ends_s,
                          struct buf *why)
{
    cJSON *object = text.len > 0 && text.len <= KEYS_ANSWER_MOST
                        ? cJSON_ParseWithLength((const char *)text.at, text.len)
                        : NULL;
    enum err err = read_json(object, keys, ends_s, why);

    forget(object);
    cJSON_Delete(object);
    return err;
}

/* ---- XML ---- */

struct document {
    struct found found; /* its slices lie in `texts` */
    char texts[6][AWS_KEYS_TOKEN_MOST + 1];
    bool is_keys;
};

static enum err on_root(void *owner, struct slice name)
{
    struct document *d = owner;

    d->is_keys = slice_is_text(name, "AssumeRoleWithWebIdentityResponse");
    return d->is_keys || slice_is_text(name, "ErrorResponse") ? ERR_NONE : ERR_SYNTAX;
}

static enum err on_closed(void *owner, struct slice path, struct slice text)
{
#define CREDENTIALS "AssumeRoleWithWebIdentityResult/Credentials/"
    static const char *const PATHS[] = { CREDENTIALS "AccessKeyId",
                                         CREDENTIALS "SecretAccessKey",
                                         CREDENTIALS "SessionToken",
                                         CREDENTIALS "Expiration",
                                         "Error/Code",
                                         "Error/Message" };
#undef CREDENTIALS
    struct document *d = owner;
    struct slice *const slots[] = { &d->found.id,   &d->found.secret, &d->found.token,
                                    &d->found.ends, &d->found.code,   &d->found.message };

    for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++) {
        if (!slice_is_text(path, PATHS[i]))
            continue;
        if (text.len >= sizeof(d->texts[i]))
            return ERR_LIMIT;
        if (text.len > 0)
            memcpy(d->texts[i], text.at, text.len);
        *slots[i] = slice_of(d->texts[i], text.len);
    }
    return ERR_NONE;
}

enum err keys_answer_xml(struct slice text, struct aws_keys *keys, int64_t *ends_s, struct buf *why)
{
    static const struct s3_xml_calls CALLS = { .root = on_root, .closed = on_closed };
    struct document d = { 0 };
    struct s3_xml *xml = s3_xml_new(&CALLS, &d, KEYS_ANSWER_MOST);
    enum err err = s3_xml_feed(xml, text);

    if (err == ERR_NONE)
        err = s3_xml_end(xml);
    s3_xml_free(&xml);
    if (err != ERR_NONE)
        buf_text(why, "its answer is no XML of keys");
    else if (!d.is_keys)
        err = refused(&d.found, why);
    else
        err = take(&d.found, keys, ends_s, why);
    explicit_bzero(&d, sizeof(d));
    return err;
}
