/* See stalwart_name.h. */
#include "shard/stalwart_name.h"

#include <string.h>

enum { HASH_LEN = 32, HASH_LETTERS = 52 };

/* Base32, most significant bits first, without padding. */
static int value_of(uint8_t letter)
{
    static const char DIGITS[] = "792013"; /* 26 ... 31 */
    const char *at;

    if (letter >= 'a' && letter <= 'z')
        return letter - 'a';
    at = letter != '\0' ? strchr(DIGITS, letter) : NULL;
    return at != NULL ? 26 + (int)(at - DIGITS) : -1;
}

/* Each key has one form: the bits beyond the last byte are zero. */
static bool decode(struct slice letters, uint8_t *key, size_t *len)
{
    uint32_t held = 0;
    unsigned bits = 0;
    size_t at = 0;

    for (size_t i = 0; i < letters.len; i++) {
        int value = value_of(letters.at[i]);

        if (value < 0)
            return false;
        held = held << 5 | (uint32_t)value;
        bits += 5;
        if (bits < 8)
            continue;
        bits -= 8;
        key[at++] = (uint8_t)(held >> bits);
        held &= (1u << bits) - 1;
    }
    *len = at;
    return held == 0;
}

static bool ends_with(struct slice name, const char *end)
{
    size_t len = strlen(end);

    return name.len >= len && memcmp(name.at + name.len - len, end, len) == 0;
}

bool stalwart_name_key(struct slice name, uint8_t key[STALWART_KEY_MOST], size_t *len)
{
    /* STALWART_SPAM_CLASSIFIER_MODEL.lz4 and STALWART_SPAM_TRAIN_DATA.lz4: tried first, as the end
     * of the longer may pass for a hash. */
    static const char *const TEXTS[] = { "knkectcxifjfix7tkbau7x7djravgu7jizeukus3jvhuirkmfzwhuna",
                                         "knkectcxifjfix7tkbau7x7ukjausts3iraviqjonr0di" };

    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++)
        if (ends_with(name, TEXTS[i]))
            return decode(slice_text(TEXTS[i]), key, len);
    return name.len >= HASH_LETTERS &&
           decode(slice_from(name, name.len - HASH_LETTERS), key, len) && *len == HASH_LEN;
}
