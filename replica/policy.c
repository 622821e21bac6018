/* See policy.h.  First who may be asked at all, then which of them: a turn walks over those that
 * may, so that who is left out leaves no gap in the order. */
#include "replica/policy.h"

enum { FULL_SHARE = 1000 };

/* What stands between a candidate and a read; the later, the farther it came. */
static enum policy_why obstacle(const struct policy *policy, const struct policy_candidate *c,
                                const struct position *needed)
{
    if (!c->is_usable)
        return POLICY_ALL_DOWN;
    if (c->weight == 0)
        return POLICY_NO_WEIGHT;
    if ((policy->max_lag_bytes > 0 && c->lag_bytes > policy->max_lag_bytes) ||
        (policy->max_lag_ms > 0 && c->lag_ms > policy->max_lag_ms))
        return POLICY_ALL_LAG;
    if (position_is_none(needed))
        return POLICY_CHOSEN;
    if (!c->is_position_known)
        return POLICY_NO_HISTORY;
    switch (position_compare(needed, &c->position)) {
    case POSITION_REACHED:
        return POLICY_CHOSEN;
    case POSITION_BEFORE:
        return POLICY_NOT_YET;
    case POSITION_FOREIGN:
        return POLICY_NO_HISTORY;
    }
    return POLICY_NO_HISTORY;
}

/* Its part of the reads, beside the others'. */
static uint64_t share_of(const struct policy *policy, const struct policy_candidate *c)
{
    uint64_t weight = policy->order == POLICY_WEIGHTED ? c->weight : 1;
    uint64_t slow = c->slow_start_share < FULL_SHARE ? c->slow_start_share : FULL_SHARE;

    return weight * (slow > 0 ? slow : 1);
}

/* Draws by share: a low-discrepancy walk over the sum of all, so that any stretch of turns is about
 * even, without a state per candidate. */
static uint32_t draw(const struct policy *policy, struct policy_turn *turn,
                     const struct policy_candidate *candidates, const uint8_t *fit, size_t count)
{
    uint64_t sum = 0, point;

    for (size_t i = 0; i < count; i++)
        sum += share_of(policy, &candidates[fit[i]]);
    turn->credit += 0x9e3779b97f4a7c15ULL; /* the golden section of 2^64 */
    point = (uint64_t)(((unsigned __int128)turn->credit * sum) >> 64);
    for (size_t i = 0; i < count; i++) {
        uint64_t share = share_of(policy, &candidates[fit[i]]);

        if (point < share)
            return fit[i];
        point -= share;
    }
    return fit[count - 1];
}

static bool all_have_full_share(const struct policy_candidate *candidates, const uint8_t *fit,
                                size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (candidates[fit[i]].slow_start_share < FULL_SHARE)
            return false;
    return true;
}

/* Fewest under way for its share; of equals the next in turn. */
static uint32_t least_busy(const struct policy *policy, struct policy_turn *turn,
                           const struct policy_candidate *candidates, const uint8_t *fit,
                           size_t count)
{
    uint32_t best = fit[turn->next % count];

    for (size_t i = 1; i < count; i++) {
        uint32_t other = fit[(turn->next + i) % count];
        const struct policy_candidate *a = &candidates[best], *b = &candidates[other];

        if (((unsigned __int128)b->busy + 1) * a->weight * share_of(policy, a) <
            ((unsigned __int128)a->busy + 1) * b->weight * share_of(policy, b))
            best = other;
    }
    turn->next++;
    return best;
}

/* The next in turn; while clients wait, of those for whom fewest do: else the queue of one that is
 * slower for a moment would grow while others are idle. */
static uint32_t next_in_turn(struct policy_turn *turn, const struct policy_candidate *candidates,
                             const uint8_t *fit, size_t count)
{
    uint32_t best = fit[turn->next % count];

    for (size_t i = 1; i < count; i++) {
        uint32_t other = fit[(turn->next + i) % count];

        if (candidates[other].waiting < candidates[best].waiting)
            best = other;
    }
    turn->next++;
    return best;
}

static uint32_t choose_among(const struct policy *policy, struct policy_turn *turn,
                             const struct policy_candidate *candidates, const uint8_t *fit,
                             size_t count)
{
    switch ((enum policy_order)policy->order) {
    case POLICY_ROUND_ROBIN:
        if (all_have_full_share(candidates, fit, count))
            return next_in_turn(turn, candidates, fit, count);
        return draw(policy, turn, candidates, fit, count);
    case POLICY_WEIGHTED:
        return draw(policy, turn, candidates, fit, count);
    case POLICY_LEAST_BUSY:
        return least_busy(policy, turn, candidates, fit, count);
    }
    return fit[0];
}

struct policy_choice policy_choose(const struct policy *policy, struct policy_turn *turn,
                                   const struct policy_candidate *candidates, size_t count,
                                   const struct position *needed)
{
    struct policy_choice choice = { POLICY_NONE, POLICY_NONE, POLICY_NO_REPLICA };
    uint8_t fit[POLICY_CANDIDATE_LIMIT];
    size_t fit_count = 0;

    if (count > POLICY_CANDIDATE_LIMIT)
        count = POLICY_CANDIDATE_LIMIT;
    for (size_t i = 0; i < count; i++) {
        enum policy_why why = obstacle(policy, &candidates[i], needed);

        if (why == POLICY_CHOSEN) {
            fit[fit_count++] = (uint8_t)i;
            continue;
        }
        if (why > choice.why)
            choice.why = (uint8_t)why;
        if (why == POLICY_NOT_YET &&
            (choice.nearest == POLICY_NONE ||
             candidates[i].position.lsn > candidates[choice.nearest].position.lsn))
            choice.nearest = (uint32_t)i;
    }
    if (fit_count == 0)
        return choice;
    choice.why = POLICY_CHOSEN;
    choice.nearest = POLICY_NONE;
    choice.index = choose_among(policy, turn, candidates, fit, fit_count);
    return choice;
}

const char *policy_why_text(enum policy_why why)
{
    static const char *const TEXT[] = {
        [POLICY_NO_REPLICA] = "there is no replica",
        [POLICY_ALL_DOWN] = "no replica is up",
        [POLICY_NO_WEIGHT] = "no replica that is up has a weight",
        [POLICY_ALL_LAG] = "all replicas lag behind",
        [POLICY_NO_HISTORY] = "no replica is known to follow what was read or written",
        [POLICY_NOT_YET] = "no replica has come far enough",
        [POLICY_CHOSEN] = "chosen",
    };

    return TEXT[why];
}
