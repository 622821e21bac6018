/* The script by which memcached's commands change values of Redis, where one command of Redis's
 * can't say it.  Its key is the key; its arguments:
 *
 *     op: s set, d delete, i number, g get, t touch
 *     mode: of s: S E R A P (as of ms); of i: I D; else ""
 *     cas to compare with, 8 bytes, or ""; the new cas, 8 bytes
 *     flags, 4 bytes
 *     unit, time: of the expiry: EX, EXAT, PERSIST (none), KEEP (as it is); "0" where it has no
 *                 number
 *     value: of s; of i the delta
 *     of i, when the key is not there: unit and time, and the number; unit "": then it stays away
 *
 * Replies: a code of meta commands, HD NS EX NF, or NN (no number); or VA, the value or number,
 * what PTTL tells at last, and what it told before the expiry was set. */
#pragma once

#include "proxy/base/slice.h"

enum { MEMCACHED_HEADER_MARK_BYTES = 4, MEMCACHED_VALUE_HEADER_BYTES = 16 };
#define MEMCACHED_HEADER_MARK "\xf5mc\x01"

extern const char MEMCACHED_SCRIPT[];
/* Its SHA-1 in hexadecimal digits: forever. */
struct slice memcached_script_sha(void);
