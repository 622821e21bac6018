#include "proxy/core/leavers.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/check.h"

struct pair {
    int here, there;
};

static struct pair connect_pair(void)
{
    int fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    return (struct pair){ fds[0], fds[1] };
}

/* Those that are gone are so many, and this is the first of them. */
static size_t find(struct leavers *l, uint64_t *first)
{
    size_t found;
    uint64_t *ids = leavers_find(l, &found);

    *first = found > 0 ? ids[0] : 0;
    free(ids);
    return found;
}

static void who_stays_is_not_told(void)
{
    struct leavers *l = leavers_open("server");
    struct pair p = connect_pair();
    struct leaver *leaver = leavers_watch(l, p.here, 7);
    uint64_t id;

    CHECK(leavers_count(l) == 1);
    CHECK(find(l, &id) == 0);
    CHECK(write(p.there, "PING\r\n", 6) == 6);
    CHECK(find(l, &id) == 0);
    CHECK(!leavers_forget(l, &leaver));
    CHECK(leaver == NULL);
    CHECK(leavers_count(l) == 0);
    close(p.here);
    close(p.there);
    leavers_close(&l);
}

static void who_left_is_told_to_all_who_ask(void)
{
    struct leavers *l = leavers_open("server");
    struct pair p = connect_pair();
    struct leaver *leaver = leavers_watch(l, p.here, 7);
    uint64_t id;

    close(p.there);
    for (int i = 0; i < 3; i++) {
        id = 0;
        CHECK(find(l, &id) == 1);
        CHECK(id == 7);
    }
    CHECK(leavers_forget(l, &leaver));
    CHECK(find(l, &id) == 0);
    close(p.here);
    leavers_close(&l);
}

static void who_was_noted_is_told_after_the_socket_is_closed(void)
{
    struct leavers *l = leavers_open("server");
    struct pair p = connect_pair();
    struct leaver *leaver = leavers_watch(l, p.here, 9);
    uint64_t id;

    leavers_note(l, leaver);
    close(p.here);
    CHECK(find(l, &id) == 1);
    CHECK(id == 9);
    CHECK(leavers_forget(l, &leaver));
    CHECK(find(l, &id) == 0);
    close(p.there);
    leavers_close(&l);
}

static void many_are_told_at_once(void)
{
    enum { MANY = 200 };
    struct leavers *l = leavers_open("server");
    struct leaver *leavers[MANY];
    struct pair pairs[MANY];
    uint64_t *ids, sum = 0;
    size_t found;

    for (int i = 0; i < MANY; i++) {
        pairs[i] = connect_pair();
        leavers[i] = leavers_watch(l, pairs[i].here, (uint64_t)i + 1);
        close(pairs[i].there);
    }
    leavers_note(l, leavers[MANY / 2]);
    ids = leavers_find(l, &found);
    CHECK(found == MANY);
    for (size_t i = 0; i < found; i++)
        sum += ids[i];
    free(ids);
    CHECK(sum == MANY * (MANY + 1) / 2);
    for (int i = 0; i < MANY; i++) {
        CHECK(leavers_forget(l, &leavers[i]));
        close(pairs[i].here);
    }
    leavers_close(&l);
}

static void an_endpoint_has_one_and_others_have_theirs(void)
{
    struct leavers *one = leavers_open("a"), *same = leavers_open("a"), *other = leavers_open("b");
    struct pair p = connect_pair();
    struct leaver *leaver = leavers_watch(one, p.here, 3);

    CHECK(one == same);
    CHECK(one != other);
    leavers_close(&one);
    CHECK(leavers_count(same) == 1);
    CHECK(leavers_count(other) == 0);
    leavers_forget(same, &leaver);
    leavers_close(&same);
    leavers_close(&other);
    close(p.here);
    close(p.there);
}

int main(void)
{
    RUN(who_stays_is_not_told);
    RUN(who_left_is_told_to_all_who_ask);
    RUN(who_was_noted_is_told_after_the_socket_is_closed);
    RUN(many_are_told_at_once);
    RUN(an_endpoint_has_one_and_others_have_theirs);
    return check_report();
}
