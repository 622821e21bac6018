#include "health/follow.h"

#include "tests/unit/check.h"

/* A new sight of a replica that receives by process 7 and moves along, unless `but` says otherwise:
 * "old" sight, "other" process, "none", "later" primary, "crowded" by a stale one, "apart". */
static bool see(struct follow *f, const char *but)
{
    struct follow_sight sight = {
        .is_new = strcmp(but, "old") != 0,
        .epoch = strcmp(but, "later") == 0 ? 3 : 2,
        .receiver_pid = strcmp(but, "none") == 0    ? 0
                        : strcmp(but, "other") == 0 ? 8
                                                    : 7,
        .is_alone = strcmp(but, "crowded") != 0,
        .moves_along = strcmp(but, "apart") != 0,
    };

    return follow_judge(f, &sight);
}

static void it_follows_after_some_sights_that_agree(void)
{
    struct follow f = { 0 };

    CHECK(!see(&f, ""));
    CHECK(!see(&f, "old"));
    CHECK(!see(&f, ""));
    CHECK(!see(&f, "old"));
    CHECK(see(&f, ""));
    CHECK(see(&f, "old"));
    CHECK(see(&f, "apart")); /* it lags: that is another question */
}

static void one_that_does_not_move_along_does_not_follow(void)
{
    struct follow f = { 0 };

    for (int i = 0; i < 10; i++)
        CHECK(!see(&f, "apart"));
    CHECK(see(&f, "old"));
}

static void whatever_changes_begins_it_anew(void)
{
    static const char *const CHANGES[] = { "other", "none", "later", "crowded" };

    for (size_t i = 0; i < sizeof(CHANGES) / sizeof(CHANGES[0]); i++) {
        struct follow f = { 0 };

        see(&f, "");
        see(&f, "");
        CHECK(see(&f, ""));
        CHECK(!see(&f, CHANGES[i]));
        CHECK(!see(&f, ""));
        CHECK(!see(&f, ""));
        CHECK(see(&f, ""));
    }
}

static void what_receives_nothing_or_is_not_alone_never_does(void)
{
    struct follow f = { 0 }, g = { 0 };

    for (int i = 0; i < 10; i++) {
        CHECK(!see(&f, "none"));
        CHECK(!see(&g, "crowded"));
    }
}

int main(void)
{
    RUN(it_follows_after_some_sights_that_agree);
    RUN(one_that_does_not_move_along_does_not_follow);
    RUN(whatever_changes_begins_it_anew);
    RUN(what_receives_nothing_or_is_not_alone_never_does);
    return check_report();
}
