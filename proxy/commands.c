/* See commands.h: check and route. */
#include "proxy/commands.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/import_twemproxy.h"
#include "config/load.h"
#include "proxy/base/mem.h"
#include "proxy/commands_pool.h"
#include "proxy/core/assembly.h"
#include "proxy/vocabulary.h"

/* ---- check ---- */

static int check_file(const char *file)
{
    struct snapshot *snapshot = commands_load(file);

    if (snapshot == NULL)
        return COMMANDS_USAGE;
    config_check_print(snapshot, stdout);
    snapshot_free(&snapshot);
    return COMMANDS_FINE;
}

static int import(const char *file)
{
    struct problems problems = { 0 };
    enum err err = import_twemproxy(file, stdout, &problems);

    problems_print(&problems, stderr);
    problems_fini(&problems);
    return err == ERR_NONE ? COMMANDS_FINE : COMMANDS_USAGE;
}

int command_check(int count, char **words)
{
    if (count == 2 && strcmp(words[1], "--document") == 0) {
        config_document(vocabulary(), stdout);
        return COMMANDS_FINE;
    }
    if (count == 3 && strcmp(words[1], "--from-twemproxy") == 0)
        return import(words[2]);
    if (count == 2 && words[1][0] != '-')
        return check_file(words[1]);
    fputs("usage: sheaf check FILE                              all errors, or what it comes to\n"
          "       sheaf check --document                        every option, as Markdown\n"
          "       sheaf check --from-twemproxy nutcracker.yml   the same pools as a sheaf.ini\n",
          stderr);
    return COMMANDS_USAGE;
}

/* ---- route ---- */

struct routing {
    const struct pool_settings *pool;
    struct shard_map *map;
    struct key_classes *sorter;    /* NULL: the pool's keys have no classes */
    struct shard_map **class_maps; /* by class; NULL: its keys are on the pool's own shards */
    uint32_t class_count;
    bool is_hex;
    struct buf key; /* decoded */
};

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

static bool decode(struct slice text, struct buf *out)
{
    buf_clear(out);
    for (size_t i = 0; i + 1 < text.len; i += 2) {
        int high = hex_digit(text.at[i]), low = hex_digit(text.at[i + 1]);
        uint8_t byte = (uint8_t)(high * 16 + low);

        if (high < 0 || low < 0)
            return false;
        buf_put(out, &byte, 1);
    }
    return text.len % 2 == 0;
}

static bool open_routing(struct routing *r)
{
    const struct memory_pool *memory;

    if (r->pool == NULL || commands_make_map("route", r->pool, &r->map) != ERR_NONE)
        return false;
    if (r->pool->kind != POOL_MEMORY)
        return true;
    memory = memory_pool_of(r->pool);
    r->sorter = assembly_sorter_new(memory);
    r->class_count = memory->class_count;
    r->class_maps = mem_new((r->class_count + 1) * sizeof(struct shard_map *));
    for (uint32_t i = 0; i < r->class_count; i++) {
        const struct memory_pool *other = memory->classes[i]->pool;

        if (other != NULL && other != memory &&
            commands_make_map("route", &other->base, &r->class_maps[i]) != ERR_NONE)
            return false;
    }
    return true;
}

static void close_routing(struct routing *r)
{
    for (uint32_t i = 0; i < r->class_count; i++)
        shard_map_free(&r->class_maps[i]);
    free(r->class_maps);
    key_classes_free(&r->sorter);
    shard_map_free(&r->map);
    buf_fini(&r->key);
}

static uint32_t class_of(const struct routing *r, struct slice key)
{
    return r->sorter == NULL ? KEY_CLASSES_NONE : key_classes_find(r->sorter, key);
}

static bool print_route(struct routing *r, struct slice given)
{
    const struct pool_settings *pool = r->pool;
    const struct shard_map *map = r->map;
    uint32_t found;
    struct slice key = given;
    struct shard_place place;

    if (r->is_hex) {
        if (!decode(given, &r->key)) {
            fprintf(stderr, "sheaf route: \"%.*s\" is not hex\n", (int)given.len,
                    (const char *)given.at);
            return false;
        }
        key = buf_all(&r->key);
    }
    found = class_of(r, key);
    if (found != KEY_CLASSES_NONE && r->class_maps[found] != NULL) {
        pool = &memory_pool_of(r->pool)->classes[found]->pool->base;
        map = r->class_maps[found];
    }
    place = shard_map_find(map, key);
    fwrite(given.at, 1, given.len, stdout);
    printf("\t%016llx\t", (unsigned long long)place.hash);
    if (place.slot == SHARD_SLOT_NONE)
        fputs("-", stdout);
    else
        printf("%u", place.slot);
    printf("\t%u\t%s", place.shard, pool->endpoints[place.shard]->name);
    if (found != KEY_CLASSES_NONE)
        printf("\tclass %s", memory_pool_of(r->pool)->classes[found]->name);
    if (pool != r->pool)
        printf(", pool %s", pool->name);
    fputs("\n", stdout);
    return true;
}

static bool print_routes_of_stdin(struct routing *r)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    bool good = true;

    while (good && (len = getline(&line, &room, stdin)) >= 0) {
        if (len > 0 && line[len - 1] == '\n')
            len--;
        good = print_route(r, slice_of(line, (size_t)len));
    }
    free(line);
    return good;
}

static int route(const struct snapshot *s, const char *name, bool is_hex, char **keys, int count)
{
    struct routing r = {
        .pool = commands_find_pool("route", s, name,
                                   "no key says where its statements go (EXPLAIN ROUTE does, on a "
                                   "connection)"),
        .is_hex = is_hex,
    };
    bool good = open_routing(&r);

    for (int i = 0; good && i < count; i++)
        good = strcmp(keys[i], "-") == 0 ? print_routes_of_stdin(&r)
                                         : print_route(&r, slice_text(keys[i]));
    close_routing(&r);
    return good ? COMMANDS_FINE : COMMANDS_USAGE;
}

int command_route(int count, char **words)
{
    bool is_hex = count > 1 && strcmp(words[1], "--hex") == 0;
    char **rest = words + 1 + is_hex;
    int left = count - 1 - is_hex, code;
    struct snapshot *snapshot;

    if (left < 3) {
        fputs(
            "usage: sheaf route [--hex] FILE POOL KEY...\n"
            "Prints key, hash, slot, shard and endpoint, separated by tabs.  KEY - reads keys "
            "from\n"
            "standard input, one a line; with --hex keys are given, and printed, hex-coded.  A "
            "key\n"
            "of a class has that behind it, and is told with the shard of the class's own pool.\n",
            stderr);
        return COMMANDS_USAGE;
    }
    snapshot = commands_load(rest[0]);
    if (snapshot == NULL)
        return COMMANDS_USAGE;
    code = route(snapshot, rest[1], is_hex, rest + 2, left - 2);
    snapshot_free(&snapshot);
    return code;
}
