/* The commands that serve nothing: each returns the process's exit code; words[0] is its name. */
#pragma once

int command_check(int count, char **words);
int command_route(int count, char **words);
int command_status(int count, char **words);
int command_top(int count, char **words);
