/* A library to be preloaded: while the file $TEST_SICK is there, what is under the folder
 * $TEST_SICK_FOLDER can be read, but not be synced; and if something stands in that file, not be
 * written either. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static bool is_there(int fd)
{
    char name[64], path[PATH_MAX];
    const char *folder = getenv("TEST_SICK_FOLDER");
    ssize_t len;

    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    len = readlink(name, path, sizeof(path));
    return len > 0 && (size_t)len >= strlen(folder) && memcmp(path, folder, strlen(folder)) == 0;
}

static bool fails(int fd, bool writes)
{
    struct stat is;

    if (stat(getenv("TEST_SICK"), &is) != 0 || (writes && is.st_size == 0) || !is_there(fd))
        return false;
    errno = EIO;
    return true;
}

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

int fsync(int fd)
{
    return fails(fd, false) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return fails(fd, false) ? -1 : REAL(fdatasync)(fd);
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    return fails(fd, true) ? -1 : REAL(write)(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at)
{
    return fails(fd, true) ? -1 : REAL(pwrite64)(fd, bytes, count, at);
}
