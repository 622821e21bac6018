/* What goes into a chain comes out of it, and a long queue that is never empty takes no more memory
 * than it needs. */
#include "proxy/base/chain.h"

#include <string.h>

#include "tests/unit/check.h"

static struct chunk_pool pool;
static uint8_t bytes_of[64 * 1024];

static void begin(void)
{
    chunk_pool_init(&pool);
    for (size_t i = 0; i < sizeof(bytes_of); i++)
        bytes_of[i] = (uint8_t)(i * 7 + i / 256);
}

static void end(struct chain *c)
{
    chain_clear(c, &pool);
    CHECK_INT(pool.held_bytes, 0);
    chunk_pool_fini(&pool);
}

/* What lies at the front of the chain, from `from` on, is as much of the bytes as there is. */
static void check_holds(const struct chain *c, size_t from, size_t len)
{
    struct iovec places[64];
    int n = chain_peek(c, places, 64);

    for (int i = 0; i < n; i++) {
        size_t here = places[i].iov_len < len ? places[i].iov_len : len;

        CHECK(memcmp(places[i].iov_base, bytes_of + from, here) == 0);
        from += here;
        len -= here;
    }
    CHECK_INT(len, 0);
}

static void pieces_of_all_lengths_come_out_as_they_went_in(void)
{
    struct chain c = { 0 };
    size_t in = 0, out = 0;

    begin();
    for (size_t len = 1; in + len <= sizeof(bytes_of); in += len, len += 13) {
        chain_put(&c, &pool, bytes_of + in, len);
        if (len % 3 == 0) {
            chain_skip(&c, &pool, len / 2);
            out += len / 2;
        }
        CHECK_INT(c.len, in + len - out);
        check_holds(&c, out, c.len);
    }
    end(&c);
}

static void a_long_queue_that_goes_on_stays_in_one_chunk(void)
{
    struct chain c = { 0 };
    struct iovec places[4];
    const void *first;

    begin();
    chain_put(&c, &pool, bytes_of, 40000);
    CHECK_INT(chain_peek(&c, places, 4), 1);
    first = places[0].iov_base;
    for (int i = 0; i < 20; i++) {
        chain_skip(&c, &pool, c.len - 10000);
        chain_put(&c, &pool, bytes_of + 40000, 20000);
        CHECK_INT(chain_peek(&c, places, 4), 1);
        CHECK(places[0].iov_base == first);
        CHECK_INT(places[0].iov_len, 30000);
        CHECK(memcmp((const uint8_t *)places[0].iov_base + 10000, bytes_of + 40000, 20000) == 0);
        if (i == 0)
            CHECK(memcmp(places[0].iov_base, bytes_of + 30000, 10000) == 0);
        else
            CHECK(memcmp(places[0].iov_base, bytes_of + 50000, 10000) == 0);
    }
    end(&c);
}

int main(void)
{
    RUN(pieces_of_all_lengths_come_out_as_they_went_in);
    RUN(a_long_queue_that_goes_on_stays_in_one_chunk);
    return check_report();
}
