/* Prints the index of proxy/wire/http1_names.def: a hash table with open addressing, as the
 * initialiser of an array of enum http1_name, 0 for a free slot.  Run by the build. */
#include <stdio.h>

#include "proxy/wire/http1_name_hash.h"

enum { SLOTS = 1 << HTTP1_NAME_INDEX_BITS };

static const char *const names[] = {
#define HTTP1_NAME(name, text, may_repeat) text,
#include "proxy/wire/http1_names.def"
#undef HTTP1_NAME
};

#define COUNT (sizeof(names) / sizeof(names[0]))
_Static_assert(COUNT * 3 < SLOTS, "the index is too full: give it another bit");
_Static_assert(COUNT < 250, "numbers of names are bytes");

int main(void)
{
    uint8_t slots[SLOTS] = { 0 };

    for (size_t i = 0; i < COUNT; i++) {
        size_t len = strlen(names[i]);
        unsigned slot = http1_name_hash(http1_name_ends((const uint8_t *)names[i], len), len);

        if (len > HTTP1_NAME_MAX_BYTES) {
            fprintf(stderr, "too long: %s\n", names[i]);
            return 1;
        }
        for (; slots[slot] != 0; slot = (slot + 1) % SLOTS) {
            if (strcmp(names[slots[slot] - 1], names[i]) == 0) {
                fprintf(stderr, "twice: %s\n", names[i]);
                return 1;
            }
        }
        slots[slot] = (uint8_t)(i + 1);
    }
    printf("#define INDEX_SLOTS \\\n    {");
    for (size_t i = 0; i < SLOTS; i++)
        printf("%s%u,", i % 16 == 0 ? " \\\n        " : " ", slots[i]);
    printf(" \\\n    }\n");
    return 0;
}
