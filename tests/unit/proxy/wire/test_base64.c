#include "proxy/wire/base64.h"

#include "tests/unit/check.h"

static const struct {
    const char *raw, *text;
} PAIRS[] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
    { "\xff\xfe\xfb\xf0", "//778A==" },
};

static void what_the_standard_shows_goes_both_ways(void)
{
    for (size_t i = 0; i < sizeof(PAIRS) / sizeof(PAIRS[0]); i++) {
        struct slice raw = slice_text(PAIRS[i].raw), text = slice_text(PAIRS[i].text);
        char encoded[16];
        uint8_t decoded[16];
        size_t len = 99;

        base64_encode(raw, encoded);
        CHECK_BYTES(slice_of(encoded, BASE64_BYTES(raw.len)), text);
        CHECK_INT(base64_decode(text, decoded, sizeof(decoded), &len), ERR_NONE);
        CHECK_BYTES(slice_of(decoded, len), raw);
    }
}

static void what_is_not_strictly_base64_is_refused(void)
{
    static const char *const BAD[] = { "Z",    "Zg",       "Zg=",      "Zh==",  "Zm9=",   "====",
                                       "Z===", "Zg==Zg==", "Zm9v\n",   "Zm 9v", "Zm9-",   "=Zm9",
                                       "Zm=v", "Zm9vYg=g", "Zm9v\xc3", "Zm9,",  "Zm9v===" };
    uint8_t decoded[16];
    size_t len = 7;

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        if (base64_decode(slice_text(BAD[i]), decoded, sizeof(decoded), &len) != ERR_SYNTAX) {
            printf("taken: %s\n", BAD[i]);
            CHECK(false);
        }
    CHECK_INT(base64_decode(bytes("Zm\0v"), decoded, sizeof(decoded), &len), ERR_SYNTAX);
    CHECK_INT(len, 7);
}

static void what_does_not_fit_is_not_written(void)
{
    uint8_t decoded[4] = { 0, 0, 0, 42 };
    size_t len;

    CHECK_INT(base64_decode(slice_text("Zm9vYg=="), decoded, 3, &len), ERR_LIMIT);
    CHECK_INT(decoded[3], 42);
    CHECK_INT(base64_decode(slice_text("Zm9v"), decoded, 3, &len), ERR_NONE);
    CHECK_INT(len, 3);
    CHECK_INT(base64_decode(slice_text("Zg=="), decoded, 0, &len), ERR_LIMIT);
}

int main(void)
{
    RUN(what_the_standard_shows_goes_both_ways);
    RUN(what_is_not_strictly_base64_is_refused);
    RUN(what_does_not_fit_is_not_written);
    return check_report();
}
