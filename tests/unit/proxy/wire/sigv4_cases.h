/* What tests of signatures share: heads that are parsed, and who may come in. */
#pragma once

#include <stdlib.h>

#include "proxy/wire/sigv4_sign.h"
#include "tests/unit/check.h"

enum { MAY_24_2013 = 1369353600 };

static const struct sigv4_credential CREDENTIALS[] = {
    { { (const uint8_t *)"AKIAIOSFODNN7EXAMPLE", 20 },
      { (const uint8_t *)"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 40 },
      NULL },
    { { (const uint8_t *)"test:tes/ter", 12 }, { (const uint8_t *)"testing", 7 }, NULL },
};

static inline const struct sigv4_credential *look_up(const void *directory, struct slice id)
{
    (void)directory;
    for (size_t i = 0; i < sizeof(CREDENTIALS) / sizeof(*CREDENTIALS); i++) {
        if (slice_is(CREDENTIALS[i].id, id))
            return &CREDENTIALS[i];
    }
    return NULL;
}

static struct sigv4_keys *keys;
static struct sigv4_scratch scratch;

static inline struct sigv4_rules rules_at(uint64_t now_s)
{
    static const char *const region = "us-east-1";

    if (keys == NULL)
        keys = sigv4_keys_new();
    return (struct sigv4_rules){ .now_s = now_s,
                                 .regions = &region,
                                 .region_count = 1,
                                 .lookup = look_up,
                                 .keys = keys,
                                 .scratch = &scratch };
}

/* Lines are ended by \n here; the request's slices are of `text`, which is static. */
static inline bool parse(const char *lines, struct http1_request *request)
{
    static char text[HTTP1_HEAD_MAX_BYTES];
    size_t len = 0;

    for (; *lines != '\0'; lines++) {
        if (*lines == '\n')
            text[len++] = '\r';
        text[len++] = *lines;
    }
    text[len++] = '\r';
    text[len++] = '\n';
    return http1_request_parse(slice_of(text, len), NULL, request) == HTTP1_REFUSAL_NONE;
}

static inline void forget_all(void)
{
    sigv4_keys_free(&keys);
    sigv4_scratch_fini(&scratch);
}
