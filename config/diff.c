/* See diff.h.  Linear searches: configurations have hundreds of lines, not millions. */
#include "config/diff.h"

#include <stdlib.h>
#include <string.h>

#include "config/print.h"
#include "proxy/base/mem.h"

static uint32_t *new_map(uint32_t count)
{
    uint32_t *map = mem_resize(NULL, (count + 1) * sizeof(*map));

    for (uint32_t i = 0; i < count; i++)
        map[i] = DIFF_NONE;
    return map;
}

static bool is_same_endpoint(const struct endpoint_settings *a, const struct endpoint_settings *b)
{
    return strcmp(a->identity, b->identity) == 0 && strcmp(a->pool->name, b->pool->name) == 0;
}

static void match_endpoints(struct diff *d, const struct snapshot *was, const struct snapshot *is)
{
    for (uint32_t i = 0; i < is->endpoint_count; i++) {
        for (uint32_t k = 0; k < was->endpoint_count; k++) {
            if (d->endpoint_is[k] == DIFF_NONE &&
                is_same_endpoint(&is->endpoints[i], &was->endpoints[k])) {
                d->endpoint_was[i] = k;
                d->endpoint_is[k] = i;
                break;
            }
        }
    }
}

static void match_listeners(struct diff *d, const struct snapshot *was, const struct snapshot *is)
{
    for (uint32_t i = 0; i < is->listener_count; i++) {
        for (uint32_t k = 0; k < was->listener_count; k++) {
            if (d->listener_is[k] == DIFF_NONE &&
                address_is(&is->listeners[i].address, &was->listeners[k].address)) {
                d->listener_was[i] = k;
                d->listener_is[k] = i;
                break;
            }
        }
    }
}

/* With the classes of its keys. */
static void print_whole(const struct pool_settings *pool, struct buf *out)
{
    print_pool(pool, true, out);
    if (pool->kind != POOL_MEMORY)
        return;
    for (uint32_t i = 0; i < memory_pool_of(pool)->class_count; i++)
        print_class(memory_pool_of(pool)->classes[i], out);
}

bool diff_is_same_pool(const struct pool_settings *a, const struct pool_settings *b)
{
    struct buf a_text = { 0 }, b_text = { 0 };
    bool same;

    print_whole(a, &a_text);
    print_whole(b, &b_text);
    same = slice_is(buf_all(&a_text), buf_all(&b_text));
    explicit_bzero(a_text.at, a_text.len); /* passwords */
    explicit_bzero(b_text.at, b_text.len);
    buf_fini(&a_text);
    buf_fini(&b_text);
    return same;
}

static void match_pools(struct diff *d, const struct snapshot *was, const struct snapshot *is)
{
    for (uint32_t i = 0; i < is->pool_count; i++) {
        const struct pool_settings *old = snapshot_pool(was, is->pools[i]->name);

        d->pool_change[i] = DIFF_ADDED;
        if (old == NULL)
            continue;
        d->pool_was[i] = old->number;
        d->pool_is[old->number] = i;
        d->pool_change[i] = diff_is_same_pool(old, is->pools[i]) ? DIFF_SAME : DIFF_CHANGED;
    }
}

static void compare_proxy(struct diff *d, const struct snapshot *was, const struct snapshot *is,
                          struct problems *problems)
{
    const struct proxy_settings *a = &was->proxy, *b = &is->proxy;
    struct buf a_text = { 0 }, b_text = { 0 };

    print_proxy(a, &a_text);
    print_proxy(b, &b_text);
    d->proxy_changed = !slice_is(buf_all(&a_text), buf_all(&b_text));
    buf_fini(&a_text);
    buf_fini(&b_text);
    if (a->workers != b->workers)
        problems_warn(problems, b->place, "workers changes with the next start, not with a reload");
    if (a->backlog != b->backlog)
        problems_warn(
            problems, b->place,
            "backlog changes for new listeners; the others keep theirs until the next start");
}

void diff_init(struct diff *d, const struct snapshot *was, const struct snapshot *is,
               struct problems *problems)
{
    *d = (struct diff){ .endpoint_was = new_map(is->endpoint_count),
                        .endpoint_is = new_map(was->endpoint_count),
                        .listener_was = new_map(is->listener_count),
                        .listener_is = new_map(was->listener_count),
                        .pool_was = new_map(is->pool_count),
                        .pool_is = new_map(was->pool_count),
                        .pool_change = mem_new((is->pool_count + 1) * sizeof(*d->pool_change)) };
    match_endpoints(d, was, is);
    match_listeners(d, was, is);
    match_pools(d, was, is);
    compare_proxy(d, was, is, problems);
}

void diff_fini(struct diff *d)
{
    free(d->endpoint_was);
    free(d->endpoint_is);
    free(d->listener_was);
    free(d->listener_is);
    free(d->pool_was);
    free(d->pool_is);
    free(d->pool_change);
    *d = (struct diff){ 0 };
}
