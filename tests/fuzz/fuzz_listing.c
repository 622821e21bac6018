/* Stores that list as stores do: the merged list must be that of the model.  Stores that list
 * anything: what is told must be in order, and no more than was asked. */
#include "tests/unit/shard/listing_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static enum err put_anything(struct listing *l, uint32_t shard, struct draws *d)
{
    enum err err = ERR_NONE;

    (void)listing_page_open(l, shard);
    for (uint32_t items = draw(d, 12); items > 0 && err == ERR_NONE; items--) {
        struct model_item name;
        uint8_t id = (uint8_t)('a' + draw(d, 3));
        struct listing_item item = { .is_prefix = draw(d, 3) == 0, .is_hidden = draw(d, 9) == 0 };

        model_draw_name(d, &name);
        item.name = model_name(&name);
        item.id = slice_of(&id, l->kind == LISTING_GROUPS && !item.is_prefix ? 1 : 0);
        err = listing_page_put(l, shard, &item);
    }
    return err != ERR_NONE ? err : listing_page_close(l, shard, draw(d, 2) == 0);
}

static enum err ask_all(struct listing *l, uint32_t shards, struct draws *d)
{
    for (uint32_t shard = 0; shard < shards; shard++) {
        struct listing_ask ask;

        if (!listing_wants(l, shard, &ask))
            continue;
        require(ask.max >= 1 && ask.max <= LISTING_MAX_KEYS);
        if (draw(d, 8) == 0) {
            listing_unask(l, shard);
            require(listing_wants(l, shard, &ask));
        }
        TRY(put_anything(l, shard, d));
    }
    return ERR_NONE;
}

/* What is told keeps the order of bytes, and is behind what was to be left out. */
static void list_anything(struct draws *d)
{
    struct model_item after = { 0 };
    struct listing_options options = { .kind = draw(d, 2) == 0 ? LISTING_OBJECTS : LISTING_GROUPS,
                                       .shards = 1 + draw(d, 4),
                                       .max_keys = draw(d, 20),
                                       .after_shard = draw(d, 4),
                                       .hidden = slice_text(draw(d, 2) == 0 ? "" : "a") };
    struct listing l;
    struct listing_item item;
    enum listing_step step = LISTING_WAITS;
    uint32_t count = 0;

    if (draw(d, 2) == 0)
        model_draw_name(d, &after);
    options.after = model_name(&after);
    listing_open(&l, &options);
    for (int rounds = 0; rounds < 50 && step == LISTING_WAITS; rounds++) {
        if (ask_all(&l, options.shards, d) != ERR_NONE) {
            require(l.problem != NULL);
            break;
        }
        while ((step = listing_next(&l, &item)) == LISTING_ITEM) {
            int order = model_order(item.name, model_name(&after));

            require(++count <= options.max_keys);
            require(order > 0 || (order == 0 && (options.kind == LISTING_GROUPS ||
                                                 item.is_prefix != after.is_prefix)));
            require(options.hidden.len == 0 || !slice_starts(item.name, options.hidden));
            memcpy(after.name, item.name.at, item.name.len);
            after.len = item.name.len;
            after.is_prefix = item.is_prefix;
        }
    }
    listing_fini(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static struct model m;
    struct draws d = { .at = at, .len = len, .state = 1 };
    uint32_t which = draw(&d, 3);

    if (which == 2) {
        list_anything(&d);
        return 0;
    }
    model_draw(&d, which == 0 ? LISTING_OBJECTS : LISTING_GROUPS, &m);
    require(model_differs(&m, &d, 1 + draw(&d, 60)) == NULL);
    return 0;
}
