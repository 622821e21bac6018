#include "shard/listing_fold.h"

#include "tests/unit/check.h"
#include "tests/unit/shard/listing_model.h"

/* Walks the keys, skipping where it is told; gives the items as "a/ b |" with "+" if truncated. */
static struct buf fold(const struct listing_fold_options *options, const char *const *keys,
                       size_t *walked)
{
    struct listing_fold f;
    struct buf items = { 0 };
    struct slice name, to = { 0 };

    *walked = 0;
    listing_fold_open(&f, options);
    to = listing_fold_start(&f);
    for (; *keys != NULL; keys++) {
        enum listing_fold_step step;

        if (model_order(slice_text(*keys), to) < 0)
            continue;
        ++*walked;
        step = listing_fold_key(&f, slice_text(*keys), &name);
        if (step == LISTING_FOLD_ENDED)
            break;
        if (step != LISTING_FOLD_NONE) {
            buf_slice(&items, name);
            buf_text(&items, step == LISTING_FOLD_PREFIX ? "* " : " ");
        }
        if (!listing_fold_skip(&f, &to))
            to = (struct slice){ 0 };
    }
    buf_text(&items, f.is_truncated ? "+" : ".");
    listing_fold_fini(&f);
    return items;
}

static const char *const KEYS[] = { "a",  "a-", "a/1", "a/2", "a/3/x", "a0",
                                    "b/", "c",  "c/1", "d",   NULL };

static void check_fold(const char *prefix, const char *delimiter, const char *after, uint32_t max,
                       const char *expected, size_t expected_walked)
{
    struct listing_fold_options options = { .prefix = slice_text(prefix),
                                            .delimiter = slice_text(delimiter),
                                            .after = slice_text(after),
                                            .max_keys = max };
    size_t walked;
    struct buf items = fold(&options, KEYS, &walked);

    CHECK_BYTES(buf_all(&items), slice_text(expected));
    CHECK_INT(walked, expected_walked);
    buf_fini(&items);
}

static void without_a_delimiter_keys_are_items(void)
{
    check_fold("", "", "", 100, "a a- a/1 a/2 a/3/x a0 b/ c c/1 d .", 10);
    check_fold("", "", "a/2", 100, "a/3/x a0 b/ c c/1 d .", 6);
    check_fold("", "", "", 10, "a a- a/1 a/2 a/3/x a0 b/ c c/1 d .", 10);
    check_fold("", "", "", 9, "a a- a/1 a/2 a/3/x a0 b/ c c/1 +", 10);
}

static void below_a_prefix_only_that_is_walked(void)
{
    check_fold("a/", "", "", 100, "a/1 a/2 a/3/x .", 4);
    check_fold("a/", "", "a/1", 1, "a/2 +", 2);
    check_fold("x", "", "", 100, ".", 0);
    check_fold("a/", "", "b", 100, ".", 1);
    check_fold("a/", "", "a", 100, "a/1 a/2 a/3/x .", 4);
}

static void what_is_below_a_common_prefix_is_skipped(void)
{
    check_fold("", "/", "", 100, "a a- a/* a0 b/* c c/* d .", 8);
    check_fold("a/", "/", "", 100, "a/1 a/2 a/3/* .", 4);
    check_fold("a", "/", "", 2, "a a- +", 3);
}

/* AWS tells no prefix that is not greater than the marker. */
static void a_marker_at_or_below_a_common_prefix_is_behind_it(void)
{
    check_fold("", "/", "a/", 100, "a0 b/* c c/* d .", 5);
    check_fold("", "/", "a/2", 100, "a0 b/* c c/* d .", 5);
    check_fold("", "/", "b/", 100, "c c/* d .", 3);
}

static void of_no_items_none_is_told(void)
{
    check_fold("", "/", "", 0, ".", 1);
}

static void a_prefix_of_the_greatest_bytes_has_nothing_behind_it(void)
{
    static const char *const LAST[] = { "a", "\xFF/1", "\xFF/2", "\xFF\xFF\xFF", NULL };
    struct listing_fold_options options = { .delimiter = bytes("\xFF"), .max_keys = 9 };
    size_t walked;
    struct buf items = fold(&options, LAST, &walked), after = { 0 };

    CHECK_BYTES(buf_all(&items), bytes("a \xFF* ."));
    buf_fini(&items);
    CHECK(listing_after_prefix(bytes("a\xFE\xFF"), &after));
    CHECK_BYTES(buf_all(&after), bytes("a\xFF"));
    CHECK(!listing_after_prefix(bytes("\xFF\xFF"), &after));
    CHECK(!listing_after_prefix(bytes(""), &after));
    buf_fini(&after);
}

static void a_key_that_comes_again_is_an_item_again(void)
{
    static const char *const UPLOADS[] = { "a", "b", "b", "c", NULL };
    struct listing_fold_options options = { .after = bytes("b"),
                                            .takes_after = true,
                                            .max_keys = 9 };
    size_t walked;
    struct buf items = fold(&options, UPLOADS, &walked);

    CHECK_BYTES(buf_all(&items), bytes("b b c ."));
    buf_fini(&items);
}

/* ---- against the model ---- */

static size_t expect(const struct model *m, struct slice after, uint32_t max,
                     struct model_item *out, bool *is_truncated)
{
    static struct model_item all[MODEL_KEYS];
    size_t total = model_list(m, all), count = 0;

    *is_truncated = false;
    for (size_t i = 0; i < total && max > 0; i++) {
        if (model_order(model_name(&all[i]), after) <= 0)
            continue;
        *is_truncated = count == max;
        if (count == max)
            break;
        out[count++] = all[i];
    }
    return count;
}

static void check_model(struct model *m, struct draws *d)
{
    static struct model_item expected[MODEL_KEYS];
    struct model_item marker = { 0 };
    uint32_t max = draw(d, 40);
    struct listing_fold f;
    struct slice name, to;
    bool is_truncated;
    size_t count, at = 0;

    if (draw(d, 3) > 0)
        model_draw_name(d, &marker);
    count = expect(m, model_name(&marker), max, expected, &is_truncated);
    listing_fold_open(&f, &(struct listing_fold_options){ .prefix = m->prefix,
                                                          .delimiter = m->delimiter,
                                                          .after = model_name(&marker),
                                                          .max_keys = max });
    to = listing_fold_start(&f);
    for (size_t i = 0; i < m->count; i++) {
        struct slice key = model_name(&m->items[i]);
        enum listing_fold_step step;

        if (model_order(key, to) < 0)
            continue;
        step = listing_fold_key(&f, key, &name);
        if (step == LISTING_FOLD_ENDED)
            break;
        if (!listing_fold_skip(&f, &to))
            to = (struct slice){ 0 };
        if (step == LISTING_FOLD_NONE)
            continue;
        CHECK(at < count && slice_is(name, model_name(&expected[at])) &&
              (step == LISTING_FOLD_PREFIX) == expected[at].is_prefix);
        at++;
    }
    CHECK_INT(at, count);
    CHECK_INT(f.is_truncated, is_truncated);
    listing_fold_fini(&f);
}

static void folded_lists_are_those_of_the_model(void)
{
    static struct model m;

    for (uint64_t round = 1; round <= 4000 && check_failures_here == 0; round++) {
        struct draws d = { .state = round * 0x9E3779B97F4A7C15u };

        model_draw(&d, LISTING_OBJECTS, &m);
        m.hidden = (struct slice){ 0 };
        for (size_t i = 0; i < m.count; i++)
            m.items[i].shard = 0; /* the same key twice is one in the model's list */
        for (size_t i = 1; i < m.count; i++) {
            if (model_compare(&m.items[i - 1], &m.items[i]) == 0) {
                memmove(&m.items[i], &m.items[i + 1], (--m.count - i) * sizeof(m.items[0]));
                i--;
            }
        }
        check_model(&m, &d);
    }
}

int main(void)
{
    RUN(without_a_delimiter_keys_are_items);
    RUN(below_a_prefix_only_that_is_walked);
    RUN(what_is_below_a_common_prefix_is_skipped);
    RUN(a_marker_at_or_below_a_common_prefix_is_behind_it);
    RUN(of_no_items_none_is_told);
    RUN(a_prefix_of_the_greatest_bytes_has_nothing_behind_it);
    RUN(a_key_that_comes_again_is_an_item_again);
    RUN(folded_lists_are_those_of_the_model);
    return check_report();
}
