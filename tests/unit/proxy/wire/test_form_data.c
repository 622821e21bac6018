#include "proxy/wire/form_data.h"

#include "tests/unit/check.h"

#define TYPE "multipart/form-data; boundary=xYz"

/* What a form is read as, a line for each thing found. */
static void read_all(struct form_data *f, struct slice in, size_t most, struct buf *out)
{
    struct form_data_part part;
    enum form_data_found found = FORM_DATA_MORE;
    bool in_file = false;

    while (in.len > 0 && found < FORM_DATA_TOO_LONG) {
        struct slice piece = slice_of(in.at, in.len < most ? in.len : most);

        in = slice_from(in, piece.len);
        do {
            found = form_data_next(f, &piece, &part);
            if (in_file && found != FORM_DATA_BYTES && found != FORM_DATA_MORE)
                buf_text(out, "|");
            if (found != FORM_DATA_MORE)
                in_file = found == FORM_DATA_BYTES || found == FORM_DATA_FILE;
            if (found == FORM_DATA_FIELD)
                buf_format(out, "%.*s=%.*s|", (int)part.name.len, (const char *)part.name.at,
                           (int)part.value.len, (const char *)part.value.at);
            else if (found == FORM_DATA_FILE)
                buf_format(out, "%.*s<%.*s>:", (int)part.name.len, (const char *)part.name.at,
                           (int)part.file_name.len, (const char *)part.file_name.at);
            else if (found == FORM_DATA_BYTES)
                buf_slice(out, part.value);
            else if (found == FORM_DATA_FILE_END)
                buf_text(out, "file ends|");
            else if (found == FORM_DATA_END)
                buf_text(out, "end");
            else if (found == FORM_DATA_TOO_LONG)
                buf_text(out, "too long");
            else if (found == FORM_DATA_BAD)
                buf_text(out, "bad");
        } while (found != FORM_DATA_MORE && found < FORM_DATA_TOO_LONG);
    }
}

static void check_read(struct slice in, const char *expected)
{
    static const size_t pieces[] = { SIZE_MAX, 1, 2, 3, 5, 16 };

    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
        struct form_data f;
        struct buf out = { 0 };

        CHECK_INT(form_data_init(&f, slice_text(TYPE)), ERR_NONE);
        read_all(&f, in, pieces[i], &out);
        CHECK_BYTES(buf_all(&out), slice_text(expected));
        form_data_fini(&f);
        buf_fini(&out);
    }
}

#define PART(name) "\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define FILE_PART(file)                                                                            \
    "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" file "\"\r\n"                 \
    "Content-Type: text/plain\r\n\r\n"

static void a_form_with_fields_and_a_file_is_read(void)
{
    check_read(bytes("--xYz" PART("key") "a/b\r\n--xYz" PART("acl") "\r\n--xYz" FILE_PART(
                   "a.txt") "hello\r\n--xYz--\r\n"),
               "key=a/b|acl=|file<a.txt>:hello|file ends|end");
    check_read(bytes("--xYz" FILE_PART("") "\r\n--xYz--"), "file<>:|file ends|end");
}

static void what_stands_before_and_behind_is_passed_over(void)
{
    check_read(bytes("preamble\r\n--xY\r\n--xYz  \r\n"
                     "content-DISPOSITION:form-data;name=key \r\nX-Other: x\r\n\r\nv"
                     "\r\n--xYz--epilogue\r\n--xYz--\r\n"),
               "key=v|end");
    check_read(bytes("--xYz" FILE_PART("a") "x\r\n--xYz" PART("submit") "Upload\r\n--xYz--\r\n"),
               "file<a>:x|file ends|end");
}

static void what_only_looks_like_a_delimiter_is_content(void)
{
    check_read(bytes("--xYz" FILE_PART("a") "\r\r\n\r\n-\r\n--\r\n--x\r\n--xY\r\n--xyz--xYz\n--xYz"
                                            "\r\r\n--xYz--\r\n"),
               "file<a>:\r\r\n\r\n-\r\n--\r\n--x\r\n--xY\r\n--xyz--xYz\n--xYz\r|file ends|end");
}

static void names_of_files_lose_their_folders_and_quotes_their_backslashes(void)
{
    check_read(bytes("--xYz" FILE_PART("C:\\temp\\a \\\"b\\\".txt") "\r\n--xYz--"),
               "file<a \"b\".txt>:|file ends|end");
    check_read(bytes("--xYz" FILE_PART("/tmp/x/y; z=1") "\r\n--xYz--"),
               "file<y; z=1>:|file ends|end");
    check_read(bytes("--xYz" FILE_PART("/tmp/") "\r\n--xYz--"), "file<>:|file ends|end");
}

static void every_beginning_of_a_form_asks_for_more(void)
{
    struct slice whole = bytes("--xYz" PART("key") "a\r\n--xYz" FILE_PART("a") "x\r\n--xYz--");

    for (size_t len = 1; len < whole.len; len++) {
        struct form_data f;
        struct buf out = { 0 };

        CHECK_INT(form_data_init(&f, slice_text(TYPE)), ERR_NONE);
        read_all(&f, slice_of(whole.at, len), SIZE_MAX, &out);
        CHECK(out.len < 3 || (memcmp(out.at + out.len - 3, "end", 3) != 0 &&
                              memcmp(out.at + out.len - 3, "bad", 3) != 0));
        form_data_fini(&f);
        buf_fini(&out);
    }
}

static void what_is_no_form_is_told(void)
{
    check_read(bytes("--xYzz\r\n"), "bad");
    check_read(bytes("--xYz-\r\n"), "bad");
    check_read(bytes("--xYz\r\n\r\nno head\r\n\r\n"), "bad");
    check_read(bytes("--xYz\r\nContent-Type: x\r\n\r\nno name\r\n--xYz--"), "bad");
    check_read(bytes("--xYz\r\nContent-Disposition: attachment; name=x\r\n\r\n"), "bad");
    check_read(bytes("--xYz\r\nContent-Disposition: form-data; name=\"x\r\n\r\n"), "bad");
    check_read(bytes("--xYz\r\nContent-Disposition: form-data; name=x; name=y\r\n\r\n"), "bad");
    check_read(bytes("--xYz\r\nContent-Disposition: form-data; name=\"a\0b\"\r\n\r\n"), "bad");
    check_read(bytes("--xYz\r\nContent-Disposition: form-data;\r\n name=x\r\n\r\n"), "bad");
    check_read(bytes("--xYz"
                     "\r\nContent-Transfer-Encoding: base64" PART("x") "eA=="),
               "bad");
}

static void parts_are_bounded(void)
{
    struct buf in = { 0 };

    buf_text(&in, "--xYz\r\nContent-Disposition: form-data; name=x\r\nA: ");
    memset(buf_reserve(&in, FORM_DATA_HEAD_MOST), 'a', FORM_DATA_HEAD_MOST);
    buf_grow(&in, FORM_DATA_HEAD_MOST);
    check_read(buf_all(&in), "bad");
    buf_clear(&in);
    buf_text(&in, "--xYz" PART("x"));
    memset(buf_reserve(&in, FORM_DATA_TEXT_MOST + 1), 'a', FORM_DATA_TEXT_MOST + 1);
    buf_grow(&in, FORM_DATA_TEXT_MOST + 1);
    check_read(buf_all(&in), "too long");
    buf_fini(&in);
}

static enum err init(const char *type)
{
    struct form_data f;
    enum err err = form_data_init(&f, slice_text(type));

    form_data_fini(&f);
    return err;
}

static void the_boundary_is_of_the_content_type(void)
{
    CHECK_INT(init("multipart/form-data; boundary=a"), ERR_NONE);
    CHECK_INT(init("Multipart/Form-Data; charset=utf-8; Boundary=\"a b?\""), ERR_NONE);
    CHECK_INT(init("multipart/form-data"), ERR_SYNTAX);
    CHECK_INT(init("multipart/form-data; boundary="), ERR_SYNTAX);
    CHECK_INT(init("multipart/form-data; boundary=\"a"), ERR_SYNTAX);
    CHECK_INT(init("multipart/form-data; boundary=\"a \""), ERR_SYNTAX);
    CHECK_INT(init("multipart/form-data; boundary=a; boundary=b"), ERR_SYNTAX);
    CHECK_INT(init("multipart/form-data; boundary=a\"b"), ERR_SYNTAX);
    CHECK_INT(init("multipart/mixed; boundary=a"), ERR_SYNTAX);
    CHECK_INT(init("application/x-www-form-urlencoded"), ERR_SYNTAX);
    CHECK_INT(init(""), ERR_SYNTAX);
    CHECK_INT(init("multipart/form-data; boundary="
                   "0123456789012345678901234567890123456789012345678901234567890123456789"),
              ERR_NONE);
    CHECK_INT(init("multipart/form-data; boundary="
                   "01234567890123456789012345678901234567890123456789012345678901234567890"),
              ERR_SYNTAX);
}

int main(void)
{
    RUN(a_form_with_fields_and_a_file_is_read);
    RUN(what_stands_before_and_behind_is_passed_over);
    RUN(what_only_looks_like_a_delimiter_is_content);
    RUN(names_of_files_lose_their_folders_and_quotes_their_backslashes);
    RUN(every_beginning_of_a_form_asks_for_more);
    RUN(what_is_no_form_is_told);
    RUN(parts_are_bounded);
    RUN(the_boundary_is_of_the_content_type);
    return check_report();
}
