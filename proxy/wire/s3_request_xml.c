/* See s3_request_xml.h.  One table row for each kind of body: its root, its size, and what is done
 * when an element opens and closes. */
#include "proxy/wire/s3_request_xml.h"

#include "proxy/wire/uri.h"

enum {
    SMALL_BODY_BYTES = 64 * 1024,
    DELETE_BODY_BYTES = 2 * 1024 * 1024,
    COMPLETE_BODY_BYTES = 4 * 1024 * 1024,
    ID_BYTES = 1024,
    FIRST_ROOM = 16,
};

struct kind {
    const char *root;
    size_t limit;
    enum err (*opened)(struct s3_request_xml *body, struct slice path); /* may be NULL */
    enum err (*closed)(struct s3_request_xml *body, struct slice path, struct slice text);
    enum err (*ended)(struct s3_request_xml *body);
};

static const struct kind KINDS[];

static enum err refuse(struct s3_request_xml *body, const char *code, const char *message)
{
    if (body->refusal.code == NULL)
        body->refusal = (struct s3_refusal){ code, message };
    return ERR_SYNTAX;
}

static enum err refuse_form(struct s3_request_xml *body)
{
    return refuse(body, "MalformedXML",
                  "The XML you provided was not well-formed or did not validate against our "
                  "published schema");
}

/* Room for one element more, which it gives: all zero. */
static void *grow(struct s3_request_xml *body, void *array, size_t count, size_t size)
{
    void *larger;

    if (count < body->room)
        return array;
    body->room = count == 0 ? FIRST_ROOM : 2 * count;
    larger = arena_new(body->arena, body->room * size);
    if (count > 0)
        memcpy(larger, array, count * size);
    return larger;
}

static struct slice unquoted(struct slice etag)
{
    if (etag.len >= 2 && etag.at[0] == '"' && etag.at[etag.len - 1] == '"')
        return slice_of(etag.at + 1, etag.len - 2);
    return etag;
}

static enum err keep_once(struct s3_request_xml *body, struct slice *field, struct slice text)
{
    if (field->at != NULL)
        return refuse_form(body);
    *field = arena_copy(body->arena, text);
    return ERR_NONE;
}

static enum err read_bool(struct s3_request_xml *body, struct slice text, bool *out)
{
    if (!slice_is_word(text, "true") && !slice_is_word(text, "false"))
        return refuse_form(body);
    *out = slice_is_word(text, "true");
    return ERR_NONE;
}

/* ---- Delete ---- */

static enum err delete_opened(struct s3_request_xml *body, struct slice path)
{
    if (!slice_is_text(path, "Object"))
        return ERR_NONE;
    if (body->key_count == S3_DELETE_KEYS)
        return refuse_form(body);
    body->keys = grow(body, body->keys, body->key_count, sizeof(*body->keys));
    return ERR_NONE;
}

static enum err delete_object_closed(struct s3_request_xml *body, const struct s3_delete_key *key)
{
    if (key->key.len == 0)
        return refuse(body, "UserKeyMustBeSpecified",
                      "The bucket POST must contain the specified field name.  If it is "
                      "specified, please check the order of the fields.");
    body->key_count++;
    return ERR_NONE;
}

/* A condition that we don't know must not be passed over: what it guards would be deleted. */
static enum err delete_closed(struct s3_request_xml *body, struct slice path, struct slice text)
{
    struct s3_delete_key *key;

    if (path.len == 0)
        return ERR_NONE;
    if (slice_is_text(path, "Quiet"))
        return read_bool(body, text, &body->is_quiet);
    if (!slice_starts(path, slice_text("Object")) || body->keys == NULL)
        return refuse_form(body);
    key = &body->keys[body->key_count];
    if (slice_is_text(path, "Object"))
        return delete_object_closed(body, key);
    if (slice_is_text(path, "Object/Key")) {
        if (text.len > S3_KEY_BYTES)
            return refuse(body, "KeyTooLongError", "Your key is too long");
        return keep_once(body, &key->key, text);
    }
    if (slice_is_text(path, "Object/VersionId")) {
        if (text.len > ID_BYTES)
            return refuse(body, "InvalidArgument", "Invalid version id specified");
        return keep_once(body, &key->version, text);
    }
    if (slice_is_text(path, "Object/ETag"))
        return keep_once(body, &key->etag, unquoted(text));
    if (slice_is_text(path, "Object/LastModifiedTime") || slice_is_text(path, "Object/Size")) {
        key->is_conditional = true;
        return ERR_NONE;
    }
    return refuse_form(body);
}

static enum err delete_ended(struct s3_request_xml *body)
{
    return body->key_count > 0 ? ERR_NONE : refuse_form(body);
}

/* ---- CompleteMultipartUpload ---- */

static enum err complete_opened(struct s3_request_xml *body, struct slice path)
{
    if (!slice_is_text(path, "Part"))
        return ERR_NONE;
    if (body->part_count == S3_PARTS)
        return refuse_form(body);
    body->parts = grow(body, body->parts, body->part_count, sizeof(*body->parts));
    return ERR_NONE;
}

static enum err part_closed(struct s3_request_xml *body, const struct s3_part *part)
{
    if (part->number == 0 || part->etag.len == 0)
        return refuse_form(body);
    if (body->part_count > 0 && part->number <= part[-1].number)
        return refuse(body, "InvalidPartOrder",
                      "The list of parts was not in ascending order. Parts must be ordered by "
                      "part number.");
    body->part_count++;
    return ERR_NONE;
}

static enum err part_number_closed(struct s3_request_xml *body, struct s3_part *part,
                                   struct slice text)
{
    uint64_t number;

    if (part->number != 0 || !slice_to_u64(text, &number))
        return refuse_form(body);
    if (number < 1 || number > S3_PARTS)
        return refuse(body, "InvalidArgument",
                      "PartNumber must be an integer between 1 and 10000, inclusive");
    part->number = (uint32_t)number;
    return ERR_NONE;
}

/* What else a part says (its size, its time) is what the client was told of it: not needed. */
static enum err complete_closed(struct s3_request_xml *body, struct slice path, struct slice text)
{
    struct s3_part *part;
    enum s3_checksum_kind kind;

    if (path.len == 0)
        return ERR_NONE;
    if (!slice_starts(path, slice_text("Part")) || body->parts == NULL)
        return refuse_form(body);
    part = &body->parts[body->part_count];
    if (path.len == 4)
        return part_closed(body, part);
    if (path.at[4] != '/')
        return refuse_form(body);
    path = slice_from(path, 5);
    if (slice_is_text(path, "PartNumber"))
        return part_number_closed(body, part, text);
    if (slice_is_text(path, "ETag"))
        return keep_once(body, &part->etag, unquoted(text));
    kind = s3_checksum_of_element(path);
    if (kind == S3_CHECKSUM_NONE || text.len == 0)
        return ERR_NONE;
    if (part->checksum.kind != S3_CHECKSUM_NONE)
        return refuse(body, "InvalidRequest", "Expecting a single checksum of each part");
    part->checksum.kind = kind;
    return keep_once(body, &part->checksum.value, text);
}

static enum err complete_ended(struct s3_request_xml *body)
{
    return body->part_count > 0 ? ERR_NONE : refuse_form(body);
}

/* ---- CreateBucketConfiguration ---- */

static enum err create_closed(struct s3_request_xml *body, struct slice path, struct slice text)
{
    if (path.len == 0)
        return ERR_NONE;
    if (slice_is_text(path, "LocationConstraint"))
        return keep_once(body, &body->location, text);
    return refuse(body, "NotImplemented",
                  "A bucket can be created with a LocationConstraint and nothing else");
}

static enum err create_ended(struct s3_request_xml *body)
{
    (void)body;
    return ERR_NONE;
}

/* ---- Tagging ---- */

static enum err tagging_opened(struct s3_request_xml *body, struct slice path)
{
    if (!slice_is_text(path, "TagSet/Tag"))
        return ERR_NONE;
    if (body->tag_count == S3_TAGS)
        return refuse(body, "BadRequest", "Object tags cannot be greater than 10");
    body->tags = grow(body, body->tags, body->tag_count, sizeof(*body->tags));
    return ERR_NONE;
}

/* As S3 counts: what needs two words in UTF-16 counts twice. */
static size_t letters_of(struct slice text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.len; i++)
        count += ((text.at[i] & 0xC0) != 0x80) + (text.at[i] >= 0xF0);
    return count;
}

static enum err tag_closed(struct s3_request_xml *body, const struct s3_tag *tag)
{
    if (tag->key.at == NULL || tag->value.at == NULL)
        return refuse_form(body);
    if (tag->key.len == 0 || letters_of(tag->key) > S3_TAG_KEY_LETTERS)
        return refuse(body, "InvalidTag", "The TagKey you have provided is invalid");
    if (letters_of(tag->value) > S3_TAG_VALUE_LETTERS)
        return refuse(body, "InvalidTag", "The TagValue you have provided is invalid");
    for (size_t i = 0; i < body->tag_count; i++)
        if (slice_is(body->tags[i].key, tag->key))
            return refuse(body, "InvalidTag", "Cannot provide multiple Tags with the same key");
    body->tag_count++;
    return ERR_NONE;
}

static enum err tagging_closed(struct s3_request_xml *body, struct slice path, struct slice text)
{
    struct s3_tag *tag;

    if (path.len == 0)
        return ERR_NONE;
    if (slice_is_text(path, "TagSet")) {
        body->is_told = true;
        return ERR_NONE;
    }
    if (!slice_starts(path, slice_text("TagSet/Tag")) || body->tags == NULL)
        return refuse_form(body);
    tag = &body->tags[body->tag_count];
    if (path.len == strlen("TagSet/Tag"))
        return tag_closed(body, tag);
    if (slice_is_text(path, "TagSet/Tag/Key"))
        return keep_once(body, &tag->key, text);
    if (slice_is_text(path, "TagSet/Tag/Value"))
        return keep_once(body, &tag->value, text);
    return refuse_form(body);
}

static enum err tagging_ended(struct s3_request_xml *body)
{
    return body->is_told ? ERR_NONE : refuse_form(body);
}

/* ---- VersioningConfiguration ---- */

static enum err read_state(struct s3_request_xml *body, struct slice text, const char *off,
                           bool *is_on)
{
    if (!slice_is_text(text, "Enabled") && !slice_is_text(text, off))
        return refuse_form(body);
    *is_on = slice_is_text(text, "Enabled");
    return ERR_NONE;
}

static enum err versioning_closed(struct s3_request_xml *body, struct slice path, struct slice text)
{
    if (path.len == 0)
        return ERR_NONE;
    if (slice_is_text(path, "Status")) {
        body->is_told = true;
        return read_state(body, text, "Suspended", &body->is_enabled);
    }
    if (slice_is_text(path, "MfaDelete"))
        return read_state(body, text, "Disabled", &body->is_mfa_deleted);
    return refuse_form(body);
}

static enum err versioning_ended(struct s3_request_xml *body)
{
    if (body->is_told)
        return ERR_NONE;
    return refuse(body, "IllegalVersioningConfigurationException",
                  "The Versioning element must be specified");
}

/* ---- all ---- */

static const struct kind KINDS[] = {
    [S3_REQUEST_DELETE] = { .root = "Delete",
                            .limit = DELETE_BODY_BYTES,
                            .opened = delete_opened,
                            .closed = delete_closed,
                            .ended = delete_ended },
    [S3_REQUEST_COMPLETE] = { .root = "CompleteMultipartUpload",
                              .limit = COMPLETE_BODY_BYTES,
                              .opened = complete_opened,
                              .closed = complete_closed,
                              .ended = complete_ended },
    [S3_REQUEST_CREATE_BUCKET] = { .root = "CreateBucketConfiguration",
                                   .limit = SMALL_BODY_BYTES,
                                   .closed = create_closed,
                                   .ended = create_ended },
    [S3_REQUEST_TAGGING] = { .root = "Tagging",
                             .limit = SMALL_BODY_BYTES,
                             .opened = tagging_opened,
                             .closed = tagging_closed,
                             .ended = tagging_ended },
    [S3_REQUEST_VERSIONING] = { .root = "VersioningConfiguration",
                                .limit = SMALL_BODY_BYTES,
                                .closed = versioning_closed,
                                .ended = versioning_ended },
};

static enum err on_root(void *owner, struct slice name)
{
    struct s3_request_xml *body = owner;

    if (slice_is_text(name, KINDS[body->kind].root))
        return ERR_NONE;
    /* So some clients of old called it; AWS takes both. */
    if (body->kind == S3_REQUEST_COMPLETE && slice_is_text(name, "CompleteMultiPartUpload"))
        return ERR_NONE;
    return refuse_form(body);
}

static enum err on_opened(void *owner, struct slice path)
{
    struct s3_request_xml *body = owner;
    const struct kind *kind = &KINDS[body->kind];

    return kind->opened != NULL ? kind->opened(body, path) : ERR_NONE;
}

static enum err on_closed(void *owner, struct slice path, struct slice text)
{
    struct s3_request_xml *body = owner;

    return KINDS[body->kind].closed(body, path, text);
}

void s3_request_xml_open(struct s3_request_xml *body, enum s3_request_kind kind,
                         struct arena *arena)
{
    static const struct s3_xml_calls CALLS = { .root = on_root,
                                               .opened = on_opened,
                                               .closed = on_closed };

    *body = (struct s3_request_xml){ .kind = kind, .arena = arena };
    body->xml = s3_xml_new(&CALLS, body, KINDS[kind].limit);
}

static enum err explain(struct s3_request_xml *body, enum err err)
{
    if (err == ERR_NONE || body->refusal.code != NULL)
        return err;
    if (body->taken > KINDS[body->kind].limit)
        refuse(body, "MaxMessageLengthExceeded", "Your request was too big.");
    else
        refuse_form(body);
    return err;
}

enum err s3_request_xml_feed(struct s3_request_xml *body, struct slice in)
{
    body->taken += in.len;
    return explain(body, s3_xml_feed(body->xml, in));
}

enum err s3_request_xml_end(struct s3_request_xml *body)
{
    if (body->kind == S3_REQUEST_CREATE_BUCKET && body->taken == 0)
        return ERR_NONE;
    TRY(explain(body, s3_xml_end(body->xml)));
    return KINDS[body->kind].ended(body);
}

void s3_request_xml_fini(struct s3_request_xml *body)
{
    s3_xml_free(&body->xml);
}

void s3_write_tags_query(struct buf *out, const struct s3_tag *tags, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_text(out, i > 0 ? "&" : "");
        uri_put_encoded(out, tags[i].key, URI_KEEP_UNRESERVED);
        buf_text(out, "=");
        uri_put_encoded(out, tags[i].value, URI_KEEP_UNRESERVED);
    }
}
