/* See mem.h. */
#include "proxy/base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *checked(void *memory, size_t size)
{
    if (memory == NULL && size > 0) {
        fprintf(stderr, "sheaf: out of memory: the system refused %zu bytes\n", size);
        abort();
    }
    return memory;
}

void *mem_new(size_t size)
{
    return checked(calloc(1, size), size);
}

void *mem_map(size_t size)
{
    uint8_t *all = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *at;

    checked(all == MAP_FAILED ? NULL : all, size);
    at = (uint8_t *)(((uintptr_t)all + size - 1) & ~(uintptr_t)(size - 1));
    if (at > all)
        munmap(all, (size_t)(at - all));
    munmap(at + size, (size_t)(all + size - at));
    return at;
}

void mem_unmap(void *memory, size_t size)
{
    munmap(memory, size);
}

void *mem_resize(void *old, size_t size)
{
    return checked(realloc(old, size), size);
}

char *mem_text_of(const void *at, size_t len)
{
    char *copy = checked(malloc(len + 1), len + 1);

    if (len > 0)
        memcpy(copy, at, len);
    copy[len] = '\0';
    return copy;
}

char *mem_text(const char *text)
{
    return mem_text_of(text, strlen(text));
}
