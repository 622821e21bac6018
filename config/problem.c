/* See problem.h.  Problems are found in two passes (each line, then each pool as a whole), so they
 * are sorted before anyone looks at them. */
#include "config/problem.h"

#include <stdarg.h>
#include <stdlib.h>

#include "proxy/base/mem.h"

PRINTF_LIKE(4, 0)
static void add(struct problems *p, struct place place, bool is_warning, const char *format,
                va_list arguments) PRINTF_LIKE(4, 0);

static void add(struct problems *p, struct place place, bool is_warning, const char *format,
                va_list arguments)
{
    struct problem *added;
    char *text;

    if (vasprintf(&text, format, arguments) < 0)
        text = mem_text("out of memory");
    p->list = mem_resize(p->list, (p->count + 1) * sizeof(*p->list));
    added = &p->list[p->count++];
    *added = (struct problem){ .file = mem_text(place.file != NULL ? place.file : "configuration"),
                               .line = place.line,
                               .order = place.order,
                               .is_warning = is_warning,
                               .text = text };
    if (!is_warning)
        p->errors++;
}

void problems_error(struct problems *p, struct place place, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(p, place, false, format, arguments);
    va_end(arguments);
}

void problems_warn(struct problems *p, struct place place, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(p, place, true, format, arguments);
    va_end(arguments);
}

void problems_sort(struct problems *p)
{
    for (size_t i = 1; i < p->count; i++) {
        struct problem moved = p->list[i];
        size_t to = i;

        for (; to > 0 && p->list[to - 1].order > moved.order; to--)
            p->list[to] = p->list[to - 1];
        p->list[to] = moved;
    }
}

void problems_print(const struct problems *p, FILE *out)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct problem *one = &p->list[i];

        fputs(one->file, out);
        if (one->line > 0)
            fprintf(out, ":%u", one->line);
        fprintf(out, ": %s%s\n", one->is_warning ? "warning: " : "", one->text);
    }
}

void problems_fini(struct problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->list[i].file);
        free(p->list[i].text);
    }
    free(p->list);
    *p = (struct problems){ 0 };
}
