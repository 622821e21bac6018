/* The command line: the only file that sees everything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef SHEAF_LEAKS
#include <sanitizer/lsan_interface.h>
#endif

#include "config/option.h"
#include "proxy/commands.h"
#include "proxy/daemon.h"

struct command {
    const char *name, *arguments, *help;
    int (*run)(int count, char **words); /* words[0] is the command */
};

static int serve(int count, char **words)
{
    if (count == 1 || (count == 2 && words[1][0] != '-'))
        return daemon_run(count == 1 ? NULL : words[1]);
    fputs("usage: sheaf serve [FILE]\n", stderr);
    return COMMANDS_USAGE;
}

static const struct command COMMANDS[] = {
    { "serve", "[FILE]",
      "serve the pools of a configuration file; without one, keys in ./sheaf-data on "
      "redis://127.0.0.1:6379",
      serve },
    { "check", "FILE", "tell all errors, or print the effective configuration", command_check },
    { "check", "--document", "print every option, its values and its default", command_check },
    { "check", "--from-twemproxy FILE", "print a nutcracker.yml as a sheaf.ini", command_check },
    { "route", "[--hex] FILE POOL KEY...",
      "tell hash, slot, shard and endpoint of keys; - reads them from standard input",
      command_route },
    { "verify", "[--json] [--bucket NAME] [--prefix TEXT] FILE POOL",
      "walk the shards of a blob pool and tell what lies where it does not belong",
      command_verify },
    { "status", "[--json] [URL or FILE]", "print what a running sheaf says of itself",
      command_status },
    { "top", "[URL or FILE]", "the same as a live screen", command_top },
};

enum { COMMAND_COUNT = sizeof(COMMANDS) / sizeof(COMMANDS[0]) };

/* Of one command, or of all. */
static void usage(FILE *out, const char *command)
{
    if (command == NULL)
        fprintf(out, "sheaf " SHEAF_VERSION ": binds pools of servers into single endpoints\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (command == NULL || strcmp(command, COMMANDS[i].name) == 0)
            fprintf(out, "  sheaf %s %s\n        %s\n", COMMANDS[i].name, COMMANDS[i].arguments,
                    COMMANDS[i].help);
    if (command == NULL)
        fprintf(out, "  sheaf --version\n\nExit codes: 0 fine, 1 failed at run time, 2 usage or "
                     "configuration.\n");
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* What was to be printed may not have got anywhere: a full disk. */
static int written(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    perror("sheaf: standard output");
    return code == COMMANDS_FINE ? COMMANDS_FAILED : code;
}

static int refuse(const char *word)
{
    const char *words[COMMAND_COUNT + 3] = { "--version", "--help" };
    struct buf text = { 0 };

    for (size_t i = 0; i < COMMAND_COUNT; i++)
        words[i + 2] = COMMANDS[i].name;
    option_suggest_word(words, word, &text);
    fprintf(stderr, "sheaf: there is no command \"%s\"%.*s%s\n", word, (int)text.len,
            (const char *)text.at, text.len > 0 ? "" : "; sheaf --help lists them");
    buf_fini(&text);
    return COMMANDS_USAGE;
}

/* Threads that wait for a disk, or for a name, are not waited for: behind their backs nothing is
 * taken down, as exit() would have the libraries do. */
static _Noreturn void leave(int code)
{
#ifdef SHEAF_LEAKS
    __lsan_do_leak_check();
#endif
    _exit(code);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr, NULL);
        return COMMANDS_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("sheaf " SHEAF_VERSION "\n");
        return 0;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], COMMANDS[i].name) != 0)
            continue;
        if (argc == 3 && asks_for_help(argv[2])) {
            usage(stdout, argv[1]);
            return 0;
        }
        leave(written(COMMANDS[i].run(argc - 1, argv + 1)));
    }
    if (asks_for_help(argv[1]) || strcmp(argv[1], "help") == 0) {
        usage(stdout, NULL);
        return 0;
    }
    return refuse(argv[1]);
}
