/* ${NAME} in values: the environment's value.  A lone dollar is written $$. */
#pragma once

#include <stdbool.h>

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

/* Which escapes stand in the text, beside ${NAME}. */
enum expand_form {
    EXPAND_PLAIN,
    EXPAND_PERCENT /* %2F, too; never in what the environment says */
};

/* The expanded text, terminated, in the arena; on failure `why` holds what is wrong. */
enum err expand(struct slice text, enum expand_form form, struct arena *arena, const char **out,
                struct buf *why) MUST_CHECK;

/* Is this one ${NAME} and nothing else? */
bool expand_is_whole(struct slice text);
