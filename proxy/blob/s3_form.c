/* See s3_form.h. */
#include "proxy/blob/s3_form.h"

#include <string.h>

#include "proxy/wire/http1_token.h"
#include "proxy/wire/s3_request_xml.h"
#include "proxy/wire/uri.h"

static enum s3_error fail(struct s3_fault *fault, enum s3_error error)
{
    s3_fault_set(fault, error);
    return error;
}

/* ---- fields ---- */

enum s3_error s3_form_add(struct s3_form *form, struct slice name, struct slice value,
                          struct s3_fault *fault)
{
    form->bytes += name.len + value.len;
    /* One is left for the bucket. */
    if (form->count + 1 == S3_POLICY_FIELDS_MOST || form->bytes > S3_FORM_BYTES_MOST)
        return fail(fault, S3_MAX_POST_PRE_DATA_LENGTH_EXCEEDED);
    if (slice_is_word(name, "bucket")) /* which one is said by the path */
        return S3_NONE;
    form->fields[form->count++] = (struct http1_field){ .name = arena_copy(form->arena, name),
                                                        .value = arena_copy(form->arena, value) };
    return S3_NONE;
}

static struct http1_field *find(struct s3_form *form, const char *name)
{
    for (size_t i = 0; i < form->count; i++)
        if (slice_is_word(form->fields[i].name, name))
            return &form->fields[i];
    return NULL;
}

struct slice s3_form_value(const struct s3_form *form, const char *name)
{
    const struct http1_field *field = find((struct s3_form *)form, name);

    return field == NULL ? (struct slice){ 0 } : field->value;
}

void s3_form_signing(const struct s3_form *form, struct sigv4_form *out)
{
    out->policy = s3_form_value(form, "policy");
    out->algorithm = s3_form_value(form, "x-amz-algorithm");
    out->credential = s3_form_value(form, "x-amz-credential");
    out->date = s3_form_value(form, "x-amz-date");
    out->signature = s3_form_value(form, "x-amz-signature");
    out->token = s3_form_value(form, "x-amz-security-token");
}

/* ---- the key ---- */

static struct slice with_file_name(struct arena *arena, struct slice key, struct slice file_name)
{
    static const char NAME[] = "${filename}";
    struct buf out = { 0 };
    struct slice all;
    const uint8_t *at;

    while (key.len > 0 && out.len <= S3_KEY_MOST &&
           (at = memmem(key.at, key.len, NAME, sizeof(NAME) - 1)) != NULL) {
        buf_put(&out, key.at, (size_t)(at - key.at));
        buf_slice(&out, file_name);
        key = slice_from(key, (size_t)(at - key.at) + sizeof(NAME) - 1);
    }
    buf_slice(&out, key);
    all = arena_copy(arena, buf_all(&out));
    buf_fini(&out);
    return all;
}

enum s3_error s3_form_close(struct s3_form *form, struct slice bucket, struct slice file_name,
                            struct slice *key, struct s3_fault *fault)
{
    struct http1_field *field = find(form, "key");

    if (field == NULL) {
        s3_fault_say(fault, S3_INVALID_ARGUMENT,
                     "Bucket POST must contain a field named 'key'.  If it is specified, please "
                     "check the order of the fields.");
        return fault->error;
    }
    field->value = with_file_name(form->arena, field->value, file_name);
    if (field->value.len == 0)
        return fail(fault, S3_USER_KEY_MUST_BE_SPECIFIED);
    if (field->value.len > S3_KEY_MOST)
        return fail(fault, S3_KEY_TOO_LONG_ERROR);
    if (memchr(field->value.at, '\0', field->value.len) != NULL)
        return fail(fault, S3_INVALID_ARGUMENT);
    *key = field->value;
    form->fields[form->count++] =
        (struct http1_field){ .name = slice_text("bucket"), .value = bucket };
    return S3_NONE;
}

/* ---- what is said of the file ---- */

enum s3_error s3_form_declare(const struct s3_form *form, struct checksum_set *sums,
                              struct s3_fault *fault)
{
    enum s3_error error = S3_NONE;

    for (size_t i = 0; i < form->count && error == S3_NONE; i++) {
        enum checksum kind = checksum_of_field(form->fields[i].name);

        if (kind != CHECKSUMS && kind != CHECKSUM_PAYLOAD)
            error = checksum_set_declare(sums, kind, form->fields[i].value, fault);
    }
    return error;
}

/* Fields that become those of a put, under that name. */
static const char *said_as(struct slice name)
{
    static const struct {
        const char *theirs, *ours;
    } SAID[] = {
        { "acl", "x-amz-acl" },
        { "cache-control", "cache-control" },
        { "content-type", "content-type" },
        { "content-disposition", "content-disposition" },
        { "content-encoding", "content-encoding" },
        { "content-language", "content-language" },
        { "expires", "expires" },
        { "tagging", "x-amz-tagging" },
    };

    for (size_t i = 0; i < sizeof(SAID) / sizeof(SAID[0]); i++)
        if (slice_is_word(name, SAID[i].theirs))
            return SAID[i].ours;
    return NULL;
}

/* The others of Amazon's, but for those that sign. */
static bool is_said(struct slice name)
{
    static const char *const KEPT[] = { "x-amz-algorithm",      "x-amz-credential",
                                        "x-amz-date",           "x-amz-signature",
                                        "x-amz-security-token", "x-amz-checksum-algorithm" };

    if (name.len < 6 || strncasecmp((const char *)name.at, "x-amz-", 6) != 0)
        return false;
    for (size_t i = 0; i < sizeof(KEPT) / sizeof(KEPT[0]); i++)
        if (slice_is_word(name, KEPT[i]))
            return false;
    return true;
}

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = slice_from(s, 1);
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Could it stand in the head of a request? */
static bool is_clean(struct slice name, struct slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((value.at[i] < ' ' && value.at[i] != '\t') || value.at[i] == 0x7f)
            return false;
    return http1_is_token(name);
}

static struct slice small_letters(struct arena *arena, struct slice name)
{
    uint8_t *at = arena_bytes(arena, name.len + 1);

    for (size_t i = 0; i < name.len; i++)
        at[i] = name.at[i] >= 'A' && name.at[i] <= 'Z' ? (uint8_t)(name.at[i] | 0x20) : name.at[i];
    return slice_of(at, name.len);
}

/* Tags are XML in a form, and a query in a head. */
static enum s3_error read_tags(struct arena *arena, struct slice xml, struct slice *out,
                               struct s3_fault *fault)
{
    struct s3_request_xml body;
    struct buf text = { 0 };
    enum err err;

    s3_request_xml_open(&body, S3_REQUEST_TAGGING, arena);
    err = s3_request_xml_feed(&body, xml);
    if (err == ERR_NONE)
        err = s3_request_xml_end(&body);
    if (err != ERR_NONE)
        s3_fault_say(fault, s3_error_of_code(slice_text(body.refusal.code)), "%s",
                     body.refusal.message);
    else
        s3_write_tags_query(&text, body.tags, body.tag_count);
    s3_request_xml_fini(&body);
    *out = arena_copy(arena, buf_all(&text));
    buf_fini(&text);
    return err == ERR_NONE ? S3_NONE : fault->error;
}

static bool has_field(const struct blob_ask *ask, struct slice name)
{
    for (size_t i = 0; i < ask->field_count; i++)
        if (slice_is(ask->fields[i].name, name))
            return true;
    return false;
}

enum s3_error s3_form_ask(const struct s3_form *form, struct blob_ask *ask, struct s3_fault *fault)
{
    struct http1_field *fields = arena_new(form->arena, (form->count + 1) * sizeof(*fields));

    ask->fields = fields;
    ask->field_count = 0;
    for (size_t i = 0; i < form->count; i++) {
        struct slice name = form->fields[i].name, value = trimmed(form->fields[i].value);
        const char *ours = said_as(name);

        if (ours == NULL && !is_said(name))
            continue;
        name = ours != NULL ? slice_text(ours) : small_letters(form->arena, name);
        if (slice_is_text(name, "x-amz-tagging") && value.len > 0 && value.at[0] == '<' &&
            read_tags(form->arena, value, &value, fault) != S3_NONE)
            return fault->error;
        if (!is_clean(name, value)) {
            s3_fault_say(fault, S3_INVALID_ARGUMENT,
                         "A field of the form has bytes that no field of a request may have.");
            return fault->error;
        }
        if (!has_field(ask, name)) /* the first one is what the policy was asked about */
            fields[ask->field_count++] = blob_field_of(name, value);
    }
    return S3_NONE;
}
