/* What the system has no more of: room, open files, permission. */
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "proxy/base/log.h"
#include "tests/unit/proxy/blob/folder_stage.h"

static enum folder_outcome put_of(struct stage *s, struct slice key, size_t len)
{
    static char bytes_of_it[64 * 1024];
    struct folder_commit commit = { .size = len };
    struct folder_written written;
    struct folder_put *put = NULL;
    enum folder_outcome outcome = folder_put_begin(s->folder, B, key, len, &put);

    for (size_t done = 0; done < len && outcome == FOLDER_OK; done += sizeof(bytes_of_it)) {
        size_t piece = len - done < sizeof(bytes_of_it) ? len - done : sizeof(bytes_of_it);

        outcome = folder_put_write(put, slice_of(bytes_of_it, piece));
    }
    if (outcome == FOLDER_OK)
        outcome = folder_put_commit(&put, &commit, &written);
    folder_put_abort(&put);
    return outcome;
}

static void check_full(struct stage *s)
{
    CHECK_INT(stage_put(s, bytes("small"), bytes("hello")), FOLDER_OK);
    CHECK_INT(put_of(s, bytes("large"), 4 << 20), FOLDER_FULL);   /* while it is written */
    CHECK_INT(put_of(s, bytes("larger"), 64 << 20), FOLDER_FULL); /* before a byte is */
    CHECK_BYTES(stage_get(s, bytes("large")), bytes("NoSuchKey"));
    CHECK_BYTES(stage_get(s, bytes("small")), bytes("hello"));
    CHECK_INT(put_of(s, bytes("fits"), 512 << 10), FOLDER_OK); /* nothing was left behind */
    CHECK_INT(folder_delete(s->folder, B, bytes("fits"), NULL, NULL), FOLDER_OK);
    CHECK_INT(folder_delete(s->folder, B, bytes("small"), NULL, NULL), FOLDER_OK);
}

/* A small file system, where one may be mounted. */
static void a_full_disk_is_told_and_nothing_is_half_there(void)
{
    for (int variant = 0; variant < 2; variant++) {
        struct stage s = { .settings = { .sync = FOLDER_SYNC_NEVER,
                                         .without_nameless = variant == 1 } };

        snprintf(s.path, sizeof(s.path), "%s/sheaf-folder-XXXXXX", stage_disk());
        CHECK(mkdtemp(s.path) != NULL);
        if (mount("none", s.path, "tmpfs", 0, "size=2m") != 0) {
            printf("no small file system can be mounted here: %s\n", strerrordesc_np(errno));
            rmdir(s.path);
            return;
        }
        stage_open(&s);
        CHECK_INT(folder_bucket_create(s.folder, B), FOLDER_OK);
        check_full(&s);
        folder_close(&s.folder);
        CHECK(umount2(s.path, MNT_DETACH) == 0);
        rmdir(s.path);
    }
}

static void a_file_larger_than_allowed_is_refused(void)
{
    struct stage s = stage_fast();
    struct rlimit before, small;

    signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 1 << 20;
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    CHECK_INT(put_of(&s, bytes("large"), 2 << 20), FOLDER_TOO_LARGE);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK_BYTES(stage_get(&s, bytes("large")), bytes("NoSuchKey"));
    CHECK_INT(put_of(&s, bytes("large"), 2 << 20), FOLDER_OK);
    stage_end(&s);
}

static void without_files_to_open_it_is_busy(void)
{
    struct stage s = stage_fast();
    struct folder_list_request r = { .most = 10 };
    struct folder_page page = { 0 };
    struct folder_reader reader = { .fd = -1 };
    struct rlimit before, none;
    int fd = dup(0);

    CHECK_INT(stage_put(&s, bytes("a/k"), bytes("hello")), FOLDER_OK);
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = before;
    none.rlim_cur = (rlim_t)fd; /* the first that is free */
    close(fd);
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK_INT(stage_put(&s, bytes("a/x"), bytes("hello")), FOLDER_BUSY);
    CHECK_INT(folder_get(s.folder, B, bytes("a/k"), &reader), FOLDER_BUSY);
    CHECK_INT(folder_list(s.folder, B, &r, &page), FOLDER_BUSY);
    CHECK_INT(folder_delete(s.folder, B, bytes("a/k"), NULL, NULL), FOLDER_BUSY);
    none.rlim_cur += 1; /* one file at a time is enough for lists, and for reading */
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK_INT(folder_list(s.folder, B, &r, &page), FOLDER_OK);
    CHECK_INT(page.count, 1);
    folder_page_fini(&page);
    CHECK_BYTES(stage_get(&s, bytes("a/k")), bytes("hello"));
    CHECK_INT(stage_put(&s, bytes("a/x"), bytes("hello")), FOLDER_BUSY);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK_INT(stage_put(&s, bytes("a/x"), bytes("hello")), FOLDER_OK);
    stage_end(&s);
}

/* Root may do anything, so this is done by somebody else. */
static void what_is_forbidden_is_told(void)
{
    struct stage s = stage_fast();
    bool is_root = getuid() == 0;
    char path[128];
    int status = 0;
    pid_t child;

    snprintf(path, sizeof(path), "%s/bucket", s.path);
    CHECK_INT(stage_put(&s, bytes("k"), bytes("hello")), FOLDER_OK);
    CHECK(chmod(path, 0500) == 0);
    child = fork();
    if (child == 0) {
        struct folder_settings settings = { 0 };
        struct folder *other = NULL;
        struct buf why = { 0 };
        int wrong = 0;

        wrong += is_root && (setgid(65534) != 0 || setuid(65534) != 0);
        wrong += is_root && folder_open(s.path, &settings, &other, &why) == ERR_NONE;
        wrong += stage_put(&s, bytes("x"), bytes("hello")) == FOLDER_OK;
        _exit(wrong);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    CHECK(chmod(path, 0700) == 0);
    stage_end(&s);
}

int main(void)
{
    log_setup(&(struct log_settings){ .fd = open("/dev/null", O_WRONLY) });
    RUN(a_full_disk_is_told_and_nothing_is_half_there);
    RUN(a_file_larger_than_allowed_is_refused);
    RUN(without_files_to_open_it_is_busy);
    RUN(what_is_forbidden_is_told);
    return check_report();
}
