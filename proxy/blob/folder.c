/* An opened folder: what it keeps for itself in .sheaf, what the file system can, and what the
 * stores of processes that died left behind.
 *
 * Each opened store has a directory of its own in .sheaf/tmp and holds a lock (flock) on it as long
 * as it is open; the system gives up the lock of a dead process, and whoever can take it sweeps the
 * directory.  Many processes may so have a folder open at a time: an old one that ends and a new
 * one that begins, say. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/blob/folder_store.h"

#define STAMP_NAME "stamp"

enum {
    FIRST_SWEEP = 100000, /* files at most that opening a folder removes */
    SWEEP_LEVELS = 2,     /* a temporary directory may hold an upload that was taken away */
    INSTANCE_TRIES = 16,
    SIDE_DIRECTORIES = 256
};

/* Opens a directory of our own, making it if it is missing. */
static int own_directory(int at, const char *name)
{
    if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
        return -1;
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Makes this instance's directory and locks it.  Somebody may sweep it before it is locked. */
static int open_instance(int temporaries, char instance[FOLDER_ID_BYTES])
{
    for (int i = 0; i < INSTANCE_TRIES; i++) {
        struct stat here, named;
        int fd;

        folder_random_id(instance);
        fd = own_directory(temporaries, instance);
        if (fd < 0 && errno != ENOENT)
            return -1;
        if (fd < 0)
            continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &here) == 0 &&
            fstatat(temporaries, instance, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
            here.st_ino == named.st_ino)
            return fd;
        close(fd);
    }
    errno = EBUSY;
    return -1;
}

static enum err open_directories(struct folder *f)
{
    int temporaries;

    f->root = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->root < 0)
        return ERR_CONFIG;
    f->own = own_directory(f->root, ".sheaf");
    if (f->own < 0)
        return ERR_SYSTEM;
    f->side = own_directory(f->own, "side");
    f->uploads = own_directory(f->own, "uploads");
    temporaries = own_directory(f->own, "tmp");
    if (f->side < 0 || f->uploads < 0 || temporaries < 0)
        return ERR_SYSTEM;
    f->tmp = open_instance(temporaries, f->instance);
    close(temporaries);
    return f->tmp < 0 ? ERR_SYSTEM : ERR_NONE;
}

/* Finds out what the file system can, with a file that is gone afterwards. */
static enum err probe(struct folder *f)
{
    int fd, error;

    f->has_openat2 = true;
    fd = folder_open_at(f, f->root, ".sheaf", O_PATH | O_DIRECTORY);
    f->has_openat2 = fd >= 0 && !f->settings.without_openat2;
    if (fd >= 0)
        close(fd);

    fd = openat(f->tmp, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    f->has_nameless = fd >= 0 && !f->settings.without_nameless;
    if (fd >= 0) {
        f->links_by_fd = true;
        if (folder_link(f, fd, "", f->tmp, "probe") != 0) {
            f->links_by_fd = false;
            f->has_nameless = f->has_nameless && folder_link(f, fd, "", f->tmp, "probe") == 0;
        }
        (void)unlinkat(f->tmp, "probe", 0);
        close(fd);
    }
    fd = openat(f->tmp, "probe", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
    if (fd < 0)
        return ERR_SYSTEM;
    f->has_attributes =
        !f->settings.without_attributes && fsetxattr(fd, "user.sheaf", "1", 1, 0) == 0;
    error = linkat(f->tmp, "probe", f->tmp, "link", 0) != 0 ? errno : 0;
    (void)unlinkat(f->tmp, "probe", 0);
    (void)unlinkat(f->tmp, "link", 0);
    close(fd);
    errno = error;
    return error == 0 ? ERR_NONE : ERR_SYSTEM; /* names must be given exclusively */
}

/* Removes what the stores of dead processes left; true if there may be more. */
static bool sweep_temporaries(struct folder *f, unsigned *most)
{
    int fd = folder_open_at(f, f->own, "tmp", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return true;
    }
    for (struct dirent *each; *most > 0 && (each = readdir(dir)) != NULL;) { // NOLINT: own stream
        int owner;

        if (each->d_name[0] == '.' || strcmp(each->d_name, f->instance) == 0)
            continue;
        owner = folder_open_at(f, fd, each->d_name, O_RDONLY | O_DIRECTORY);
        if (owner < 0)
            continue;
        if (flock(owner, LOCK_EX | LOCK_NB) == 0) {
            unsigned before = *most;

            folder_remove_tree(f, fd, each->d_name, SWEEP_LEVELS, most);
            atomic_fetch_add(&f->shared.swept, before - *most);
        }
        close(owner);
    }
    closedir(dir);
    return *most == 0;
}

bool folder_sweep(struct folder *f, unsigned most)
{
    bool more = sweep_temporaries(f, &most);
    unsigned directory = 0;

    for (unsigned i = 0; i < SIDE_DIRECTORIES && most > 0; i++) {
        directory = atomic_fetch_add(&f->shared.sweep_at, 1);
        most = folder_side_sweep(f, directory, most);
    }
    return more || most == 0;
}

uint64_t folder_swept(const struct folder *f)
{
    return atomic_load(&f->shared.swept);
}

static enum err check_settings(struct folder *f, struct buf *why)
{
    struct folder_settings *s = &f->settings;
    const char *bucket = s->stalwart_bucket;

    if (s->stalwart_depth == 0)
        s->stalwart_depth = 2;
    if (s->max_object == 0)
        s->max_object = 5ULL << 40;
    if (s->min_part == 0)
        s->min_part = 5ULL << 20;
    s->stalwart_bucket = NULL;
    if (s->layout != FOLDER_LAYOUT_STALWART)
        return ERR_NONE;
    if (s->stalwart_depth > FOLDER_STALWART_DEPTH) {
        buf_format(why, "that server's folders are at most %d deep", FOLDER_STALWART_DEPTH);
        return ERR_CONFIG;
    }
    if (bucket == NULL || !folder_bucket_is_valid(slice_text(bucket))) {
        buf_text(why, "layout = stalwart needs the name of its one bucket");
        return ERR_CONFIG;
    }
    snprintf(f->bucket, sizeof(f->bucket), "%s", bucket);
    return ERR_NONE;
}

enum err folder_open(const char *path, const struct folder_settings *settings, struct folder **out,
                     struct buf *why)
{
    struct folder *f = mem_new(sizeof(*f));
    unsigned most = FIRST_SWEEP;
    enum err err;

    f->settings = *settings;
    f->path = mem_text(path);
    f->root = f->own = f->side = f->uploads = f->tmp = -1;
    for (size_t i = 0; i < FOLDER_STRIPES; i++)
        pthread_mutex_init(&f->shared.stripes[i], NULL);
    err = check_settings(f, why);
    if (err == ERR_NONE) {
        err = open_directories(f);
        if (err == ERR_NONE)
            err = probe(f);
        if (err != ERR_NONE)
            buf_format(why, "cannot use the folder %s: %s", path, strerrordesc_np(errno));
    }
    if (err != ERR_NONE) {
        folder_close(&f);
        return err;
    }
    if (f->settings.etag == FOLDER_ETAG_MD5)
        f->md5 = EVP_MD_fetch(NULL, "MD5", NULL); /* none in FIPS mode: then ETags are random */
    (void)sweep_temporaries(f, &most);
    *out = f;
    return ERR_NONE;
}

void folder_close(struct folder **folder)
{
    struct folder *f = *folder;
    unsigned most = FIRST_SWEEP;
    int fds[] = { f->tmp, f->uploads, f->side, f->own, f->root };
    int temporaries = f->tmp < 0 ? -1 : openat(f->own, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (temporaries >= 0) {
        (void)folder_remove_tree(f, temporaries, f->instance, SWEEP_LEVELS, &most);
        close(temporaries);
    }
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    for (size_t i = 0; i < FOLDER_STRIPES; i++)
        pthread_mutex_destroy(&f->shared.stripes[i]);
    EVP_MD_free(f->md5);
    free(f->path);
    free(f);
    *folder = NULL;
}

enum folder_outcome folder_sync(struct folder *f)
{
    if (folder_call_fails(f, FOLDER_CALL_SYNC_FILE) || syncfs(f->root) != 0)
        return folder_failed(f, "sync", errno);
    return FOLDER_OK;
}

enum folder_outcome folder_stamp_read(struct folder *f, struct buf *out)
{
    return folder_read_file(f, f->own, STAMP_NAME, FOLDER_STAMP_BYTES, out);
}

enum folder_outcome folder_stamp_write(struct folder *f, struct slice text, bool replace)
{
    if (text.len > FOLDER_STAMP_BYTES)
        return FOLDER_TOO_LARGE;
    return folder_write_file(f, f->own, STAMP_NAME, text, replace);
}
