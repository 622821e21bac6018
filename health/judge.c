/* See judge.h for the diagram.  become() is the one function that changes the state: fall() goes
 * down, pass_time() half opens when the back-off is over, rise() goes up. */
#include "health/judge.h"

#include <assert.h>
#include <stddef.h>

enum { WEIGHT_FULL = 100, WEIGHT_FIRST = 10, WEIGHT_TRIAL = 1, MOST_BACKOFF_LEVEL = 20 };

static const struct judge_settings DEFAULTS = {
    .rise = 2,
    .fall = 3,
    .breaker_failures = 5,
    .breaker_percent = 50,
    .trial_successes = 1,
    .backoff_first_ms = 500,
    .backoff_most_ms = 30000,
    .calm_ms = 60000,
};

void judge_configure(struct judge *j, const struct judge_settings *s)
{
    struct judge_settings given = s == NULL ? (struct judge_settings){ 0 } : *s;

#define OR_DEFAULT(member) .member = given.member != 0 ? given.member : DEFAULTS.member
    j->settings = (struct judge_settings){
        OR_DEFAULT(rise),
        OR_DEFAULT(fall),
        OR_DEFAULT(breaker_failures),
        OR_DEFAULT(breaker_percent),
        OR_DEFAULT(trial_successes),
        OR_DEFAULT(backoff_first_ms),
        OR_DEFAULT(backoff_most_ms),
        OR_DEFAULT(calm_ms),
        OR_DEFAULT(slow_start_ms),
        OR_DEFAULT(slow_us),
    };
#undef OR_DEFAULT
}

void judge_init(struct judge *j, const struct judge_settings *s, uint64_t now_ms)
{
    *j = (struct judge){ .state = VERDICT_UP, .since_ms = now_ms };
    judge_configure(j, s);
}

static void become(struct judge *j, uint64_t now_ms, enum verdict_state state)
{
    assert(state != VERDICT_DRAINING);
    j->state = state;
    j->since_ms = now_ms;
    j->good_run = j->bad_run = 0;
    j->failed_run = j->trials_good = 0;
    j->slow_run = 0;
}

/* Half of the back-off is certain, half is chance, so that many proxies do not come back at
 * once. */
static uint64_t backoff_ms(const struct judge *j, uint32_t random)
{
    uint64_t whole = (uint64_t)j->settings.backoff_first_ms << j->backoff_level;

    if (whole > j->settings.backoff_most_ms)
        whole = j->settings.backoff_most_ms;
    return whole / 2 + random % (whole / 2 + 1);
}

/* Out of service; what fails again before it was calm waits longer. */
static void fall(struct judge *j, uint64_t now_ms, enum health_reason reason, uint32_t random)
{
    bool was_calm = j->state == VERDICT_UP && now_ms - j->since_ms >= j->settings.calm_ms;

    if (was_calm)
        j->backoff_level = 0;
    become(j, now_ms, VERDICT_DOWN);
    j->reason = reason;
    j->note = HEALTH_FINE;
    j->starting = false;
    j->retry_at_ms = now_ms + backoff_ms(j, random);
    if (j->backoff_level < MOST_BACKOFF_LEVEL)
        j->backoff_level++;
}

static void rise(struct judge *j, uint64_t now_ms)
{
    become(j, now_ms, VERDICT_UP);
    j->reason = HEALTH_FINE;
    j->is_seen = false;
    j->starting = j->settings.slow_start_ms > 0;
}

/* What time alone changes. */
static void pass_time(struct judge *j, uint64_t now_ms)
{
    if (j->state == VERDICT_DOWN && now_ms >= j->retry_at_ms &&
        (!j->has_probes || j->good_run >= j->settings.rise))
        become(j, now_ms, VERDICT_HALF_OPEN);
    if (j->starting && now_ms - j->since_ms >= j->settings.slow_start_ms)
        j->starting = false;
}

struct failures {
    uint64_t count;
    enum health_reason most; /* the reason that most of them have, or the fatal one */
};

static struct failures failures_of(const struct judge_tally *tally)
{
    struct failures f = { 0 };
    uint64_t most = 0;

    for (int i = 0; i < HEALTH_REASONS; i++) {
        enum health_reason reason = (enum health_reason)i;
        uint64_t count = tally->failures[i];

        if (count == 0 || !reason_is_failure(reason))
            continue;
        f.count += count;
        if (reason_is_fatal(reason))
            count = UINT64_MAX;
        if (count > most) {
            most = count;
            f.most = reason;
        }
    }
    return f;
}

/* Requests to an endpoint that is up: opens the breaker when too many of them failed. */
static void weigh(struct judge *j, uint64_t now_ms, const struct judge_tally *tally,
                  struct failures failed, uint32_t random)
{
    uint64_t all = tally->successes + failed.count, enough = failed.count;
    bool too_many;

    /* Where few ask, all failures since the last success count as one interval's. */
    if (tally->successes == 0)
        enough += j->failed_run;
    j->failed_run = tally->successes == 0 ? enough : 0;
    too_many = enough >= j->settings.breaker_failures &&
               failed.count * 100 >= all * j->settings.breaker_percent;
    if (failed.count > 0 && (too_many || reason_is_fatal(failed.most)))
        fall(j, now_ms, failed.most, random);
}

/* Requests to an endpoint that is half open. */
static void try_out(struct judge *j, uint64_t now_ms, const struct judge_tally *tally,
                    struct failures failed, uint32_t random)
{
    j->trials_good += tally->successes;
    if (failed.count > 0)
        fall(j, now_ms, failed.most, random);
    else if (j->trials_good >= j->settings.trial_successes)
        rise(j, now_ms);
}

/* Replies such as -OOM are good ones, and news. */
static void listen(struct judge *j, const struct judge_tally *tally)
{
    uint64_t most = 0;

    if (tally->successes > 0)
        j->heard = HEALTH_FINE;
    for (int i = 0; i < HEALTH_REASONS; i++)
        if (!reason_is_failure((enum health_reason)i) && tally->failures[i] > most) {
            most = tally->failures[i];
            j->heard = (enum health_reason)i;
        }
}

static void notice_slowness(struct judge *j, const struct judge_tally *tally)
{
    if (tally->latency_us == 0)
        return; /* nobody asked: no news */
    if (j->settings.slow_us > 0 && tally->latency_us > j->settings.slow_us) {
        if (j->slow_run < j->settings.fall)
            j->slow_run++;
    } else if (j->slow_run > 0) {
        j->slow_run--;
    }
}

bool judge_tally(struct judge *j, uint64_t now_ms, const struct judge_tally *tally, uint32_t random)
{
    enum verdict_state before = j->state;
    struct failures failed = failures_of(tally);

    listen(j, tally);
    switch (j->state) {
    case VERDICT_UP:
        notice_slowness(j, tally);
        weigh(j, now_ms, tally, failed, random);
        break;
    case VERDICT_HALF_OPEN:
        try_out(j, now_ms, tally, failed, random);
        break;
    case VERDICT_DOWN: /* stragglers that were sent before: no news */
    case VERDICT_DRAINING:
        break;
    }
    pass_time(j, now_ms);
    return !j->draining && j->state != before;
}

static void probe_failed(struct judge *j, uint64_t now_ms, enum health_reason outcome,
                         uint32_t random)
{
    j->good_run = 0;
    j->bad_run++;
    j->is_seen |= reason_is_fatal(outcome);
    switch (j->state) {
    case VERDICT_UP:
        if (j->bad_run >= j->settings.fall || reason_is_fatal(outcome))
            fall(j, now_ms, outcome, random);
        break;
    case VERDICT_HALF_OPEN:
        fall(j, now_ms, outcome, random);
        break;
    case VERDICT_DOWN:
        j->reason = outcome; /* the newest says most: refused, then loading */
        break;
    case VERDICT_DRAINING:
        break;
    }
}

bool judge_probe(struct judge *j, uint64_t now_ms, enum health_reason outcome, uint32_t random)
{
    enum verdict_state before = j->state;

    j->has_probes = true;
    if (reason_is_failure(outcome)) {
        probe_failed(j, now_ms, outcome, random);
    } else {
        j->bad_run = 0;
        j->good_run++;
        j->note = outcome;
        /* Nobody asked while it was half open: then the probes are all the evidence there is.  What
         * is fatal they may not see: then only a request can tell that it is over. */
        if (j->state == VERDICT_HALF_OPEN && j->good_run >= j->settings.rise &&
            (j->is_seen || !reason_is_fatal(j->reason)))
            rise(j, now_ms);
    }
    pass_time(j, now_ms);
    return !j->draining && j->state != before;
}

bool judge_drain(struct judge *j, uint64_t now_ms, bool draining)
{
    if (j->draining == draining)
        return false;
    j->draining = draining;
    j->draining_since_ms = now_ms;
    return true;
}

static uint8_t weight_of(const struct judge *j, uint64_t now_ms)
{
    uint32_t weight = WEIGHT_FULL;

    switch (j->state) {
    case VERDICT_UP:
        if (j->starting && now_ms - j->since_ms < j->settings.slow_start_ms)
            weight =
                WEIGHT_FIRST + (uint32_t)((now_ms - j->since_ms) * (WEIGHT_FULL - WEIGHT_FIRST) /
                                          j->settings.slow_start_ms);
        if (j->slow_run >= j->settings.fall)
            weight = (weight + 1) / 2;
        return (uint8_t)weight;
    case VERDICT_HALF_OPEN:
        return WEIGHT_TRIAL;
    case VERDICT_DOWN:
    case VERDICT_DRAINING:
        break;
    }
    return 0;
}

struct verdict judge_verdict(const struct judge *j, uint64_t now_ms)
{
    enum health_reason reason = j->reason;

    if (j->draining)
        return (struct verdict){ .state = VERDICT_DRAINING,
                                 .reason = HEALTH_DRAINED,
                                 .since_ms = j->draining_since_ms };
    if (j->state == VERDICT_UP)
        reason = j->note != HEALTH_FINE            ? j->note
                 : j->heard != HEALTH_FINE         ? j->heard
                 : j->slow_run >= j->settings.fall ? HEALTH_SLOW
                                                   : HEALTH_FINE;
    return (struct verdict){ .state = j->state,
                             .reason = reason,
                             .weight_percent = weight_of(j, now_ms),
                             .since_ms = j->since_ms };
}

const char *judge_state_name(enum verdict_state state)
{
    static const char *const NAMES[] = { "up", "down", "half-open", "draining" };

    return NAMES[state];
}
