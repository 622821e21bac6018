/* See store.h. */
#include "proxy/memory/store.h"

#include <xxhash.h>

uint64_t store_hash(struct slice name)
{
    return XXH3_64bits(name.at, name.len);
}
