/* The monotonic clock, for whoever may look at one (pure layers are handed the time instead). */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Wall-clock microseconds since 1970, for those who ask for the time. */
static inline int64_t clock_wall_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Wall-clock seconds since 1970, for what people read. */
static inline int64_t clock_wall_s(void)
{
    return (int64_t)time(NULL);
}
