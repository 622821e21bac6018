/* See spacing.h.  Pure: handed counts, never a clock. */
#include "proxy/core/spacing.h"

/* Without the wait a quarter more must be served, to be worth its cost; with it about as much. */
static bool trial_won(const struct spacing *s)
{
    if (s->without)
        return s->requests * 100 >= s->before * 95;
    return s->requests * 100 > s->before * 125;
}

static void end_trial(struct spacing *s)
{
    s->trial = false;
    if (trial_won(s)) {
        s->without = !s->without;
        s->rest_epochs = SPACING_FIRST_EPOCHS;
    } else if (s->rest_epochs < SPACING_MOST_EPOCHS) {
        s->rest_epochs *= 2;
    }
}

static void end_epoch(struct spacing *s)
{
    if (s->rest_epochs == 0)
        s->rest_epochs = SPACING_FIRST_EPOCHS;
    if (s->trial) {
        end_trial(s);
        s->epochs = 0;
    } else if (++s->epochs >= s->rest_epochs) {
        s->trial = true;
        s->before = s->requests;
    }
    s->ticks = 0;
    s->requests = 0;
}

void spacing_tick(struct spacing *s, uint64_t requests, uint32_t crowd)
{
    if (crowd < SPACING_CROWD) { /* nothing to compare: it begins anew */
        s->trial = false;
        s->ticks = s->epochs = 0;
        s->requests = 0;
        return;
    }
    s->requests += requests;
    if (++s->ticks == SPACING_EPOCH_TICKS)
        end_epoch(s);
}

uint64_t spacing_wait_us(const struct spacing *s, uint32_t crowd, uint64_t most_us)
{
    uint64_t wait_us = (uint64_t)crowd * SPACING_EACH_US;

    if (s->without != s->trial)
        return 0;
    return wait_us < most_us ? wait_us : most_us;
}
