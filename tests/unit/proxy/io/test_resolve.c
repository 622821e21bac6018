/* The lookup is this test's own, behind a gate, so each case decides when it answers and what. */
#include "proxy/io/resolve.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "tests/unit/check.h"

#define PATIENCE_US 10000000

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_open;
    bool fails;
    uint8_t last_byte; /* of the address that is answered */
    unsigned begun, ended;
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static enum err gated_lookup(const char *host, struct resolve_list *list, const char **why)
{
    enum err err;

    (void)host;
    pthread_mutex_lock(&gate.lock);
    gate.begun++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.is_open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    err = gate.fails ? ERR_RESOLVE : ERR_NONE;
    *why = "the test said no";
    list->count = 2;
    for (size_t i = 0; i < 2; i++)
        list->item[i] = (struct resolve_address){
            .at.v4 = { .sin_family = AF_INET,
                       .sin_addr.s_addr = htonl(0x0A000000u + gate.last_byte + (uint32_t)i) },
            .len = sizeof(struct sockaddr_in)
        };
    gate.ended++;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    return err;
}

static void set_gate(bool is_open, bool fails, uint8_t last_byte)
{
    pthread_mutex_lock(&gate.lock);
    gate.is_open = is_open;
    gate.fails = fails;
    gate.last_byte = last_byte;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static unsigned begun(void)
{
    unsigned count;

    pthread_mutex_lock(&gate.lock);
    count = gate.begun;
    pthread_mutex_unlock(&gate.lock);
    return count;
}

static unsigned ended(void)
{
    unsigned count;

    pthread_mutex_lock(&gate.lock);
    count = gate.ended;
    pthread_mutex_unlock(&gate.lock);
    return count;
}

static void wait_until_begun(unsigned count)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.begun < count)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void wait_until_ended(unsigned count)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.ended < count)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

struct scene {
    struct resolver *resolver;
    struct event_base *base;
    struct resolve_desk *desk;
};

static struct scene begin(resolve_lookup_f *lookup, uint64_t ttl_ms, uint64_t rest_ms)
{
    struct scene s = { 0 };

    gate.begun = gate.ended = 0;
    s.base = event_base_new();
    CHECK_INT(resolver_start(&(struct resolve_settings){ .ttl_ms = ttl_ms,
                                                         .refresh_rest_ms = rest_ms,
                                                         .lookup = lookup },
                             &s.resolver),
              ERR_NONE);
    CHECK_INT(resolve_desk_open(s.resolver, s.base, &s.desk), ERR_NONE);
    return s;
}

static void end(struct scene *s)
{
    resolve_desk_close(&s->desk);
    resolver_stop(&s->resolver);
    event_base_free(s->base);
}

/* What the callback was told. */
struct told {
    unsigned calls;
    uint64_t ticket;
    enum err err;
    struct resolve_list list;
    const char *why;
};

static void tell(void *arg, uint64_t ticket, enum err err, const struct resolve_list *list,
                 const char *why)
{
    struct told *t = arg;

    t->calls++;
    t->ticket = ticket;
    t->err = err;
    t->why = why;
    if (list != NULL)
        t->list = *list;
}

static void wait_for_calls(struct scene *s, const struct told *t, unsigned calls)
{
    uint64_t until_us = clock_now_us() + PATIENCE_US;
    struct timeval moment = { .tv_usec = 20000 };

    while (t->calls < calls && clock_now_us() < until_us) {
        event_base_loopexit(s->base, &moment);
        event_base_loop(s->base, EVLOOP_ONCE);
    }
    CHECK_INT(t->calls, calls);
}

static const char *shown(const struct resolve_address *a)
{
    static char text[4][80];
    static unsigned next;
    char host[INET6_ADDRSTRLEN];
    char *to = text[next++ % 4];

    if (a->at.any.sa_family == AF_INET)
        snprintf(to, 80, "%s %d", inet_ntop(AF_INET, &a->at.v4.sin_addr, host, sizeof(host)),
                 ntohs(a->at.v4.sin_port));
    else
        snprintf(to, 80, "%s %d", inet_ntop(AF_INET6, &a->at.v6.sin6_addr, host, sizeof(host)),
                 ntohs(a->at.v6.sin6_port));
    return to;
}

static void literals_are_answered_at_once(void)
{
    struct scene s = begin(gated_lookup, 0, 0);
    struct resolve_list list;
    uint64_t ticket;

    CHECK_INT(resolve_ask(s.desk, "127.0.0.1", 6379, &list, tell, NULL, &ticket), ERR_NONE);
    CHECK_INT(list.count, 1);
    CHECK_TEXT(shown(&list.item[0]), "127.0.0.1 6379");
    CHECK_INT(resolve_ask(s.desk, "::1", 1, &list, tell, NULL, &ticket), ERR_NONE);
    CHECK_TEXT(shown(&list.item[0]), "::1 1");
    CHECK_INT(resolve_ask(s.desk, "[fd00::5]", 65535, &list, tell, NULL, &ticket), ERR_NONE);
    CHECK_TEXT(shown(&list.item[0]), "fd00::5 65535");
    CHECK_INT(begun(), 0);
    end(&s);
}

static void what_can_be_no_name_is_refused(void)
{
    struct scene s = begin(gated_lookup, 0, 0);
    struct resolve_list list;
    char host[300];
    uint64_t ticket;

    memset(host, 'a', sizeof(host));
    host[256] = '\0';
    CHECK_INT(resolve_ask(s.desk, host, 1, &list, tell, NULL, &ticket), ERR_RESOLVE);
    CHECK_INT(resolve_ask(s.desk, "", 1, &list, tell, NULL, &ticket), ERR_RESOLVE);
    end(&s);
}

static void the_systems_names_are_found(void)
{
    struct scene s = begin(NULL, 0, 0);
    struct resolve_list list;
    struct told t = { 0 };
    uint64_t ticket = 0;

    CHECK_INT(resolve_ask(s.desk, "localhost", 6379, &list, tell, &t, &ticket), ERR_AGAIN);
    wait_for_calls(&s, &t, 1);
    CHECK_INT(t.ticket, ticket);
    CHECK_INT(t.err, ERR_NONE);
    CHECK(t.list.count > 0 && (strcmp(shown(&t.list.item[0]), "127.0.0.1 6379") == 0 ||
                               strcmp(shown(&t.list.item[0]), "::1 6379") == 0));
    end(&s);
}

static void one_lookup_serves_all_who_ask(void)
{
    struct scene s = begin(gated_lookup, 0, 0);
    struct resolve_list list;
    struct told one = { 0 }, two = { 0 };
    uint64_t ticket_one = 0, ticket_two = 0;

    set_gate(false, false, 7);
    CHECK_INT(resolve_ask(s.desk, "redis-1", 6379, &list, tell, &one, &ticket_one), ERR_AGAIN);
    CHECK_INT(resolve_ask(s.desk, "REDIS-1", 6380, &list, tell, &two, &ticket_two), ERR_AGAIN);
    CHECK(ticket_one != ticket_two);
    set_gate(true, false, 7);
    wait_for_calls(&s, &one, 1);
    wait_for_calls(&s, &two, 1);
    CHECK_INT(one.list.count, 2);
    CHECK_TEXT(shown(&one.list.item[0]), "10.0.0.7 6379");
    CHECK_TEXT(shown(&one.list.item[1]), "10.0.0.8 6379");
    CHECK_TEXT(shown(&two.list.item[1]), "10.0.0.8 6380");
    CHECK_INT(begun(), 1);
    /* Now it is known. */
    CHECK_INT(resolve_ask(s.desk, "redis-1", 9, &list, tell, &one, &ticket_one), ERR_NONE);
    CHECK_TEXT(shown(&list.item[0]), "10.0.0.7 9");
    end(&s);
}

static void a_first_answer_that_fails_is_told_and_asked_again_the_next_time(void)
{
    struct scene s = begin(gated_lookup, 0, 0);
    struct resolve_list list;
    struct told t = { 0 };
    uint64_t ticket;

    set_gate(true, true, 1);
    CHECK_INT(resolve_ask(s.desk, "redis-1", 1, &list, tell, &t, &ticket), ERR_AGAIN);
    wait_for_calls(&s, &t, 1);
    CHECK_INT(t.err, ERR_RESOLVE);
    CHECK_TEXT(t.why, "the test said no");
    set_gate(true, false, 1);
    CHECK_INT(resolve_ask(s.desk, "redis-1", 1, &list, tell, &t, &ticket), ERR_AGAIN);
    wait_for_calls(&s, &t, 2);
    CHECK_INT(t.err, ERR_NONE);
    end(&s);
}

/* Asks until the known answer is this one. */
static void wait_for_address(struct scene *s, const char *expected)
{
    uint64_t until_us = clock_now_us() + PATIENCE_US, ticket;
    struct resolve_list list = { 0 };

    do {
        CHECK_INT(resolve_ask(s->desk, "redis-1", 1, &list, tell, NULL, &ticket), ERR_NONE);
        sched_yield();
    } while (strcmp(shown(&list.item[0]), expected) != 0 && clock_now_us() < until_us);
    CHECK_TEXT(shown(&list.item[0]), expected);
}

static void an_old_answer_is_given_while_a_newer_is_fetched(void)
{
    struct scene s = begin(gated_lookup, 1, 1);
    struct resolve_list list;
    struct told t = { 0 };
    uint64_t ticket;

    set_gate(true, false, 1);
    CHECK_INT(resolve_ask(s.desk, "redis-1", 1, &list, tell, &t, &ticket), ERR_AGAIN);
    wait_for_calls(&s, &t, 1);
    set_gate(false, false, 50);
    while (begun() < 2) /* until the ttl is over and a lookup begins */
        wait_for_address(&s, "10.0.0.1 1");
    wait_for_address(&s, "10.0.0.1 1");
    set_gate(true, false, 50);
    wait_for_address(&s, "10.0.0.50 1");
    end(&s);
}

static void the_last_good_answer_outlives_failures(void)
{
    struct scene s = begin(gated_lookup, 1, 1);
    struct resolve_list list;
    struct told t = { 0 };
    uint64_t ticket;

    set_gate(true, false, 1);
    CHECK_INT(resolve_ask(s.desk, "redis-1", 1, &list, tell, &t, &ticket), ERR_AGAIN);
    wait_for_calls(&s, &t, 1);
    set_gate(true, true, 99);
    for (unsigned n = 3; n < 6; n++) {
        while (ended() < n)
            wait_for_address(&s, "10.0.0.1 1");
    }
    wait_for_address(&s, "10.0.0.1 1");
    end(&s);
}

static void a_failed_connect_has_the_name_looked_up_before_its_ttl(void)
{
    struct scene s = begin(gated_lookup, 3600000, 1);
    struct resolve_list list;
    struct told t = { 0 };
    uint64_t ticket, until_us = clock_now_us() + PATIENCE_US;

    set_gate(true, false, 1);
    CHECK_INT(resolve_ask(s.desk, "redis-1", 1, &list, tell, &t, &ticket), ERR_AGAIN);
    wait_for_calls(&s, &t, 1);
    set_gate(true, false, 2);
    wait_for_address(&s, "10.0.0.1 1");
    while (begun() < 2 && clock_now_us() < until_us)
        resolve_refresh(s.desk, "redis-1"); /* heeded once the rest of 1 ms is over */
    wait_for_address(&s, "10.0.0.2 1");
    end(&s);
}

static void a_refresh_does_not_come_before_the_rest_is_over(void)
{
    struct scene s = begin(gated_lookup, 3600000, 3600000);
    struct resolve_list list;
    struct told t = { 0 };
    uint64_t ticket;

    set_gate(true, false, 1);
    CHECK_INT(resolve_ask(s.desk, "redis-1", 1, &list, tell, &t, &ticket), ERR_AGAIN);
    wait_for_calls(&s, &t, 1);
    resolve_refresh(s.desk, "redis-1");
    resolve_refresh(s.desk, "unknown");
    /* Another name asked for afterwards is the very next lookup. */
    CHECK_INT(resolve_ask(s.desk, "redis-2", 1, &list, tell, &t, &ticket), ERR_AGAIN);
    wait_for_calls(&s, &t, 2);
    CHECK_INT(begun(), 2);
    end(&s);
}

static void a_cancelled_ask_is_not_answered(void)
{
    struct scene s = begin(gated_lookup, 0, 0);
    struct resolve_list list;
    struct told gone = { 0 }, there = { 0 };
    uint64_t ticket;

    set_gate(false, false, 1);
    CHECK_INT(resolve_ask(s.desk, "redis-1", 1, &list, tell, &gone, &ticket), ERR_AGAIN);
    resolve_cancel(s.desk, ticket);
    resolve_cancel(s.desk, ticket);
    CHECK_INT(resolve_ask(s.desk, "redis-1", 1, &list, tell, &there, &ticket), ERR_AGAIN);
    set_gate(true, false, 1);
    wait_for_calls(&s, &there, 1);
    CHECK_INT(gone.calls, 0);
    /* Cancelled when the answer is in the inbox already. */
    set_gate(false, false, 1);
    CHECK_INT(resolve_ask(s.desk, "redis-2", 1, &list, tell, &gone, &ticket), ERR_AGAIN);
    set_gate(true, false, 1);
    wait_until_ended(2);
    resolve_cancel(s.desk, ticket);
    CHECK_INT(resolve_ask(s.desk, "redis-3", 1, &list, tell, &there, &ticket), ERR_AGAIN);
    wait_for_calls(&s, &there, 2);
    CHECK_INT(gone.calls, 0);
    end(&s);
}

static void a_desk_can_close_while_it_waits(void)
{
    struct scene s = begin(gated_lookup, 0, 0);
    struct resolve_desk *other = NULL;
    struct resolve_list list;
    struct told gone = { 0 }, there = { 0 };
    uint64_t ticket;

    CHECK_INT(resolve_desk_open(s.resolver, s.base, &other), ERR_NONE);
    set_gate(false, false, 1);
    CHECK_INT(resolve_ask(other, "redis-1", 1, &list, tell, &gone, &ticket), ERR_AGAIN);
    CHECK_INT(resolve_ask(s.desk, "redis-1", 1, &list, tell, &there, &ticket), ERR_AGAIN);
    wait_until_begun(1);
    resolve_desk_close(&other);
    set_gate(true, false, 1);
    wait_for_calls(&s, &there, 1);
    CHECK_INT(gone.calls, 0);
    end(&s);
}

static void too_many_names_that_wait_are_refused(void)
{
    struct scene s = begin(gated_lookup, 0, 0);
    struct resolve_list list;
    struct told t = { 0 };
    uint64_t ticket;
    char host[32];

    set_gate(false, false, 1);
    for (int i = 0; i < RESOLVE_MOST_NAMES; i++) {
        snprintf(host, sizeof(host), "redis-%d", i);
        CHECK_INT(resolve_ask(s.desk, host, 1, &list, tell, &t, &ticket), ERR_AGAIN);
    }
    CHECK_INT(resolve_ask(s.desk, "one-more", 1, &list, tell, &t, &ticket), ERR_LIMIT);
    set_gate(true, false, 1);
    wait_for_calls(&s, &t, RESOLVE_MOST_NAMES);
    CHECK_INT(resolve_ask(s.desk, "one-more", 1, &list, tell, &t, &ticket), ERR_AGAIN);
    wait_for_calls(&s, &t, RESOLVE_MOST_NAMES + 1);
    CHECK_INT(t.err, ERR_NONE);
    end(&s);
}

static void a_thread_may_wait_until_its_deadline(void)
{
    struct scene s = begin(gated_lookup, 0, 0);
    struct resolve_list list = { 0 };
    const char *why = NULL;
    uint64_t later_us = clock_now_us() + PATIENCE_US;

    set_gate(false, false, 1);
    CHECK_INT(resolve_wait(s.resolver, "redis-1", 1, clock_now_us() + 10000, &list, &why),
              ERR_TIMEOUT);
    CHECK_TEXT(why, "no answer in time");
    CHECK_INT(list.count, 0);
    set_gate(true, true, 1);
    CHECK_INT(resolve_wait(s.resolver, "redis-1", 1, later_us, &list, &why), ERR_RESOLVE);
    CHECK_TEXT(why, "the test said no");
    set_gate(true, false, 1);
    CHECK_INT(resolve_wait(s.resolver, "redis-1", 5, later_us, &list, &why), ERR_NONE);
    CHECK_TEXT(shown(&list.item[0]), "10.0.0.1 5");
    CHECK_INT(resolve_wait(NULL, "10.0.0.9", 5, 0, &list, &why), ERR_NONE);
    CHECK_TEXT(shown(&list.item[0]), "10.0.0.9 5");
    end(&s);
}

static void a_lookup_that_hangs_does_not_hold_up_the_end(void)
{
    struct scene s = begin(gated_lookup, 0, 0);
    struct resolve_list list;
    uint64_t ticket, begun_us;

    set_gate(false, false, 1);
    CHECK_INT(resolve_ask(s.desk, "redis-1", 1, &list, tell, NULL, &ticket), ERR_AGAIN);
    wait_until_begun(1);
    begun_us = clock_now_us();
    end(&s);
    CHECK(clock_now_us() - begun_us < PATIENCE_US / 2);
    set_gate(true, false, 1); /* the thread goes, and takes its memory along */
    wait_until_ended(1);
}

int main(void)
{
    RUN(literals_are_answered_at_once);
    RUN(what_can_be_no_name_is_refused);
    RUN(the_systems_names_are_found);
    RUN(one_lookup_serves_all_who_ask);
    RUN(a_first_answer_that_fails_is_told_and_asked_again_the_next_time);
    RUN(an_old_answer_is_given_while_a_newer_is_fetched);
    RUN(the_last_good_answer_outlives_failures);
    RUN(a_failed_connect_has_the_name_looked_up_before_its_ttl);
    RUN(a_refresh_does_not_come_before_the_rest_is_over);
    RUN(a_cancelled_ask_is_not_answered);
    RUN(a_desk_can_close_while_it_waits);
    RUN(too_many_names_that_wait_are_refused);
    RUN(a_thread_may_wait_until_its_deadline);
    RUN(a_lookup_that_hangs_does_not_hold_up_the_end);
    return check_report();
}
