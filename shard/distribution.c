/* The table of distributions, as the build found their files; modulo, the default, is looked up
 * like any other.  See distribution.h. */
#include "shard/distribution.h"

#include <string.h>

#define DRIVER(name) extern const struct shard_distribution distribution_##name;
#include "shard_distributions.def"
#undef DRIVER

static const struct shard_distribution *const DISTRIBUTIONS[] = {
#define DRIVER(name) &distribution_##name,
#include "shard_distributions.def"
#undef DRIVER
};

const struct shard_distribution *shard_distribution_at(size_t index)
{
    return index < sizeof(DISTRIBUTIONS) / sizeof(DISTRIBUTIONS[0]) ? DISTRIBUTIONS[index] : NULL;
}

const struct shard_distribution *shard_distribution_find(const char *name)
{
    for (size_t i = 0; i < sizeof(DISTRIBUTIONS) / sizeof(DISTRIBUTIONS[0]); i++)
        if (strcmp(name, DISTRIBUTIONS[i]->name) == 0)
            return DISTRIBUTIONS[i];
    return NULL;
}
