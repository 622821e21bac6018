/* How long the calling thread may run before others that want its CPU are considered.
 *
 * Linux (6.12 and newer) lets each thread of the ordinary kind ask for a slice of its own, without
 * privileges.  It costs nobody a part of the CPU: who asks for a longer one is let go on later, and
 * stays for longer then.  A worker whose servers or clients live on the same CPU finds more of them
 * waiting when its turn comes, and leaves less often in the midst of a turn. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds, which the kernel takes as 0.1 ms to 100 ms; 0: the system's own.  False, with errno:
 * it is refused.  A kernel that knows no such slices, and a thread that is scheduled otherwise by
 * its user's choice, are left alone, which is no refusal. */
bool time_slice_set(uint64_t slice_ns);
