/* The commands that serve nothing: each returns the process's exit code; words[0] is its name.  On
 * wrong usage they say how on stderr and return COMMANDS_USAGE. */
#pragma once

enum { COMMANDS_FINE, COMMANDS_FAILED, COMMANDS_USAGE };

/* FILE | --document | --from-twemproxy FILE */
int command_check(int count, char **words);
/* [--hex] FILE POOL KEY... */
int command_route(int count, char **words);
/* [--json] [--bucket NAME] [--prefix TEXT] FILE POOL */
int command_verify(int count, char **words);
/* [--json] [URL or FILE] */
int command_status(int count, char **words);
/* [URL or FILE] */
int command_top(int count, char **words);
