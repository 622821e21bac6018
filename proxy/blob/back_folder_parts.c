/* See back_folder.h: uploads, and the parts of objects that came by them. */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/blob/back_folder.h"
#include "proxy/blob/folder_parts.h"
#include "proxy/blob/folder_upload.h"
#include "proxy/wire/s3_request_xml.h"
#include "proxy/wire/s3_write.h"

/* ---- a part of an object ---- */

static bool refuse_part(struct folder_exchange *x)
{
    folder_answer_code(x, 416, "InvalidPartNumber", "The requested partnumber is not satisfiable");
    return false;
}

static void put_range(struct folder_exchange *x, uint64_t size)
{
    char text[80];

    if (x->left == 0)
        return; /* a range has a byte at least */
    snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)x->at,
             (unsigned long long)(x->at + x->left - 1), (unsigned long long)size);
    folder_answer_field(x, "content-range", arena_copy(&x->arena, slice_text(text)));
}

/* As the whole has it: its kind, and the type. */
static void put_sum(struct folder_exchange *x, const struct folder_object *object, struct slice sum)
{
    if (sum.len == 0 || !slice_is_word(folder_field(x, "x-amz-checksum-mode"), "enabled"))
        return;
    for (size_t i = 0; i < object->pair_count && x->field_count < FOLDER_FIELDS_MOST; i++) {
        const struct folder_pair *pair = &object->pairs[i];

        if (pair->kind != FOLDER_SUM)
            continue;
        x->fields[x->field_count++] = blob_field_of(
            arena_copy(&x->arena, pair->name),
            arena_copy(&x->arena, checksum_of_field(pair->name) == CHECKSUMS ? pair->value : sum));
    }
}

bool folder_take_part(struct folder_exchange *x, const struct folder_object *object)
{
    struct folder_span part = { 0 };
    uint64_t number = 0;
    char count[16];
    enum err err;

    (void)slice_to_u64(folder_param(x, "partNumber"), &number);
    if (folder_field(x, "range").len > 0) {
        folder_answer_code(x, 400, "InvalidRequest",
                           "Cannot specify both Range header and partNumber query parameter");
        return false;
    }
    if (object->parts == 0) {
        x->left = object->size;
        x->status = 200;
        return number == 1 || refuse_part(x);
    }
    err = folder_span_find(buf_all(&object->part_text), (unsigned)number, &part);
    if (object->part_text.len == 0 || (err != ERR_NONE && err != ERR_RANGE) ||
        (err == ERR_NONE && part.from + part.size > object->size)) {
        folder_answer_code(x, 501, "NotImplemented", "It is not known where its parts began.");
        return false;
    }
    if (err != ERR_NONE)
        return refuse_part(x);
    x->at = part.from;
    x->left = part.size;
    x->status = 206;
    put_range(x, object->size);
    snprintf(count, sizeof(count), "%u", object->parts);
    folder_answer_field(x, "x-amz-mp-parts-count", arena_copy(&x->arena, slice_text(count)));
    put_sum(x, object, part.sum);
    return true;
}

/* ---- uploads ---- */

/* Which checksum all parts will have.  False: there is none such, and that was said. */
static bool is_sum_known(struct folder_exchange *x, struct slice algorithm)
{
    enum checksum kind = checksum_of_algorithm(algorithm);
    bool is_composite = false;

    if (kind == CHECKSUMS)
        folder_answer_code(x, 400, "InvalidRequest",
                           "Checksum algorithm provided is unsupported. Please try again with any "
                           "of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
    else if (!checksum_parts_type(kind, folder_field(x, "x-amz-checksum-type"), &is_composite))
        folder_answer_code(x, 400, "InvalidRequest",
                           "That checksum type cannot be used with that checksum algorithm.");
    else
        return true;
    return false;
}

/* As pairs of the upload, which its parts and its end look at, and as fields of the answer. */
static size_t take_sum(struct folder_exchange *x, struct slice algorithm, struct folder_pair *pairs)
{
    enum checksum kind = checksum_of_algorithm(algorithm);
    bool is_composite = false;

    (void)!checksum_parts_type(kind, folder_field(x, "x-amz-checksum-type"), &is_composite);
    pairs[0] =
        (struct folder_pair){ FOLDER_SUM, slice_text("x-amz-checksum-algorithm"), algorithm };
    pairs[1] = (struct folder_pair){ FOLDER_SUM, slice_text("x-amz-checksum-type"),
                                     slice_text(is_composite ? "COMPOSITE" : "FULL_OBJECT") };
    for (size_t i = 0; i < 2; i++)
        folder_answer_field(x, (const char *)pairs[i].name.at, pairs[i].value);
    return 2;
}

void folder_do_create_upload(struct folder_exchange *x)
{
    struct slice algorithm = folder_field(x, "x-amz-checksum-algorithm");
    struct folder_upload_id id;
    struct folder_pair *pairs;
    enum folder_outcome outcome;
    size_t count;

    if (algorithm.len > 0 && !is_sum_known(x, algorithm))
        return;
    count = folder_pairs(x, &pairs);
    if (algorithm.len > 0 && count + 2 <= FOLDER_PAIRS)
        count += take_sum(x, algorithm, pairs + count);
    outcome = folder_upload_create(x->folder, x->ask.bucket, x->ask.key, pairs, count, &id);
    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    s3_write_initiated(&x->body, x->ask.bucket, x->ask.key, slice_text(id.text));
    folder_answer_xml(x);
}

static void put_parts(struct s3_list_writer *list, const struct folder_part *parts, size_t count,
                      enum checksum kind)
{
    for (size_t i = 0; i < count; i++) {
        struct s3_entry entry = { .kind = S3_ENTRY_PART,
                                  .part = parts[i].number,
                                  .size = parts[i].size,
                                  .time_ms = parts[i].modified_us / 1000,
                                  .etag = slice_text(parts[i].etag) };

        if (parts[i].sum[0] != '\0')
            entry.checksum = folder_sum_as_element(kind, slice_text(parts[i].sum));
        s3_list_put(list, &entry);
    }
}

void folder_do_parts(struct folder_exchange *x)
{
    struct slice id = folder_param(x, "uploadId");
    struct s3_list_head head = { .bucket = x->ask.bucket,
                                 .key = x->ask.key,
                                 .upload_id = id,
                                 .max_keys = (uint32_t)folder_most_of(x, "max-parts"),
                                 .storage_class = slice_text("STANDARD") };
    struct folder_object upload = { 0 };
    struct folder_part *parts = NULL;
    struct s3_list_writer list;
    uint64_t after = 0;
    size_t count = 0;
    char next[16] = "";
    enum folder_outcome outcome;

    (void)slice_to_u64(folder_param(x, "part-number-marker"), &after);
    outcome = folder_upload_head(x->folder, x->ask.bucket, x->ask.key, id, &upload);
    if (outcome == FOLDER_OK)
        outcome = folder_parts(x->folder, x->ask.bucket, x->ask.key, id, (unsigned)after,
                               head.max_keys, &parts, &count, &head.is_truncated);
    if (outcome != FOLDER_OK) {
        folder_object_fini(&upload);
        folder_answer_error(x, outcome);
        return;
    }
    head.algorithms = folder_object_find(&upload, FOLDER_SUM, "x-amz-checksum-algorithm");
    head.checksum_type = folder_object_find(&upload, FOLDER_SUM, "x-amz-checksum-type");
    s3_list_open(&list, S3_LIST_PARTS, false);
    put_parts(&list, parts, count, folder_upload_sum(&upload, &(bool){ 0 }));
    if (head.is_truncated && count > 0) {
        snprintf(next, sizeof(next), "%u", parts[count - 1].number);
        head.next_marker = slice_text(next);
    }
    s3_list_close(&list, &head, &x->body);
    s3_list_fini(&list);
    folder_object_fini(&upload);
    free(parts);
    folder_answer_xml(x);
}

/* ---- the end of an upload ---- */

static struct folder_part_choice choice_of(const struct s3_part *part)
{
    return (struct folder_part_choice){
        .number = part->number,
        .etag = part->etag,
        .sum_kind = part->checksum.kind == S3_CHECKSUM_NONE
                        ? CHECKSUMS
                        : (enum checksum)(part->checksum.kind - S3_CHECKSUM_CRC32),
        .sum = part->checksum.value,
    };
}

/* What the request's fields say of the object that the parts make. */
static bool take_declared(struct folder_exchange *x, struct folder_completion *completion)
{
    struct slice size = folder_field(x, "x-amz-mp-object-size");

    completion->size = FOLDER_SIZE_UNKNOWN;
    completion->sum_kind = CHECKSUMS;
    completion->sum_type = folder_field(x, "x-amz-checksum-type");
    for (size_t i = 0; i < x->ask.field_count; i++) {
        enum checksum kind = checksum_of_field(x->ask.fields[i].name);

        if (kind > CHECKSUM_SHA256)
            continue;
        if (completion->sum_kind != CHECKSUMS) /* S3 takes one */
            return false;
        completion->sum_kind = kind;
        completion->sum = x->ask.fields[i].value;
    }
    return size.len == 0 || slice_to_u64(size, &completion->size);
}

void folder_do_complete(struct folder_exchange *x)
{
    struct folder_commit commit = { .size = FOLDER_SIZE_UNKNOWN,
                                    .conditions = folder_conditions_of(x) };
    struct folder_completion completion = { 0 };
    struct folder_part_choice *choices;
    struct s3_request_xml body;
    enum folder_outcome outcome;
    enum err err;

    s3_request_xml_open(&body, S3_REQUEST_COMPLETE, &x->arena);
    err = s3_request_xml_feed(&body, x->ask.body);
    if (err == ERR_NONE)
        err = s3_request_xml_end(&body);
    if (err != ERR_NONE)
        folder_answer_code(x, 400, body.refusal.code, body.refusal.message);
    completion.count = body.part_count;
    choices = arena_new(&x->arena, (completion.count + 1) * sizeof(*choices));
    for (size_t i = 0; i < completion.count; i++)
        choices[i] = choice_of(&body.parts[i]);
    completion.parts = choices;
    s3_request_xml_fini(&body);
    if (err != ERR_NONE)
        return;
    if (!take_declared(x, &completion)) {
        folder_answer_code(x, 400, "InvalidRequest",
                           "What is declared of the object is not valid.");
        return;
    }
    outcome = folder_complete_begin(x->folder, x->ask.bucket, x->ask.key,
                                    folder_param(x, "uploadId"), &completion, &x->put);
    if (outcome != FOLDER_OK)
        folder_answer_error(x, outcome);
    else
        folder_drive(x, &commit, NULL);
}
