/* See back_folder.h: GetObjectAttributes. */
#include "proxy/blob/back_folder.h"
#include "proxy/wire/checksum.h"
#include "proxy/wire/s3_write.h"

static void write_sums(struct buf *out, const struct folder_object *object)
{
    struct buf sums = { 0 };

    for (size_t i = 0; i < object->pair_count; i++) {
        enum checksum kind = object->pairs[i].kind == FOLDER_SUM
                                 ? checksum_of_field(object->pairs[i].name)
                                 : CHECKSUMS;
        struct buf name = { 0 };

        if (kind == CHECKSUMS)
            continue;
        buf_text(&name, "Checksum");
        for (const char *c = checksum_name(kind); *c != '\0'; c++)
            buf_format(&name, "%c", *c >= 'a' && *c <= 'z' ? *c & ~0x20 : *c);
        buf_put(&name, "", 1);
        s3_write_text(&sums, (const char *)name.at, object->pairs[i].value);
        buf_fini(&name);
    }
    if (sums.len > 0) {
        s3_write_open(out, "Checksum");
        buf_slice(out, buf_all(&sums));
        s3_write_close(out, "Checksum");
    }
    buf_fini(&sums);
}

static bool asks_attribute(const struct folder_exchange *x, const char *name)
{
    struct slice element;

    for (size_t i = 0; i < x->ask.field_count; i++) {
        struct slice rest = x->ask.fields[i].value;

        if (!slice_is_text(x->ask.fields[i].name, "x-amz-object-attributes"))
            continue;
        while (http1_element_next(&rest, &element))
            if (slice_is_text(element, name))
                return true;
    }
    return false;
}

static void write_attributes(struct folder_exchange *x, const struct folder_object *object)
{
    s3_write_begin(&x->body, "GetObjectAttributesResponse");
    if (asks_attribute(x, "ETag"))
        s3_write_text(&x->body, "ETag", slice_text(object->etag));
    if (asks_attribute(x, "Checksum"))
        write_sums(&x->body, object);
    if (asks_attribute(x, "ObjectParts") && object->parts > 0) {
        s3_write_open(&x->body, "ObjectParts");
        s3_write_number(&x->body, "PartsCount", object->parts);
        s3_write_close(&x->body, "ObjectParts");
    }
    if (asks_attribute(x, "StorageClass"))
        s3_write_text(&x->body, "StorageClass", slice_text("STANDARD"));
    if (asks_attribute(x, "ObjectSize"))
        s3_write_number(&x->body, "ObjectSize", object->size);
    s3_write_close(&x->body, "GetObjectAttributesResponse");
}

void folder_do_attributes(struct folder_exchange *x)
{
    struct folder_object object;
    enum folder_outcome outcome;

    if (folder_field(x, "x-amz-object-attributes").len == 0) {
        folder_answer_code(x, 400, "InvalidRequest",
                           "The x-amz-object-attributes header specifying the attributes to be "
                           "retrieved is either missing or empty");
        return;
    }
    outcome = folder_head(x->folder, x->ask.bucket, x->ask.key, &object);
    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    folder_answer_date(x, "last-modified", object.modified_us / 1000000);
    write_attributes(x, &object);
    folder_object_fini(&object);
    folder_answer_xml(x);
}
