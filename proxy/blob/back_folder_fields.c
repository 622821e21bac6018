/* See back_folder.h: what fields and parameters ask that a folder does not have.  To pass over it
 * would tell a client that what he keeps here is encrypted, public, or cold. */
#include "proxy/blob/back_folder.h"
#include "proxy/wire/s3_request_xml.h"
#include "proxy/wire/uri.h"

static bool is_one_of(struct slice value, const char *const *words)
{
    for (; *words != NULL; words++)
        if (slice_is_text(value, *words))
            return true;
    return false;
}

/* Those that leave an object what it is here: its owner's. */
static bool is_private(struct slice acl)
{
    static const char *const WORDS[] = { "private", "bucket-owner-read",
                                         "bucket-owner-full-control", NULL };

    return is_one_of(acl, WORDS);
}

static bool is_lacking(const struct http1_field *f)
{
    if (slice_is_text(f->name, "x-amz-acl"))
        return !is_private(f->value);
    return slice_starts(f->name, slice_text("x-amz-server-side-encryption")) ||
           slice_starts(f->name, slice_text("x-amz-grant-"));
}

static bool is_kept_warm(struct slice class)
{
    static const char *const WORDS[] = { "", "STANDARD", "REDUCED_REDUNDANCY", NULL };

    return is_one_of(class, WORDS);
}

/* ---- tags in a field ---- */

static size_t letters(struct slice text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.len; i++)
        count += (text.at[i] & 0xc0) != 0x80;
    return count;
}

static struct slice decoded(struct folder_exchange *x, struct slice in)
{
    uint8_t *at = arena_bytes(&x->arena, in.len + 1);
    size_t len = 0;

    return uri_decode(in, at, &len) == ERR_NONE ? slice_of(at, len) : in;
}

/* NULL: they are good. */
static const char *fault_of_tags(struct folder_exchange *x)
{
    struct slice rest = folder_field(x, "x-amz-tagging"), names[S3_TAGS];
    struct uri_item item;
    size_t count = 0;

    while (rest.len > 0 && uri_query_next(&rest, &item)) {
        struct slice name = decoded(x, item.name);

        if (count == S3_TAGS)
            return "Object tags cannot be greater than 10";
        if (name.len == 0 || letters(name) > S3_TAG_KEY_LETTERS)
            return "The TagKey you have provided is invalid";
        if (letters(decoded(x, item.value)) > S3_TAG_VALUE_LETTERS)
            return "The TagValue you have provided is invalid";
        for (size_t i = 0; i < count; i++)
            if (slice_is(names[i], name))
                return "Cannot provide multiple Tags with the same key";
        names[count++] = name;
    }
    return NULL;
}

/* ---- the whole ---- */

bool folder_refuses_fields(struct folder_exchange *x)
{
    struct slice version = folder_param(x, "versionId");
    const char *tags;

    if (version.len > 0 && !slice_is_text(version, "null")) {
        folder_answer_code(x, 404, "NoSuchVersion", "A folder has no versions.");
        return true;
    }
    for (size_t i = 0; i < x->ask.field_count; i++) {
        if (!is_lacking(&x->ask.fields[i]))
            continue;
        folder_answer_code(x, 501, "NotImplemented",
                           "A folder has neither ACLs nor encryption of its own.");
        return true;
    }
    if (!is_kept_warm(folder_field(x, "x-amz-storage-class"))) {
        folder_answer_code(x, 400, "InvalidStorageClass",
                           "The storage class you specified is not valid.");
        return true;
    }
    tags = fault_of_tags(x);
    if (tags != NULL)
        folder_answer_code(x, 400, "InvalidTag", tags);
    return tags != NULL;
}
