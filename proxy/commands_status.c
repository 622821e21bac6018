/* See commands.h: status, and top, which is the same again and again. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "proxy/commands.h"
#include "proxy/commands_fetch.h"
#include "proxy/commands_table.h"

static const char PATH[] = "/api/v1/status";

static void say(const char *command, const struct buf *why)
{
    fprintf(stderr, "sheaf %s: %.*s\n", command, (int)why->len, (const char *)why->at);
}

/* ---- status ---- */

static bool wants_colours(void)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
}

static int print_status(struct commands_fetch *f, bool as_json)
{
    struct buf body = { 0 }, why = { 0 }, out = { 0 };
    int code = COMMANDS_FAILED;

    if (!commands_fetch_get(f, PATH, &body, &why)) {
        say("status", &why);
    } else if (as_json) {
        fwrite(body.at, 1, body.len, stdout);
        code = COMMANDS_FINE;
    } else if (commands_table_print(buf_all(&body), wants_colours(), &out) != ERR_NONE) {
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

/* ---- top ---- */

static volatile sig_atomic_t top_ends, top_resized;

static void on_signal(int number)
{
    if (number == SIGWINCH)
        top_resized = 1;
    else
        top_ends = 1;
}

/* The first `height` lines of what is longer, each at most `width` wide; escapes take no room. */
static void put_screen(struct slice text, struct winsize size, struct buf *out)
{
    unsigned line = 0, column = 0;
    bool in_escape = false;

    buf_text(out, "\033[H");
    for (size_t i = 0; i < text.len && line + 1 < size.ws_row; i++) {
        uint8_t c = text.at[i];

        if (c == '\n') {
            buf_text(out, "\033[0m\033[K\r\n");
            line++;
            column = 0;
            continue;
        }
        in_escape = in_escape || c == '\033';
        if (in_escape || ++column <= size.ws_col)
            buf_put(out, &c, 1);
        if (in_escape && c == 'm')
            in_escape = false;
    }
    buf_text(out, "\033[J");
}

/* A terminal that does not know its size is taken for an old one. */
static struct winsize size_of_screen(void)
{
    struct winsize size = { 0 };

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
    return size;
}

static void draw_top(struct commands_fetch *f)
{
    struct winsize size = size_of_screen();
    struct buf body = { 0 }, text = { 0 }, out = { 0 };

    if (!commands_fetch_get(f, PATH, &body, &text))
        buf_text(&text, "\n\nIt is asked again every second; q leaves.\n");
    else if (commands_table_print(buf_all(&body), true, &text) != ERR_NONE)
        buf_format(&text, "%s did not answer as a sheaf does\n", f->url);
    put_screen(buf_all(&text), size, &out);
    (void)!write(STDOUT_FILENO, out.at, out.len);
    buf_fini(&body);
    buf_fini(&text);
    buf_fini(&out);
}

/* Until the next second, a key, or a signal. */
static void await_key(void)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    char key;

    if (poll(&in, 1, 1000) > 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q'))
        top_ends = 1;
}

static void run_top(struct commands_fetch *f)
{
    struct sigaction action = { .sa_handler = on_signal };
    struct termios before, raw;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGWINCH, &action, NULL);
    tcgetattr(STDIN_FILENO, &before);
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs("\033[?1049h\033[?25l", stdout); /* a screen of its own, no cursor */
    fflush(stdout);
    while (!top_ends) {
        top_resized = 0;
        draw_top(f);
        if (!top_resized)
            await_key();
    }
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

int command_top(int count, char **words)
{
    const char *source = count > 1 ? words[1] : NULL;
    struct buf body = { 0 }, why = { 0 };
    struct commands_fetch fetch;
    int code = COMMANDS_USAGE;

    if (count > 2 || (source != NULL && source[0] == '-')) {
        fputs("usage: sheaf top [URL or FILE]\nq leaves.\n", stderr);
        return COMMANDS_USAGE;
    }
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        fputs("sheaf top: this is no terminal; sheaf status prints the same once\n", stderr);
        return COMMANDS_USAGE;
    }
    if (commands_fetch_open(&fetch, source)) {
        code = COMMANDS_FINE;
        if (commands_fetch_get(&fetch, PATH, &body, &why)) {
            run_top(&fetch);
        } else {
            say("top", &why);
            code = COMMANDS_FAILED;
        }
    }
    commands_fetch_close(&fetch);
    buf_fini(&body);
    buf_fini(&why);
    return code;
}
