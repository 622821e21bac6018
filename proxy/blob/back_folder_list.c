/* See back_folder.h: lists, and what is asked of many or in parts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/blob/back_folder.h"
#include "proxy/blob/folder_list.h"
#include "proxy/blob/folder_upload.h"
#include "proxy/wire/s3_request_xml.h"
#include "proxy/wire/s3_write.h"

enum { BUCKETS_MOST = 10000 };

static bool is_url(const struct folder_exchange *x)
{
    return slice_is_text(folder_param(x, "encoding-type"), "url");
}

size_t folder_most_of(const struct folder_exchange *x, const char *name)
{
    uint64_t most = 1000;

    (void)slice_to_u64(folder_param(x, name), &most);
    return most > 1000 ? 1000 : (size_t)most;
}

/* ---- objects ---- */

static void put_entries(struct folder_exchange *x, const struct folder_page *page,
                        struct s3_list_writer *list)
{
    for (size_t i = 0; i < page->count; i++) {
        const struct folder_list_entry *e = &page->entries[i];
        struct s3_entry entry = {
            .kind = e->is_prefix                       ? S3_ENTRY_PREFIX
                    : x->ask.op == S3_OP_LIST_VERSIONS ? S3_ENTRY_VERSION
                                                       : S3_ENTRY_OBJECT,
            .is_latest = true,
            .size = e->size,
            .time_ms = e->modified_us / 1000,
            .name = e->name,
            .etag = slice_text(e->etag),
            .storage_class = slice_text("STANDARD"),
        };

        if (entry.kind == S3_ENTRY_VERSION)
            entry.id = slice_text("null");
        s3_list_put(list, &entry);
    }
}

void folder_do_list(struct folder_exchange *x)
{
    bool is_versions = x->ask.op == S3_OP_LIST_VERSIONS;
    struct folder_list_request request = {
        .prefix = folder_param(x, "prefix"),
        .delimiter = folder_param(x, "delimiter"),
        .after = folder_param(x, is_versions ? "key-marker" : "start-after"),
        .most = folder_most_of(x, "max-keys"),
    };
    struct s3_list_head head = { .bucket = x->ask.bucket,
                                 .prefix = request.prefix,
                                 .delimiter = request.delimiter,
                                 .max_keys = (uint32_t)request.most };
    struct folder_page page;
    struct s3_list_writer list;
    enum folder_outcome outcome = folder_list(x->folder, x->ask.bucket, &request, &page);

    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    s3_list_open(&list, is_versions ? S3_LIST_VERSIONS : S3_LIST_OBJECTS_V2, is_url(x));
    put_entries(x, &page, &list);
    head.is_truncated = page.more;
    if (page.more && page.count > 0) {
        head.next_token = slice_text("-"); /* nobody asks by it: start-after is enough */
        head.next_key_marker = page.entries[page.count - 1].name;
        head.next_id_marker = slice_text("null");
    }
    s3_list_close(&list, &head, &x->body);
    s3_list_fini(&list);
    folder_page_fini(&page);
    folder_answer_xml(x);
}

void folder_do_buckets(struct folder_exchange *x)
{
    struct s3_list_head head = { .owner_id = slice_text(BLOB_OWNER),
                                 .owner_name = slice_text(BLOB_OWNER) };
    struct folder_bucket *buckets = NULL;
    struct s3_list_writer list;
    size_t count = 0;
    bool more = false;
    enum folder_outcome outcome =
        folder_buckets(x->folder, (struct slice){ 0 }, BUCKETS_MOST, &buckets, &count, &more);

    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    s3_list_open(&list, S3_LIST_BUCKETS, false);
    for (size_t i = 0; i < count; i++) {
        struct s3_entry entry = { .kind = S3_ENTRY_BUCKET,
                                  .name = slice_text(buckets[i].name),
                                  .time_ms = buckets[i].created_us / 1000 };

        s3_list_put(&list, &entry);
    }
    s3_list_close(&list, &head, &x->body);
    s3_list_fini(&list);
    free(buckets);
    folder_answer_xml(x);
}

/* ---- many deletes ---- */

static void delete_one(struct folder_exchange *x, const struct s3_delete_key *key)
{
    struct folder_conditions conditions = { .if_match = key->etag };
    enum folder_outcome outcome =
        folder_delete(x->folder, x->ask.bucket, key->key, &conditions, NULL);
    const struct folder_outcome_words *words = folder_outcome_words(outcome);
    struct s3_entry entry = {
        .kind = S3_ENTRY_DELETED, .time_ms = S3_NO_TIME, .name = key->key, .id = key->version
    };

    if (outcome != FOLDER_OK) {
        entry.kind = S3_ENTRY_NOT_DELETED;
        entry.code = slice_text(words->code);
        entry.message = slice_text(words->text);
    }
    s3_write_deleted(&x->body, &entry);
}

void folder_do_delete_many(struct folder_exchange *x)
{
    enum folder_outcome outcome = folder_bucket_head(x->folder, x->ask.bucket);
    struct s3_request_xml body;
    enum err err;

    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    s3_request_xml_open(&body, S3_REQUEST_DELETE, &x->arena);
    err = s3_request_xml_feed(&body, x->ask.body);
    if (err == ERR_NONE)
        err = s3_request_xml_end(&body);
    if (err == ERR_NONE) {
        s3_write_begin(&x->body, "DeleteResult");
        for (size_t i = 0; i < body.key_count; i++)
            delete_one(x, &body.keys[i]);
        s3_write_close(&x->body, "DeleteResult");
        folder_answer_xml(x);
    } else {
        folder_answer_code(x, 400, body.refusal.code, body.refusal.message);
    }
    s3_request_xml_fini(&body);
}

/* ---- uploads ---- */

void folder_do_abort(struct folder_exchange *x)
{
    enum folder_outcome outcome =
        folder_upload_abort(x->folder, x->ask.bucket, x->ask.key, folder_param(x, "uploadId"));

    if (outcome != FOLDER_OK)
        folder_answer_error(x, outcome);
    else
        folder_answer_nothing(x, 204);
}

void folder_do_uploads(struct folder_exchange *x)
{
    struct folder_uploads_request request = {
        .prefix = folder_param(x, "prefix"),
        .delimiter = folder_param(x, "delimiter"),
        .after_key = folder_param(x, "key-marker"),
        .after_id = folder_param(x, "upload-id-marker"),
        .most = folder_most_of(x, "max-uploads"),
    };
    struct s3_list_head head = { .bucket = x->ask.bucket,
                                 .prefix = request.prefix,
                                 .delimiter = request.delimiter,
                                 .max_keys = (uint32_t)request.most };
    struct folder_uploads_page page;
    struct s3_list_writer list;
    enum folder_outcome outcome = folder_uploads(x->folder, x->ask.bucket, &request, &page);

    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    s3_list_open(&list, S3_LIST_UPLOADS, is_url(x));
    for (size_t i = 0; i < page.count; i++) {
        const struct folder_upload *u = &page.uploads[i];
        struct s3_entry entry = { .kind = u->is_prefix ? S3_ENTRY_PREFIX : S3_ENTRY_UPLOAD,
                                  .name = u->key,
                                  .id = u->is_prefix ? (struct slice){ 0 } : slice_text(u->id.text),
                                  .time_ms = u->begun_us / 1000,
                                  .storage_class = slice_text("STANDARD") };

        s3_list_put(&list, &entry);
    }
    head.is_truncated = page.more;
    if (page.more && page.count > 0) {
        head.next_key_marker = page.uploads[page.count - 1].key;
        head.next_id_marker = slice_text(page.uploads[page.count - 1].id.text);
    }
    s3_list_close(&list, &head, &x->body);
    s3_list_fini(&list);
    folder_uploads_page_fini(&page);
    folder_answer_xml(x);
}
