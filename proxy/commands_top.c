/* See commands.h: top, which is status again and again.  Asked for once a second; a key or another
 * size of the terminal only draws again what is known. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/commands.h"
#include "proxy/commands_fetch.h"
#include "proxy/commands_screen.h"
#include "proxy/commands_table.h"

enum { EVERY_MS = 1000, KEY_BYTES = 64 };

struct top {
    struct commands_fetch *fetch; /* borrowed */
    struct commands_screen screen;
    struct buf body, why; /* what was answered, or why nothing was */
    uint64_t asked_us;
};

static volatile sig_atomic_t ends;

static void on_signal(int number)
{
    if (number != SIGWINCH) /* that one only interrupts poll() */
        ends = 1;
}

static void ask(struct top *t)
{
    buf_clear(&t->body);
    buf_clear(&t->why);
    if (!commands_fetch_status(t->fetch, &t->body, &t->why))
        buf_text(&t->why, "\n\nIt is asked again every second; q leaves.\n");
    t->asked_us = clock_now_us();
}

/* A terminal that does not know its size is taken for an old one. */
static void measure(struct commands_screen *s)
{
    struct winsize size = { 0 };

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
    s->rows = size.ws_row;
    s->columns = size.ws_col;
    s->head = COMMANDS_TABLE_HEAD;
}

static void draw(struct top *t)
{
    struct buf text = { 0 }, out = { 0 };

    measure(&t->screen);
    if (t->why.len > 0) {
        t->screen.head = 0;
        buf_slice(&text, buf_all(&t->why));
    } else if (commands_table_print(buf_all(&t->body), true, t->screen.columns, &text) !=
               ERR_NONE) {
        t->screen.head = 0;
        buf_format(&text, "%s did not answer as a sheaf does\n", t->fetch->url);
    }
    commands_screen_draw(&t->screen, buf_all(&text), &out);
    (void)!write(STDOUT_FILENO, out.at, out.len);
    buf_fini(&text);
    buf_fini(&out);
}

/* Until it is time to ask again, a key, or a signal. */
static void await(struct top *t)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    uint64_t passed_ms = (clock_now_us() - t->asked_us) / 1000;
    char typed[KEY_BYTES];
    ssize_t len;

    if (poll(&in, 1, passed_ms < EVERY_MS ? (int)(EVERY_MS - passed_ms) : 0) <= 0)
        return;
    len = read(STDIN_FILENO, typed, sizeof(typed));
    if (len <= 0 || commands_screen_keys(&t->screen, slice_of(typed, (size_t)len)) == 'q')
        ends = 1;
}

static void run(struct top *t)
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
    raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* who stops it would be left with this screen */
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs("\033[?1049h\033[?25l", stdout); /* a screen of its own, no cursor */
    fflush(stdout);
    while (!ends) {
        draw(t);
        await(t);
        if (!ends && clock_now_us() - t->asked_us >= EVERY_MS * 1000)
            ask(t);
    }
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static int start(const char *source)
{
    struct commands_fetch fetch;
    struct top top = { .fetch = &fetch };
    int code = COMMANDS_USAGE;

    if (commands_fetch_open(&fetch, source)) {
        code = COMMANDS_FINE;
        top.asked_us = clock_now_us();
        if (commands_fetch_status(&fetch, &top.body, &top.why)) {
            run(&top);
        } else {
            fprintf(stderr, "sheaf top: %.*s\n", (int)top.why.len, (const char *)top.why.at);
            code = COMMANDS_FAILED;
        }
    }
    commands_fetch_close(&fetch);
    buf_fini(&top.body);
    buf_fini(&top.why);
    return code;
}

int command_top(int count, char **words)
{
    const char *source = count > 1 ? words[1] : NULL;

    if (count > 2 || (source != NULL && source[0] == '-')) {
        fputs("usage: sheaf top [URL or FILE]\n"
              "Asks as `sheaf status` does, every second.  q leaves; arrows and space move.\n",
              stderr);
        return COMMANDS_USAGE;
    }
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        fputs("sheaf top: this is no terminal; sheaf status prints the same once\n", stderr);
        return COMMANDS_USAGE;
    }
    return start(source);
}
