/* Files with access keys, read again when they change.  In the steward's thread. */
#pragma once

#include "proxy/core/assembly.h"

struct steward_keys;

struct steward_keys *steward_keys_new(void);
void steward_keys_free(struct steward_keys **where);
/* At the start and with each reload.  The assembly is the caller's, and borrowed till the next. */
void steward_keys_follow(struct steward_keys *k, struct assembly *assembly);
/* Once a second: a file that changed is read when it rests.  One that can't be read, or has no keys
 * in it, leaves what was read before. */
void steward_keys_tick(struct steward_keys *k);
