/* Looks whether a folder that is a store can be used: it is there, it can be read, has room, and
 * what is Sheaf's own in it (.sheaf) can be written to.  A folder that takes no writes still serves
 * reads: that is a note.
 *
 *     probe = probe_folder_new("/srv/blobs");
 *     probe_folder_check(probe, cancel_fd, deadline_us, &outcome);     as often as it is probed
 *     probe_folder_free(&probe);
 *
 * A file system whose server is gone may hold whoever looks at it for hours, and nothing wakes him:
 * so each look is taken by a thread of its own, which is waited for until the deadline.  While one
 * hangs there is no second. */
#pragma once

#include <stdint.h>

#include "health/probe.h"

struct probe_folder;

struct probe_folder *probe_folder_new(const char *path);
/* A look that hangs ends by itself. */
void probe_folder_free(struct probe_folder **probe);
/* Writes the whole outcome anew.  `cancel_fd` is borrowed; readable: the wait ends as if the
 * deadline had passed; 0: none. */
void probe_folder_check(struct probe_folder *probe, int cancel_fd, uint64_t deadline_us,
                        struct probe_outcome *outcome);
