#include <openssl/evp.h>

#include "proxy/blob/folder_parts.h"
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

static bool ends_with(struct slice text, struct slice end)
{
    return text.len >= end.len && slice_is(slice_from(text, text.len - end.len), end);
}

static struct folder_part_choice chosen(unsigned number, const char *etag)
{
    return (struct folder_part_choice){ .number = number, .etag = slice_text(etag) };
}

static enum folder_outcome complete(struct stage *s, const struct folder_upload_id *id,
                                    const struct folder_part_choice *parts, size_t count,
                                    struct folder_commit *commit, struct folder_written *written)
{
    struct folder_completion completion = {
        .parts = parts, .count = count, .size = FOLDER_SIZE_UNKNOWN, .sum_kind = CHECKSUMS
    };
    struct folder_put *put = NULL;
    bool done = false;
    enum folder_outcome outcome =
        folder_complete_begin(s->folder, B, KEY, slice_text(id->text), &completion, &put);

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

    parts[0] = chosen(1, etags[0]);
    parts[1] = chosen(10000, etags[2]);
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
    parts[0] = chosen(1, etags[0]);
    parts[1] = chosen(2, etags[1]);
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
    part = chosen(3, written.etag);
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
    struct folder_completion completion = {
        &part, 1, FOLDER_SIZE_UNKNOWN, CHECKSUMS, { 0 }, { 0 }
    };
    struct folder_commit commit = { .size = FOLDER_SIZE_UNKNOWN };
    struct folder_written written;
    struct folder_put *put = NULL;
    bool done = false;

    CHECK_INT(put_part(&s, &id, 1, bytes("part one"), etag), FOLDER_OK);
    part.etag = slice_text(etag);
    CHECK_INT(folder_complete_begin(s.folder, B, KEY, slice_text(id.text), &completion, &put),
              FOLDER_OK);
    CHECK_INT(put_part(&s, &id, 1, bytes("part two"), other), FOLDER_OK);
    CHECK_INT(folder_put_step(put, 100, &done), FOLDER_INVALID_PART);
    folder_put_abort(&put);
    part.etag = slice_text(other);
    CHECK_INT(folder_complete_begin(s.folder, B, KEY, slice_text(id.text), &completion, &put),
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
        parts[i] = chosen(i + 1, etags[i]);
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
    struct folder_reader reader;
    struct folder_part *list = NULL;
    size_t count = 0;
    bool more = true;

    for (unsigned i = 0; i < FOLDER_PARTS; i++) {
        char text[8];

        snprintf(text, sizeof(text), "%05u", i);
        CHECK_INT(put_part(&s, &id, i + 1, slice_text(text), etags[i]), FOLDER_OK);
        parts[i] = chosen(i + 1, etags[i]);
    }
    CHECK_INT(folder_parts(s.folder, B, KEY, slice_text(id.text), 0, 20000, &list, &count, &more),
              FOLDER_OK);
    CHECK(count == FOLDER_PARTS && !more);
    free(list);
    CHECK_INT(complete(&s, &id, parts, FOLDER_PARTS, &commit, &written), FOLDER_OK);
    CHECK_TEXT(written.etag + 32, "-10000");
    CHECK(slice_starts(stage_get(&s, KEY), bytes("000000000100002")));
    CHECK_INT(folder_get_with_parts(s.folder, B, KEY, &reader), FOLDER_OK);
    CHECK_BYTES(buf_all(&reader.object.part_text), bytes("1-10000 5\n"));
    folder_reader_close(&reader);
    stage_count(&s, ".sheaf/tmp");
    CHECK_INT(stage_files, 0);
    free(parts);
    free(etags);
    stage_end(&s);
}

enum { MANY = 600, TIB_PARTS = 1024 };
static struct folder_part_choice choices[TIB_PARTS + 1];
static char choice_etags[TIB_PARTS + 1][FOLDER_ETAG_BYTES];

static void put_part_with_sum(struct stage *s, const struct folder_upload_id *id, unsigned number)
{
    struct folder_pair sums[FOLDER_SUMS];
    struct folder_commit one = { .size = 5, .pairs = sums };
    struct folder_written written;
    struct folder_put *put = NULL;

    CHECK_INT(folder_part_begin(s->folder, B, KEY, slice_text(id->text), number, 5, &put),
              FOLDER_OK);
    CHECK_INT(folder_put_write(put, bytes("12345")), FOLDER_OK);
    one.pair_count = folder_put_sums(put, sums);
    CHECK_INT(one.pair_count, 1);
    CHECK_BYTES(sums[0].name, bytes("x-amz-checksum-crc32"));
    CHECK_BYTES(sums[0].value, bytes("y/U6HA=="));
    CHECK_INT(folder_put_commit(&put, &one, &written), FOLDER_OK);
    memcpy(choice_etags[number - 1], written.etag, FOLDER_ETAG_BYTES);
    choices[number - 1] = chosen(number, choice_etags[number - 1]);
}

static void finish(struct stage *s, const struct folder_upload_id *id,
                   const struct folder_completion *whole)
{
    struct folder_commit commit = { .size = whole->size };
    struct folder_written written = { 0 };
    struct folder_put *put = NULL;
    bool done = false;

    CHECK_INT(folder_complete_begin(s->folder, B, KEY, slice_text(id->text), whole, &put),
              FOLDER_OK);
    CHECK_INT(folder_put_step(put, UINT64_MAX, &done), FOLDER_OK);
    CHECK(done);
    CHECK_INT(folder_put_commit(&put, &commit, &written), FOLDER_OK);
    CHECK(written.size == whole->size);
}

static void refuse(struct stage *s, const struct folder_upload_id *id,
                   struct folder_completion whole, enum folder_outcome outcome)
{
    struct folder_put *put = NULL;

    CHECK_INT(folder_complete_begin(s->folder, B, KEY, slice_text(id->text), &whole, &put),
              outcome);
}

static void a_tag_is_given_and_the_rest_stays(struct stage *s)
{
    struct folder_pair tag = { FOLDER_TAG, bytes("t"), bytes("1") };
    struct folder_reader reader;

    CHECK_INT(folder_replace_pairs(s->folder, B, KEY, FOLDER_TAG, &tag, 1), FOLDER_OK);
    CHECK_INT(folder_get(s->folder, B, KEY, &reader), FOLDER_OK);
    CHECK_INT(reader.object.part_text.len, 0);
    CHECK(ends_with(folder_object_find(&reader.object, FOLDER_SUM, "x-amz-checksum-crc32"),
                    bytes("-600")));
    CHECK_BYTES(folder_object_find(&reader.object, FOLDER_SUM, "x-amz-checksum-type"),
                bytes("COMPOSITE"));
    CHECK_BYTES(folder_object_find(&reader.object, FOLDER_HEADER, "x-amz-meta-a"), bytes("b"));
    CHECK_BYTES(folder_object_find(&reader.object, FOLDER_TAG, "t"), bytes("1"));
    folder_reader_close(&reader);
}

/* Each part with a checksum of its own: too much for an attribute, and for who does not ask. */
static void many_parts_are_kept_beside_the_object(bool without_attributes)
{
    static const struct folder_pair PAIRS[] = {
        { FOLDER_SUM,
          { (const uint8_t *)"x-amz-checksum-algorithm", 24 },
          { (const uint8_t *)"CRC32", 5 } },
        { FOLDER_HEADER, { (const uint8_t *)"x-amz-meta-a", 12 }, { (const uint8_t *)"b", 1 } },
    };
    struct stage s = stage_new((struct folder_settings){
        .sync = FOLDER_SYNC_NEVER, .min_part = 5, .without_attributes = without_attributes });
    struct folder_upload_id id;
    struct folder_completion whole = { choices, MANY, 5 * MANY + 1, CHECKSUMS, { 0 }, { 0 } };
    struct folder_reader reader;
    struct folder_span part = { 0 };

    CHECK_INT(folder_upload_create(s.folder, B, KEY, PAIRS, 2, &id), FOLDER_OK);
    for (unsigned i = 0; i < MANY; i++)
        put_part_with_sum(&s, &id, i + 1);
    refuse(&s, &id, whole, FOLDER_SIZE_DIFFERS);
    whole.size = 5 * MANY;
    whole.sum_kind = CHECKSUM_CRC32;
    whole.sum = bytes("AAAAAA==");
    refuse(&s, &id, whole, FOLDER_SUM_DIFFERS);
    whole.sum_kind = CHECKSUM_SHA1;
    refuse(&s, &id, whole, FOLDER_SUM_UNKNOWN);
    whole.sum = (struct slice){ 0 };
    choices[7].sum_kind = CHECKSUM_CRC32;
    choices[7].sum = bytes("AAAAAA==");
    refuse(&s, &id, whole, FOLDER_INVALID_PART);
    choices[7].sum = bytes("y/U6HA==");
    finish(&s, &id, &whole);

    a_tag_is_given_and_the_rest_stays(&s);
    CHECK_INT(folder_get_with_parts(s.folder, B, KEY, &reader), FOLDER_OK);
    CHECK_INT(folder_span_find(buf_all(&reader.object.part_text), MANY, &part), ERR_NONE);
    CHECK(part.from == 5 * (MANY - 1) && part.size == 5);
    CHECK_BYTES(part.sum, bytes("y/U6HA=="));
    CHECK_INT(folder_span_find(buf_all(&reader.object.part_text), MANY + 1, &part), ERR_RANGE);
    folder_reader_close(&reader);
    stage_count(&s, ".sheaf/side");
    CHECK(stage_files == 1 || without_attributes); /* else the parts' own wait for a sweep */
    CHECK_INT(folder_delete(s.folder, B, KEY, NULL, NULL), FOLDER_OK);
    stage_count(&s, ".sheaf/side");
    CHECK(stage_files == 0 || without_attributes);
    stage_end(&s);
}

static void where_many_parts_lie_is_kept_beside_the_object(void)
{
    many_parts_are_kept_beside_the_object(false);
    many_parts_are_kept_beside_the_object(true);
}

static void copy_part(struct stage *s, const struct folder_upload_id *id, unsigned number,
                      const struct folder_reader *source)
{
    struct folder_commit one = { .size = source->object.size };
    struct folder_written written = { 0 };
    struct folder_put *put = NULL;
    bool done = false;

    CHECK_INT(folder_part_copy_begin(s->folder, B, KEY, slice_text(id->text), number, source, 0,
                                     source->object.size, &put),
              FOLDER_OK);
    CHECK_INT(folder_put_step(put, UINT64_MAX, &done), FOLDER_OK);
    CHECK(done);
    CHECK_INT(folder_put_commit(&put, &one, &written), FOLDER_OK);
    memcpy(choice_etags[number - 1], written.etag, FOLDER_ETAG_BYTES);
    choices[number - 1] = chosen(number, choice_etags[number - 1]);
}

/* A file with a hole. */
static bool make_source(struct stage *s, uint64_t size)
{
    bool made;
    int fd;

    CHECK_INT(stage_put(s, bytes("source"), bytes("first")), FOLDER_OK);
    fd = stage_open_file(s, "bucket/source");
    made = ftruncate(fd, (off_t)size) == 0 && pwrite(fd, "the end", 7, (off_t)size - 7) == 7;
    close(fd);
    return made;
}

/* A file of 5 GiB with a hole, 1,024 times: the largest object that there is, in few blocks. */
static void an_object_of_five_tebibytes_is_put_together_and_read(void)
{
    static const uint64_t PART = 5ULL << 30;
    struct stage s = stage_for_uploads();
    struct folder_upload_id id = begin(&s, KEY);
    struct folder_completion whole = { choices,   TIB_PARTS + 1, FOLDER_SIZE_UNKNOWN,
                                       CHECKSUMS, { 0 },         { 0 } };
    struct folder_reader reader;
    uint8_t end[9] = "";
    size_t got = 0;

    if (!make_source(&s, PART)) {
        printf("no files of that size here: left out\n");
        stage_end(&s);
        return;
    }
    CHECK_INT(folder_get(s.folder, B, bytes("source"), &reader), FOLDER_OK);
    for (unsigned i = 0; i <= TIB_PARTS; i++)
        copy_part(&s, &id, i + 1, &reader);
    folder_reader_close(&reader);
    refuse(&s, &id, whole, FOLDER_TOO_LARGE);
    whole.count = TIB_PARTS;
    whole.size = PART * TIB_PARTS;
    finish(&s, &id, &whole);
    CHECK_INT(folder_get_with_parts(s.folder, B, KEY, &reader), FOLDER_OK);
    CHECK(reader.object.size == 5ULL << 40);
    CHECK_BYTES(buf_all(&reader.object.part_text), bytes("1-1024 5368709120\n"));
    CHECK_INT(folder_read(s.folder, &reader, (5ULL << 40) - 7, end, sizeof(end), &got), FOLDER_OK);
    CHECK_BYTES(slice_of(end, got), bytes("the end"));
    CHECK_INT(folder_read(s.folder, &reader, 1023 * PART - 2, end, 7, &got), FOLDER_OK);
    CHECK_BYTES(slice_of(end, got), bytes("ndfirst"));
    folder_reader_close(&reader);
    stage_end(&s);
}

int main(void)
{
    RUN(parts_become_an_object);
    RUN(where_many_parts_lie_is_kept_beside_the_object);
    RUN(an_object_of_five_tebibytes_is_put_together_and_read);
    RUN(a_wrong_list_of_parts_is_refused);
    RUN(an_upload_belongs_to_its_bucket_and_key);
    RUN(a_part_may_be_copied_out_of_an_object);
    RUN(a_completion_that_is_crossed_commits_nothing);
    RUN(uploads_are_listed_in_order);
    RUN(parts_of_any_size_are_joined);
    RUN(ten_thousand_parts_are_one_object);
    return check_report();
}
