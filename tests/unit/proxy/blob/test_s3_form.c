#include "proxy/blob/s3_form.h"

#include "tests/unit/check.h"

static struct arena arena;
static struct s3_fault fault;

static void add(struct s3_form *form, const char *name, const char *value)
{
    CHECK_INT(s3_form_add(form, slice_text(name), slice_text(value), &fault), S3_NONE);
}

static struct s3_form form_of_key(const char *key)
{
    struct s3_form form = { .arena = &arena };

    add(&form, "Key", key);
    return form;
}

static enum s3_error close_form(const char *key, const char *file_name, struct slice *out)
{
    struct s3_form form = form_of_key(key);

    return s3_form_close(&form, slice_text("b"), slice_text(file_name), out, &fault);
}

static void the_name_of_the_file_goes_into_the_key(void)
{
    char longest[S3_KEY_MOST + 2];
    struct slice key;

    CHECK_INT(close_form("a/${filename}", "x.txt", &key), S3_NONE);
    CHECK_BYTES(key, slice_text("a/x.txt"));
    CHECK_INT(close_form("${filename}/${filename}", "${filename}", &key), S3_NONE);
    CHECK_BYTES(key, slice_text("${filename}/${filename}"));
    CHECK_INT(close_form("${filenam}", "x", &key), S3_NONE);
    CHECK_BYTES(key, slice_text("${filenam}"));
    CHECK_INT(close_form("${filename}", "", &key), S3_USER_KEY_MUST_BE_SPECIFIED);
    memset(longest, 'x', sizeof(longest));
    longest[S3_KEY_MOST] = '\0';
    CHECK_INT(close_form("${filename}", longest, &key), S3_NONE);
    CHECK_INT(close_form("a${filename}", longest, &key), S3_KEY_TOO_LONG_ERROR);
}

static void a_form_without_a_key_is_refused(void)
{
    struct s3_form form = { .arena = &arena };
    struct slice key;

    add(&form, "acl", "private");
    CHECK_INT(s3_form_close(&form, slice_text("b"), slice_text("f"), &key, &fault),
              S3_INVALID_ARGUMENT);
}

static void forms_are_bounded(void)
{
    struct s3_form form = { .arena = &arena };
    static char large[S3_FORM_BYTES_MOST];

    for (size_t i = 1; i < S3_POLICY_FIELDS_MOST; i++)
        add(&form, "a", "");
    CHECK_INT(s3_form_add(&form, slice_text("a"), slice_text(""), &fault),
              S3_MAX_POST_PRE_DATA_LENGTH_EXCEEDED);
    form = (struct s3_form){ .arena = &arena };
    CHECK_INT(s3_form_add(&form, slice_text("a"), slice_of(large, sizeof(large)), &fault),
              S3_MAX_POST_PRE_DATA_LENGTH_EXCEEDED);
}

static void the_first_of_a_name_counts_and_the_bucket_is_the_path_s(void)
{
    struct s3_form form = form_of_key("k");
    struct slice key;

    add(&form, "acl", "private");
    add(&form, "ACL", "public-read");
    add(&form, "Bucket", "other");
    CHECK_INT(s3_form_close(&form, slice_text("b"), slice_text("f"), &key, &fault), S3_NONE);
    CHECK_BYTES(s3_form_value(&form, "acl"), slice_text("private"));
    CHECK_BYTES(s3_form_value(&form, "bucket"), slice_text("b"));
    CHECK(s3_form_value(&form, "policy").at == NULL);
}

static void stores_are_told_what_is_theirs(void)
{
    struct s3_form form = form_of_key("k");
    struct blob_ask ask = { 0 };

    add(&form, "acl", "private");
    add(&form, "X-Amz-Meta-A", " 1 ");
    add(&form, "x-amz-meta-a", "2");
    add(&form, "policy", "...");
    add(&form, "x-amz-signature", "...");
    add(&form, "success_action_status", "201");
    add(&form, "tagging",
        "<Tagging><TagSet><Tag><Key>a b</Key><Value>c&amp;</Value></Tag>"
        "<Tag><Key>d</Key><Value></Value></Tag></TagSet></Tagging>");
    CHECK_INT(s3_form_ask(&form, &ask, &fault), S3_NONE);
    CHECK_INT(ask.field_count, 3);
    CHECK_BYTES(ask.fields[0].name, slice_text("x-amz-acl"));
    CHECK_BYTES(ask.fields[1].name, slice_text("x-amz-meta-a"));
    CHECK_BYTES(ask.fields[1].value, slice_text("1"));
    CHECK_BYTES(ask.fields[2].name, slice_text("x-amz-tagging"));
    CHECK_BYTES(ask.fields[2].value, slice_text("a%20b=c%26&d="));
}

static enum s3_error ask_with(const char *name, struct slice value)
{
    struct s3_form form = { .arena = &arena };
    struct blob_ask ask = { 0 };

    CHECK_INT(s3_form_add(&form, slice_text(name), value, &fault), S3_NONE);
    return s3_form_ask(&form, &ask, &fault);
}

static void what_no_head_may_have_is_refused(void)
{
    CHECK_INT(ask_with("x-amz-meta-a", bytes("\xc3\xa4\t1")), S3_NONE);
    CHECK_INT(ask_with("x-amz-meta-a", bytes("1\r\nx: y")), S3_INVALID_ARGUMENT);
    CHECK_INT(ask_with("content-type", bytes("a\0b")), S3_INVALID_ARGUMENT);
    CHECK_INT(ask_with("x-amz-meta-a: b", bytes("1")), S3_INVALID_ARGUMENT);
    CHECK_INT(ask_with("tagging", bytes("<Tagging>")), S3_MALFORMED_XML);
    CHECK_INT(ask_with("other", bytes("1\r\nx: y")), S3_NONE);
}

static void checksums_are_declared(void)
{
    struct s3_form form = { .arena = &arena };
    struct checksum_set sums = { 0 };

    add(&form, "x-amz-checksum-crc32", "NhCmhg==");
    add(&form, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    CHECK_INT(s3_form_declare(&form, &sums, &fault), S3_NONE);
    CHECK_INT(sums.declared, 1 << CHECKSUM_CRC32);
    add(&form, "Content-MD5", "short");
    CHECK_INT(s3_form_declare(&form, &sums, &fault), S3_INVALID_DIGEST);
}

int main(void)
{
    RUN(the_name_of_the_file_goes_into_the_key);
    RUN(a_form_without_a_key_is_refused);
    RUN(forms_are_bounded);
    RUN(the_first_of_a_name_counts_and_the_bucket_is_the_path_s);
    RUN(stores_are_told_what_is_theirs);
    RUN(what_no_head_may_have_is_refused);
    RUN(checksums_are_declared);
    arena_fini(&arena);
    return check_report();
}
