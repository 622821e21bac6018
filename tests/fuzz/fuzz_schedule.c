/* Schedules are written by people: whatever is taken is found in time, and fits. */
#include <stdlib.h>
#include <time.h>

#include "config/schedule.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const int64_t NOW_S = 1764288000;
    char text[64];
    struct schedule s;
    struct buf why = { 0 };
    int64_t next_s;
    struct tm tm;

    if (len >= sizeof(text))
        return 0;
    memcpy(text, at, len);
    text[len] = '\0';
    if (schedule_parse(text, &s, &why) != ERR_NONE) {
        require(why.len > 0);
        buf_fini(&why);
        return 0;
    }
    require(why.len == 0 && s.minutes != 0 && s.hours != 0 && s.weekdays != 0 && s.weekdays < 128);
    next_s = schedule_next(&s, NOW_S);
    if (next_s == 0)
        return 0;
    require(next_s > NOW_S && localtime_r(&(time_t){ next_s }, &tm) != NULL);
    require((s.minutes >> tm.tm_min & 1) != 0 && (s.hours >> tm.tm_hour & 1) != 0);
    return 0;
}
