/* Lists of random keys over random shards, page by page, against the model. */
#include "tests/unit/shard/listing_model.h"

#include "tests/unit/check.h"

static bool is_same(const struct model_item *a, const struct model_item *b)
{
    return slice_is(model_name(a), model_name(b)) && a->is_prefix == b->is_prefix && a->id == b->id;
}

/* Goes on behind the last item until the list says that it is whole. */
static void check_pages(struct model *m, struct draws *d, const char *what, uint64_t round)
{
    static struct model_item expected[MODEL_KEYS], found[2 * MODEL_KEYS];
    struct model_item last = { 0 };
    size_t total = model_list(m, expected), at = 0;
    uint32_t max = 1 + draw(d, 1 + draw(d, 60));
    bool is_truncated = true;
    enum err err = ERR_NONE;

    while (is_truncated && err == ERR_NONE && check_failures_here == 0) {
        struct listing_options options = { .kind = m->kind,
                                           .shards = m->shards,
                                           .max_keys = max,
                                           .after = model_name(&last),
                                           .after_id = slice_of(&last.id, last.id != 0),
                                           .after_shard = model_place(m, model_name(&last)),
                                           .hidden = m->hidden };
        struct listing l;
        size_t count;

        err = model_ask(m, d, &l, &options, found, &count);
        is_truncated = l.is_truncated;
        CHECK(count == max || !is_truncated);
        CHECK(count <= max && at + count <= total);
        for (size_t i = 0; i < count && at < total; i++)
            CHECK(is_same(&found[i], &expected[at++]));
        if (count > 0)
            last = found[count - 1];
        listing_fini(&l);
    }
    CHECK(err == ERR_NONE);
    CHECK_INT(at, total);
    if (check_failures_here > 0)
        printf("%s %llu\n", what, (unsigned long long)round);
}

static void lists_of_objects_are_those_of_the_model_whatever_the_stores_do(void)
{
    static struct model m;

    for (uint64_t round = 1; round <= 2000 && check_failures_here == 0; round++) {
        struct draws d = { .state = round * 0x9E3779B97F4A7C15u };

        model_draw(&d, LISTING_OBJECTS, &m);
        check_pages(&m, &d, "objects", round);
    }
}

/* A key's versions are on one shard; a page may end among them. */
static void lists_of_versions_are_those_of_the_model(void)
{
    static struct model m;

    for (uint64_t round = 1; round <= 2000 && check_failures_here == 0; round++) {
        struct draws d = { .state = round * 0xD1B54A32D192ED03u };

        model_draw(&d, LISTING_GROUPS, &m);
        check_pages(&m, &d, "versions", round);
    }
}

int main(void)
{
    RUN(lists_of_objects_are_those_of_the_model_whatever_the_stores_do);
    RUN(lists_of_versions_are_those_of_the_model);
    return check_report();
}
