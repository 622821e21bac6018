/* Any bytes as what is said to the console: a name ends within its room, a refusal has a reason,
 * and what was understood is understood again when it is written plainly; and as rows of a
 * table. */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/buf.h"
#include "proxy/sql/console_command.h"
#include "proxy/sql/console_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void put_quoted(struct buf *out, const char *name)
{
    buf_text(out, " \"");
    for (; *name != '\0'; name++)
        buf_put(out, *name == '"' ? "\"\"" : name, *name == '"' ? 2 : 1);
    buf_text(out, "\" ;");
}

static void check_again(const struct console_command *c)
{
    struct console_command again;
    struct buf text = { 0 };

    buf_text(&text, console_command_word(c->verb));
    if (c->has_name)
        put_quoted(&text, c->name);
    console_command_read(buf_all(&text), &again);
    must(again.verb == c->verb && again.has_name == c->has_name && again.number == c->number);
    must(strcmp(again.name, c->name) == 0);
    buf_fini(&text);
}

static void check_command(struct slice text)
{
    struct console_command c;

    console_command_read(text, &c);
    must(memchr(c.name, '\0', sizeof(c.name)) != NULL);
    must((c.verb == CONSOLE_MALFORMED) == (c.why != NULL));
    must(c.has_name || c.name[0] == '\0' || c.verb == CONSOLE_MALFORMED);
    if (c.verb < CONSOLE_VERBS)
        check_again(&c);
}

static void check_rows(struct slice rows)
{
    struct console_formats binary = { .list = { 1 }, .count = 1 };
    struct buf out = { 0 };

    for (int i = 0; i < CONSOLE_TABLES; i++) {
        const struct console_table *t = console_table((enum console_table_number)i);
        size_t count = console_table_put_rows(t, rows, NULL, &out);

        buf_clear(&out);
        must(console_table_put_rows(t, rows, &binary, &out) == count);
        buf_clear(&out);
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    if (size == 0)
        return 0;
    if (at[0] == 'D')
        check_rows(slice_of(at, size));
    else
        check_command(slice_of(at, size));
    return 0;
}
