/* Prints what Sheaf thinks of SQL texts.  Reads texts from its input, each ended by a NUL, and
 * answers each with a line:
 *
 *     route kind effects count hint reason
 *
 * Effects are their numbers added up; route is that of all statements of the text together, the
 * kind that of the first.  With an argument "try", functions that are not known are tried on
 * replicas. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/statement.h"

int main(int argc, char **argv)
{
    struct statement_options options = { .tries_unknown_functions =
                                             argc > 1 && strcmp(argv[1], "try") == 0 };
    char *text = NULL;
    size_t room = 0;
    ssize_t len;

    while ((len = getdelim(&text, &room, '\0', stdin)) >= 0) {
        struct arena arena = { 0 };
        struct script script;
        enum statement_kind kind = STATEMENT_EMPTY;

        if (len > 0 && text[len - 1] == '\0')
            len--;
        script_read(slice_of(text, (size_t)len), &options, &arena, &script);
        if (script.count > 0)
            kind = script.statements[0].kind;
        printf("%s\t%s\t%u\t%zu\t%u\t%s\n", statement_route_text(script.route),
               statement_kind_text(kind), script.effects, script.count, script.hints.route,
               script.reason);
        fflush(stdout);
        arena_fini(&arena);
    }
    free(text);
    statement_forget_thread();
    return 0;
}
