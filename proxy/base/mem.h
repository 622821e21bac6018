/* Memory that a program of this kind cannot go on without: these never return NULL; when the system
 * has none left they say so and end the process.  What a peer's declared size decides (request and
 * reply bodies) is bounded by configuration before it is asked for. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

void *mem_new(size_t size);                    /* zeroed; free() */
void *mem_resize(void *old, size_t size);      /* as realloc() */
char *mem_text(const char *text);              /* a copy; free() */
char *mem_text_of(const void *at, size_t len); /* a terminated copy; free() */

/* Will be read or written in a moment: it is brought near meanwhile.  Any pointer will do. */
static inline void mem_soon(const void *at, size_t len)
{
    enum { LINE_BYTES = 64 };
    uintptr_t line = (uintptr_t)at, end = line + len; /* in numbers: NULL + i would be undefined */

    for (; line < end; line += 2 * LINE_BYTES) { /* by two: one too many does no harm */
        __builtin_prefetch((const void *)line);
        __builtin_prefetch((const void *)(line + LINE_BYTES));
    }
}

/* Zeroes what nobody reads any more; of a few dozen bytes at less cost than explicit_bzero(). */
static inline void mem_wipe(void *at, size_t len)
{
    memset(at, 0, len);
    __asm__ volatile("" : : "r"(at) : "memory");
}

/* Pages of the system's own, aligned to their size, which is a power of two; they go back to it by
 * mem_unmap(). */
void *mem_map(size_t size);
void mem_unmap(void *memory, size_t size);
