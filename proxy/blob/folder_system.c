/* A folder store's calls of the system: all that open, write, name and remove go through here, so
 * that one place follows no symbolic link, keeps to the policy of syncing, and lets tests count
 * calls, fail them or end the process at them.  Any thread. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/blob/folder_store.h"

enum { COMPONENT_BYTES = 256 };

bool folder_call_fails(const struct folder *f, enum folder_call call)
{
    int error = f->settings.fault == NULL ? 0 : f->settings.fault(f->settings.fault_state, call);

    if (error != 0)
        errno = error;
    return error != 0;
}

enum folder_outcome folder_failed(const struct folder *f, const char *what, int error)
{
    enum folder_outcome outcome = FOLDER_INTERNAL;

    switch (error) {
    case ENOSPC:
    case EDQUOT:
        outcome = FOLDER_FULL;
        break;
    case EFBIG:
        outcome = FOLDER_TOO_LARGE;
        break;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case EBUSY:
        outcome = FOLDER_BUSY;
        break;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
    case ENOTDIR:
    case EISDIR:
        outcome = FOLDER_DENIED;
        break;
    case ENAMETOOLONG:
    case EILSEQ:
        return FOLDER_KEY_REFUSED;
    default:
        break;
    }
    log_event(LOG_ERROR, "folder call failed", log_text("folder", f->path), log_text("call", what),
              log_text("reason", strerrordesc_np(error)));
    return outcome;
}

/* Steps from directory to directory, each by its own name, for kernels without openat2(). */
static int open_by_steps(int at, const char *path, int flags)
{
    char name[COMPONENT_BYTES];

    for (int here = at, next, error;; here = next) {
        size_t len = strcspn(path, "/");
        bool is_last = path[len] == '\0' || path[len + 1] == '\0';

        snprintf(name, sizeof(name), "%.*s", (int)len, path);
        next = openat(here, name, (is_last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC,
                      0666);
        error = errno;
        if (here != at)
            close(here);
        errno = error;
        if (next < 0 || is_last)
            return next;
        path += len + 1;
    }
}

int folder_open_at(const struct folder *f, int at, const char *path, int flags)
{
    bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    struct open_how how = { .flags = (uint64_t)(unsigned)flags | O_NOFOLLOW | O_CLOEXEC,
                            .mode = makes ? 0666 : 0,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };

    if (folder_call_fails(f, FOLDER_CALL_OPEN))
        return -1;
    if (path[0] == '\0')
        path = ".";
    if (f->has_openat2) {
        long fd;

        do
            fd = syscall(SYS_openat2, at, path, &how, sizeof(how));
        while (fd < 0 && (errno == EINTR || errno == EAGAIN)); /* a rename crossed its way */
        return (int)fd;
    }
    return open_by_steps(at, path, flags);
}

int folder_open_directory(const struct folder *f, const char *path, size_t len)
{
    char directory[FOLDER_PATH_BYTES];

    memcpy(directory, path, len);
    directory[len] = '\0';
    return folder_open_at(f, f->root, directory, O_RDONLY | O_DIRECTORY);
}

int folder_mkdir(const struct folder *f, int at, const char *name)
{
    return folder_call_fails(f, FOLDER_CALL_MKDIR) ? -1 : mkdirat(at, name, 0777);
}

int folder_rmdir(const struct folder *f, int at, const char *name)
{
    return folder_call_fails(f, FOLDER_CALL_RMDIR) ? -1 : unlinkat(at, name, AT_REMOVEDIR);
}

int folder_unlink(const struct folder *f, int at, const char *name)
{
    return folder_call_fails(f, FOLDER_CALL_UNLINK) ? -1 : unlinkat(at, name, 0);
}

int folder_rename(const struct folder *f, int from, const char *old, int to, const char *name)
{
    return folder_call_fails(f, FOLDER_CALL_RENAME) ? -1 : renameat(from, old, to, name);
}

int folder_sync_file(const struct folder *f, int fd)
{
    if (f->settings.sync != FOLDER_SYNC_ALWAYS)
        return 0;
    return folder_call_fails(f, FOLDER_CALL_SYNC_FILE) ? -1 : fsync(fd);
}

int folder_sync_directory(const struct folder *f, int fd)
{
    if (f->settings.sync != FOLDER_SYNC_ALWAYS)
        return 0;
    return folder_call_fails(f, FOLDER_CALL_SYNC_DIRECTORY) ? -1 : fsync(fd);
}

int folder_write_all(const struct folder *f, int fd, const void *at, size_t len)
{
    const char *from = at;

    while (len > 0) {
        ssize_t wrote = folder_call_fails(f, FOLDER_CALL_WRITE) ? -1 : write(fd, from, len);

        if (wrote < 0 && errno != EINTR)
            return -1;
        if (wrote > 0) {
            from += wrote;
            len -= (size_t)wrote;
        }
    }
    return 0;
}

/* One step of folder_make_directories(): into `name`, which is made if it may be and must. */
static int step_into(const struct folder *f, int here, const char *name, bool make)
{
    enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
    int next = openat(here, name, FLAGS);

    if (next >= 0 || errno != ENOENT || !make)
        return next;
    if (folder_mkdir(f, here, name) != 0 && errno != EEXIST)
        return -1;
    if (folder_sync_directory(f, here) != 0)
        return -1;
    return openat(here, name, FLAGS);
}

int folder_make_directories(const struct folder *f, int at, const char *path, size_t keep)
{
    int here = folder_open_at(f, at, path, O_RDONLY | O_DIRECTORY), next;
    char name[COMPONENT_BYTES];

    if (here >= 0 || errno != ENOENT)
        return here;
    here = at;
    for (const char *from = path; *from != '\0';) {
        size_t len = strcspn(from, "/");
        int error;

        snprintf(name, sizeof(name), "%.*s", (int)len, from);
        next = step_into(f, here, name, (size_t)(from - path) >= keep);
        error = errno;
        if (here != at)
            close(here);
        errno = error;
        if (next < 0)
            return -1;
        here = next;
        from += len;
        from += *from == '/';
    }
    return here;
}

int folder_link(const struct folder *f, int fd, const char *temporary, int to, const char *name)
{
    char path[64];

    if (folder_call_fails(f, FOLDER_CALL_LINK))
        return -1;
    if (temporary[0] != '\0')
        return linkat(f->tmp, temporary, to, name, 0);
    if (f->links_by_fd)
        return linkat(fd, "", to, name, AT_EMPTY_PATH);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, path, to, name, AT_SYMLINK_FOLLOW);
}

void folder_next_temporary(struct folder *f, char name[FOLDER_TEMPORARY_BYTES])
{
    snprintf(name, FOLDER_TEMPORARY_BYTES, "%" PRIx64,
             (uint64_t)atomic_fetch_add(&f->shared.next_temporary, 1));
}

int folder_temporary(struct folder *f, char name[FOLDER_TEMPORARY_BYTES])
{
    if (f->has_nameless) {
        name[0] = '\0';
        return folder_open_at(f, f->tmp, ".", O_TMPFILE | O_RDWR);
    }
    folder_next_temporary(f, name);
    return folder_open_at(f, f->tmp, name, O_CREAT | O_EXCL | O_RDWR);
}

/* Writes the bytes and gives them their name; 0, or -1 with errno. */
static int write_and_name(const struct folder *f, int fd, const char *temporary, int at,
                          const char *name, struct slice text, bool replace)
{
    if (folder_write_all(f, fd, text.at, text.len) != 0 || folder_sync_file(f, fd) != 0)
        return -1;
    if (replace ? folder_rename(f, f->tmp, temporary, at, name) != 0
                : folder_link(f, fd, temporary, at, name) != 0)
        return -1;
    return folder_sync_directory(f, at);
}

enum folder_outcome folder_write_file(struct folder *f, int at, const char *name, struct slice text,
                                      bool replace)
{
    char temporary[FOLDER_TEMPORARY_BYTES];
    int fd, error;

    folder_next_temporary(f, temporary);
    fd = folder_open_at(f, f->tmp, temporary, O_CREAT | O_EXCL | O_RDWR);
    if (fd < 0)
        return folder_failed(f, "open", errno);
    error = write_and_name(f, fd, temporary, at, name, text, replace) == 0 ? 0 : errno;
    if (error != 0 || !replace)
        (void)unlinkat(f->tmp, temporary, 0);
    close(fd);
    if (error == EEXIST)
        return FOLDER_PRECONDITION;
    return error == 0 ? FOLDER_OK : folder_failed(f, "write a file", error);
}

static enum folder_outcome read_some(const struct folder *f, int at, const char *name, size_t most,
                                     uint64_t largest, struct buf *out)
{
    int fd = folder_open_at(f, at, name, O_RDONLY | O_NONBLOCK);
    struct stat stat;
    ssize_t got = 0;
    int error;

    if (fd < 0)
        return errno == ENOENT ? FOLDER_NO_SUCH_KEY : folder_failed(f, "open", errno);
    if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && (uint64_t)stat.st_size <= largest)
        got = pread(fd, buf_reserve(out, most), most, 0);
    else
        got = -1, errno = EINVAL;
    error = errno;
    close(fd);
    if (got < 0)
        return folder_failed(f, "read", error);
    buf_grow(out, (size_t)got);
    return FOLDER_OK;
}

enum folder_outcome folder_read_file(const struct folder *f, int at, const char *name, size_t most,
                                     struct buf *out)
{
    return read_some(f, at, name, most, most, out);
}

enum folder_outcome folder_read_front(const struct folder *f, int at, const char *name, size_t most,
                                      struct buf *out)
{
    return read_some(f, at, name, most, UINT64_MAX, out);
}

bool folder_remove_tree(const struct folder *f, int at, const char *name, unsigned levels,
                        unsigned *most)
{
    int fd = folder_open_at(f, at, name, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    bool whole = true;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return errno == ENOENT;
    }
    for (struct dirent *each; *most > 0 && (each = readdir(dir)) != NULL;) { // NOLINT: own stream
        if (strcmp(each->d_name, ".") == 0 || strcmp(each->d_name, "..") == 0)
            continue;
        (*most)--;
        if (folder_unlink(f, fd, each->d_name) == 0 || errno == ENOENT)
            continue;
        whole = levels > 0 && folder_remove_tree(f, fd, each->d_name, levels - 1, most) && whole;
    }
    closedir(dir);
    return folder_rmdir(f, at, name) == 0 && whole;
}

void folder_random_id(char out[FOLDER_ID_BYTES])
{
    uint64_t random[2];

    while (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        ; /* interrupted */
    snprintf(out, FOLDER_ID_BYTES, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
}
