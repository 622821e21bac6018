/* See back_folder.h: GetObjectAttributes. */
#include "proxy/blob/back_folder.h"
#include "proxy/blob/folder_parts.h"
#include "proxy/wire/checksum.h"
#include "proxy/wire/s3_write.h"

enum { PARTS_MOST = 1000 };

/* Of which kind are its checksums? */
static enum checksum kind_of(const struct folder_object *object)
{
    for (size_t i = 0; i < object->pair_count; i++) {
        enum checksum kind = object->pairs[i].kind == FOLDER_SUM
                                 ? checksum_of_field(object->pairs[i].name)
                                 : CHECKSUMS;

        if (kind != CHECKSUMS)
            return kind;
    }
    return CHECKSUMS;
}

static void write_sums(struct buf *out, const struct folder_object *object)
{
    struct slice type = folder_object_find(object, FOLDER_SUM, "x-amz-checksum-type");

    if (kind_of(object) == CHECKSUMS)
        return;
    s3_write_open(out, "Checksum");
    for (size_t i = 0; i < object->pair_count; i++) {
        struct s3_checksum sum = { 0 };

        if (object->pairs[i].kind == FOLDER_SUM)
            sum = folder_sum_as_element(checksum_of_field(object->pairs[i].name),
                                        object->pairs[i].value);
        s3_write_checksum(out, &sum);
    }
    s3_write_text(out, "ChecksumType", type.len > 0 ? type : slice_text("FULL_OBJECT"));
    s3_write_close(out, "Checksum");
}

static void write_part(struct buf *out, unsigned number, uint64_t size, struct s3_checksum sum)
{
    s3_write_open(out, "Part");
    s3_write_checksum(out, &sum);
    s3_write_number(out, "PartNumber", number);
    s3_write_number(out, "Size", size);
    s3_write_close(out, "Part");
}

/* A page of them: those behind `after`. */
static void write_parts(struct folder_exchange *x, const struct folder_object *object)
{
    struct slice text = buf_all(&object->part_text);
    uint64_t after = 0, last = 0;
    size_t most = PARTS_MOST, count = 0;
    struct folder_span span = { 0 };
    bool is_more = false;
    struct buf parts = { 0 };

    (void)slice_to_u64(folder_field(x, "x-amz-part-number-marker"), &after);
    if (slice_to_u64(folder_field(x, "x-amz-max-parts"), &last) && last < most)
        most = (size_t)last;
    last = after;
    while (!is_more && folder_span_next(&text, &span, &span) == ERR_NONE)
        for (unsigned n = span.first; n <= span.last && !is_more; n++) {
            is_more = n > after && count == most;
            if (n <= after || is_more)
                continue;
            write_part(&parts, n, span.size, folder_sum_as_element(kind_of(object), span.sum));
            last = n;
            count++;
        }
    s3_write_open(&x->body, "ObjectParts");
    s3_write_number(&x->body, "PartsCount", object->parts);
    if (object->part_text.len > 0) {
        s3_write_number(&x->body, "PartNumberMarker", after);
        s3_write_number(&x->body, "NextPartNumberMarker", last);
        s3_write_number(&x->body, "MaxParts", most);
        s3_write_bool(&x->body, "IsTruncated", is_more && most > 0);
        buf_slice(&x->body, buf_all(&parts));
    }
    s3_write_close(&x->body, "ObjectParts");
    buf_fini(&parts);
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
    if (asks_attribute(x, "ObjectParts") && object->parts > 0)
        write_parts(x, object);
    if (asks_attribute(x, "StorageClass"))
        s3_write_text(&x->body, "StorageClass", slice_text("STANDARD"));
    if (asks_attribute(x, "ObjectSize"))
        s3_write_number(&x->body, "ObjectSize", object->size);
    s3_write_close(&x->body, "GetObjectAttributesResponse");
}

void folder_do_attributes(struct folder_exchange *x)
{
    struct folder_reader reader;
    enum folder_outcome outcome;

    if (folder_field(x, "x-amz-object-attributes").len == 0) {
        folder_answer_code(x, 400, "InvalidRequest",
                           "The x-amz-object-attributes header specifying the attributes to be "
                           "retrieved is either missing or empty");
        return;
    }
    outcome = folder_get_with_parts(x->folder, x->ask.bucket, x->ask.key, &reader);
    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    folder_answer_date(x, "last-modified", reader.object.modified_us / 1000000);
    write_attributes(x, &reader.object);
    folder_reader_close(&reader);
    folder_answer_xml(x);
}
