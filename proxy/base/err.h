/* The one error idiom: a function that can fail returns `enum err`, its results go through the last
 * parameters, untouched on failure.  ERR_NONE is zero.
 *
 *     TRY(step_one(x));           leaves the function with the error, where nothing must be undone
 */
#pragma once

#include <stdbool.h>

enum err {
    ERR_NONE,
#define ERR(name, may_retry, text) ERR_##name,
#include "proxy/base/err.def"
#undef ERR
};

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(at, first) __attribute__((__format__(__printf__, at, first)))

#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum err try_err_ = (call);                                                                \
        if (try_err_ != ERR_NONE)                                                                  \
            return try_err_;                                                                       \
    } while (0)

/* A sentence part such as "deadline passed". */
const char *err_text(enum err err);
bool err_may_retry(enum err err);
