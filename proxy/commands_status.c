/* See commands.h: status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proxy/commands.h"
#include "proxy/commands_fetch.h"
#include "proxy/commands_table.h"

static bool wants_colours(void)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
}

/* A file or a pipe is as wide as it must be: 0. */
static unsigned width_of_output(void)
{
    struct winsize size = { 0 };

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static int print_status(struct commands_fetch *f, bool as_json)
{
    struct buf body = { 0 }, why = { 0 }, out = { 0 };
    int code = COMMANDS_FAILED;

    if (!commands_fetch_status(f, &body, &why)) {
        fprintf(stderr, "sheaf status: %.*s\n", (int)why.len, (const char *)why.at);
    } else if (as_json) {
        fwrite(body.at, 1, body.len, stdout);
        code = COMMANDS_FINE;
    } else if (commands_table_print(buf_all(&body), wants_colours(), width_of_output(), &out) !=
               ERR_NONE) {
        fprintf(stderr, "sheaf status: %s did not answer as a sheaf does\n", f->url);
    } else {
        fwrite(out.at, 1, out.len, stdout);
        code = COMMANDS_FINE;
    }
    buf_fini(&body);
    buf_fini(&why);
    buf_fini(&out);
    return code;
}

int command_status(int count, char **words)
{
    bool as_json = count > 1 && strcmp(words[1], "--json") == 0;
    int left = count - 1 - as_json, code;
    const char *source = left > 0 ? words[count - 1] : NULL;
    struct commands_fetch fetch;

    if (left > 1 || (source != NULL && source[0] == '-')) {
        fputs("usage: sheaf status [--json] [URL or FILE]\n"
              "Asks the admin endpoint: at http://127.0.0.1:9070, at URL, or where the "
              "configuration\n"
              "FILE has it.\n",
              stderr);
        return COMMANDS_USAGE;
    }
    code = commands_fetch_open(&fetch, source) ? print_status(&fetch, as_json) : COMMANDS_USAGE;
    commands_fetch_close(&fetch);
    return code;
}
