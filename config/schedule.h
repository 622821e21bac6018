/* When something is due, as the operator writes it, in local time:
 *
 *     0 3 *            minute, hour, day of the week (1 to 7, Monday is 1): at three every night
 *     30 * 6           half past each hour of Saturdays
 *     0 3 1,15 * *     cron's five fields: minute, hour, day of the month, month, weekday
 *                      (0 to 7, Sunday is 0 and 7), with lists, ranges, steps and English names
 *
 * An hour that a change of clocks leaves out is passed over; one that comes twice is due once. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"

/* A bit for each minute, hour and so on that fits.  Zero is valid, and never due. */
struct schedule {
    uint64_t minutes;
    uint32_t hours, days, months, weekdays; /* of the week: bit 0 is Sunday */
    /* As cron has it: if both days of the month and of the week are given, either will do. */
    bool any_day, any_weekday;
};

/* ERR_SYNTAX or ERR_RANGE with what is wrong in `why`, without the text itself; untouched then. */
enum err schedule_parse(const char *text, struct schedule *out, struct buf *why) MUST_CHECK;
bool schedule_is(const struct schedule *a, const struct schedule *b); /* the same times */
/* The first time after `now_s` (since 1970) that fits; 0: none does within the years to come. */
int64_t schedule_next(const struct schedule *s, int64_t now_s);
