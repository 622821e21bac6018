/* Names of settings with a dot ("app.user") that a piece of code sets, as far as its text says so:
 *
 *     set_config('app.user', ...       SET app.user ...       SET LOCAL app.user ...
 *     'app.user' ...                   which it may give to who sets it
 *
 * Pure; looks at each byte once or twice; any bytes will do. */
#pragma once

#include <stdbool.h>

#include "proxy/base/slice.h"

enum { CODE_SETTING_BYTES = 63 };

/* The next one; *text is what comes behind it.  False: there is none. */
bool code_setting_next(struct slice *text, struct slice *name);
