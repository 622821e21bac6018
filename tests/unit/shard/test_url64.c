#include "shard/url64.h"

#include "tests/unit/check.h"

static void bytes_are_written_as_letters_that_need_no_escape(void)
{
    static const struct {
        const char *raw, *text;
    } CASES[] = {
        { "", "" },        { "f", "Zg" },        { "fo", "Zm8" },
        { "foo", "Zm9v" }, { "foob", "Zm9vYg" }, { "\xFB\xFF\xFE", "-__-" },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct buf out = { 0 };
        uint8_t raw[16];
        size_t len;

        url64_encode(slice_text(CASES[i].raw), &out);
        CHECK_BYTES(buf_all(&out), slice_text(CASES[i].text));
        CHECK_INT(url64_decode(slice_text(CASES[i].text), raw, &len), ERR_NONE);
        CHECK_BYTES(slice_of(raw, len), slice_text(CASES[i].raw));
        buf_fini(&out);
    }
}

static void what_has_another_form_is_refused(void)
{
    static const char *const BAD[] = { "Z",    "Zm9vY", "Zh",    "Zm9",   "Zg==", "Zm 8",
                                       "Zm+v", "Zm/v",  "Zm9\n", "Z\xC3", "=" };

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        uint8_t raw[16];
        size_t len = 7;

        CHECK(url64_decode(slice_text(BAD[i]), raw, &len) == ERR_SYNTAX && len == 7);
    }
}

int main(void)
{
    RUN(bytes_are_written_as_letters_that_need_no_escape);
    RUN(what_has_another_form_is_refused);
    return check_report();
}
