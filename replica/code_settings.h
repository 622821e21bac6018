/* What a piece of code leaves behind it that no server tells, as far as its text says so.
 *
 * Names of settings with a dot ("app.user"):
 *
 *     set_config('app.user', ...       SET app.user ...       SET LOCAL app.user ...
 *     'app.user' ...                   which it may give to who sets it
 *
 * Pure; looks at each byte once or twice; any bytes will do. */
#pragma once

#include <stdbool.h>

#include "proxy/base/slice.h"

enum { CODE_SETTING_BYTES = 63 };

enum code_leaving {
    CODE_SEEDS = 1 << 0,   /* setseed() */
    CODE_LOADS = 1 << 1,   /* LOAD, dblink_connect() */
    CODE_FORGETS = 1 << 2, /* DEALLOCATE */
};

/* enum code_leaving. */
unsigned code_leaves(struct slice text);

/* The next name; *text is what comes behind it.  False: there is none. */
bool code_setting_next(struct slice *text, struct slice *name);
