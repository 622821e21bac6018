/* What a reload would keep, change, add and remove. */
#include <stdlib.h>
#include <string.h>

#include "config/diff.h"
#include "tests/unit/check.h"
#include "tests/unit/config/vocabulary.h"

#define A                                                                                          \
    "[memory a]\n"                                                                                 \
    "listen = redis://127.0.0.1:1\n"                                                               \
    "shard = redis://:x@h:1\n"                                                                     \
    "shard = redis://h:2\n"
#define B    "[memory b]\nlisten = redis://127.0.0.1:2\nshard = redis://h:1\n"
#define NONE DIFF_NONE

struct reload {
    struct snapshot *was, *is;
    struct diff diff;
    char *warnings;
};

static struct reload begin(const char *was, const char *is)
{
    struct reload r = { .was = test_load(was), .is = test_load(is) };
    struct problems problems = { 0 };

    if (r.was == NULL || r.is == NULL)
        exit(1);
    diff_init(&r.diff, r.was, r.is, &problems);
    r.warnings = test_problems(&problems);
    return r;
}

static void end(struct reload *r)
{
    diff_fini(&r->diff);
    snapshot_free(&r->was);
    snapshot_free(&r->is);
    free(r->warnings);
}

static void equal_files_change_nothing(void)
{
    struct reload r =
        begin(A B, "; other comments and order of options\n" A "timeout = 2000ms\n" B);

    for (uint32_t i = 0; i < 3; i++) {
        CHECK_INT(r.diff.endpoint_was[i], i);
        CHECK_INT(r.diff.endpoint_is[i], i);
    }
    for (uint32_t i = 0; i < 2; i++) {
        CHECK_INT(r.diff.listener_was[i], i);
        CHECK_INT(r.diff.pool_was[i], i);
        CHECK_INT(r.diff.pool_change[i], DIFF_SAME);
    }
    CHECK(!r.diff.proxy_changed);
    CHECK_TEXT(r.warnings, "");
    end(&r);
}

static void pools_are_matched_by_name_wherever_they_stand(void)
{
    struct reload r =
        begin(A B, "[memory c]\nlisten = redis://127.0.0.1:3\nshard = redis://h:9\n" B);

    CHECK_INT(r.diff.pool_was[0], NONE);
    CHECK_INT(r.diff.pool_was[1], 1);
    CHECK_INT(r.diff.pool_is[0], NONE);
    CHECK_INT(r.diff.pool_is[1], 1);
    CHECK_INT(r.diff.pool_change[0], DIFF_ADDED);
    CHECK_INT(r.diff.pool_change[1], DIFF_SAME);
    CHECK_INT(r.diff.endpoint_was[0], NONE);
    CHECK_INT(r.diff.endpoint_was[1], 2);
    CHECK_INT(r.diff.endpoint_is[0], NONE);
    CHECK_INT(r.diff.endpoint_is[1], NONE);
    CHECK_INT(r.diff.endpoint_is[2], 1);
    CHECK_INT(r.diff.listener_was[0], NONE);
    CHECK_INT(r.diff.listener_was[1], 1);
    CHECK_INT(r.diff.listener_is[0], NONE);
    end(&r);
}

static void each_difference_in_a_pool_is_a_change(void)
{
    static const char *const CHANGED[] = {
        A "timeout = 3s\n" B,
        A "user = app pw\n" B,
        A "shard = redis://h:3\n" B,
        A "listen = redis://127.0.0.1:4\n" B,
        "[memory a]\nlisten = redis://127.0.0.1:1\nshard = redis://h:2\nshard = redis://:x@h:1\n" B,
        "[memory a]\nlisten = redis://127.0.0.1:1\nshard = redis://:y@h:1\nshard = redis://h:2\n" B,
    };

    for (size_t i = 0; i < sizeof(CHANGED) / sizeof(CHANGED[0]); i++) {
        struct reload r = begin(A B, CHANGED[i]);

        CHECK_INT(r.diff.pool_change[0], DIFF_CHANGED);
        CHECK_INT(r.diff.pool_change[1], DIFF_SAME);
        end(&r);
    }
}

static void a_users_new_password_is_a_change(void)
{
    struct reload r = begin(A "password = one\n", A "password = two\n");

    CHECK_INT(r.diff.pool_change[0], DIFF_CHANGED);
    end(&r);
}

static void endpoints_are_the_same_by_server_login_and_database(void)
{
    struct reload r = begin(A, "[memory a]\nlisten = redis://127.0.0.1:1\n"
                               "shard = redis://h:2?weight=4\n" /* was 1 */
                               "shard = redis://:x@h:1/1\n"     /* another database */
                               "shard = redis://:y@h:1\n");     /* another password */

    CHECK_INT(r.diff.endpoint_was[0], 1);
    CHECK_INT(r.diff.endpoint_was[1], NONE);
    CHECK_INT(r.diff.endpoint_was[2], NONE);
    CHECK_INT(r.diff.endpoint_is[0], NONE);
    CHECK_INT(r.diff.endpoint_is[1], 0);
    end(&r);
}

static void a_listener_keeps_its_socket_when_its_pool_changes(void)
{
    struct reload r = begin(A B, "[memory b]\nlisten = redis://127.0.0.1:1\nshard = redis://h:1\n");

    CHECK_INT(r.diff.listener_was[0], 0);
    CHECK_INT(r.diff.listener_is[0], 0);
    CHECK_INT(r.diff.listener_is[1], NONE);
    CHECK_INT(r.diff.pool_change[0], DIFF_CHANGED);
    end(&r);
}

static void what_only_a_start_changes_is_said(void)
{
    struct reload r =
        begin(A, "; new\n[proxy]\nworkers = 3\nadmin = off\nbacklog = 5\nlog_level = debug\n" A);

    CHECK(r.diff.proxy_changed);
    CHECK_TEXT(
        r.warnings,
        "t.ini:2: warning: workers changes with the next start, not with a reload\n"
        "t.ini:2: warning: backlog changes for new listeners; the others keep theirs until the "
        "next start\n");
    end(&r);
}

int main(void)
{
    RUN(equal_files_change_nothing);
    RUN(pools_are_matched_by_name_wherever_they_stand);
    RUN(each_difference_in_a_pool_is_a_change);
    RUN(a_users_new_password_is_a_change);
    RUN(endpoints_are_the_same_by_server_login_and_database);
    RUN(a_listener_keeps_its_socket_when_its_pool_changes);
    RUN(what_only_a_start_changes_is_said);
    return check_report();
}
