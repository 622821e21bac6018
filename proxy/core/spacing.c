/* See spacing.h.  Pure: handed counts and times, never a clock. */
#include "proxy/core/spacing.h"

enum {
    SPACING_ALL = 1 << 16,
    SPACING_MEMORY = 64, /* rounds, of how much of them it rested */
};

/* Without the wait clearly more must be served, to be worth its cost; with it about as much.  After
 * the epoch that follows the trial. */
static bool trial_won(const struct spacing *s)
{
    uint64_t after = s->requests, least = s->before < after ? s->before : after;

    if (s->without)
        return s->tried * 100 >= least * 95;
    return s->tried * 100 > (s->before + after - least) * 115;
}

static void begin_trial(struct spacing *s)
{
    s->trial = true;
    s->before = s->requests;
}

/* One that is won could be chance: another one follows at once. */
static void judge_trial(struct spacing *s)
{
    bool won = trial_won(s), decides = won && s->again;

    s->doubt = false;
    s->again = won && !decides;
    if (s->again) {
        begin_trial(s);
        return;
    }
    if (decides) {
        s->without = !s->without;
        s->rest_epochs = SPACING_FIRST_EPOCHS;
    } else if (s->rest_epochs < SPACING_MOST_EPOCHS) {
        s->rest_epochs *= 2;
    }
    s->epochs = 0;
}

static void end_epoch(struct spacing *s)
{
    if (s->rest_epochs == 0)
        s->rest_epochs = SPACING_FIRST_EPOCHS;
    if (s->turns < SPACING_EPOCH_TURNS) { /* nothing to compare: it begins anew */
        s->trial = s->doubt = s->again = false;
        s->epochs = 0;
    } else if (s->trial) {
        s->trial = false;
        s->doubt = true;
        s->tried = s->requests;
    } else if (s->doubt) {
        judge_trial(s);
    } else if (++s->epochs >= s->rest_epochs) {
        begin_trial(s);
    }
    s->ticks = s->turns = 0;
    s->requests = 0;
}

void spacing_tick(struct spacing *s, uint64_t requests)
{
    s->requests += requests;
    if (++s->ticks == SPACING_EPOCH_TICKS)
        end_epoch(s);
}

uint64_t spacing_wait_us(const struct spacing *s)
{
    return s->without != s->trial ? 0 : s->wait_ns / 1000;
}

/* Whoever is about as often at work as not stays as it is. */
static void judge_rests(struct spacing *s, uint64_t took_us)
{
    uint32_t part = took_us == 0 ? 0 : (uint32_t)(s->rested_us * SPACING_ALL / took_us);

    s->rests += part / SPACING_MEMORY - s->rests / SPACING_MEMORY;
    if (s->rests < SPACING_ALL / 100 * SPACING_BUSY)
        s->looks = true;
    else if (s->rests > SPACING_ALL / 100 * SPACING_IDLE)
        s->looks = false;
}

static void begin_round(struct spacing *s, uint64_t now_us)
{
    if (spacing_wait_us(s) > 0)
        judge_rests(s, now_us - s->round_us);
    s->rested_us = 0;
    s->round_us = now_us;
    s->words = 0;
    s->shy -= s->shy > 0;
}

static uint64_t end_us(const struct spacing *s)
{
    return s->round_us + spacing_wait_us(s);
}

/* When the next turn is due. */
static uint64_t turn_due_us(const struct spacing *s)
{
    uint64_t look_us = s->turn_us + spacing_wait_us(s) / SPACING_LOOKS;

    return s->looks && look_us < end_us(s) ? look_us : end_us(s);
}

uint64_t spacing_rest_us(const struct spacing *s, uint64_t now_us)
{
    uint64_t due_us = turn_due_us(s);

    return now_us + SPACING_LEAST_US < due_us ? due_us - now_us : 0;
}

/* Of this round. */
static bool has_words(const struct spacing *s)
{
    return !s->looks && s->shy == 0;
}

bool spacing_listens(const struct spacing *s)
{
    return has_words(s) && s->words < SPACING_LOOKS;
}

static void judge_word(struct spacing *s, uint64_t rested_us)
{
    if (rested_us < SPACING_LATE_US) {
        s->shy_next -= (s->shy_next + SPACING_FORGIVES - 1) / SPACING_FORGIVES;
        return;
    }
    s->shy = s->shy_next > SPACING_SHY ? s->shy_next : SPACING_SHY;
    s->shy_next = s->shy < SPACING_SHY_MOST / 2 ? 2 * s->shy : SPACING_SHY_MOST;
}

bool spacing_turn(struct spacing *s, struct spacing_rest rest)
{
    uint64_t due_us = turn_due_us(s), rested_us = rest.until_us - rest.from_us;
    bool by_the_clock = rested_us > 0 && !rest.heard, ends_round;

    s->rested_us += rested_us;
    s->words += rest.heard;
    /* How late the clock was does not add up. */
    s->turn_us = by_the_clock ? due_us : rest.until_us;
    ends_round = s->turn_us + SPACING_LEAST_US >= end_us(s);
    if (ends_round)
        begin_round(s, s->turn_us);
    if (rest.heard)
        judge_word(s, rested_us);
    return ends_round;
}

void spacing_round(struct spacing *s, uint32_t crowd, uint32_t waited, uint64_t most_us)
{
    uint64_t step_ns = s->wait_ns / (has_words(s) ? SPACING_GROWS_WORDS : SPACING_GROWS);

    s->turns++;
    if (s->without != s->trial)
        return;
    if (waited * 8 > crowd * 7)
        s->wait_ns -= s->wait_ns / SPACING_SHRINKS;
    else
        s->wait_ns += step_ns > SPACING_STEP_NS ? step_ns : SPACING_STEP_NS;
    if (s->wait_ns > most_us * 1000)
        s->wait_ns = most_us * 1000;
}
