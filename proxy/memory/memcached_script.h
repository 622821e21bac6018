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
 *     how long what A and P make may be (max_value of the key's class); "": as long as it is
 *
 * Values are kept as memcached_kept.h says.  Embedded stores have no scripts: they know this one by
 * its name and do the same themselves (verbs_memcached.c).
 *
 * Replies: a code of meta commands, HD NS EX NF, or NN (no number), TL (too long); or VA, the value
 * or number, what PTTL tells at last, and what it told before the expiry was set, or the number
 * made. */
#pragma once

#include "proxy/base/slice.h"

/* Where they stand in a request of EVALSHA, behind the script's name, "1" and the key. */
enum memcached_script_word {
    MEMCACHED_SCRIPT_KEY = 3,
    MEMCACHED_SCRIPT_OP,
    MEMCACHED_SCRIPT_MODE,
    MEMCACHED_SCRIPT_COMPARED,
    MEMCACHED_SCRIPT_CAS,
    MEMCACHED_SCRIPT_FLAGS,
    MEMCACHED_SCRIPT_UNIT,
    MEMCACHED_SCRIPT_TIME,
    MEMCACHED_SCRIPT_VALUE,
    MEMCACHED_SCRIPT_FIRST_UNIT,
    MEMCACHED_SCRIPT_FIRST_TIME,
    MEMCACHED_SCRIPT_FIRST,
    MEMCACHED_SCRIPT_MOST,
    MEMCACHED_SCRIPT_WORDS,
};

/* What a number that was just made had left before. */
enum { MEMCACHED_SCRIPT_NOT_THERE = -2 };

extern const char MEMCACHED_SCRIPT[];
/* Its SHA-1 in hexadecimal digits: forever. */
struct slice memcached_script_sha(void);
