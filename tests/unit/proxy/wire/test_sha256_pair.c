/* Streams that are hashed two at a time, in pieces of any length and in any order, have the hashes
 * that OpenSSL gives them, with the processor's instructions and without. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proxy/wire/sha256_pair.h"

#include <string.h>

#include "proxy/wire/checksum.h"
#include "proxy/wire/sha256_whole.h"
#include "tests/unit/check.h"

enum { STREAMS = 4, PIECES = 4000 };

static uint64_t random_state;

static uint32_t roll(uint32_t below)
{
    random_state = random_state * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)(random_state >> 33) % below;
}

/* Mostly around the edges of blocks. */
static size_t roll_length(void)
{
    switch (roll(4)) {
    case 0:
        return roll(3);
    case 1:
        return 64 * roll(4) + roll(3);
    case 2:
        return roll(300);
    default:
        return roll(3000);
    }
}

static void put(uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)roll(256);
}

struct both {
    struct sha256_stream stream;
    SHA256_CTX oracle;
};

static void begin(struct both *b)
{
    sha256_stream_init(&b->stream);
    SHA256_Init(&b->oracle);
}

static void check_hash(struct both *b)
{
    uint8_t found[32], expected[32];
    SHA256_CTX oracle = b->oracle;

    SHA256_Final(expected, &oracle);
    sha256_stream_tell(&b->stream, found);
    CHECK_BYTES(slice_of(found, 32), slice_of(expected, 32));
}

/* One piece more: mostly by the room, else at once. */
static void give(struct both *b, struct sha256_pair *pair)
{
    size_t len = roll_length();

    if (roll(5) > 0) {
        uint8_t *at = sha256_pair_room(pair);

        put(at, len);
        SHA256_Update(&b->oracle, at, len);
        sha256_stream_took(&b->stream, pair, len);
    } else {
        uint8_t bytes[3000];

        put(bytes, len);
        SHA256_Update(&b->oracle, bytes, len);
        sha256_stream_add(&b->stream, slice_of(bytes, len));
        memset(bytes, 0, sizeof(bytes));
    }
}

static void try_pieces(bool is_native)
{
    struct both all[STREAMS];
    struct sha256_pair pair;

    sha256_pair_init(&pair, is_native);
    for (size_t i = 0; i < STREAMS; i++)
        begin(&all[i]);
    for (size_t n = 0; n < PIECES; n++) {
        struct both *b = &all[roll(STREAMS)];

        give(b, &pair);
        if (roll(20) == 0)
            check_hash(b);
        if (roll(50) == 0) {
            sha256_stream_leave(&b->stream);
            memset(&b->stream, 0xee, sizeof(b->stream));
            begin(b);
        }
        if (roll(100) == 0)
            (void)sha256_pair_trim(&pair);
    }
    for (size_t i = 0; i < STREAMS; i++)
        check_hash(&all[i]);
    CHECK(pair.waiting == NULL);
    sha256_pair_fini(&pair);
}

static void pieces_of_several_streams_in_any_order_have_the_hashes_that_openssl_gives_them(void)
{
    for (uint64_t seed = 1; seed < 5; seed++) {
        random_state = seed;
        try_pieces(sha256_whole_is_native());
    }
}

static void without_the_instructions_they_are_the_same_and_nothing_waits(void)
{
    struct sha256_pair pair;
    struct both b;

    random_state = 7;
    try_pieces(false);
    sha256_pair_init(&pair, false);
    begin(&b);
    memset(sha256_pair_room(&pair), 1, 4096);
    sha256_stream_took(&b.stream, &pair, 4096);
    CHECK(pair.waiting == NULL && b.stream.pair == NULL);
    sha256_pair_fini(&pair);
}

static void take(struct both *b, struct sha256_pair *pair, size_t len)
{
    uint8_t *at = sha256_pair_room(pair);

    put(at, len);
    SHA256_Update(&b->oracle, at, len);
    sha256_stream_took(&b->stream, pair, len);
}

/* As much of the longer piece as the shorter one has no blocks for waits for the next. */
static void what_is_longer_waits_with_its_rest(void)
{
    struct sha256_pair pair;
    struct both one, other;

    if (!sha256_whole_is_native())
        return;
    sha256_pair_init(&pair, true);
    begin(&one);
    begin(&other);
    take(&one, &pair, SHA256_PAIR_BYTES);
    CHECK(pair.waiting == &one.stream);
    CHECK_INT(pair.rest.len, SHA256_PAIR_BYTES);
    take(&other, &pair, 1000);
    CHECK(pair.waiting == &one.stream && other.stream.pair == NULL);
    CHECK_INT(pair.rest.len, SHA256_PAIR_BYTES - 960);
    take(&other, &pair, SHA256_PAIR_BYTES);
    CHECK(pair.waiting == &other.stream && one.stream.pair == NULL);
    CHECK_INT(pair.rest.len, 960 - 24);
    check_hash(&one);
    CHECK(pair.waiting == &other.stream);
    check_hash(&other);
    CHECK(pair.waiting == NULL);
    sha256_pair_fini(&pair);
}

/* Its memory is another's by then. */
static void of_a_stream_that_left_nothing_is_touched_any_more(void)
{
    struct sha256_pair pair;
    struct both one, other;
    struct sha256_stream gone;

    sha256_pair_init(&pair, sha256_whole_is_native());
    begin(&one);
    begin(&other);
    take(&one, &pair, 5000);
    sha256_stream_leave(&one.stream);
    memset(&one.stream, 0xee, sizeof(one.stream));
    gone = one.stream;
    take(&other, &pair, 5000);
    check_hash(&other);
    CHECK(memcmp(&gone, &one.stream, sizeof(gone)) == 0);
    sha256_pair_fini(&pair);
}

static void rooms_are_given_back_when_nothing_needed_them_for_a_while(void)
{
    struct sha256_pair pair;
    struct both b;

    sha256_pair_init(&pair, sha256_whole_is_native());
    CHECK_INT(sha256_pair_trim(&pair), 0);
    begin(&b);
    take(&b, &pair, 200);
    CHECK_INT(sha256_pair_trim(&pair), 0);
    if (pair.waiting != NULL)
        CHECK_INT(sha256_pair_trim(&pair), 0); /* a piece lies there */
    check_hash(&b);
    CHECK_INT(sha256_pair_trim(&pair), 2 * SHA256_PAIR_BYTES);
    CHECK(pair.rooms == NULL);
    sha256_pair_fini(&pair);
}

/* Of a set the other kinds are computed at once; a wrong one among several is found, and alone. */
static void sets_of_checksums_are_compared_with_all_their_bytes(void)
{
    struct checksum_set sets[STREAMS] = { 0 };
    struct s3_fault fault = { 0 };
    struct sha256_pair pair;
    uint8_t bytes[2000], hash[32];
    char hex[65] = "";

    sha256_pair_init(&pair, sha256_whole_is_native());
    put(bytes, sizeof(bytes));
    SHA256(bytes, sizeof(bytes), hash);
    for (size_t i = 0; i < STREAMS; i++) {
        digest_hex(slice_of(hash, 32), hex);
        if (i == 2)
            memcpy(hex + 62, memcmp(hex + 62, "00", 2) == 0 ? "01" : "00", 2);
        CHECK_INT(checksum_set_declare(&sets[i], CHECKSUM_PAYLOAD, slice_text(hex), &fault),
                  S3_NONE);
        checksum_set_want(&sets[i], CHECKSUM_CRC32);
    }
    for (size_t at = 0; at < sizeof(bytes); at += 500) {
        for (size_t i = 0; i < STREAMS; i++) {
            memcpy(sha256_pair_room(&pair), bytes + at, 500);
            checksum_set_take(&sets[i], &pair, 500);
        }
    }
    for (size_t i = 0; i < STREAMS; i++) {
        CHECK_INT(checksum_set_end(&sets[i], &fault),
                  i == 2 ? S3_CONTENT_SHA256_MISMATCH : S3_NONE);
        CHECK(sets[i].crc32 == checksum_crc32(0, slice_of(bytes, sizeof(bytes))));
        checksum_set_forget(&sets[i]);
    }
    sha256_pair_fini(&pair);
}

int main(void)
{
    RUN(pieces_of_several_streams_in_any_order_have_the_hashes_that_openssl_gives_them);
    RUN(without_the_instructions_they_are_the_same_and_nothing_waits);
    RUN(what_is_longer_waits_with_its_rest);
    RUN(of_a_stream_that_left_nothing_is_touched_any_more);
    RUN(rooms_are_given_back_when_nothing_needed_them_for_a_while);
    RUN(sets_of_checksums_are_compared_with_all_their_bytes);
    return check_report();
}
