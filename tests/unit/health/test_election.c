/* Each case is a story: candidates as they are seen one moment after the other, and what is to come
 * of it.  A candidate is written in a few words, "P up primary 1": a line `primary` (P) or
 * `replica` (R), up or down or awaited, its role, its timeline, and its cluster where that is not
 * the usual one. */
#include "health/election.h"

#include "tests/unit/check.h"

enum { CANDIDATES = 3, CLUSTER = 77 };

static bool has(const char *words, const char *word)
{
    return strstr(words, word) != NULL;
}

static struct election_candidate candidate(const char *words)
{
    const char *number = strpbrk(words, "0123456789"), *at = strchr(words, '@');
    bool is_asked = !has(words, "awaited");

    return (struct election_candidate){
        .given_as_primary = words[0] == 'P',
        .is_awaited = !is_asked,
        .is_up = has(words, " up") || !is_asked,
        .role = has(words, " primary")   ? STANDING_ROLE_PRIMARY
                : has(words, " replica") ? STANDING_ROLE_REPLICA
                                         : STANDING_ROLE_UNKNOWN,
        .timeline = number != NULL ? (uint32_t)(*number - '0') : 0,
        .system_id = at != NULL                           ? (uint64_t)(at[1] - '0')
                     : has(words, " nobody") || !is_asked ? 0
                                                          : CLUSTER,
        .lsn = number != NULL ? (uint64_t)(*number - '0') * 1000 : 0,
    };
}

struct moment {
    const char *seen[CANDIDATES]; /* NULL: there is none */
    uint32_t primary;
    unsigned events;
    const char *places[CANDIDATES]; /* role and fit */
};

enum { NONE = ELECTION_NONE, QUIET = 0, CHANGED = ELECTION_CHANGED, SPLIT = ELECTION_SPLIT };

static const char *place_text(const struct election_place *p, char *room, size_t size)
{
    snprintf(room, size, "%s %s%s", standing_role_name(p->role), standing_fit_word(p->fit),
             p->is_assumed ? " assumed" : "");
    return room;
}

static void tell(const char *name, const struct moment *story, size_t moments)
{
    struct election e;
    uint32_t epoch = 0;

    election_init(&e, 0);
    for (size_t m = 0; m < moments; m++) {
        struct election_candidate c[CANDIDATES];
        struct election_place places[CANDIDATES];
        size_t count = 0;
        unsigned events;

        while (count < CANDIDATES && story[m].seen[count] != NULL) {
            c[count] = candidate(story[m].seen[count]);
            count++;
        }
        events = election_judge(&e, c, count, 100 + m, places);
        if (events != story[m].events || e.primary != story[m].primary)
            printf("%s, moment %zu:\n", name, m);
        CHECK_INT(events, story[m].events);
        CHECK_INT(e.primary, story[m].primary);
        CHECK_INT(e.epoch - epoch, (events & CHANGED) != 0);
        if ((events & CHANGED) != 0)
            CHECK_INT(e.since_ms, 100 + m);
        epoch = e.epoch;
        for (size_t i = 0; i < count; i++) {
            char text[64];

            if (story[m].places[i] != NULL)
                CHECK_TEXT(place_text(&places[i], text, sizeof(text)), story[m].places[i]);
        }
    }
}

#define STORY(name, ...)                                                                           \
    static void name(void)                                                                         \
    {                                                                                              \
        static const struct moment STORY_[] = { __VA_ARGS__ };                                     \
        tell(#name, STORY_, sizeof(STORY_) / sizeof(STORY_[0]));                                   \
    }

/* clang-format off: a line of the table a moment */
STORY(the_one_not_in_recovery_is_the_primary,
      { { "P up primary 1", "R up replica 1", "R up replica 1" },
        0,
        CHANGED,
        { "primary fresh", "replica fresh", "replica fresh" } },
      { { "P up primary 1", "R up replica 1", "R up replica 1" }, 0, QUIET, { 0 } })

STORY(a_line_primary_in_recovery_is_a_replica_and_a_line_replica_that_is_not_is_the_primary,
      { { "P up replica 2", "R up primary 2" }, 1, CHANGED, { "replica fresh", "primary fresh" } })

STORY(all_are_heard_before_the_first_is_chosen,
      { { "P awaited", "R up primary 1" }, NONE, QUIET, { "unknown unknown", "unknown unknown" } },
      { { "P down", "R up primary 1" }, 1, CHANGED, { NULL, "primary fresh" } },
      { { "P awaited", "R up primary 1" }, 1, QUIET, { 0 } }) /* only at the start */

STORY(after_a_promotion_the_newer_timeline_wins_while_the_old_primary_is_still_believed_up,
      { { "P up primary 1", "R up replica 1", "R up replica 1" }, 0, CHANGED, { 0 } },
      { { "P up primary 1", "R up primary 2", "R up replica 1" },
        1,
        CHANGED,
        { "unknown stale_primary", "primary fresh", "replica other_timeline" } },
      { { "P up primary 1", "R up primary 2", "R up replica 2" },
        1,
        QUIET,
        { "unknown stale_primary", "primary fresh", "replica fresh" } },
      { { "P up replica 2", "R up primary 2", "R up replica 2" },
        1,
        QUIET,
        { "replica fresh", "primary fresh", "replica fresh" } })

STORY(a_replica_that_follows_a_newer_timeline_says_that_the_old_primary_is_stale,
      { { "P up primary 1", "R up replica 1", "R up replica 1" }, 0, CHANGED, { 0 } },
      { { "P up primary 1", "R up replica 1", "R up replica 2" },
        NONE,
        CHANGED,
        { "unknown stale_primary", "replica other_timeline", "replica fresh" } },
      { { "P up primary 1", "R up primary 2", "R up replica 2" }, 1, CHANGED, { 0 } })

STORY(one_that_is_down_loses_the_role_and_gets_it_back,
      { { "P up primary 1", "R up replica 1" }, 0, CHANGED, { 0 } },
      { { "P down primary 1", "R up replica 1" },
        NONE,
        CHANGED,
        { "unknown unknown", "replica fresh" } },
      { { "P down primary 1", "R up replica 1" }, NONE, QUIET, { 0 } },
      { { "P up primary 1", "R up replica 1" }, 0, CHANGED, { 0 } })

STORY(a_stale_primary_does_not_come_back_even_if_the_newer_one_is_down,
      { { "P up primary 1", "R up replica 1" }, 0, CHANGED, { 0 } },
      { { "P down primary 1", "R up primary 2" }, 1, CHANGED, { 0 } },
      { { "P up primary 1", "R up primary 2" },
        1,
        QUIET,
        { "unknown stale_primary", "primary fresh" } },
      { { "P up primary 1", "R down primary 2" },
        NONE,
        CHANGED,
        { "unknown stale_primary", "unknown unknown" } },
      { { "P up primary 3", "R down primary 2" },
        0,
        CHANGED,
        { "primary fresh", "unknown stale_primary" } })

STORY(once_the_newer_one_is_no_candidate_any_more_the_older_one_may_serve,
      { { "P up primary 1", "R up primary 2" }, 1, CHANGED, { 0 } },
      { { "P up primary 1" }, 0, CHANGED, { "primary fresh" } })

STORY(of_two_on_one_timeline_the_one_that_was_the_primary_stays,
      { { "P up primary 1", "P up replica 1" }, 0, CHANGED, { 0 } },
      { { "P up primary 1", "P up primary 1" },
        0,
        SPLIT,
        { "primary fresh", "unknown stale_primary" } },
      { { "P up primary 1", "P up primary 1" }, 0, QUIET, { 0 } }, /* said once */
      { { "P down primary 1", "P up primary 1" }, 1, CHANGED, { 0 } },
      { { "P up primary 1", "P up primary 1" },
        1,
        SPLIT,
        { "unknown stale_primary", "primary fresh" } },
      { { "P up replica 1", "P up primary 1" }, 1, QUIET, { 0 } },
      { { "P up primary 1", "P up primary 1" }, 1, SPLIT, { 0 } })

STORY(of_two_at_the_start_the_one_of_a_line_primary_is_taken_and_said,
      { { "R up primary 1", "P up primary 1", "P up primary 1" }, 1, CHANGED | SPLIT, { 0 } })

STORY(another_timeline_of_the_same_primary_is_told,
      { { "P up primary 1", "R up replica 1" }, 0, CHANGED, { 0 } },
      { { "P up primary 2", "R up replica 1" },
        0,
        CHANGED,
        { "primary fresh", "replica other_timeline" } })

STORY(a_demoted_one_loses_the_role, { { "P up primary 1", "R up replica 1" }, 0, CHANGED, { 0 } },
      { { "P up replica 1", "R up replica 1" }, NONE, CHANGED, { "replica fresh", NULL } })

STORY(another_cluster_is_refused_whatever_it_says,
      { { "P up primary 1", "R up primary 9@5", "R up replica 1" },
        0,
        CHANGED,
        { "primary fresh", "unknown other_cluster", "replica fresh" } },
      { { "P down primary 1", "R up primary 9@5", "R up replica 1" },
        NONE,
        CHANGED,
        { NULL, "unknown other_cluster", "replica fresh" } },
      { { "P down primary 1", "R up primary 9@5", "R down replica 1" },
        NONE,
        QUIET,
        { NULL, "unknown other_cluster", NULL } }) /* it is on a line `replica`: never */

STORY(the_first_line_primary_says_whose_cluster_it_is_even_if_it_is_down_now,
      { { "R up primary 1@5", "P down replica 1", "P up primary 1" },
        2,
        CHANGED,
        { "unknown other_cluster", "replica fresh", "primary fresh" } })

STORY(without_a_line_primary_that_says_it_the_first_primary_does,
      { { "P down nobody", "R up replica 1@5", "R up primary 1" },
        2,
        CHANGED,
        { NULL, "unknown other_cluster", "primary fresh" } })

STORY(
    a_new_cluster_takes_the_place_of_one_that_nobody_is_of_any_more,
    { { "P up primary 4", "R up replica 4" }, 0, CHANGED, { 0 } },
    { { "P up primary 1@5", "R up replica 4" },
      NONE,
      CHANGED,
      { "unknown other_cluster", "replica fresh" } },
    { { "P up primary 1@5", "R down replica 4" },
      0,
      CHANGED | ELECTION_NEW_CLUSTER,
      { "primary fresh", "unknown other_cluster" } },
    { { "P up primary 1@5", "R up replica 1@5" }, 0, QUIET, { "primary fresh", "replica fresh" } })

STORY(who_cannot_be_asked_is_what_the_configuration_says,
      { { "P up nobody", "R up nobody" },
        0,
        CHANGED,
        { "primary fresh assumed", "replica unknown assumed" } },
      { { "P down nobody", "R up nobody" },
        NONE,
        CHANGED,
        { "unknown unknown", "replica unknown assumed" } })

STORY(
    two_that_cannot_be_asked_do_not_take_turns,
    { { "P down nobody", "P up nobody" }, 1, CHANGED, { 0 } },
    { { "P up nobody", "P up nobody" }, 1, QUIET, { "unknown unknown", "primary fresh assumed" } })

STORY(who_says_that_it_is_the_primary_goes_before_who_says_nothing,
      { { "P up nobody", "R up replica 1" }, 0, CHANGED, { "primary fresh assumed", NULL } },
      { { "P up nobody", "R up primary 2" }, 1, CHANGED, { "unknown unknown", "primary fresh" } })

STORY(
    timelines_that_nobody_may_ask_do_not_count,
    { { "P up primary", "R up replica" }, 0, CHANGED, { "primary fresh", "replica fresh" } },
    { { "P up primary", "R up primary" }, 0, SPLIT, { "primary fresh", "unknown stale_primary" } },
    { { "P down primary", "R up primary" }, 1, CHANGED, { 0 } })

STORY(nobody_at_all_is_no_primary, { { "P down", "R down" }, NONE, QUIET, { 0 } })
/* clang-format on */

static void where_the_primary_was_when_it_became_so_is_kept(void)
{
    struct election e;
    struct election_place places[1];
    struct election_candidate c = candidate("P up primary 3");

    election_init(&e, 7);
    CHECK_INT(e.since_ms, 7);
    CHECK_INT(e.primary, ELECTION_NONE);
    election_judge(&e, &c, 1, 10, places);
    CHECK_INT(e.first_lsn, 3000);
    CHECK_INT(e.timeline, 3);
    CHECK_INT(e.system_id, CLUSTER);
    c.lsn = 9999;
    election_judge(&e, &c, 1, 11, places);
    CHECK_INT(e.first_lsn, 3000);
    CHECK_INT(e.since_ms, 10);
}

static void a_reload_keeps_the_primary_where_it_is_still_there(void)
{
    struct election e;
    struct election_place places[2];
    struct election_candidate c[2] = { candidate("P up primary 1"), candidate("R up replica 1") };
    uint32_t epoch;

    election_init(&e, 0);
    election_judge(&e, c, 2, 10, places);
    epoch = e.epoch;
    election_renumber(&e, (uint32_t[]){ 1, 0 }, 2, 20);
    CHECK_INT(e.primary, 1);
    CHECK_INT(e.epoch, epoch);
    CHECK_INT(e.since_ms, 10);
    election_renumber(&e, (uint32_t[]){ 0, ELECTION_NONE }, 2, 30);
    CHECK_INT(e.primary, ELECTION_NONE);
    CHECK_INT(e.epoch, epoch + 1);
    CHECK_INT(e.since_ms, 30);
    election_renumber(&e, NULL, 0, 40);
    CHECK_INT(e.since_ms, 30);
}

int main(void)
{
    RUN(the_one_not_in_recovery_is_the_primary);
    RUN(a_line_primary_in_recovery_is_a_replica_and_a_line_replica_that_is_not_is_the_primary);
    RUN(all_are_heard_before_the_first_is_chosen);
    RUN(after_a_promotion_the_newer_timeline_wins_while_the_old_primary_is_still_believed_up);
    RUN(a_replica_that_follows_a_newer_timeline_says_that_the_old_primary_is_stale);
    RUN(one_that_is_down_loses_the_role_and_gets_it_back);
    RUN(a_stale_primary_does_not_come_back_even_if_the_newer_one_is_down);
    RUN(once_the_newer_one_is_no_candidate_any_more_the_older_one_may_serve);
    RUN(of_two_on_one_timeline_the_one_that_was_the_primary_stays);
    RUN(of_two_at_the_start_the_one_of_a_line_primary_is_taken_and_said);
    RUN(another_timeline_of_the_same_primary_is_told);
    RUN(a_demoted_one_loses_the_role);
    RUN(another_cluster_is_refused_whatever_it_says);
    RUN(the_first_line_primary_says_whose_cluster_it_is_even_if_it_is_down_now);
    RUN(without_a_line_primary_that_says_it_the_first_primary_does);
    RUN(a_new_cluster_takes_the_place_of_one_that_nobody_is_of_any_more);
    RUN(who_cannot_be_asked_is_what_the_configuration_says);
    RUN(two_that_cannot_be_asked_do_not_take_turns);
    RUN(who_says_that_it_is_the_primary_goes_before_who_says_nothing);
    RUN(timelines_that_nobody_may_ask_do_not_count);
    RUN(nobody_at_all_is_no_primary);
    RUN(where_the_primary_was_when_it_became_so_is_kept);
    RUN(a_reload_keeps_the_primary_where_it_is_still_there);
    return check_report();
}
