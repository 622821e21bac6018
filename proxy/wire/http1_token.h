/* What a token is in HTTP: the form of methods and of names of fields. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

extern const bool http1_token_bytes[256];

static inline bool http1_is_token(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!http1_token_bytes[text.at[i]])
            return false;
    }
    return text.len > 0;
}

static inline bool http1_is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}
