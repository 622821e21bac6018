#include "shard/md5.h"

#include <openssl/evp.h>

#include "tests/unit/check.h"

static void it_is_openssl_s_md5_at_every_length_around_the_blocks(void)
{
    uint8_t text[200], expected[EVP_MAX_MD_SIZE];
    unsigned expected_len;

    for (size_t len = 0; len < sizeof(text); len++) {
        struct md5 md5;

        text[len] = (uint8_t)(len * 89 + 7);
        md5 = md5_of(slice_of(text, len + 1));
        CHECK(EVP_Digest(text, len + 1, expected, &expected_len, EVP_md5(), NULL) == 1);
        for (int word = 0; word < 4; word++) {
            const uint8_t *at = expected + 4 * word;

            CHECK_INT(md5.words[word], at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24);
        }
    }
}

static void the_empty_text_has_its_digest_too(void)
{
    CHECK_INT(md5_of((struct slice){ 0 }).words[0], 0xd98c1dd4); /* d41d8cd9... */
}

int main(void)
{
    RUN(it_is_openssl_s_md5_at_every_length_around_the_blocks);
    RUN(the_empty_text_has_its_digest_too);
    return check_report();
}
