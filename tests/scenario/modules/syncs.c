/* A library to be preloaded: each syncfs() is noted in the file $TEST_SYNCS. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int syncfs(int fd)
{
    int result = (int)syscall(SYS_syncfs, fd);
    int noted = open(getenv("TEST_SYNCS"), O_WRONLY | O_CREAT | O_APPEND, 0600);

    if (noted >= 0) {
        (void)!write(noted, ".", 1);
        close(noted);
    }
    return result;
}
