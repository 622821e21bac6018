#include "shard/listing.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "tests/unit/check.h"

/* A page in words: "a b p* c" are the keys a, b, c and the prefix p; "k=1 k=2" versions of k. */
static enum err page(struct listing *l, uint32_t shard, const char *words, bool is_truncated)
{
    char *text = mem_text(words), *rest = text, *word;

    (void)listing_page_open(l, shard);
    while ((word = strsep(&rest, " ")) != NULL) {
        char *star = strchr(word, '*'), *equals = strchr(word, '=');
        struct listing_item item = { .is_prefix = star != NULL };
        enum err err;

        if (*word == '\0')
            continue;
        if (equals != NULL)
            item.id = slice_text(equals + 1);
        item.name = slice_of(word, star != NULL     ? (size_t)(star - word)
                                   : equals != NULL ? (size_t)(equals - word)
                                                    : strlen(word));
        err = listing_page_put(l, shard, &item);
        if (err != ERR_NONE) {
            free(text);
            return err;
        }
    }
    free(text);
    return listing_page_close(l, shard, is_truncated);
}

/* Everything that can be told now, in the same words; then "." if the list is over, "+" if there is
 * more behind it, "?" if a shard must be asked. */
static void check_told(struct listing *l, const char *expected)
{
    struct listing_item item;
    struct buf words = { 0 };
    enum listing_step step;

    while ((step = listing_next(l, &item)) == LISTING_ITEM) {
        buf_slice(&words, item.name);
        if (item.id.len > 0)
            buf_text(&words, "=");
        buf_slice(&words, item.id);
        buf_text(&words, item.is_prefix ? "* " : " ");
    }
    buf_text(&words, step == LISTING_WAITS ? "?" : l->is_truncated ? "+" : ".");
    CHECK_BYTES(buf_all(&words), slice_text(expected));
    buf_fini(&words);
}

static void open_list(struct listing *l, enum listing_kind kind, uint32_t shards, uint32_t max)
{
    listing_open(l, &(struct listing_options){ .kind = kind, .shards = shards, .max_keys = max });
}

/* Asks all that want to be asked, each for no more than `max`, if that is not 0. */
static uint32_t ask_all(struct listing *l, uint32_t max)
{
    struct listing_ask ask;
    uint32_t count = 0;

    for (uint32_t shard = 0; shard < l->shard_count; shard++) {
        if (!listing_wants(l, shard, &ask))
            continue;
        count++;
        if (max > 0)
            CHECK_INT(ask.max, max);
    }
    return count;
}

static void shards_are_one_list_in_the_order_of_bytes(void)
{
    struct listing l;

    open_list(&l, LISTING_OBJECTS, 3, 1000);
    CHECK_INT(ask_all(&l, 0), 3);
    check_told(&l, "?");
    CHECK_INT(page(&l, 1, "B b \xEF\xBF\xAE", false), ERR_NONE);
    check_told(&l, "?");
    CHECK_INT(page(&l, 0, "", false), ERR_NONE);
    CHECK_INT(page(&l, 2, "A a \xF0\x9F\x98\x80", false), ERR_NONE);
    check_told(&l, "A B a b \xEF\xBF\xAE \xF0\x9F\x98\x80 .");
    CHECK_INT(ask_all(&l, 0), 0);
    CHECK_INT(l.fetched, 6);
    listing_fini(&l);
}

static void a_prefix_is_told_once_and_counts_once(void)
{
    struct listing l;

    open_list(&l, LISTING_OBJECTS, 2, 3);
    CHECK_INT(ask_all(&l, 0), 2);
    CHECK_INT(page(&l, 0, "a c p/* q/*", false), ERR_NONE);
    CHECK_INT(page(&l, 1, "p/* b q/*", false), ERR_NONE);
    check_told(&l, "a b c +");
    listing_fini(&l);
    open_list(&l, LISTING_OBJECTS, 2, 2);
    CHECK_INT(ask_all(&l, 0), 2);
    CHECK_INT(page(&l, 0, "p/* q/*", false), ERR_NONE);
    CHECK_INT(page(&l, 1, "p/* q/*", false), ERR_NONE);
    check_told(&l, "p/* q/* .");
    CHECK(l.last_is_prefix);
    CHECK_BYTES(buf_all(&l.last_name), bytes("q/"));
    listing_fini(&l);
}

static void a_key_on_two_shards_is_told_once_and_counted(void)
{
    struct listing l;

    open_list(&l, LISTING_OBJECTS, 2, 10);
    CHECK_INT(ask_all(&l, 0), 2);
    CHECK_INT(page(&l, 0, "a b", false), ERR_NONE);
    CHECK_INT(page(&l, 1, "b c", false), ERR_NONE);
    check_told(&l, "a b c .");
    CHECK_INT(l.doubles, 1);
    listing_fini(&l);
}

static void a_list_that_just_fits_is_not_truncated(void)
{
    struct listing l;

    open_list(&l, LISTING_OBJECTS, 2, 3);
    CHECK_INT(ask_all(&l, 0), 2);
    CHECK_INT(page(&l, 0, "a c", false), ERR_NONE);
    CHECK_INT(page(&l, 1, "b", false), ERR_NONE);
    check_told(&l, "a b c .");
    listing_fini(&l);
    open_list(&l, LISTING_OBJECTS, 2, 3);
    CHECK_INT(ask_all(&l, 0), 2);
    CHECK_INT(page(&l, 0, "a c", true), ERR_NONE);
    CHECK_INT(page(&l, 1, "b", false), ERR_NONE);
    check_told(&l, "a b c +");
    CHECK_INT(ask_all(&l, 0), 0);
    listing_fini(&l);
}

static void of_no_items_nothing_is_asked(void)
{
    struct listing l;

    open_list(&l, LISTING_OBJECTS, 4, 0);
    CHECK_INT(ask_all(&l, 0), 0);
    check_told(&l, ".");
    listing_fini(&l);
}

static void a_shard_that_runs_dry_is_asked_to_go_on(void)
{
    struct listing l;
    struct listing_ask ask;

    open_list(&l, LISTING_OBJECTS, 2, 100);
    CHECK_INT(ask_all(&l, 0), 2);
    CHECK_INT(page(&l, 0, "a c p/*", true), ERR_NONE);
    CHECK_INT(page(&l, 1, "b d x", false), ERR_NONE);
    check_told(&l, "a b c d p/* ?");
    CHECK(!listing_wants(&l, 1, &ask));
    CHECK(listing_wants(&l, 0, &ask));
    CHECK_BYTES(ask.after, bytes("p/"));
    CHECK(!listing_wants(&l, 0, &ask));
    listing_unask(&l, 0);
    CHECK(listing_wants(&l, 0, &ask));
    CHECK_INT(page(&l, 0, "p/* y", false), ERR_NONE);
    check_told(&l, "x y .");
    listing_fini(&l);
}

static void a_page_that_is_asked_for_again_is_void(void)
{
    struct listing l;
    struct listing_ask ask;

    open_list(&l, LISTING_OBJECTS, 1, 100);
    CHECK_INT(ask_all(&l, 0), 1);
    CHECK_INT(page(&l, 0, "b a", false), ERR_PROTOCOL);
    CHECK(l.problem != NULL);
    listing_unask(&l, 0);
    CHECK(l.problem == NULL);
    CHECK(listing_wants(&l, 0, &ask));
    CHECK_INT(page(&l, 0, "a c", false), ERR_NONE);
    check_told(&l, "a c .");
    listing_fini(&l);
}

/* 1000 keys over 8 shards: about 1.25 times as many are fetched, and few must be asked twice. */
static void shards_are_asked_for_their_share_and_a_little_more(void)
{
    static const uint32_t SHARES[][2] = {
        { 1, 1000 }, { 2, 559 }, { 8, 156 }, { 64, 30 }, { 1000, 7 }
    };

    for (size_t i = 0; i < sizeof(SHARES) / sizeof(SHARES[0]); i++) {
        struct listing l;

        open_list(&l, LISTING_OBJECTS, SHARES[i][0], 5000);
        CHECK_INT(ask_all(&l, SHARES[i][1]), SHARES[i][0]);
        listing_fini(&l);
    }
}

/* All keys lie on one shard of eight: the second question is for all the rest. */
static void a_shard_that_had_more_than_its_share_is_asked_for_more(void)
{
    struct listing l;
    struct buf words = { 0 };

    open_list(&l, LISTING_OBJECTS, 8, 1000);
    CHECK_INT(ask_all(&l, 156), 8);
    for (int i = 0; i < 156; i++)
        buf_format(&words, "%04d ", i);
    buf_put(&words, "", 1);
    CHECK_INT(page(&l, 3, (char *)words.at, true), ERR_NONE);
    for (uint32_t shard = 0; shard < 8; shard++)
        if (shard != 3)
            CHECK_INT(page(&l, shard, "", false), ERR_NONE);
    words.at[words.len - 1] = '?';
    buf_put(&words, "", 1);
    check_told(&l, (char *)words.at);
    CHECK_INT(ask_all(&l, 1000 - 156 + 1), 1);
    listing_fini(&l);
    buf_fini(&words);
}

/* ---- markers ---- */

static void open_behind(struct listing *l, uint32_t shards, const char *after)
{
    listing_open(l, &(struct listing_options){ .kind = LISTING_OBJECTS,
                                               .shards = shards,
                                               .max_keys = 100,
                                               .after = slice_text(after) });
}

static void what_is_not_behind_the_marker_is_left_out(void)
{
    struct listing l;
    struct listing_ask ask;

    open_behind(&l, 2, "a/1"); /* Swift tells a/ again, AWS does not */
    CHECK(listing_wants(&l, 0, &ask) && listing_wants(&l, 1, &ask));
    CHECK_BYTES(ask.after, bytes("a/1"));
    CHECK_INT(page(&l, 0, "a/* b", false), ERR_NONE);
    CHECK_INT(page(&l, 1, "c", false), ERR_NONE);
    check_told(&l, "b c .");
    listing_fini(&l);
    open_behind(&l, 1, "a/");       /* moto tells all prefixes each time */
    CHECK_INT(ask_all(&l, 101), 1); /* one may be repeated */
    CHECK_INT(page(&l, 0, "A/* a/* b c/*", false), ERR_NONE);
    check_told(&l, "b c/* .");
    listing_fini(&l);
}

/* It gives two keys, as it was asked, and prefixes of which it may have skipped keys. */
static void a_store_that_does_not_count_prefixes_is_believed_up_to_its_last_key(void)
{
    struct listing l;
    struct listing_ask ask;

    open_list(&l, LISTING_OBJECTS, 1, 2);
    CHECK_INT(ask_all(&l, 2), 1);
    CHECK_INT(page(&l, 0, "b c a/* z/*", true), ERR_NONE);
    check_told(&l, "a/* b +");
    listing_fini(&l);
    open_list(&l, LISTING_OBJECTS, 2, 5);
    CHECK_INT(ask_all(&l, 0), 2);
    CHECK_INT(page(&l, 1, "", false), ERR_NONE);
    CHECK_INT(page(&l, 0, "b c a/* m/* n/* z/*", true), ERR_NONE);
    check_told(&l, "a/* b c ?");
    CHECK(listing_wants(&l, 0, &ask));
    CHECK_BYTES(ask.after, bytes("c"));
    listing_fini(&l);
}

static void what_is_hidden_is_not_told(void)
{
    struct listing l;
    struct listing_item stray = { .name = bytes("s"), .is_hidden = true };

    listing_open(&l,
                 &(struct listing_options){
                     .kind = LISTING_OBJECTS, .shards = 2, .max_keys = 2, .hidden = bytes("a!") });
    CHECK_INT(ask_all(&l, 0), 2);
    CHECK_INT(page(&l, 0, "a a! a!1 a!/*", false), ERR_NONE);
    (void)listing_page_open(&l, 1);
    CHECK_INT(listing_page_put(&l, 1, &stray), ERR_NONE);
    CHECK_INT(listing_page_close(&l, 1, false), ERR_NONE);
    check_told(&l, "a .");
    listing_fini(&l);
}

/* ---- versions and uploads ---- */

static void versions_of_a_key_keep_their_shard_s_order(void)
{
    struct listing l;

    open_list(&l, LISTING_GROUPS, 2, 10);
    CHECK_INT(ask_all(&l, 0), 2);
    CHECK_INT(page(&l, 0, "b=9 b=1 b=5 d=1", false), ERR_NONE);
    CHECK_INT(page(&l, 1, "a=1 c=2 c=1 p/*", false), ERR_NONE);
    check_told(&l, "a=1 b=9 b=1 b=5 c=2 c=1 d=1 p/* .");
    listing_fini(&l);
}

static void a_list_goes_on_within_a_key_on_the_shard_that_has_it(void)
{
    struct listing l;
    struct listing_ask ask;

    listing_open(&l, &(struct listing_options){ .kind = LISTING_GROUPS,
                                                .shards = 2,
                                                .max_keys = 3,
                                                .after = bytes("b"),
                                                .after_id = bytes("9"),
                                                .after_shard = 1 });
    CHECK(listing_wants(&l, 0, &ask));
    CHECK_BYTES(ask.after, bytes("b"));
    CHECK_INT(ask.after_id.len, 0);
    CHECK(listing_wants(&l, 1, &ask));
    CHECK_BYTES(ask.after, bytes("b"));
    CHECK_BYTES(ask.after_id, bytes("9"));
    CHECK_INT(page(&l, 0, "b=4 c=1", false), ERR_NONE); /* no business of that shard */
    CHECK_INT(page(&l, 1, "b=9 b=1", true), ERR_NONE);
    check_told(&l, "b=1 ?");
    CHECK(listing_wants(&l, 1, &ask));
    CHECK_BYTES(ask.after, bytes("b"));
    CHECK_BYTES(ask.after_id, bytes("1"));
    CHECK_INT(page(&l, 1, "b=0 d=1", false), ERR_NONE);
    check_told(&l, "b=0 c=1 +");
    CHECK_BYTES(buf_all(&l.last_name), bytes("c"));
    CHECK_BYTES(buf_all(&l.last_id), bytes("1"));
    CHECK_INT(l.last_shard, 0);
    listing_fini(&l);
}

static void a_store_may_list_versions_first_and_delete_markers_then(void)
{
    struct listing l;

    open_list(&l, LISTING_GROUPS, 1, 10);
    CHECK_INT(ask_all(&l, 0), 1);
    CHECK_INT(page(&l, 0, "a=1 b=1 c=1 a=2 c=2", false), ERR_NONE);
    check_told(&l, "a=1 a=2 b=1 c=1 c=2 .");
    listing_fini(&l);
    open_list(&l, LISTING_GROUPS, 1, 5);
    CHECK_INT(ask_all(&l, 0), 1);
    CHECK_INT(page(&l, 0, "a=1 b=1 c=1 a=2 c=2", true), ERR_PROTOCOL);
    listing_fini(&l);
}

/* ---- stores that can't be believed ---- */

static void check_refused(enum listing_kind kind, const char *after, const char *words,
                          bool is_truncated)
{
    struct listing l;

    listing_open(&l, &(struct listing_options){ .kind = kind,
                                                .shards = 1,
                                                .max_keys = 5,
                                                .after = slice_text(after),
                                                .after_shard = LISTING_NO_SHARD });
    CHECK_INT(ask_all(&l, 0), 1);
    CHECK_INT(page(&l, 0, words, is_truncated), ERR_PROTOCOL);
    CHECK(l.problem != NULL);
    listing_fini(&l);
}

static void a_store_out_of_order_or_that_repeats_itself_is_an_error(void)
{
    check_refused(LISTING_OBJECTS, "", "b a", false);
    check_refused(LISTING_OBJECTS, "", "\xF0\x9F\x98\x80 \xEF\xBF\xAE", false);
    check_refused(LISTING_OBJECTS, "", "a a", false);
    check_refused(LISTING_OBJECTS, "", "b/* a/*", false);
    check_refused(LISTING_OBJECTS, "", "a/* a/*", false);
    check_refused(LISTING_OBJECTS, "b", "a c", false);
    check_refused(LISTING_GROUPS, "", "a=1 a=1", false);
    check_refused(LISTING_GROUPS, "", "b=1 a=1 b=2 a=2", false);
    check_refused(LISTING_GROUPS, "", "b/* a/*", false);
}

static void a_store_that_says_there_is_more_and_brings_nothing_is_an_error(void)
{
    check_refused(LISTING_OBJECTS, "", "", true);
    check_refused(LISTING_OBJECTS, "a/", "a/*", true);
    check_refused(LISTING_OBJECTS, "b", "b", true);
    check_refused(LISTING_OBJECTS, "", "a/* b/* c/* d/* e/* f/*", true);
}

static void names_and_pages_have_limits(void)
{
    static uint8_t name[LISTING_NAME_BYTES + 1] = { 'a' };
    struct listing_item item = { .name = { name, sizeof(name) } };
    struct listing l;
    enum err err = ERR_NONE;
    uint32_t count = 0;

    open_list(&l, LISTING_GROUPS, 1, 5);
    CHECK_INT(ask_all(&l, 0), 1);
    (void)listing_page_open(&l, 0);
    CHECK_INT(listing_page_put(&l, 0, &item), ERR_LIMIT);
    item.name.len = 0;
    CHECK_INT(listing_page_put(&l, 0, &item), ERR_PROTOCOL);
    item = (struct listing_item){ .name = bytes("a"), .id = { name, LISTING_ID_BYTES + 1 } };
    CHECK_INT(listing_page_put(&l, 0, &item), ERR_LIMIT);
    item.id = slice_of(&count, sizeof(count));
    while (err == ERR_NONE && count < 100000) {
        err = listing_page_put(&l, 0, &item);
        count++;
    }
    CHECK_INT(err, ERR_LIMIT);
    CHECK_INT(count, LISTING_PAGE_ITEMS + 1);
    listing_fini(&l);
}

static void a_page_has_a_limit_of_bytes(void)
{
    struct listing l;
    struct arena *arena;
    struct listing_item item = { .name = bytes("a") };

    open_list(&l, LISTING_OBJECTS, 1, 5);
    CHECK_INT(ask_all(&l, 0), 1);
    arena = listing_page_open(&l, 0);
    item.payload = arena_bytes(arena, LISTING_PAGE_BYTES + 1);
    CHECK_INT(listing_page_put(&l, 0, &item), ERR_LIMIT);
    listing_fini(&l);
}

static void payloads_are_handed_back_with_their_items(void)
{
    struct listing l;
    struct listing_item item;

    open_list(&l, LISTING_OBJECTS, 2, 5);
    CHECK_INT(ask_all(&l, 0), 2);
    for (uint32_t shard = 0; shard < 2; shard++) {
        struct arena *arena = listing_page_open(&l, shard);
        struct slice name = slice_text(shard == 0 ? "b" : "a");

        item = (struct listing_item){ .name = name, .payload = arena_text(arena, name) };
        CHECK_INT(listing_page_put(&l, shard, &item), ERR_NONE);
        CHECK_INT(listing_page_close(&l, shard, false), ERR_NONE);
    }
    CHECK(listing_next(&l, &item) == LISTING_ITEM);
    CHECK_INT(item.shard, 1);
    CHECK_TEXT(item.payload, "a");
    CHECK(listing_next(&l, &item) == LISTING_ITEM);
    CHECK_INT(item.shard, 0);
    CHECK_TEXT(item.payload, "b");
    listing_fini(&l);
}

int main(void)
{
    RUN(shards_are_one_list_in_the_order_of_bytes);
    RUN(a_prefix_is_told_once_and_counts_once);
    RUN(a_key_on_two_shards_is_told_once_and_counted);
    RUN(a_list_that_just_fits_is_not_truncated);
    RUN(of_no_items_nothing_is_asked);
    RUN(a_shard_that_runs_dry_is_asked_to_go_on);
    RUN(a_page_that_is_asked_for_again_is_void);
    RUN(shards_are_asked_for_their_share_and_a_little_more);
    RUN(a_shard_that_had_more_than_its_share_is_asked_for_more);
    RUN(what_is_not_behind_the_marker_is_left_out);
    RUN(a_store_that_does_not_count_prefixes_is_believed_up_to_its_last_key);
    RUN(what_is_hidden_is_not_told);
    RUN(versions_of_a_key_keep_their_shard_s_order);
    RUN(a_list_goes_on_within_a_key_on_the_shard_that_has_it);
    RUN(a_store_may_list_versions_first_and_delete_markers_then);
    RUN(a_store_out_of_order_or_that_repeats_itself_is_an_error);
    RUN(a_store_that_says_there_is_more_and_brings_nothing_is_an_error);
    RUN(names_and_pages_have_limits);
    RUN(a_page_has_a_limit_of_bytes);
    RUN(payloads_are_handed_back_with_their_items);
    return check_report();
}
