/* The command line: the only file that sees everything. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/commands.h"
#include "proxy/daemon.h"

struct command {
    const char *name, *arguments, *help;
    int (*run)(int count, char **words); /* words[0] is the command */
};

static int serve(int count, char **words)
{
    if (count == 2 && words[1][0] != '-')
        return daemon_run(words[1]);
    fputs(count < 2 ? "sheaf serve: name a configuration file; serving without one needs embedded "
                      "shards, which this version does not have\n"
                    : "",
          stderr);
    fputs("usage: sheaf serve FILE\n", stderr);
    return COMMANDS_USAGE;
}

static const struct command COMMANDS[] = {
    { "serve", "FILE", "serve the pools of a configuration file", serve },
    { "check", "FILE", "tell all errors, or print the effective configuration", command_check },
    { "check", "--document", "print every option, its values and its default", command_check },
    { "check", "--from-twemproxy FILE", "print a nutcracker.yml as a sheaf.ini", command_check },
    { "route", "[--hex] FILE POOL KEY...",
      "tell hash, slot, shard and endpoint of keys; - reads them from standard input",
      command_route },
    { "status", "[--json] [URL or FILE]", "print what a running sheaf says of itself",
      command_status },
    { "top", "[URL or FILE]", "the same as a live screen", command_top },
};

static void usage(FILE *out)
{
    fprintf(out, "sheaf " SHEAF_VERSION ": binds pools of servers into single endpoints\n\n");
    for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++)
        fprintf(out, "  sheaf %s %s\n        %s\n", COMMANDS[i].name, COMMANDS[i].arguments,
                COMMANDS[i].help);
    fprintf(out, "  sheaf --version\n\nExit codes: 0 fine, 1 failed at run time, 2 usage or "
                 "configuration.\n");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return COMMANDS_USAGE;
    }
    for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++)
        if (strcmp(argv[1], COMMANDS[i].name) == 0)
            return COMMANDS[i].run(argc - 1, argv + 1);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("sheaf " SHEAF_VERSION "\n");
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return 0;
    }
    fprintf(stderr, "sheaf: there is no command \"%s\"; sheaf --help lists them\n", argv[1]);
    return COMMANDS_USAGE;
}
