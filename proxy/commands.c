/* See commands.h. */
#include "proxy/commands.h"

#include <stdio.h>

#include "config/load.h"
#include "proxy/vocabulary.h"

int command_check(int count, char **words)
{
    struct snapshot *snapshot = NULL;
    struct problems problems = { 0 };
    enum err err;

    if (count != 2)
        return 2;
    err = config_load(words[1], vocabulary(), &snapshot, &problems);
    problems_print(&problems, stderr);
    problems_fini(&problems);
    if (err != ERR_NONE)
        return 2;
    config_check_print(snapshot, stdout);
    snapshot_unref(&snapshot);
    return 0;
}

int command_route(int count, char **words)
{
    (void)count;
    (void)words;
    return 2;
}

int command_status(int count, char **words)
{
    (void)count;
    (void)words;
    return 2;
}

int command_top(int count, char **words)
{
    (void)count;
    (void)words;
    return 2;
}
