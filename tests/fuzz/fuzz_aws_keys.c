/* A file of keys may hold anything: what is taken from it is whole, visible letters, and within its
 * limits. */
#include <stdlib.h>
#include <string.h>

#include "config/aws_keys.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void require_visible(const char *text, size_t most)
{
    require(strlen(text) <= most);
    for (; *text != '\0'; text++)
        require(*text > ' ' && *text < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct buf why = { 0 };
    struct aws_keys keys;

    if (aws_keys_parse(slice_of(at, len), &keys, &why) == ERR_NONE) {
        require(keys.id[0] != '\0' && keys.secret[0] != '\0' && why.len == 0);
        require_visible(keys.id, AWS_KEYS_ID_MOST);
        require_visible(keys.secret, AWS_KEYS_SECRET_MOST);
        require_visible(keys.token, AWS_KEYS_TOKEN_MOST);
    } else {
        require(why.len > 0);
    }
    buf_fini(&why);
    return 0;
}
