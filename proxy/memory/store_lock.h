/* A lock of ours on a store of files, taken before the library that keeps them looks at them, and
 * held as long as it has them: libraries begin to write before they find that somebody else does
 * (RocksDB), or lock names where the file is the same (RocksDB, within a process).  It is on an
 * open file, so it excludes another pool of this process as it does another process, by whatever
 * name the store is reached.  The file stays when the lock is given up. */
#pragma once

#include "proxy/base/buf.h"
#include "proxy/base/err.h"

/* On the file of this name, which is made if there is none; `what` (the store) goes into the
 * reason. */
enum err store_lock_take(const char *name, const char *what, int *out, struct buf *why) MUST_CHECK;
/* -1: none was taken. */
void store_lock_give_up(int lock);
