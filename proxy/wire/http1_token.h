/* What a token is in HTTP: the form of methods and of names of fields. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

static inline bool http1_is_token_byte(uint8_t byte)
{
    uint8_t letter = byte | 0x20;

    if ((letter >= 'a' && letter <= 'z') || (byte >= '0' && byte <= '9'))
        return true;
    return byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

static inline bool http1_is_token(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!http1_is_token_byte(text.at[i]))
            return false;
    }
    return text.len > 0;
}
