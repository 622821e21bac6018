/* Scripts by their SHA1, so that a server that lost them gets them again.  One store for each pool
 * of the process: a script loaded over one worker is known to all, and a reload forgets nothing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/arena.h"
#include "proxy/base/slice.h"

enum { REDIS_SHA_BYTES = 20 };

struct redis_scripts;

/* The store of the pool with this name, counted; `most_bytes` is what it may hold from now on. */
struct redis_scripts *redis_scripts_open(const char *pool, uint64_t most_bytes);
void redis_scripts_close(struct redis_scripts **scripts); /* clears it; the last one forgets all */

void redis_scripts_remember(struct redis_scripts *scripts, struct slice body);
/* Finds by 40 hexadecimal digits, in either case, and copies the body into the arena. */
bool redis_scripts_find(struct redis_scripts *scripts, struct slice sha, struct arena *arena,
                        struct slice *body);
void redis_scripts_forget(struct redis_scripts *scripts); /* all of them: SCRIPT FLUSH */
