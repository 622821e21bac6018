/* See store_lock.h. */
#include "proxy/memory/store_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum err store_lock_take(const char *name, const char *what, int *out, struct buf *why)
{
    int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (lock < 0) {
        buf_format(why, "%s can't be opened: %s", name, strerrordesc_np(errno));
        return ERR_SYSTEM;
    }
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        *out = lock;
        return ERR_NONE;
    }
    if (errno == EWOULDBLOCK)
        buf_format(why, "another process or another pool has the %s open: %s is locked", what,
                   name);
    else
        buf_format(why, "%s can't be locked: %s", name, strerrordesc_np(errno));
    close(lock);
    return ERR_SYSTEM;
}

void store_lock_give_up(int lock)
{
    if (lock >= 0)
        close(lock);
}
