/* SHA-256 by the processor's instructions says what OpenSSL's says, and so do HMACs made of it. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proxy/wire/sha256_whole.h"

#include <openssl/hmac.h>

#include "proxy/wire/digest.h"
#include "proxy/wire/hmac_sha256.h"
#include "tests/unit/check.h"

enum { LONGEST = 5000 };

static uint8_t text[LONGEST + 1];

static void fill(void)
{
    uint32_t state = 1;

    for (size_t i = 0; i < sizeof(text); i++) {
        state = state * 1664525 + 1013904223;
        text[i] = (uint8_t)(state >> 24);
    }
}

/* Lengths around each edge of a block, at odd addresses too. */
static void texts_of_all_lengths_have_the_hash_that_openssl_gives_them(void)
{
    uint8_t found[32], expected[32];

    for (size_t len = 0; len <= LONGEST; len += len < 700 ? 1 : 61) {
        struct slice s = slice_of(text + len % 2, len);

        SHA256(s.at, s.len, expected);
        digest_sha256(s, found);
        CHECK_BYTES(slice_of(found, 32), slice_of(expected, 32));
        if (sha256_whole_is_native()) {
            sha256_whole(SHA256_WHOLE_START, 0, s, found);
            CHECK_BYTES(slice_of(found, 32), slice_of(expected, 32));
        }
    }
}

static void a_hash_goes_on_from_where_whole_blocks_led(void)
{
    uint8_t found[32], expected[32];

    if (!sha256_whole_is_native())
        return;
    for (size_t before = 0; before <= 256; before += SHA256_WHOLE_BLOCK) {
        SHA256_CTX state;

        SHA256_Init(&state);
        SHA256_Update(&state, text, before);
        for (size_t len = 0; len < 200; len++) {
            SHA256(text, before + len, expected);
            sha256_whole(state.h, before, slice_of(text + before, len), found);
            CHECK_BYTES(slice_of(found, 32), slice_of(expected, 32));
        }
    }
}

static void a_prepared_key_makes_the_hmac_that_openssl_makes(void)
{
    uint8_t found[32], expected[32];

    for (size_t key = 1; key < 150; key += 7) {
        struct hmac_sha256 keyed;

        hmac_sha256_begin(&keyed, slice_of(text, key));
        for (size_t len = 0; len < 300; len += 3) {
            HMAC(EVP_sha256(), text, (int)key, text + 1, len, expected, NULL);
            hmac_sha256_of(&keyed, slice_of(text + 1, len), found);
            CHECK_BYTES(slice_of(found, 32), slice_of(expected, 32));
        }
    }
}

/* Its place is used by one key and one beginning after the other, as they come. */
static void what_begins_alike_is_not_taken_for_what_does_not(void)
{
    struct hmac_sha256_start start = { 0 };
    uint8_t found[32], expected[32];

    for (size_t turn = 0; turn < 400; turn++) {
        struct slice key = slice_of(text, 10 + turn / 3 % 2);
        struct slice said = slice_of(text + turn / 7 % 3, turn % 5 * 50);
        struct hmac_sha256 keyed;

        hmac_sha256_begin(&keyed, key);
        HMAC(EVP_sha256(), key.at, (int)key.len, said.at, said.len, expected, NULL);
        hmac_sha256_of_start(&keyed, &start, said, found);
        CHECK_BYTES(slice_of(found, 32), slice_of(expected, 32));
    }
}

int main(void)
{
    fill();
    RUN(texts_of_all_lengths_have_the_hash_that_openssl_gives_them);
    RUN(a_hash_goes_on_from_where_whole_blocks_led);
    RUN(a_prepared_key_makes_the_hmac_that_openssl_makes);
    RUN(what_begins_alike_is_not_taken_for_what_does_not);
    return check_report();
}
