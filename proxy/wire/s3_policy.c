/* See s3_policy.h. */
#include "proxy/wire/s3_policy.h"

#include <cjson/cJSON.h>

#include "proxy/base/buf.h"
#include "proxy/wire/base64.h"
#include "proxy/wire/http_date.h"

struct policy {
    const struct http1_field *fields;
    size_t count;
    uint64_t is_named[S3_POLICY_FIELDS_MOST / 64]; /* a bit for each field that a condition names */
    struct s3_policy_terms *terms;
    struct s3_fault *fault;
};

static enum s3_error say(struct s3_fault *fault, enum s3_error error, const char *message)
{
    s3_fault_set(fault, error);
    fault->message = message;
    return error;
}

static enum s3_error invalid(struct s3_fault *fault, const char *what)
{
    s3_fault_say(fault, S3_INVALID_POLICY_DOCUMENT, "Invalid Policy: %s", what);
    return fault->error;
}

/* --- Values of the form ----------------------------------------------------------------------- */

/* Names it, so that it is not one field too many. */
static const struct http1_field *field_of(struct policy *p, const char *name)
{
    const struct http1_field *found = NULL;

    for (size_t i = 0; i < p->count; i++) {
        if (!slice_is_word(p->fields[i].name, name))
            continue;
        p->is_named[i / 64] |= UINT64_C(1) << i % 64;
        if (found == NULL)
            found = &p->fields[i];
    }
    return found;
}

static bool is_free(struct slice name)
{
    static const char start[] = "x-ignore-";
    size_t len = sizeof(start) - 1;

    return slice_is_word(name, "policy") || slice_is_word(name, "x-amz-signature") ||
           slice_is_word(name, "file") ||
           (name.len >= len && slice_is_word(slice_of(name.at, len), start));
}

static bool is_printable(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < ' ' || s.at[i] > '~')
            return false;
    }
    return true;
}

static enum s3_error no_other_field(struct policy *p)
{
    for (size_t i = 0; i < p->count; i++) {
        struct slice name = p->fields[i].name;

        if (p->is_named[i / 64] >> i % 64 & 1 || is_free(name))
            continue;
        s3_fault_say(p->fault, S3_ACCESS_DENIED,
                     "Invalid according to Policy: Extra input fields: %.*s",
                     is_printable(name) ? (int)name.len : 0, (const char *)name.at);
        return p->fault->error;
    }
    return S3_NONE;
}

/* --- Conditions ------------------------------------------------------------------------------- */

/* Each of a list "a/b, c/d": several types may be asked for at once. */
static bool each_starts(struct slice value, struct slice start)
{
    struct slice element;
    bool all = slice_starts(value, start);

    while (all && http1_element_next(&value, &element))
        all = slice_starts(element, start);
    return all;
}

static enum s3_error compare(struct policy *p, const char *how, const char *name, const char *value)
{
    const struct http1_field *field = field_of(p, name);
    struct slice expected = slice_text(value);
    bool is_met = field != NULL;

    if (is_met && strcmp(how, "eq") == 0)
        is_met = slice_is(field->value, expected);
    else if (is_met && strcasecmp(name, "content-type") == 0)
        is_met = each_starts(field->value, expected);
    else if (is_met)
        is_met = slice_starts(field->value, expected);
    if (is_met)
        return S3_NONE;
    s3_fault_say(p->fault, S3_ACCESS_DENIED,
                 "Invalid according to Policy: Policy Condition failed: [\"%s\", \"$%s\", \"%s\"]",
                 how, is_printable(slice_text(name)) ? name : "?",
                 is_printable(expected) ? value : "?");
    return p->fault->error;
}

static bool read_length(const cJSON *item, uint64_t *out)
{
    if (cJSON_IsString(item))
        return slice_to_u64(slice_text(item->valuestring), out);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > 9e15)
        return false;
    *out = (uint64_t)item->valuedouble;
    return true;
}

static enum s3_error length_range(struct policy *p, const cJSON *least, const cJSON *most)
{
    uint64_t from, to;

    if (!read_length(least, &from) || !read_length(most, &to) || from > to)
        return invalid(p->fault, "Invalid content-length-range.");
    if (from > p->terms->length_least)
        p->terms->length_least = from;
    if (to < p->terms->length_most)
        p->terms->length_most = to;
    return S3_NONE;
}

static enum s3_error listed(struct policy *p, const cJSON *condition)
{
    const cJSON *how = condition->child, *name, *value;

    if (cJSON_GetArraySize(condition) != 3 || !cJSON_IsString(how))
        return invalid(p->fault, "Invalid Condition: a list must have three elements.");
    name = how->next;
    value = name->next;
    if (strcasecmp(how->valuestring, "content-length-range") == 0)
        return length_range(p, name, value);
    if (!cJSON_IsString(name) || !cJSON_IsString(value) || name->valuestring[0] != '$')
        return invalid(p->fault, "Invalid Condition: it needs a $name and a value.");
    if (strcasecmp(how->valuestring, "eq") == 0)
        return compare(p, "eq", name->valuestring + 1, value->valuestring);
    if (strcasecmp(how->valuestring, "starts-with") == 0)
        return compare(p, "starts-with", name->valuestring + 1, value->valuestring);
    return invalid(p->fault, "Invalid Condition: neither eq, starts-with nor "
                             "content-length-range.");
}

static enum s3_error simple(struct policy *p, const cJSON *condition)
{
    const cJSON *only = condition->child;

    if (only == NULL || only->next != NULL)
        return invalid(p->fault, "Invalid Simple-Condition: Simple-Conditions must have exactly "
                                 "one property specified.");
    if (!cJSON_IsString(only))
        return invalid(p->fault, "Invalid Simple-Condition: value must be a string.");
    return compare(p, "eq", only->string, only->valuestring);
}

static enum s3_error conditions(struct policy *p, const cJSON *list)
{
    size_t count = 0;
    enum s3_error error = S3_NONE;

    if (!cJSON_IsArray(list) || list->child == NULL)
        return invalid(p->fault, "Policy missing conditions.");
    for (const cJSON *each = list->child; each != NULL && error == S3_NONE; each = each->next) {
        if (++count > S3_POLICY_CONDITIONS_MOST)
            return invalid(p->fault, "too many conditions.");
        if (cJSON_IsArray(each))
            error = listed(p, each);
        else if (cJSON_IsObject(each))
            error = simple(p, each);
        else
            error = invalid(p->fault, "Invalid Condition: neither a list nor an object.");
    }
    return error;
}

/* --- The document ----------------------------------------------------------------------------- */

static enum s3_error expiration(const cJSON *document, uint64_t now_s, struct s3_fault *fault)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(document, "expiration");
    int64_t milliseconds;

    if (!cJSON_IsString(item))
        return invalid(fault, "Policy missing expiration.");
    if (iso_extended_read(slice_text(item->valuestring), &milliseconds) != ERR_NONE)
        return invalid(fault, "Invalid 'expiration' value.");
    if (milliseconds < (int64_t)now_s * 1000)
        return say(fault, S3_ACCESS_DENIED, "Invalid according to Policy: Policy expired.");
    return S3_NONE;
}

static enum s3_error check(struct policy *p, const cJSON *document, uint64_t now_s)
{
    enum s3_error error;

    if (!cJSON_IsObject(document))
        return invalid(p->fault, "Invalid JSON.");
    error = expiration(document, now_s, p->fault);
    if (error == S3_NONE)
        error = conditions(p, cJSON_GetObjectItemCaseSensitive(document, "conditions"));
    return error == S3_NONE ? no_other_field(p) : error;
}

/* NULL: it is no JSON, or has more behind it, or a zero byte within a text, which would end it. */
static cJSON *parse(struct slice json)
{
    const char *end = NULL;
    cJSON *document;

    if (memchr(json.at, '\0', json.len) != NULL || memmem(json.at, json.len, "\\u0000", 6) != NULL)
        return NULL;
    document = cJSON_ParseWithLengthOpts((const char *)json.at, json.len, &end, false);
    for (; document != NULL && end < (const char *)json.at + json.len; end++) {
        if (strchr(" \t\r\n", *end) == NULL) {
            cJSON_Delete(document);
            return NULL;
        }
    }
    return document;
}

enum s3_error s3_policy_check(struct slice policy, const struct http1_field *fields, size_t count,
                              uint64_t now_s, struct s3_policy_terms *terms, struct s3_fault *fault)
{
    struct policy p = { .fields = fields, .count = count, .terms = terms, .fault = fault };
    struct buf json = { 0 };
    cJSON *document = NULL;
    enum s3_error error;

    *terms = (struct s3_policy_terms){ .length_most = UINT64_MAX };
    if (count > S3_POLICY_FIELDS_MOST || policy.len > S3_POLICY_MOST)
        return say(fault, S3_MAX_POST_PRE_DATA_LENGTH_EXCEEDED, NULL);
    if (base64_decode(policy, buf_reserve(&json, policy.len + 1), policy.len, &json.len) !=
        ERR_NONE)
        error = invalid(fault, "Invalid Base64 encoding.");
    else if (json.len == 0 || (document = parse(buf_all(&json))) == NULL)
        error = invalid(fault, "Invalid JSON.");
    else
        error = check(&p, document, now_s);
    cJSON_Delete(document);
    buf_fini(&json);
    return error;
}
