/* Many sends and receives by one call, against sockets that take all, some or nothing. */
#include <errno.h>
#include <unistd.h>

#include "proxy/io/ring.h"
#include "tests/unit/check.h"

static struct ring ring;

struct pair {
    int near, far;
};

static struct pair pair_open(void)
{
    int ends[2] = { -1, -1 };

    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    return (struct pair){ ends[0], ends[1] };
}

static void pair_close(struct pair p)
{
    close(p.near);
    close(p.far);
}

static uint32_t send_text(int fd, const char *text)
{
    struct iovec place = { (void *)text, strlen(text) };

    return ring_send(&ring, fd, &place, 1);
}

static void each_gets_its_own(void)
{
    struct pair pairs[RING_MOST];
    char text[RING_MOST][8], got[RING_MOST][8];

    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < RING_MOST; i++) {
            pairs[i] = pair_open();
            snprintf(text[i], sizeof(text[i]), "%d.%d", round, i);
            CHECK(ring_has_room(&ring));
            CHECK_INT(send_text(pairs[i].near, text[i]), i);
        }
        CHECK(!ring_has_room(&ring));
        ring_submit(&ring);
        for (int i = 0; i < RING_MOST; i++)
            CHECK_INT(ring_result(&ring, (uint32_t)i), strlen(text[i]));
        for (int i = 0; i < RING_MOST; i++)
            CHECK_INT(ring_receive(&ring, pairs[i].far, got[i], sizeof(got[i])), i);
        ring_submit(&ring);
        for (int i = 0; i < RING_MOST; i++) {
            CHECK_BYTES(slice_of(got[i], (size_t)ring_result(&ring, (uint32_t)i)),
                        slice_text(text[i]));
            pair_close(pairs[i]);
        }
    }
}

static void what_lies_in_several_places_is_sent_as_one(void)
{
    struct pair p = pair_open();
    struct iovec places[RING_PLACES] = { { "on", 2 }, { "e ", 2 }, { "te", 2 }, { "xt", 2 } };
    char got[16];

    ring_send(&ring, p.near, places, RING_PLACES);
    memset(places, 0, sizeof(places)); /* they are the ring's now */
    ring_receive(&ring, p.far, got, sizeof(got));
    ring_submit(&ring);
    CHECK_INT(ring_result(&ring, 0), 8);
    CHECK_BYTES(slice_of(got, (size_t)ring_result(&ring, 1)), bytes("one text"));
    pair_close(p);
}

static void nothing_is_waited_for(void)
{
    static char much[4 << 20];
    struct pair p = pair_open(), gone = pair_open(), ended = pair_open();
    struct iovec place = { much, sizeof(much) };
    char got[16];

    close(gone.far);
    shutdown(ended.far, SHUT_WR);
    ring_send(&ring, p.near, &place, 1);
    ring_send(&ring, p.near, &place, 1);
    ring_receive(&ring, p.near, got, sizeof(got));
    send_text(gone.near, "text");
    ring_receive(&ring, ended.near, got, sizeof(got));
    ring_receive(&ring, -1, got, sizeof(got));
    ring_submit(&ring);
    CHECK(ring_result(&ring, 0) > 0 && ring_result(&ring, 0) < (int)sizeof(much));
    CHECK_INT(ring_result(&ring, 1), -EAGAIN);
    CHECK_INT(ring_result(&ring, 2), -EAGAIN);
    CHECK_INT(ring_result(&ring, 3), -EPIPE);
    CHECK_INT(ring_result(&ring, 4), 0);
    CHECK_INT(ring_result(&ring, 5), -EBADF);
    close(gone.near);
    pair_close(p);
    pair_close(ended);
}

static void none_is_an_answer_too(void)
{
    ring_submit(&ring);
    CHECK_INT(ring.count, 0);
}

int main(void)
{
    ring_open(&ring);
    if (ring.fd < 0) {
        printf("the kernel has no io_uring here: %s\n", strerror(errno));
        return check_report();
    }
    RUN(each_gets_its_own);
    RUN(what_lies_in_several_places_is_sent_as_one);
    RUN(nothing_is_waited_for);
    RUN(none_is_an_answer_too);
    ring_close(&ring);
    CHECK_INT(ring.fd, -1);
    return check_report();
}
