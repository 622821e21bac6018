/* Bodies from clients: read at once or piece by piece they say the same, keep to the limits, and
 * are read as they were when they are written for a store. */
#include <stdlib.h>

#include "proxy/wire/s3_request_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static enum err read_in_steps(struct s3_request_xml *body, enum s3_request_kind kind,
                              struct arena *arena, struct slice in, size_t step)
{
    s3_request_xml_open(body, kind, arena);
    while (in.len > 0) {
        size_t len = in.len < step ? in.len : step;
        uint8_t *copy = malloc(len);
        enum err err;

        memcpy(copy, in.at, len);
        err = s3_request_xml_feed(body, slice_of(copy, len));
        free(copy);
        TRY(err);
        in = slice_from(in, len);
    }
    return s3_request_xml_end(body);
}

static void check_limits(const struct s3_request_xml *body)
{
    require(body->key_count <= S3_DELETE_KEYS && body->part_count <= S3_PARTS);
    require(body->tag_count <= S3_TAGS);
    for (size_t i = 0; i < body->key_count; i++)
        require(body->keys[i].key.len > 0 && body->keys[i].key.len <= S3_KEY_BYTES);
    for (size_t i = 0; i < body->part_count; i++)
        require(body->parts[i].etag.len > 0 && body->parts[i].number >= 1 &&
                body->parts[i].number <= S3_PARTS &&
                (i == 0 || body->parts[i].number > body->parts[i - 1].number));
}

static void check_same(const struct s3_request_xml *a, const struct s3_request_xml *b)
{
    require(a->key_count == b->key_count && a->part_count == b->part_count &&
            a->tag_count == b->tag_count && slice_is(a->location, b->location) &&
            a->is_quiet == b->is_quiet && a->is_enabled == b->is_enabled);
    for (size_t i = 0; i < a->key_count; i++)
        require(slice_is(a->keys[i].key, b->keys[i].key) &&
                slice_is(a->keys[i].version, b->keys[i].version) &&
                slice_is(a->keys[i].etag, b->keys[i].etag));
    for (size_t i = 0; i < a->part_count; i++)
        require(slice_is(a->parts[i].etag, b->parts[i].etag) &&
                a->parts[i].checksum.kind == b->parts[i].checksum.kind &&
                slice_is(a->parts[i].checksum.value, b->parts[i].checksum.value));
    for (size_t i = 0; i < a->tag_count; i++)
        require(slice_is(a->tags[i].key, b->tags[i].key) &&
                slice_is(a->tags[i].value, b->tags[i].value));
}

/* A store must be told of the same keys and parts as we were. */
static void check_written(const struct s3_request_xml *body, struct arena *arena)
{
    struct s3_request_xml again;
    struct buf text = { 0 };

    if (body->kind == S3_REQUEST_DELETE)
        s3_write_delete(&text, body->keys, NULL, body->key_count);
    else if (body->kind == S3_REQUEST_COMPLETE)
        s3_write_complete(&text, body->parts, body->part_count);
    else
        return;
    require(read_in_steps(&again, body->kind, arena, buf_all(&text), text.len) == ERR_NONE);
    again.is_quiet = body->is_quiet;
    check_same(body, &again);
    s3_request_xml_fini(&again);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct arena arena = { 0 };
    struct s3_request_xml whole, parts;
    enum s3_request_kind kind;
    struct slice text;
    bool is_good;

    if (len < 2 || len > S3_XML_TOKEN_BYTES)
        return 0;
    kind = (enum s3_request_kind)(at[0] % (S3_REQUEST_VERSIONING + 1));
    text = slice_of(at + 2, len - 2);
    is_good = read_in_steps(&whole, kind, &arena, text, len) == ERR_NONE;
    require(is_good == (whole.refusal.code == NULL));
    require((read_in_steps(&parts, kind, &arena, text, 1 + at[1] % 32) == ERR_NONE) == is_good);
    check_limits(&whole);
    if (is_good) {
        check_same(&whole, &parts);
        check_written(&whole, &arena);
    }
    s3_request_xml_fini(&whole);
    s3_request_xml_fini(&parts);
    arena_fini(&arena);
    return 0;
}
