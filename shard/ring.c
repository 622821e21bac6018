/* See ring.h.  A lookup starts at the right point or just before it: the ring is cut into at least
 * as many equal arcs as it has points, and each arc knows its first one. */
#include "shard/ring.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "shard/md5.h"

enum { POINTS_MD5 = 160, POINTS_PER_MD5 = 4, POINTS_HASHED = 100 };

static int compare_points(const void *left, const void *right)
{
    const struct ring_point *a = left, *b = right;

    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return (a->shard > b->shard) - (a->shard < b->shard);
}

struct ring *ring_new(struct ring_point *points, size_t count)
{
    unsigned arc_bits = 1;
    struct ring *ring;
    uint32_t *firsts;

    assert(count > 0 && count < UINT32_MAX / 2);
    while ((size_t)1 << arc_bits < count)
        arc_bits++;
    qsort(points, count, sizeof(points[0]), compare_points);
    ring = mem_new(sizeof(*ring) + (count + 1) * sizeof(ring->points[0]) +
                   ((size_t)1 << arc_bits) * sizeof(firsts[0]));
    memcpy(ring->points, points, count * sizeof(points[0]));
    /* After the last point comes the first again. */
    ring->points[count] = (struct ring_point){ UINT32_MAX, points[0].shard };
    ring->firsts = firsts = (uint32_t *)&ring->points[count + 1];
    ring->shift = 32 - arc_bits;
    for (uint32_t arc = 0, point = 0; arc < (uint32_t)1 << arc_bits; arc++) {
        while (point < count && points[point].at < arc << ring->shift)
            point++;
        firsts[arc] = point;
    }
    return ring;
}

uint32_t ring_find(const void *state, uint64_t hash)
{
    const struct ring *ring = state;
    uint32_t at = (uint32_t)hash;
    const struct ring_point *point = &ring->points[ring->firsts[at >> ring->shift]];

    while (point->at < at)
        point++;
    return point->shard;
}

/* How many digests a shard gets.  All in single precision, as the originals: with 25 equal shards
 * each gets 39 and not 40, and keys lie where that puts them. */
static uint32_t digests_of(const struct shard_map_settings *settings, uint32_t shard)
{
    float weight = (float)shard_member_weight(&settings->members[shard]);
    float part = weight / (float)shard_members_weight(settings);
    float digests = part * POINTS_MD5 / POINTS_PER_MD5 * (float)settings->count;

    return (uint32_t)floorf((float)((double)digests + 1e-10));
}

static void put_point_name(struct buf *text, size_t name_len, uint32_t number)
{
    text->len = name_len;
    buf_format(text, "-%u", number);
}

struct ring *ring_new_md5(const struct shard_map_settings *settings,
                          shard_distribution_name_f *name_of, struct buf *why)
{
    struct ring_point *points = mem_new((size_t)settings->count * POINTS_MD5 * sizeof(points[0]));
    struct buf text = { 0 };
    struct ring *ring;
    size_t count = 0;

    for (uint32_t i = 0; i < settings->count; i++) {
        uint32_t digests = digests_of(settings, i);
        size_t name_len;

        buf_clear(&text);
        name_of(&settings->members[i], &text);
        name_len = text.len;
        if (digests == 0)
            buf_format(why, "shard %u gets no key: it weighs too little beside the others\n", i);
        for (uint32_t number = 0; number < digests; number++) {
            struct md5 md5;

            put_point_name(&text, name_len, number);
            md5 = md5_of(buf_all(&text));
            for (int word = 0; word < POINTS_PER_MD5; word++)
                points[count++] = (struct ring_point){ md5.words[word], i };
        }
    }
    ring = ring_new(points, count);
    buf_fini(&text);
    free(points);
    return ring;
}

struct ring *ring_new_hashed(const struct shard_map_settings *settings,
                             shard_distribution_name_f *name_of, const struct shard_hash *hash)
{
    size_t count = (size_t)settings->count * POINTS_HASHED;
    struct ring_point *points = mem_new(count * sizeof(points[0]));
    struct buf text = { 0 };
    struct ring *ring;

    for (uint32_t i = 0; i < settings->count; i++) {
        size_t name_len;

        buf_clear(&text);
        name_of(&settings->members[i], &text);
        name_len = text.len;
        for (uint32_t number = 0; number < POINTS_HASHED; number++) {
            put_point_name(&text, name_len, number);
            points[i * POINTS_HASHED + number] =
                (struct ring_point){ (uint32_t)hash->hash(buf_all(&text)), i };
        }
    }
    ring = ring_new(points, count);
    buf_fini(&text);
    free(points);
    return ring;
}

static void put_address(const struct shard_map_member *member, struct buf *out)
{
    buf_text(out, member->host);
    if (member->port != RING_MEMCACHED_PORT)
        buf_format(out, ":%u", member->port);
}

void ring_name(const struct shard_map_member *member, struct buf *out)
{
    if (shard_member_has_name(member))
        buf_text(out, member->name);
    else if (member->unix_path != NULL)
        buf_format(out, "%s:", member->unix_path);
    else
        put_address(member, out);
}

void ring_name_libmemcached(const struct shard_map_member *member, struct buf *out)
{
    if (shard_member_has_name(member))
        buf_text(out, member->name);
    else if (member->unix_path != NULL)
        buf_format(out, "%s:0", member->unix_path);
    else
        put_address(member, out);
}
