/* See ledger.h. */
#include "bench/ledger.h"

#include <stdlib.h>

#include "proxy/base/mem.h"

void ledger_init(struct ledger *l, uint64_t keys)
{
    *l = (struct ledger){ .entries = mem_new(keys * sizeof(*l->entries)), .count = keys };
}

void ledger_fini(struct ledger *l)
{
    free(l->entries);
    *l = (struct ledger){ 0 };
}
