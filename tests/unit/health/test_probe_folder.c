/* Real folders.  A file system that hangs is not to be had here: a wait that is cut off stands for
 * it. */
#include "health/probe_folder.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "tests/unit/check.h"

static uint64_t soon(void)
{
    return clock_now_us() + 30 * 1000000;
}

static struct probe_outcome look(const char *path)
{
    struct probe_folder *probe = probe_folder_new(path);
    struct probe_outcome o = { 0 };

    probe_folder_check(probe, 0, soon(), &o);
    probe_folder_free(&probe);
    return o;
}

static void a_store_is_fine(void)
{
    char folder[] = "/tmp/probe-folder-XXXXXX", own[64];

    CHECK(mkdtemp(folder) != NULL);
    snprintf(own, sizeof(own), "%s/.sheaf", folder);
    CHECK_INT(look(folder).reason, HEALTH_FINE); /* nobody has opened it yet */
    CHECK_INT(mkdir(own, 0700), 0);
    CHECK_INT(look(folder).reason, HEALTH_FINE);
    CHECK(look(folder).connection_is_good);
    if (geteuid() != 0) {
        CHECK_INT(chmod(own, 0500), 0);
        CHECK_INT(look(folder).reason, HEALTH_WRITES_REFUSED);
    }
    CHECK_INT(rmdir(own), 0);
    CHECK_INT(rmdir(folder), 0);
}

static void what_is_no_folder_has_its_reason(void)
{
    CHECK_INT(look("/nonexistent/folder").reason, HEALTH_CONNECT_REFUSED);
    CHECK_TEXT(look("/nonexistent/folder").text, "it can't be opened: No such file or directory");
    CHECK_INT(look("/dev/null").reason, HEALTH_CONNECT_REFUSED);
}

static void a_full_or_foreign_file_system_is_a_note_at_most(void)
{
    CHECK(!reason_is_failure(look("/proc").reason)); /* without room, or without rights */
    CHECK(!reason_is_failure(HEALTH_FULL));
}

/* Nothing waits for what was not waited for, nor is it leaked. */
static void a_look_that_is_not_waited_for_ends_by_itself(void)
{
    struct probe_folder *probe = probe_folder_new("/tmp");
    struct probe_outcome o = { 0 };
    int cancel[2];

    CHECK_INT(pipe(cancel), 0);
    CHECK_INT(write(cancel[1], "x", 1), 1);
    for (int i = 0; i < 100; i++) {
        probe_folder_check(probe, cancel[0], clock_now_us(), &o);
        CHECK(o.reason == HEALTH_RESPONSE_TIMEOUT || !reason_is_failure(o.reason));
    }
    probe_folder_check(probe, 0, soon(), &o);
    CHECK(!reason_is_failure(o.reason));
    probe_folder_check(probe, cancel[0], clock_now_us(), &o);
    probe_folder_free(&probe);
    close(cancel[0]);
    close(cancel[1]);
}

int main(void)
{
    RUN(a_store_is_fine);
    RUN(what_is_no_folder_has_its_reason);
    RUN(a_full_or_foreign_file_system_is_a_note_at_most);
    RUN(a_look_that_is_not_waited_for_ends_by_itself);
    return check_report();
}
