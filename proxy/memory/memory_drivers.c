/* The fronts and backs of memory pools, as the build found their files. */
#include "proxy/memory/memory.h"

#include <string.h>

#define DRIVER(name) extern const struct memory_front memory_front_##name;
#include "memory_fronts.def"
#undef DRIVER
#define DRIVER(name) extern const struct memory_back memory_back_##name;
#include "memory_backs.def"
#undef DRIVER

static const struct memory_front *const FRONTS[] = {
#define DRIVER(name) &memory_front_##name,
#include "memory_fronts.def"
#undef DRIVER
    NULL,
};

static const struct memory_back *const BACKS[] = {
#define DRIVER(name) &memory_back_##name,
#include "memory_backs.def"
#undef DRIVER
    NULL,
};

const struct memory_front *memory_front_at(size_t index)
{
    return FRONTS[index];
}

const struct memory_back *memory_back_at(size_t index)
{
    return BACKS[index];
}

const struct memory_front *memory_front_find(const char *name)
{
    for (size_t i = 0; FRONTS[i] != NULL; i++)
        if (strcmp(FRONTS[i]->name, name) == 0)
            return FRONTS[i];
    return NULL;
}

const struct memory_back *memory_back_find(const char *name)
{
    for (size_t i = 0; BACKS[i] != NULL; i++)
        if (strcmp(BACKS[i]->name, name) == 0)
            return BACKS[i];
    return NULL;
}
