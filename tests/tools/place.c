/* Prints the shard of each key, for oracles to compare with.
 *
 *     place HASH DISTRIBUTION HASH_TAG HOST,PORT,WEIGHT[,NAME]... < keys
 *
 * Keys come hex-coded, one a line.  HASH_TAG may be empty; a HOST that begins with '/' is a
 * socket. */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "shard/map.h"

static void fail(const char *text, const struct buf *why)
{
    fprintf(stderr, "place: %s%.*s\n", text, (int)why->len, (const char *)why->at);
    _Exit(2);
}

static struct shard_map_member member_of(char *text)
{
    struct shard_map_member member = { 0 };
    char *address = strsep(&text, ","), *port = strsep(&text, ","), *weight = strsep(&text, ",");

    if (weight == NULL)
        fail("a shard is HOST,PORT,WEIGHT[,NAME]", &(struct buf){ 0 });
    if (address[0] == '/')
        member.unix_path = address;
    else
        member.host = address;
    member.port = (uint16_t)strtoul(port, NULL, 10);
    member.weight = (uint32_t)strtoul(weight, NULL, 10);
    member.name = text;
    return member;
}

static struct slice decoded(const char *line, size_t len, uint8_t *out)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        char digits[] = { line[i], line[i + 1], '\0' };

        out[i / 2] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return slice_of(out, len / 2);
}

int main(int argc, char **argv)
{
    struct shard_map_member *members = mem_new((size_t)argc * sizeof(members[0]));
    struct shard_map_settings settings = { .members = members };
    struct buf why = { 0 };
    struct shard_map *map;
    char *line = NULL;
    size_t room = 0;
    ssize_t len;

    if (argc < 5)
        fail("HASH DISTRIBUTION HASH_TAG SHARD...", &why);
    settings.hash = argv[1];
    settings.distribution = argv[2];
    settings.hash_tag = argv[3];
    for (int i = 4; i < argc; i++)
        members[settings.count++] = member_of(argv[i]);
    if (shard_map_new(&settings, &map, &why) != ERR_NONE)
        fail("", &why);
    while ((len = getline(&line, &room, stdin)) > 0) {
        uint8_t *key = mem_new((size_t)len);

        if (line[len - 1] == '\n')
            len--;
        printf("%u\n", shard_map_find(map, decoded(line, (size_t)len, key)).shard);
        free(key);
    }
    free(line);
    free(members);
    shard_map_free(&map);
    buf_fini(&why);
    return 0;
}
