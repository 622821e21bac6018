/* The table of commands and the way to find one: pure, constant, for every thread.
 *
 * The index is a hash table made at build time (shard/generator/redis_command_index.c), with free
 * slots enough that most names need one probe.  A subcommand is a command whose name is both words
 * with '|' between. */
#include "shard/redis_command.h"

#include <assert.h>

#include "shard/redis_command_hash.h"
#include "shard/redis_command_index.h"

enum {
    /* The short words of the table. */
    WRITE = REDIS_COMMAND_WRITE,
    READ = REDIS_COMMAND_READ,
    DENYOOM = REDIS_COMMAND_DENYOOM,
    FAST = REDIS_COMMAND_FAST,
    ADMIN = REDIS_COMMAND_ADMIN,
    PUBSUB = REDIS_COMMAND_PUBSUB,
    NOSCRIPT = REDIS_COMMAND_NOSCRIPT,
    BLOCKING = REDIS_COMMAND_BLOCKING,
    NO_AUTH = REDIS_COMMAND_NO_AUTH,
    NO_MULTI = REDIS_COMMAND_NO_MULTI,
    MOVABLE = REDIS_COMMAND_MOVABLE_KEYS,
    CONTAINER = REDIS_COMMAND_CONTAINER,
    KEYSPACE = REDIS_CATEGORY_KEYSPACE,
    SET = REDIS_CATEGORY_SET,
    SORTEDSET = REDIS_CATEGORY_SORTEDSET,
    LIST = REDIS_CATEGORY_LIST,
    HASH = REDIS_CATEGORY_HASH,
    STRING = REDIS_CATEGORY_STRING,
    BITMAP = REDIS_CATEGORY_BITMAP,
    HYPERLOGLOG = REDIS_CATEGORY_HYPERLOGLOG,
    GEO = REDIS_CATEGORY_GEO,
    STREAM = REDIS_CATEGORY_STREAM,
    DANGEROUS = REDIS_CATEGORY_DANGEROUS,
    CONNECTION = REDIS_CATEGORY_CONNECTION,
    TRANSACTION = REDIS_CATEGORY_TRANSACTION,
    SCRIPTING = REDIS_CATEGORY_SCRIPTING,
    ADMIN_CATEGORY = REDIS_CATEGORY_ADMIN,
};

/* The categories that Redis derives from the flags; a script that only reads is not in @read. */
#define IMPLIED(flags, plan)                                                                       \
    (((flags)&WRITE ? REDIS_CATEGORY_WRITE : 0) |                                                  \
     ((flags)&READ && (plan) != REDIS_SCRIPT ? REDIS_CATEGORY_READ : 0) |                          \
     ((flags)&ADMIN ? REDIS_CATEGORY_ADMIN | REDIS_CATEGORY_DANGEROUS : 0) |                       \
     ((flags)&PUBSUB ? REDIS_CATEGORY_PUBSUB : 0) |                                                \
     ((flags)&BLOCKING ? REDIS_CATEGORY_BLOCKING : 0) |                                            \
     ((flags)&FAST ? REDIS_CATEGORY_FAST : REDIS_CATEGORY_SLOW))

/* What the last column of the table stands for: rule, first, last, step. */
#define RULE(rule_, first_, last_, step_)                                                          \
    .keys = REDIS_KEYS_##rule_, .first_key = (first_), .last_key = (last_), .key_step = (step_)
#define RULE_NONE                     RULE(NONE, 0, 0, 0)
#define RULE_ONE                      RULE(RANGE, 1, 1, 1)
#define RULE_RANGE(first, last, step) RULE(RANGE, first, last, step)
#define RULE_PAIRS(first)             RULE(PAIRS, first, -1, 2)
#define RULE_CHANNELS(first, last)    RULE(CHANNELS, first, last, 1)
#define RULE_COUNTED(at, step)        RULE(COUNTED, at, 0, step)
#define RULE_SCRIPT(at)               RULE(SCRIPT, at, 0, 1)
#define RULE_DESTINATION_COUNTED(at)  RULE(DESTINATION_COUNTED, at, 0, 1)
#define RULE_STREAMS                  RULE(STREAMS, 0, 0, 0)
#define RULE_SORT                     RULE(SORT, 1, 1, 1)
#define RULE_GEORADIUS                RULE(GEORADIUS, 1, 1, 1)
#define RULE_MIGRATE                  RULE(MIGRATE, 3, 3, 1)
#define RULE_DEBUG                    RULE(DEBUG, 2, 2, 1)

static const struct redis_command commands[] = {
#define COMMAND(name_, arity_, flags_, categories_, plan_, merge_, keys_)                          \
    { .name = { name_ },                                                                           \
      .name_len = sizeof(name_) - 1,                                                               \
      .plan = REDIS_##plan_,                                                                       \
      .merge = REDIS_MERGE_##merge_,                                                               \
      .arity = (arity_),                                                                           \
      .flags = (flags_),                                                                           \
      .categories = (categories_) | IMPLIED(flags_, REDIS_##plan_),                                \
      RULE_##keys_ },
#include "shard/redis_command.def"
#undef COMMAND
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static const uint16_t index_slots[1 << INDEX_BITS] = INDEX_SLOTS;

_Static_assert(sizeof(commands[0].name) == 8 * REDIS_COMMAND_WORDS, "a name is a key's words");

static const struct redis_command *probe(const struct redis_command_key *key)
{
    size_t slot = redis_command_hash(key) >> (64 - INDEX_BITS);

    for (; index_slots[slot] != 0; slot = (slot + 1) % (1 << INDEX_BITS)) {
        const struct redis_command *cmd = &commands[index_slots[slot] - 1];

        if (cmd->name_len == key->len && memcmp(cmd->name, key->words, sizeof(key->words)) == 0)
            return cmd;
    }
    return NULL;
}

/* The same for the frequent names, which fit in a word: half the time. */
static const struct redis_command *probe_short(struct slice name)
{
    uint64_t word = redis_command_load(name.at, name.len), found;
    size_t slot = redis_command_hash_word(word) >> (64 - INDEX_BITS);

    for (; index_slots[slot] != 0; slot = (slot + 1) % (1 << INDEX_BITS)) {
        const struct redis_command *cmd = &commands[index_slots[slot] - 1];

        memcpy(&found, cmd->name, sizeof(found));
        if (found == word && cmd->name_len == name.len)
            return cmd;
    }
    return NULL;
}

const struct redis_command *redis_command_named(struct slice name)
{
    struct redis_command_key key;

    if (name.len <= 8)
        return probe_short(name);
    if (name.len > REDIS_COMMAND_NAME_LIMIT)
        return NULL;
    redis_command_key(&key, name.at, name.len);
    return probe(&key);
}

const struct redis_command *redis_command_find(const struct slice *args, size_t count)
{
    uint8_t joined[REDIS_COMMAND_NAME_LIMIT];
    const struct redis_command *cmd;

    if (count == 0)
        return NULL;
    cmd = redis_command_named(args[0]);
    if (cmd == NULL || !redis_command_has_subcommands(cmd) || count < 2)
        return cmd;
    if (args[1].len >= sizeof(joined) - args[0].len)
        return NULL;
    memcpy(joined, args[0].at, args[0].len);
    joined[args[0].len] = '|';
    if (args[1].len > 0)
        memcpy(joined + args[0].len + 1, args[1].at, args[1].len);
    return redis_command_named(slice_of(joined, args[0].len + 1 + args[1].len));
}

const struct redis_command *redis_command_at(size_t index)
{
    return index < COMMAND_COUNT ? &commands[index] : NULL;
}

bool redis_command_arity_is_right(const struct redis_command *cmd, size_t count)
{
    return cmd->arity >= 0 ? count == (size_t)cmd->arity : count >= (size_t)-cmd->arity;
}

static const struct {
    enum redis_category bit;
    const char *text;
} categories[] = {
#define REDIS_CATEGORY(name, text, bit) { REDIS_CATEGORY_##name, text },
#include "shard/redis_category.def"
#undef REDIS_CATEGORY
    { REDIS_CATEGORY_ALL, "all" },
};

#define CATEGORY_COUNT (sizeof(categories) / sizeof(categories[0]))

uint32_t redis_category_find(struct slice name)
{
    if (name.len > 0 && name.at[0] == '@')
        name = slice_from(name, 1);
    for (size_t i = 0; i < CATEGORY_COUNT; i++) {
        if (slice_is_word(name, categories[i].text))
            return categories[i].bit;
    }
    return 0;
}

const char *redis_category_name(enum redis_category category)
{
    for (size_t i = 0; i < CATEGORY_COUNT; i++) {
        if (categories[i].bit == category)
            return categories[i].text;
    }
    return "";
}
