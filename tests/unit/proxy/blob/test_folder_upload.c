#include <openssl/evp.h>

#include "tests/unit/proxy/blob/folder_stage.h"

#define KEY bytes("big/object")

static const struct folder_pair PAIR = { FOLDER_HEADER,
                                         { (const uint8_t *)"content-type", 12 },
                                         { (const uint8_t *)"text/plain", 10 } };

static struct stage stage_for_uploads(void)
{
    stage_place = stage_memory();
    return stage_new((struct folder_settings){ .sync = FOLDER_SYNC_NEVER, .min_part = 4 });
}

static struct folder_upload_id begin(struct stage *s, struct slice key)
{
    struct folder_upload_id id = { "" };

    CHECK_INT(folder_upload_create(s->folder, B, key, &PAIR, 1, &id), FOLDER_OK);
    CHECK_INT(strlen(id.text), FOLDER_UPLOAD_ID_BYTES - 1);
    return id;
}

static enum folder_outcome put_part(struct stage *s, const struct folder_upload_id *id,
                                    unsigned number, struct slice value, char *etag)
{
    struct folder_commit commit = { .size = value.len };
    struct folder_written written = { 0 };
    struct folder_put *put = NULL;
    enum folder_outcome outcome =
        folder_part_begin(s->folder, B, KEY, slice_text(id->text), number, value.len, &put);

    if (outcome == FOLDER_OK)
        outcome = folder_put_write(put, value);
    if (outcome == FOLDER_OK)
        outcome = folder_put_commit(&put, &commit, &written);
    folder_put_abort(&put);
    memcpy(etag, written.etag, sizeof(written.etag));
    return outcome;
}

static enum folder_outcome complete(struct stage *s, const struct folder_upload_id *id,
                                    const struct folder_part_choice *parts, size_t count,
                                    struct folder_commit *commit, struct folder_written *written)
{
    struct folder_put *put = NULL;
    bool done = false;
    enum folder_outcome outcome =
        folder_complete_begin(s->folder, B, KEY, slice_text(id->text), parts, count, &put);

    while (outcome == FOLDER_OK && !done)
        outcome = folder_put_step(put, 3, &done);
    if (outcome == FOLDER_OK)
        outcome = folder_put_commit(&put, commit, written);
    folder_put_abort(&put);
    return outcome;
}

static void parts_become_an_object(void)
{
    struct stage s = stage_for_uploads();
    struct folder_upload_id id = begin(&s, KEY);
    char etags[3][FOLDER_ETAG_BYTES], expected[FOLDER_ETAG_BYTES];
    struct folder_part_choice parts[3];
    struct folder_commit commit = { .size = 14 };
    struct folder_written written = { 0 };
    struct folder_object object = { 0 };
    struct folder_part *list = NULL;
    uint8_t md5s[32], md5[16];
    size_t count = 0;
    bool more = false;

    CHECK_INT(put_part(&s, &id, 10000, bytes("last"), etags[2]), FOLDER_OK);
    CHECK_INT(put_part(&s, &id, 1, bytes("first"), etags[0]), FOLDER_OK);
    CHECK_INT(put_part(&s, &id, 2, bytes("unused"), etags[1]), FOLDER_OK);
    CHECK_INT(put_part(&s, &id, 1, bytes("the first "), etags[0]), FOLDER_OK);
    CHECK_BYTES(stage_get(&s, KEY), bytes("NoSuchKey"));

    CHECK_INT(folder_parts(s.folder, B, KEY, slice_text(id.text), 0, 2, &list, &count, &more),
              FOLDER_OK);
    CHECK(count == 2 && more && list[0].number == 1 && list[0].size == 10 && list[1].number == 2);
    CHECK_TEXT(list[0].etag, etags[0]);
    free(list);
    CHECK_INT(folder_parts(s.folder, B, KEY, slice_text(id.text), 2, 2, &list, &count, &more),
              FOLDER_OK);
    CHECK(count == 1 && !more && list[0].number == 10000);
    free(list);
    CHECK_INT(folder_upload_head(s.folder, B, KEY, slice_text(id.text), &object), FOLDER_OK);
    CHECK_BYTES(folder_object_find(&object, FOLDER_HEADER, "content-type"), bytes("text/plain"));
    folder_object_fini(&object);

    parts[0] = (struct folder_part_choice){ 1, slice_text(etags[0]) };
    parts[1] = (struct folder_part_choice){ 10000, slice_text(etags[2]) };
    CHECK_INT(complete(&s, &id, parts, 2, &commit, &written), FOLDER_OK);
    EVP_Digest("the first ", 10, md5s, NULL, EVP_md5(), NULL);
    EVP_Digest("last", 4, md5s + 16, NULL, EVP_md5(), NULL);
    EVP_Digest(md5s, 32, md5, NULL, EVP_md5(), NULL);
    for (size_t i = 0; i < 16; i++)
        snprintf(expected + 2 * i, 3, "%02x", md5[i]);
    memcpy(expected + 32, "-2", 3);
    CHECK_TEXT(written.etag, expected);
    CHECK_INT(written.size, 14);
    CHECK_BYTES(stage_get(&s, KEY), bytes("the first last"));
    CHECK_INT(folder_head(s.folder, B, KEY, &object), FOLDER_OK);
    CHECK_INT(object.parts, 2);
    CHECK_BYTES(folder_object_find(&object, FOLDER_HEADER, "content-type"), bytes("text/plain"));
    folder_object_fini(&object);
    CHECK_INT(complete(&s, &id, parts, 2, &commit, &written), FOLDER_NO_SUCH_UPLOAD);
    stage_count(&s, ".sheaf/uploads");
    CHECK_INT(stage_entries, 0);
    stage_end(&s);
}

static void a_wrong_list_of_parts_is_refused(void)
{
    struct stage s = stage_for_uploads();
    struct folder_upload_id id = begin(&s, KEY);
    char etags[3][FOLDER_ETAG_BYTES], quoted[FOLDER_ETAG_BYTES + 2];
    struct folder_part_choice parts[3];
    struct folder_commit commit = { .size = FOLDER_SIZE_UNKNOWN };
    struct folder_written written;

    CHECK_INT(put_part(&s, &id, 1, bytes("one"), etags[0]), FOLDER_OK);
    CHECK_INT(put_part(&s, &id, 2, bytes("twotwo"), etags[1]), FOLDER_OK);
    CHECK_INT(put_part(&s, &id, 0, bytes("x"), etags[2]), FOLDER_INVALID_PART);
    CHECK_INT(put_part(&s, &id, 10001, bytes("x"), etags[2]), FOLDER_INVALID_PART);
    parts[0] = (struct folder_part_choice){ 1, slice_text(etags[0]) };
    parts[1] = (struct folder_part_choice){ 2, slice_text(etags[1]) };
    CHECK_INT(complete(&s, &id, parts, 2, &commit, &written), FOLDER_PART_TOO_SMALL);
    CHECK_INT(complete(&s, &id, parts, 0, &commit, &written), FOLDER_INVALID_PART);
    parts[2] = parts[0];
    CHECK_INT(complete(&s, &id, parts + 1, 2, &commit, &written), FOLDER_PART_ORDER);
    parts[2] = parts[1];
    CHECK_INT(complete(&s, &id, parts + 1, 2, &commit, &written), FOLDER_PART_ORDER);
    parts[2].number = 3;
    CHECK_INT(complete(&s, &id, parts + 1, 2, &commit, &written), FOLDER_INVALID_PART);
    parts[1].etag = slice_text(etags[0]);
    CHECK_INT(complete(&s, &id, parts + 1, 1, &commit, &written), FOLDER_INVALID_PART);
    snprintf(quoted, sizeof(quoted), "\"%s\"", etags[1]);
    parts[1].etag = slice_text(quoted);
    CHECK_INT(complete(&s, &id, parts + 1, 1, &commit, &written), FOLDER_OK);
    CHECK_BYTES(stage_get(&s, KEY), bytes("twotwo"));
    stage_end(&s);
}

static void an_upload_belongs_to_its_bucket_and_key(void)
{
    struct stage s = stage_for_uploads();
    struct folder_upload_id id = begin(&s, KEY);
    struct folder_put *put = NULL;
    struct slice own = slice_text(id.text);

    CHECK_INT(folder_bucket_create(s.folder, bytes("other")), FOLDER_OK);
    CHECK_INT(folder_part_begin(s.folder, B, bytes("x"), own, 1, 1, &put), FOLDER_NO_SUCH_UPLOAD);
    CHECK_INT(folder_part_begin(s.folder, bytes("other"), KEY, own, 1, 1, &put),
              FOLDER_NO_SUCH_UPLOAD);
    CHECK_INT(folder_part_begin(s.folder, bytes("none"), KEY, own, 1, 1, &put),
              FOLDER_NO_SUCH_BUCKET);
    CHECK_INT(folder_part_begin(s.folder, B, KEY, bytes("../../../../../../../../etc/passwdd"), 1,
                                1, &put),
              FOLDER_NO_SUCH_UPLOAD);
    CHECK_INT(folder_part_begin(s.folder, B, KEY, bytes(""), 1, 1, &put), FOLDER_NO_SUCH_UPLOAD);
    CHECK_INT(folder_upload_abort(s.folder, B, bytes("x"), own), FOLDER_NO_SUCH_UPLOAD);
    CHECK_INT(folder_upload_abort(s.folder, B, KEY, own), FOLDER_OK);
    CHECK_INT(folder_upload_abort(s.folder, B, KEY, own), FOLDER_NO_SUCH_UPLOAD);
    stage_end(&s);
}

static void a_part_may_be_copied_out_of_an_object(void)
{
    struct stage s = stage_for_uploads();
    struct folder_upload_id id = begin(&s, KEY);
    struct folder_reader reader = { .fd = -1 };
    struct folder_commit commit = { .size = FOLDER_SIZE_UNKNOWN };
    struct folder_written written = { 0 };
    struct folder_part_choice part;
    struct folder_put *put = NULL;
    bool done = false;

    CHECK_INT(stage_put(&s, bytes("source"), bytes("0123456789")), FOLDER_OK);
    CHECK_INT(folder_get(s.folder, B, bytes("source"), &reader), FOLDER_OK);
    CHECK_INT(folder_part_copy_begin(s.folder, B, KEY, slice_text(id.text), 3, &reader, 2, 5, &put),
              FOLDER_OK);
    CHECK_INT(folder_put_step(put, 1000, &done), FOLDER_OK);
    CHECK(done);
    CHECK_INT(folder_put_commit(&put, &commit, &written), FOLDER_OK);
    folder_reader_close(&reader);
    part = (struct folder_part_choice){ 3, slice_text(written.etag) };
    CHECK_INT(complete(&s, &id, &part, 1, &commit, &(struct folder_written){ 0 }), FOLDER_OK);
    CHECK_BYTES(stage_get(&s, KEY), bytes("23456"));
    stage_end(&s);
}

/* What a client does while its upload is being completed. */
static void a_completion_that_is_crossed_commits_nothing(void)
{
    struct stage s = stage_for_uploads();
    struct folder_upload_id id = begin(&s, KEY);
    char etag[FOLDER_ETAG_BYTES], other[FOLDER_ETAG_BYTES];
    struct folder_part_choice part = { .number = 1 };
    struct folder_commit commit = { .size = FOLDER_SIZE_UNKNOWN };
    struct folder_written written;
    struct folder_put *put = NULL;
    bool done = false;

    CHECK_INT(put_part(&s, &id, 1, bytes("part one"), etag), FOLDER_OK);
    part.etag = slice_text(etag);
    CHECK_INT(folder_complete_begin(s.folder, B, KEY, slice_text(id.text), &part, 1, &put),
              FOLDER_OK);
    CHECK_INT(put_part(&s, &id, 1, bytes("part two"), other), FOLDER_OK);
    CHECK_INT(folder_put_step(put, 100, &done), FOLDER_INVALID_PART);
    folder_put_abort(&put);
    part.etag = slice_text(other);
    CHECK_INT(folder_complete_begin(s.folder, B, KEY, slice_text(id.text), &part, 1, &put),
              FOLDER_OK);
    CHECK_INT(folder_put_step(put, 100, &done), FOLDER_OK);
    CHECK_INT(folder_upload_abort(s.folder, B, KEY, slice_text(id.text)), FOLDER_OK);
    CHECK_INT(folder_put_commit(&put, &commit, &written), FOLDER_NO_SUCH_UPLOAD);
    CHECK_BYTES(stage_get(&s, KEY), bytes("NoSuchKey"));
    stage_end(&s);
}

static void uploads_are_listed_in_order(void)
{
    static const char *const KEYS[] = { "b/x", "a", "b/y", "c", "b/x", "b", "d/e" };
    struct stage s = stage_for_uploads();
    struct folder_uploads_request r = { .most = 1000 };
    struct folder_uploads_page page = { 0 };
    struct folder_upload_id ids[7];
    struct buf names = { 0 };

    CHECK_INT(folder_uploads(s.folder, B, &r, &page), FOLDER_OK);
    CHECK(page.count == 0 && !page.more);
    folder_uploads_page_fini(&page);
    for (size_t i = 0; i < 7; i++)
        ids[i] = begin(&s, slice_text(KEYS[i]));
    CHECK_INT(folder_uploads(s.folder, B, &r, &page), FOLDER_OK);
    for (size_t i = 0; i < page.count; i++)
        buf_format(&names, "%.*s ", (int)page.uploads[i].key.len,
                   (const char *)page.uploads[i].key.at);
    CHECK_BYTES(buf_all(&names), bytes("a b b/x b/x b/y c d/e "));
    CHECK(page.uploads[0].begun_us > 1000000000000000);
    CHECK(strcmp(page.uploads[2].id.text, page.uploads[3].id.text) < 0);
    folder_uploads_page_fini(&page);

    /* The second upload of a key follows the first. */
    r.after_key = bytes("b/x");
    r.after_id = slice_text(ids[0].text);
    r.most = 1;
    CHECK_INT(folder_uploads(s.folder, B, &r, &page), FOLDER_OK);
    CHECK(page.count == 1 && page.more);
    CHECK_TEXT(page.uploads[0].id.text, ids[4].text);
    folder_uploads_page_fini(&page);
    r.after_id = bytes("");
    CHECK_INT(folder_uploads(s.folder, B, &r, &page), FOLDER_OK);
    CHECK(page.count == 1 && page.more);
    CHECK_BYTES(page.uploads[0].key, bytes("b/y"));
    folder_uploads_page_fini(&page);

    r = (struct folder_uploads_request){ .delimiter = bytes("/"), .most = 4 };
    buf_clear(&names);
    CHECK_INT(folder_uploads(s.folder, B, &r, &page), FOLDER_OK);
    for (size_t i = 0; i < page.count; i++)
        buf_format(&names, "%.*s%s ", (int)page.uploads[i].key.len,
                   (const char *)page.uploads[i].key.at, page.uploads[i].is_prefix ? "*" : "");
    CHECK_BYTES(buf_all(&names), bytes("a b b/* c "));
    CHECK(page.more);
    folder_uploads_page_fini(&page);
    r.after_key = bytes("c");
    r.prefix = bytes("d");
    CHECK_INT(folder_uploads(s.folder, B, &r, &page), FOLDER_OK);
    CHECK(page.count == 1 && page.uploads[0].is_prefix && !page.more);
    folder_uploads_page_fini(&page);
    buf_fini(&names);
    CHECK_INT(folder_bucket_delete(s.folder, B), FOLDER_OK); /* uploads go with their bucket */
    stage_count(&s, ".sheaf/uploads");
    CHECK_INT(stage_entries, 0);
    stage_end(&s);
}

/* Where a file system shares blocks between files, only some parts can be had so. */
static void parts_of_any_size_are_joined(void)
{
    static const size_t SIZES[] = { 8192, 4096, 5000, 4096, 12288, 1 };
    struct stage s;
    struct folder_upload_id id;
    char etags[6][FOLDER_ETAG_BYTES];
    static uint8_t whole[8192 + 4096 + 5000 + 4096 + 12288 + 1];
    struct folder_part_choice parts[6];
    struct folder_commit commit = { .size = sizeof(whole) };
    struct folder_written written;
    size_t at = 0;

    stage_place = NULL;
    s = stage_new((struct folder_settings){ .sync = FOLDER_SYNC_NEVER, .min_part = 1 });
    id = begin(&s, KEY);
    for (size_t i = 0; i < sizeof(whole); i++)
        whole[i] = (uint8_t)(i * 2654435761U >> 13);
    for (unsigned i = 0; i < 6; at += SIZES[i], i++) {
        CHECK_INT(put_part(&s, &id, i + 1, slice_of(whole + at, SIZES[i]), etags[i]), FOLDER_OK);
        parts[i] = (struct folder_part_choice){ i + 1, slice_text(etags[i]) };
    }
    CHECK_INT(complete(&s, &id, parts, 6, &commit, &written), FOLDER_OK);
    CHECK(slice_is(stage_get(&s, KEY), slice_of(whole, sizeof(whole))));
    stage_end(&s);
}

static void ten_thousand_parts_are_one_object(void)
{
    struct stage s = stage_for_uploads();
    struct folder_upload_id id = begin(&s, KEY);
    struct folder_part_choice *parts = calloc(FOLDER_PARTS, sizeof(*parts));
    char(*etags)[FOLDER_ETAG_BYTES] = calloc(FOLDER_PARTS, sizeof(*etags));
    struct folder_commit commit = { .size = 5 * FOLDER_PARTS };
    struct folder_written written = { 0 };
    struct folder_part *list = NULL;
    size_t count = 0;
    bool more = true;

    for (unsigned i = 0; i < FOLDER_PARTS; i++) {
        char text[8];

        snprintf(text, sizeof(text), "%05u", i);
        CHECK_INT(put_part(&s, &id, i + 1, slice_text(text), etags[i]), FOLDER_OK);
        parts[i] = (struct folder_part_choice){ i + 1, slice_text(etags[i]) };
    }
    CHECK_INT(folder_parts(s.folder, B, KEY, slice_text(id.text), 0, 20000, &list, &count, &more),
              FOLDER_OK);
    CHECK(count == FOLDER_PARTS && !more);
    free(list);
    CHECK_INT(complete(&s, &id, parts, FOLDER_PARTS, &commit, &written), FOLDER_OK);
    CHECK_TEXT(written.etag + 32, "-10000");
    CHECK(slice_starts(stage_get(&s, KEY), bytes("000000000100002")));
    stage_count(&s, ".sheaf/tmp");
    CHECK_INT(stage_files, 0);
    free(parts);
    free(etags);
    stage_end(&s);
}

int main(void)
{
    RUN(parts_become_an_object);
    RUN(a_wrong_list_of_parts_is_refused);
    RUN(an_upload_belongs_to_its_bucket_and_key);
    RUN(a_part_may_be_copied_out_of_an_object);
    RUN(a_completion_that_is_crossed_commits_nothing);
    RUN(uploads_are_listed_in_order);
    RUN(parts_of_any_size_are_joined);
    RUN(ten_thousand_parts_are_one_object);
    return check_report();
}
