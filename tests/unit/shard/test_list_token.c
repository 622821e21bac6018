#include "shard/list_token.h"

#include "shard/url64.h"
#include "tests/unit/check.h"

enum { SEED = 12345 };

static void a_list_token_comes_back_as_it_was(void)
{
    static const struct list_token TOKENS[] = {
        { .epoch = 1, .name = { (const uint8_t *)"a", 1 } },
        { .epoch = UINT64_MAX, .is_prefix = true, .name = { (const uint8_t *)"\0\xFF/", 3 } },
    };

    for (size_t i = 0; i < 2; i++) {
        struct arena arena = { 0 };
        struct buf text = { 0 };
        struct list_token found;

        list_token_write(&TOKENS[i], SEED, &text);
        CHECK_INT(list_token_read(buf_all(&text), SEED, &arena, &found), ERR_NONE);
        CHECK(found.epoch == TOKENS[i].epoch && found.is_prefix == TOKENS[i].is_prefix);
        CHECK_BYTES(found.name, TOKENS[i].name);
        buf_fini(&text);
        arena_fini(&arena);
    }
}

/* Clients keep them over an upgrade of ours. */
static void tokens_are_written_as_they_always_were(void)
{
    struct list_token list = { .epoch = 7, .is_prefix = true, .name = bytes("photos/") };
    struct upload_token upload = { .epoch = 7, .shard = 3, .id = bytes("2~abc") };
    struct buf text = { 0 };

    list_token_write(&list, SEED, &text);
    CHECK_BYTES(buf_all(&text), bytes("EQAAAAAAAAAHAAAAAXBob3Rvcy9cplkU"));
    buf_clear(&text);
    upload_token_write(&upload, SEED, &text);
    CHECK_BYTES(buf_all(&text), bytes("IQAAAAAAAAAHAAAAAzJ-YWJjy1En1Q"));
    buf_fini(&text);
}

static void an_upload_token_holds_the_longest_id(void)
{
    static uint8_t id[UPLOAD_TOKEN_ID_BYTES];
    struct upload_token token = { .epoch = 9, .shard = 41, .id = { id, sizeof(id) } }, found;
    struct arena arena = { 0 };
    struct buf text = { 0 };

    memset(id, 'u', sizeof(id));
    upload_token_write(&token, SEED, &text);
    CHECK_INT(upload_token_read(buf_all(&text), SEED, 42, &arena, &found), ERR_NONE);
    CHECK(found.epoch == 9 && found.shard == 41);
    CHECK_BYTES(found.id, token.id);
    CHECK_INT(upload_token_read(buf_all(&text), SEED, 41, &arena, &found), ERR_RANGE);
    buf_fini(&text);
    arena_fini(&arena);
}

static void every_garbled_token_is_refused(void)
{
    struct list_token token = { .epoch = 7, .name = bytes("photos/") }, found;
    struct arena arena = { 0 };
    struct buf text = { 0 };

    list_token_write(&token, SEED, &text);
    for (size_t len = 0; len < text.len; len++)
        CHECK_INT(list_token_read(slice_of(text.at, len), SEED, &arena, &found), ERR_SYNTAX);
    for (size_t i = 0; i < text.len; i++) {
        for (unsigned flip = 1; flip < 256; flip++) {
            text.at[i] ^= (uint8_t)flip;
            CHECK_INT(list_token_read(buf_all(&text), SEED, &arena, &found), ERR_SYNTAX);
            text.at[i] ^= (uint8_t)flip;
        }
    }
    buf_put(&text, "AAAA", 4);
    CHECK_INT(list_token_read(buf_all(&text), SEED, &arena, &found), ERR_SYNTAX);
    buf_fini(&text);
    arena_fini(&arena);
}

static void a_token_of_another_bucket_or_kind_is_refused(void)
{
    struct list_token list = { .epoch = 7, .name = bytes("k") };
    struct upload_token upload = { .epoch = 7, .id = bytes("k") };
    struct arena arena = { 0 };
    struct buf text = { 0 };

    list_token_write(&list, SEED, &text);
    CHECK_INT(list_token_read(buf_all(&text), SEED + 1, &arena, &list), ERR_SYNTAX);
    CHECK_INT(upload_token_read(buf_all(&text), SEED, 1, &arena, &upload), ERR_SYNTAX);
    buf_clear(&text);
    upload_token_write(&upload, SEED, &text);
    CHECK_INT(list_token_read(buf_all(&text), SEED, &arena, &list), ERR_SYNTAX);
    buf_fini(&text);
    arena_fini(&arena);
}

static void what_others_give_out_is_refused(void)
{
    static const char *const FOREIGN[] = {
        "",
        "1",
        "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=",
        "2~OZkbBwE7vUsv6kbUrAqRd3JUhLqkAKT",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "photos%2F",
    };
    struct arena arena = { 0 };
    struct list_token list;
    struct upload_token upload;

    for (size_t i = 0; i < sizeof(FOREIGN) / sizeof(FOREIGN[0]); i++) {
        CHECK_INT(list_token_read(slice_text(FOREIGN[i]), SEED, &arena, &list), ERR_SYNTAX);
        CHECK_INT(upload_token_read(slice_text(FOREIGN[i]), SEED, 9, &arena, &upload), ERR_SYNTAX);
    }
    CHECK(arena.blocks == NULL);
}

static void a_token_that_is_too_long_is_refused_unread(void)
{
    static uint8_t letters[16384];
    struct arena arena = { 0 };
    struct list_token list;

    memset(letters, 'A', sizeof(letters));
    for (size_t len = 5000; len <= sizeof(letters); len++)
        CHECK_INT(list_token_read(slice_of(letters, len), SEED, &arena, &list), ERR_SYNTAX);
}

int main(void)
{
    RUN(a_list_token_comes_back_as_it_was);
    RUN(tokens_are_written_as_they_always_were);
    RUN(an_upload_token_holds_the_longest_id);
    RUN(every_garbled_token_is_refused);
    RUN(a_token_of_another_bucket_or_kind_is_refused);
    RUN(what_others_give_out_is_refused);
    RUN(a_token_that_is_too_long_is_refused_unread);
    return check_report();
}
