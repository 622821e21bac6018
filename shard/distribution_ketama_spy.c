/* libmemcached's imitation of spymemcached: as ketama_libmemcached, but a point is named
 * "/host:port-i", with the port in any case. */
#include "shard/ring.h"

static void name_of(const struct shard_map_member *member, struct buf *out)
{
    if (shard_member_has_name(member))
        buf_text(out, member->name);
    else if (member->unix_path != NULL)
        buf_format(out, "/%s:0", member->unix_path);
    else
        buf_format(out, "/%s:%u", member->host, member->port);
}

static void *build(const struct shard_map_settings *settings, const struct shard_hash *hash,
                   struct buf *why)
{
    (void)why;
    return ring_new_hashed(settings, name_of, hash);
}

const struct shard_distribution distribution_ketama_spy = {
    .name = "ketama_spy",
    .description = "a ring as libmemcached makes it for spymemcached's users",
    .hash_bits = 32,
    .name_of = name_of,
    .build = build,
    .find = ring_find,
};
