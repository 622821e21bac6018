/* See store_disk.h. */
#include "proxy/memory/store_disk.h"

#include <fcntl.h>
#include <unistd.h>

#include "proxy/base/buf.h"

/* The file has no name any more when it is written, so nothing is left of it, whatever happens. */
bool store_disk_takes(const char *path, uint64_t bytes)
{
    struct buf name = { 0 };
    bool takes;
    int file;

    buf_format(&name, "%s-try%c", path, '\0');
    file = open((const char *)name.at, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file >= 0)
        unlink((const char *)name.at);
    buf_fini(&name);
    if (file < 0)
        return false;
    takes = posix_fallocate(file, 0, (off_t)bytes) == 0 && pwrite(file, "", 1, 0) == 1 &&
            fsync(file) == 0;
    close(file);
    return takes;
}
