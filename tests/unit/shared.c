/* Many unit tests in one program: it is the one whose name it is called by. */
#include <stdio.h>
#include <string.h>

#define UNIT(name) int name(void);
#include "units.def"
#undef UNIT

static const struct {
    const char *name;
    int (*run)(void);
} units[] = {
#define UNIT(name) { #name, name },
#include "units.def"
#undef UNIT
};

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash == NULL ? argv[0] : slash + 1;

    (void)argc;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(units[i].name, name) == 0)
            return units[i].run();
    fprintf(stderr, "%s: no unit test has this name\n", name);
    return 2;
}
