/* One thread of the load generator: a loop, its share of the connections, and its figures.  It is
 * told a stage, carries it out and returns; crew.c keeps the threads in step. */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/dice.h"
#include "bench/figures.h"
#include "bench/lane.h"
#include "bench/load.h"
#include "bench/plan.h"
#include "proxy/base/list.h"

enum hand_stage { HAND_OPEN, HAND_FILL, HAND_RUN, HAND_AUDIT };

struct hand {
    const struct plan *plan; /* borrowed */
    const struct load *load; /* borrowed */
    uint32_t number;         /* of plan->threads */
    struct event_base *base;
    struct event tick, due; /* 20 times a second; when the next call of a fixed rate is due */
    struct lane *lanes;     /* owned: those with load, then the idle ones */
    uint32_t lane_count, idle_count;
    uint32_t to_open, opening; /* lanes not begun, under way */
    bool is_opening;           /* open_more() is at work: lanes may be ready at once */
    uint32_t ready_count;      /* lanes with load that are ready */
    struct list rooms, dirty;  /* fixed rate: lanes with room; lanes with unwritten calls */
    struct dice dice;
    enum hand_stage stage;
    uint64_t started_us, measured_from_us, until_us, ended_us; /* of the run */
    uint64_t quota; /* calls left to measure, with --count */
    double next_due_us, interval_us;
    uint64_t no_lane_since_us; /* since when no lane is open; 0: some are */
    bool failed;
    char problem[512];
    struct figures figures; /* written by this thread, read by the main one */
};

void hand_init(struct hand *h, const struct plan *plan, const struct load *load, uint32_t number,
               uint64_t seed);
/* Carries one stage out; false if it failed, `problem` says why. */
bool hand_work(struct hand *h, enum hand_stage stage);
void hand_fini(struct hand *h);
