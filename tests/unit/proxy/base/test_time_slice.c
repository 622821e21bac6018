#include "proxy/base/time_slice.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/check.h"

enum { MS = 1000000 };

/* What sched_setattr(2) takes; the header that has it defines again what <sched.h> does. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static struct attributes now(void)
{
    struct attributes attr = { 0 };

    CHECK_INT(syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0), 0);
    return attr;
}

static void *ask_and_give_back(void *nothing)
{
    uint64_t own = now().runtime;

    CHECK(time_slice_set(5 * MS));
    CHECK_INT(now().runtime, own == 0 ? 0 : 5 * MS); /* an older kernel has none */
    CHECK(time_slice_set(3 * MS));
    CHECK_INT(now().runtime, own == 0 ? 0 : 3 * MS);
    CHECK(time_slice_set(0));
    CHECK_INT(now().runtime, own);
    return nothing;
}

static void *ask_as_a_batch_job(void *nothing)
{
    struct attributes before = { 0 }, after;

    CHECK_INT(setpriority(PRIO_PROCESS, (id_t)gettid(), 7), 0);
    before = now();
    before.policy = SCHED_BATCH;
    CHECK_INT(syscall(SYS_sched_setattr, 0, &before, 0), 0);
    CHECK(time_slice_set(5 * MS));
    after = now();
    CHECK_INT(after.policy, SCHED_BATCH);
    CHECK_INT(after.nice, 7);
    return nothing;
}

/* SCHED_IDLE: its user wants it to run when nobody else does. */
static void *ask_as_one_that_may_wait(void *nothing)
{
    struct attributes idle = { .size = sizeof(idle), .policy = SCHED_IDLE };
    uint64_t slice;

    CHECK_INT(syscall(SYS_sched_setattr, 0, &idle, 0), 0);
    slice = now().runtime;
    CHECK(time_slice_set(50 * MS));
    CHECK_INT(now().policy, SCHED_IDLE);
    CHECK_INT(now().runtime, slice);
    return nothing;
}

/* In a thread of its own, for what it asks of the kernel stays. */
static void apart(void *(*test)(void *))
{
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, test, NULL), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
}

static void a_slice_is_asked_for_and_given_back(void)
{
    apart(ask_and_give_back);
}

static void policy_and_niceness_stay(void)
{
    apart(ask_as_a_batch_job);
}

static void whoever_is_scheduled_otherwise_is_left_alone(void)
{
    apart(ask_as_one_that_may_wait);
}

int main(void)
{
    RUN(a_slice_is_asked_for_and_given_back);
    RUN(policy_and_niceness_stay);
    RUN(whoever_is_scheduled_otherwise_is_left_alone);
    return check_report();
}
