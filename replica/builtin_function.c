#include "replica/builtin_function.h"

static const struct builtin_function FUNCTIONS[] = {
#define SAFE(name)                    { name, "a read", BUILTIN_SAFE, true },
#define OTHER(name, class, takes_one) { name, "function " name "()", BUILTIN_##class, takes_one },
#include "replica/builtin_function.def"
#undef SAFE
#undef OTHER
};

static int compare(struct slice name, const char *other)
{
    size_t len = strlen(other);
    int order = name.len == 0 ? 0 : memcmp(name.at, other, name.len < len ? name.len : len);

    return order != 0 ? order : (name.len > len) - (name.len < len);
}

const struct builtin_function *builtin_function_find(struct slice name)
{
    size_t low = 0, high = sizeof(FUNCTIONS) / sizeof(FUNCTIONS[0]);

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(name, FUNCTIONS[middle].name);

        if (order == 0)
            return &FUNCTIONS[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct builtin_function *builtin_function_at(size_t i)
{
    return i < sizeof(FUNCTIONS) / sizeof(FUNCTIONS[0]) ? &FUNCTIONS[i] : NULL;
}
