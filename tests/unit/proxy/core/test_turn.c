/* Many sessions in the turns of one worker, read and written together and alone. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/core/session.h"
#include "tests/unit/check.h"

enum { CROWD = 150 }; /* more than go together */

static struct worker worker;
static struct session *crowd[CROWD];
static int clients[CROWD];
static uint32_t begun, ended;
static bool with_ring;

static void begin(struct session *s)
{
    s->logged_in = true;
    crowd[begun++] = s;
}

static void end(struct session *s)
{
    (void)s;
    ended++;
}

/* Lines: "close N" closes another session, "pause N" pauses it and "go N" lets it go on; "ask" is a
 * request that is under way until the session says "answer"; another line is said again. */
static void line_of(struct session *s, struct slice line)
{
    char text[64];
    unsigned which = 0;

    snprintf(text, sizeof(text), "%.*s", (int)line.len, (const char *)line.at);
    if (sscanf(text, "close %u", &which) == 1)
        session_close(crowd[which], CLOSE_CLIENT_LEFT);
    else if (sscanf(text, "pause %u", &which) == 1)
        session_pause(crowd[which]);
    else if (sscanf(text, "go %u", &which) == 1)
        session_resume(crowd[which]);
    else if (strcmp(text, "ask\n") == 0)
        session_request_begins(s);
    else
        chain_slice(&s->out, &s->worker->chunks, line);
    if (strcmp(text, "answer\n") == 0)
        session_request_ends(s);
    session_wants_flush(s);
}

static size_t input(struct session *s, struct slice in)
{
    size_t used = 0;
    const uint8_t *stop;

    while (s->state == SESSION_READING &&
           (stop = memchr(in.at + used, '\n', in.len - used)) != NULL) {
        size_t next = (size_t)(stop - in.at) + 1;

        line_of(s, slice_of(in.at + used, next - used));
        used = next;
    }
    return used;
}

static const struct flow flow = { .session_begin = begin,
                                  .session_input = input,
                                  .session_end = end,
                                  .resumes_itself = true,
                                  .gains_by_crowds = true };

static void open_crowd(const struct session_limits *limits, struct assembly *assembly)
{
    begun = ended = 0;
    worker_init(&worker, 0, 1, assembly);
    if (with_ring)
        worker_use_ring(&worker);
    for (int i = 0; i < CROWD; i++) {
        int ends[2] = { -1, -1 };

        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        session_open(&worker, ends[0], &(struct listener_peer){ 0 }, limits, NULL);
        clients[i] = ends[1];
    }
}

static void close_crowd(void)
{
    for (int i = 0; i < CROWD; i++)
        close(clients[i]);
    while (ended < CROWD)
        worker_turn(&worker);
    worker_fini(&worker);
}

static void say(int client, const char *text)
{
    CHECK_INT(write(clients[client], text, strlen(text)), strlen(text));
}

/* Whether just that came. */
static bool hears(int client, const char *text)
{
    char got[256];
    ssize_t n = read(clients[client], got, sizeof(got));

    return n == (ssize_t)strlen(text) && memcmp(got, text, (size_t)n) == 0;
}

static void each_hears_its_own(void)
{
    char text[16];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CROWD; i++) {
            snprintf(text, sizeof(text), "%d.%d\n", round, i);
            say(i, text);
        }
        for (int turn = 0; turn < 10; turn++) { /* a loop tells of some sockets at a time */
            say(0, "x\n");
            worker_turn(&worker);
        }
        for (int i = 1; i < CROWD; i++) {
            snprintf(text, sizeof(text), "%d.%d\n", round, i);
            CHECK(hears(i, text));
        }
        while (read(clients[0], text, sizeof(text)) > 0)
            continue;
    }
}

static bool is_closed(int client)
{
    char byte;
    ssize_t n = read(clients[client], &byte, 1);

    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void one_who_is_closed_by_another_hears_nothing(void)
{
    for (int i = 0; i < 10; i++)
        say(i, i == 3 ? "close 7\n" : i == 8 ? "close 2\n" : "x\n");
    worker_turn(&worker);
    CHECK_INT(ended, 2);
    CHECK(hears(1, "x\n"));
    CHECK(hears(9, "x\n"));
    CHECK(is_closed(7));
    CHECK(is_closed(2));
}

static void one_who_is_paused_by_another_loses_nothing(void)
{
    for (int i = 10; i < 20; i++)
        say(i, i == 13 ? "pause 17\npause 11\n" : "y\n");
    worker_turn(&worker);
    CHECK(!hears(17, "y\n"));
    say(17, "z\n");
    say(13, "w\n");
    worker_turn(&worker);
    CHECK(hears(13, "w\n"));
    CHECK(!hears(17, "y\n"));
    say(13, "go 17\ngo 11\n");
    for (int turn = 0; turn < 3; turn++) {
        say(13, "w\n");
        worker_turn(&worker);
    }
    CHECK(hears(17, "y\nz\n"));
    CHECK(hears(11, "y\n"));
}

/* More than a piece, in one line: it is read to its end, and told as it is. */
static void long_pieces_come_whole(void)
{
    enum { LONG_BYTES = 5 * TURN_PIECE_BYTES + 3 };
    char *text = malloc(LONG_BYTES), *got = malloc(LONG_BYTES);
    ssize_t sum = 0, n;

    memset(text, 'l', LONG_BYTES);
    text[LONG_BYTES - 1] = '\n';
    for (int round = 0; round < 3; round++) {
        sum = 0;
        say(30, "s\n");
        CHECK_INT(write(clients[31], text, LONG_BYTES), LONG_BYTES);
        for (int turn = 0; turn < 20 && sum < LONG_BYTES; turn++) {
            say(32, "s\n");
            worker_turn(&worker);
            while ((n = read(clients[31], got + sum, (size_t)(LONG_BYTES - sum))) > 0)
                sum += n;
        }
        CHECK_INT(sum, LONG_BYTES);
        CHECK(memcmp(got, text, LONG_BYTES) == 0);
        CHECK(hears(30, "s\n"));
    }
    free(text);
    free(got);
}

/* His socket is full at some time: the others do not wait for him, and he gets all in the end. */
static void one_who_does_not_read_holds_up_nobody(void)
{
    enum { MANY = 4000 };
    char line[100], got[4096];
    size_t sum = 0;
    ssize_t n;

    memset(line, 'r', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    for (int i = 0; i < MANY; i++) {
        while (write(clients[40], line, sizeof(line)) < 0)
            worker_turn(&worker);
        if (i % 100 == 0) {
            say(41, "q\n");
            say(42, "q\n");
            worker_turn(&worker);
            CHECK(hears(41, "q\n"));
        }
    }
    CHECK(crowd[40]->conn.watching_write);
    for (int turn = 0; turn < MANY && sum < MANY * sizeof(line); turn++) {
        say(41, "q\n");
        worker_turn(&worker);
        while ((n = read(clients[40], got, sizeof(got))) > 0)
            sum += (size_t)n;
    }
    CHECK_INT(sum, MANY * sizeof(line));
}

/* In the turns within a round, see spacing.h. */
static void half_an_answer_waits_until_the_round_ends_and_a_whole_one_does_not(void)
{
    enum { WAIT_US = 300 * 1000 };
    uint64_t now_us = clock_now_us();

    say(50, "ask\nask\nanswer\n");
    say(51, "ask\nanswer\n");
    say(52, "long one\n");
    worker.crowd = worker.peak = CROWD;
    worker.spacing = (struct spacing){
        .looks = true, .wait_ns = WAIT_US * 1000, .round_us = now_us, .turn_us = now_us
    };
    worker_turn(&worker);
    CHECK(worker.holds);
    CHECK(hears(51, "answer\n"));
    CHECK(hears(52, "long one\n"));
    CHECK(!hears(50, "answer\n"));
    for (int turn = 0; turn < 2 * SPACING_LOOKS && worker.holds; turn++) {
        CHECK(!hears(50, "answer\n"));
        worker_turn(&worker);
    }
    CHECK(!worker.holds);
    CHECK(hears(50, "answer\n"));
    say(50, "answer\n");
    worker_turn(&worker);
    CHECK(hears(50, "answer\n"));
    worker.crowd = worker.peak = 0;
}

/* A round of a worker that rests, see spacing.h, which has just begun. */
static void begin_long_round(void)
{
    enum { LONG_US = 600 * 1000 * 1000 };

    worker.crowd = worker.peak = CROWD;
    worker.spacing =
        (struct spacing){ .wait_ns = (uint64_t)LONG_US * 1000, .round_us = clock_now_us() };
}

/* It could not end by the clock: the test would take ten minutes. */
static void a_rest_ends_when_who_was_answered_last_speaks(void)
{
    worker.crowd = worker.peak = 0;
    say(60, "q\n");
    worker_turn(&worker);
    CHECK(hears(60, "q\n"));
    CHECK_INT(worker.answered_fd, crowd[60]->conn.fd);
    say(60, "r\n");
    begin_long_round();
    worker_turn(&worker);
    CHECK(hears(60, "r\n"));
    CHECK_INT(worker.spacing.words, 1);
    CHECK_INT(worker.spacing.shy, 0);
    worker.crowd = worker.peak = 0;
}

static void a_rest_ends_soon_if_nobody_speaks(void)
{
    say(61, "q\n");
    worker_turn(&worker);
    CHECK(hears(61, "q\n"));
    say(62, "s\n");
    begin_long_round();
    worker_turn(&worker);
    CHECK(hears(62, "s\n"));
    CHECK_INT(worker.spacing.words, 1);
    CHECK_INT(worker.spacing.shy, SPACING_SHY);
    worker.crowd = worker.peak = 0;
}

/* Of who was heard since, or has half of its answers only, no word is waited for. */
static void who_was_heard_or_still_waits_is_not_listened_to(void)
{
    say(63, "q\n");
    worker_turn(&worker);
    CHECK_INT(worker.answered_fd, crowd[63]->conn.fd);
    say(63, "ask\n");
    worker_turn(&worker);
    CHECK_INT(worker.answered_fd, -1);
    say(63, "half\n");
    worker_turn(&worker);
    CHECK(hears(63, "q\nhalf\n"));
    CHECK_INT(worker.answered_fd, -1);
    say(63, "answer\n");
    worker_turn(&worker);
    CHECK(hears(63, "answer\n"));
    CHECK_INT(worker.answered_fd, crowd[63]->conn.fd);
}

static void run_all(void)
{
    struct snapshot snapshot = {
        .proxy = { .max_memory_bytes = 1 << 30, .max_sessions = CROWD, .io_uring = true }
    };
    struct assembly assembly = { .refs = 2, .snapshot = &snapshot };
    struct slab slab = { .size = sizeof(struct session) };
    atomic_uint sessions = 0;
    struct session_limits limits = {
        .flow = &flow, .slab = &slab, .sessions = &sessions, .max_bytes = 1 << 30
    };

    open_crowd(&limits, &assembly);
    RUN(each_hears_its_own);
    RUN(one_who_is_closed_by_another_hears_nothing);
    RUN(one_who_is_paused_by_another_loses_nothing);
    RUN(long_pieces_come_whole);
    RUN(one_who_does_not_read_holds_up_nobody);
    RUN(half_an_answer_waits_until_the_round_ends_and_a_whole_one_does_not);
    RUN(a_rest_ends_when_who_was_answered_last_speaks);
    RUN(a_rest_ends_soon_if_nobody_speaks);
    RUN(who_was_heard_or_still_waits_is_not_listened_to);
    close_crowd();
    slab_fini(&slab);
}

int main(void)
{
    run_all();
    with_ring = true; /* the same without, where the kernel has none */
    run_all();
    return check_report();
}
