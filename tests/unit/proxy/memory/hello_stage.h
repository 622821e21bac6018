/* How an upstream is made ready, question by question.  The test names its back as HELLO_BACK. */
#pragma once

#include "proxy/memory/memory.h"
#include "tests/unit/check.h"

extern const struct memory_back HELLO_BACK;

static struct endpoint_settings endpoint;
static struct memory_hello greeting;
static struct buf question, why;

/* The server said `reply` ("": nothing was asked yet). */
static inline enum err step(const char *reply)
{
    buf_clear(&question);
    buf_clear(&why);
    return HELLO_BACK.hello(&greeting, slice_text(reply), &question, &why);
}

#define CHECK_STEP(reply, expected)                                                                \
    do {                                                                                           \
        CHECK_INT(step(reply), ERR_NONE);                                                          \
        CHECK_BYTES(buf_all(&question), slice_text(expected));                                     \
    } while (0)

#define CHECK_REFUSED(reply, err, text)                                                            \
    do {                                                                                           \
        CHECK_INT(step(reply), err);                                                               \
        CHECK_BYTES(buf_all(&why), slice_text(text));                                              \
    } while (0)

static inline void begin(bool with_stamp)
{
    endpoint = (struct endpoint_settings){ .name = "10.0.0.1:1000" };
    greeting = (struct memory_hello){ .endpoint = &endpoint, .version = 2 };
    if (with_stamp) {
        greeting.stamp_key = bytes("S");
        greeting.stamp = bytes("mine");
    }
}

static inline void end(void)
{
    buf_fini(&question);
    buf_fini(&why);
}
