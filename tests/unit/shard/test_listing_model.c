/* Lists of random keys over random shards, page by page, against the model. */
#include "tests/unit/check.h"
#include "tests/unit/shard/listing_model.h"

enum { ROUNDS = 1000 };

static void check_kind(enum listing_kind kind, uint64_t seed)
{
    static struct model m;

    for (uint64_t round = 1; round <= ROUNDS; round++) {
        struct draws d = { .state = round * seed };
        const char *difference;

        model_draw(&d, kind, &m);
        difference = model_differs(&m, &d, 1 + draw(&d, 1 + draw(&d, 60)));
        CHECK(difference == NULL);
        if (difference == NULL)
            continue;
        printf("round %d: %s\n", (int)round, difference);
        return;
    }
}

static void lists_of_objects_are_those_of_the_model_whatever_the_stores_do(void)
{
    check_kind(LISTING_OBJECTS, 0x9E3779B97F4A7C15u);
}

/* A key's versions are on one shard; a page may end among them. */
static void lists_of_versions_are_those_of_the_model(void)
{
    check_kind(LISTING_GROUPS, 0xD1B54A32D192ED03u);
}

int main(void)
{
    RUN(lists_of_objects_are_those_of_the_model_whatever_the_stores_do);
    RUN(lists_of_versions_are_those_of_the_model);
    return check_report();
}
