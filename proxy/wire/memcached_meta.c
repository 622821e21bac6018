/* See memcached_meta.h. */
#include "proxy/wire/memcached_meta.h"

#include "proxy/wire/base64.h"
#include "proxy/wire/memcached_text_request.h"

bool memcached_key_is_word(struct slice key)
{
    for (size_t i = 0; i < key.len; i++)
        if (key.at[i] <= ' ' || key.at[i] == 0x7f)
            return false;
    return true;
}

bool memcached_key_fits(struct slice key)
{
    size_t len = memcached_key_is_word(key) ? key.len : BASE64_BYTES(key.len);

    return len > 0 && len <= MEMCACHED_KEY_BYTES;
}

/* True: it is in base64, and the flag must say so. */
static bool put_key(struct buf *out, struct slice key)
{
    size_t len = BASE64_BYTES(key.len);

    if (memcached_key_is_word(key)) {
        buf_slice(out, key);
        return false;
    }
    base64_encode(key, (char *)buf_reserve(out, len));
    buf_grow(out, len);
    return true;
}

void memcached_put_meta(struct buf *out, const char *command, struct slice key)
{
    buf_text(out, command);
    buf_put(out, " ", 1);
    if (put_key(out, key))
        buf_put(out, " b", 2);
}

void memcached_put_meta_set(struct buf *out, struct slice key, size_t value_len)
{
    bool is_base64;

    buf_put(out, "ms ", 3);
    is_base64 = put_key(out, key);
    buf_format(out, " %zu%s", value_len, is_base64 ? " b" : "");
}
