/* A library to be preloaded: each syncfs() is noted in the file $TEST_SYNCS, each fsync() and
 * fdatasync() in $TEST_FILE_SYNCS. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(const char *name)
{
    const char *path = getenv(name);
    int noted = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    if (noted >= 0) {
        (void)!write(noted, ".", 1);
        close(noted);
    }
}

int syncfs(int fd)
{
    int result = (int)syscall(SYS_syncfs, fd);

    note("TEST_SYNCS");
    return result;
}

int fsync(int fd)
{
    int result = (int)syscall(SYS_fsync, fd);

    note("TEST_FILE_SYNCS");
    return result;
}

int fdatasync(int fd)
{
    int result = (int)syscall(SYS_fdatasync, fd);

    note("TEST_FILE_SYNCS");
    return result;
}
