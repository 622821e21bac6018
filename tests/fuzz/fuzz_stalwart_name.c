/* Keys come from clients: whatever is taken for a name of Stalwart has a key of its lengths, the
 * same behind any prefix. */
#include <stdlib.h>
#include <string.h>

#include "shard/stalwart_name.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    uint8_t key[STALWART_KEY_MOST], again[STALWART_KEY_MOST];
    size_t key_len = 0, again_len = 0;

    if (!stalwart_name_key(slice_of(at, len), key, &key_len))
        return 0;
    require(key_len == 32 || key_len == 28 || key_len == 34);
    require(stalwart_name_key(slice_from(slice_of(at, len), len > 55 ? len - 55 : 0), again,
                              &again_len));
    require(again_len == key_len && memcmp(key, again, key_len) == 0);
    return 0;
}
