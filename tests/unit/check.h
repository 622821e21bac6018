/* The unit tests' whole framework.  A test is a static function named by a sentence; main() runs
 * each with RUN and returns check_report(), which prints "N passed, N failed". */
#pragma once

#include <stdio.h>
#include <string.h>

#include "proxy/base/slice.h"

#ifdef UNIT_MAIN                           /* one of many in a program */
int UNIT_MAIN(void) __attribute__((cold)); /* as compilers take any main() to be */
#define main UNIT_MAIN
#endif

static int check_failures_here, check_passed, check_failed;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                       \
            check_failures_here++;                                                                 \
        }                                                                                          \
    } while (0)

#define CHECK_INT(found, expected)                                                                 \
    do {                                                                                           \
        long long found_ = (long long)(found), expected_ = (long long)(expected);                  \
        if (found_ != expected_) {                                                                 \
            printf("%s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, #found, found_,       \
                   expected_);                                                                     \
            check_failures_here++;                                                                 \
        }                                                                                          \
    } while (0)

#define CHECK_BYTES(found, expected)                                                               \
    do {                                                                                           \
        struct slice found_ = (found), expected_ = (expected);                                     \
        if (!slice_is(found_, expected_)) {                                                        \
            printf("%s:%d: %s is\n  \"%.*s\", expected\n  \"%.*s\"\n", __FILE__, __LINE__, #found, \
                   (int)found_.len, (const char *)found_.at, (int)expected_.len,                   \
                   (const char *)expected_.at);                                                    \
            check_failures_here++;                                                                 \
        }                                                                                          \
    } while (0)

#define CHECK_TEXT(found, expected) CHECK_BYTES(slice_text(found), slice_text(expected))

/* A literal with its zero bytes counted. */
#define bytes(literal) slice_of(literal, sizeof(literal) - 1)

#define RUN(test)                                                                                  \
    do {                                                                                           \
        check_failures_here = 0;                                                                   \
        test();                                                                                    \
        if (check_failures_here > 0) {                                                             \
            printf("FAILED %s\n", #test);                                                          \
            check_failed++;                                                                        \
        } else {                                                                                   \
            check_passed++;                                                                        \
        }                                                                                          \
    } while (0)

static inline int check_report(void)
{
    printf("%d passed, %d failed\n", check_passed, check_failed);
    return check_failed > 0;
}
