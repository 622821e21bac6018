/* See time_slice.h, and sched_setattr(2) (the C library has no call for it). */
#include "proxy/base/time_slice.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_ordinary(const struct sched_attr *attr)
{
    return attr->sched_policy == SCHED_NORMAL || attr->sched_policy == SCHED_BATCH;
}

bool time_slice_set(uint64_t slice_ns)
{
    struct sched_attr attr = { 0 };

    if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) != 0)
        return false;
    if (!is_ordinary(&attr) || attr.sched_runtime == 0) /* older kernels tell none */
        return true;
    attr.size = sizeof(attr);
    attr.sched_flags &= SCHED_FLAG_RESET_ON_FORK;
    attr.sched_runtime = slice_ns;
    return syscall(SYS_sched_setattr, 0, &attr, 0) == 0;
}
