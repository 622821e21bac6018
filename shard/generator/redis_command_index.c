/* Prints the index of shard/redis_command.def: a hash table with open addressing, as the
 * initialiser of an array of command numbers counted from 1, 0 for a free slot.  Run by the
 * build. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "shard/redis_command_hash.h"

enum { BITS = 10, SLOTS = 1 << BITS };

static const char *const names[] = {
#define COMMAND(name, arity, flags, categories, plan, merge, keys) name,
#include "shard/redis_command.def"
#undef COMMAND
};

#define COUNT (sizeof(names) / sizeof(names[0]))
_Static_assert(COUNT * 2 < SLOTS, "the index is too full: give it another bit");

int main(void)
{
    uint16_t slots[SLOTS] = { 0 };

    for (size_t i = 0; i < COUNT; i++) {
        struct redis_command_key key;
        size_t len = strlen(names[i]);

        if (len > sizeof(key.words) - 1) {
            fprintf(stderr, "too long: %s\n", names[i]);
            return 1;
        }
        redis_command_key(&key, (const uint8_t *)names[i], len);
        size_t slot = redis_command_hash(&key) >> (64 - BITS);
        for (; slots[slot] != 0; slot = (slot + 1) % SLOTS) {
            if (strcmp(names[slots[slot] - 1], names[i]) == 0) {
                fprintf(stderr, "twice: %s\n", names[i]);
                return 1;
            }
        }
        slots[slot] = (uint16_t)(i + 1);
    }
    printf("#define INDEX_BITS %d\n#define INDEX_SLOTS \\\n    {", BITS);
    for (size_t i = 0; i < SLOTS; i++)
        printf("%s%u,", i % 16 == 0 ? " \\\n        " : " ", slots[i]);
    printf(" \\\n    }\n");
    return 0;
}
