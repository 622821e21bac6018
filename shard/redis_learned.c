/* Reading a server's COMMAND reply, and finding in what was read.
 *
 * The reply comes from a server that the operator named, and is read as if it did not: no depth of
 * recursion, no number in it decides how much memory is taken, only its bytes do. */
#include <assert.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "shard/redis_command.h"
#include "shard/redis_command_hash.h"

enum {
    COMMANDS_LIMIT = 8192,
    KEY_PLACE_LIMIT = 1000, /* no command has its keys further in */
};

struct redis_learned {
    struct redis_command *commands; /* owned */
    size_t count, cap;
    uint32_t *slots; /* owned: hash table of command numbers from 1; 0: free */
    unsigned bits;
};

/* The bytes not yet read. */
struct reader {
    const uint8_t *at, *end;
};

static enum err read_line(struct reader *r, char *type, struct slice *rest)
{
    const uint8_t *lf = r->at < r->end ? memchr(r->at, '\n', (size_t)(r->end - r->at)) : NULL;

    if (lf == NULL || lf - r->at < 2 || lf[-1] != '\r')
        return ERR_PROTOCOL;
    *type = (char)r->at[0];
    *rest = slice_of(r->at + 1, (size_t)(lf - r->at) - 2);
    r->at = lf + 1;
    return ERR_NONE;
}

/* How many elements follow; a map has two for each entry, null has none. */
static enum err count_of(char type, struct slice rest, uint64_t *count)
{
    if (type == '_' || slice_is_text(rest, "-1")) {
        *count = 0;
        return ERR_NONE;
    }
    TRY(slice_to_u64(rest, count) ? ERR_NONE : ERR_PROTOCOL);
    if (*count > INT32_MAX)
        return ERR_PROTOCOL;
    if (type == '%')
        *count *= 2;
    return ERR_NONE;
}

static bool is_aggregate(char type)
{
    return type == '*' || type == '~' || type == '%';
}

static enum err read_bulk(struct reader *r, struct slice rest, struct slice *text)
{
    uint64_t len;

    if (slice_is_text(rest, "-1")) {
        *text = (struct slice){ 0 };
        return ERR_NONE;
    }
    if (!slice_to_u64(rest, &len) || len > (uint64_t)(r->end - r->at) ||
        (uint64_t)(r->end - r->at) - len < 2)
        return ERR_PROTOCOL;
    *text = slice_of(r->at, len);
    r->at += len + 2;
    return ERR_NONE;
}

static enum err read_text(struct reader *r, struct slice *text)
{
    char type;
    struct slice rest;

    TRY(read_line(r, &type, &rest));
    if (type == '+') {
        *text = rest;
        return ERR_NONE;
    }
    return type == '$' ? read_bulk(r, rest, text) : ERR_PROTOCOL;
}

static enum err read_number(struct reader *r, int64_t *number)
{
    char type;
    struct slice rest;

    TRY(read_line(r, &type, &rest));
    return type == ':' && slice_to_i64(rest, number) ? ERR_NONE : ERR_PROTOCOL;
}

static enum err read_count(struct reader *r, uint64_t *count)
{
    char type;
    struct slice rest;

    TRY(read_line(r, &type, &rest));
    return is_aggregate(type) || type == '_' ? count_of(type, rest, count) : ERR_PROTOCOL;
}

/* Steps over `values` values with all that they hold. */
static enum err skip(struct reader *r, uint64_t values)
{
    char type;
    struct slice rest, text;
    uint64_t count;

    for (; values > 0; values--) {
        TRY(read_line(r, &type, &rest));
        if (is_aggregate(type)) {
            TRY(count_of(type, rest, &count));
            values += count;
            /* Each value to come takes at least three bytes: this also bounds the sum. */
            if (values > (uint64_t)(r->end - r->at))
                return ERR_PROTOCOL;
        } else if (type == '$') {
            TRY(read_bulk(r, rest, &text));
        } else if (strchr("+:#,_(-", type) == NULL || type == '\0') {
            return ERR_PROTOCOL;
        }
    }
    return ERR_NONE;
}

static const struct {
    const char *text;
    uint32_t flag;
} flag_texts[] = {
    { "write", REDIS_COMMAND_WRITE },
    { "readonly", REDIS_COMMAND_READ },
    { "denyoom", REDIS_COMMAND_DENYOOM },
    { "fast", REDIS_COMMAND_FAST },
    { "admin", REDIS_COMMAND_ADMIN },
    { "pubsub", REDIS_COMMAND_PUBSUB },
    { "noscript", REDIS_COMMAND_NOSCRIPT },
    { "blocking", REDIS_COMMAND_BLOCKING },
    { "no_auth", REDIS_COMMAND_NO_AUTH },
    { "no_multi", REDIS_COMMAND_NO_MULTI },
    { "movablekeys", REDIS_COMMAND_MOVABLE_KEYS },
};

static uint32_t flag_find(struct slice text)
{
    for (size_t i = 0; i < sizeof(flag_texts) / sizeof(flag_texts[0]); i++) {
        if (slice_is_word(text, flag_texts[i].text))
            return flag_texts[i].flag;
    }
    return 0;
}

/* A set of words, each worth a bit; unknown ones none. */
static enum err read_bits(struct reader *r, uint32_t (*find)(struct slice), uint32_t *bits)
{
    uint64_t count;
    struct slice text;

    TRY(read_count(r, &count));
    for (; count > 0; count--) {
        TRY(read_text(r, &text));
        *bits |= find(text);
    }
    return ERR_NONE;
}

/* Redis puts a module's commands into no category; rights that are given by category mean them too,
 * so they get those that follow from the flags, as commands of its own do. */
static uint32_t implied_categories(uint32_t flags)
{
    static const struct {
        uint32_t flag, categories;
    } IMPLIED[] = {
        { REDIS_COMMAND_WRITE, REDIS_CATEGORY_WRITE },
        { REDIS_COMMAND_READ, REDIS_CATEGORY_READ },
        { REDIS_COMMAND_ADMIN, REDIS_CATEGORY_ADMIN | REDIS_CATEGORY_DANGEROUS },
        { REDIS_COMMAND_PUBSUB, REDIS_CATEGORY_PUBSUB },
        { REDIS_COMMAND_BLOCKING, REDIS_CATEGORY_BLOCKING },
    };
    uint32_t categories = flags & REDIS_COMMAND_FAST ? REDIS_CATEGORY_FAST : REDIS_CATEGORY_SLOW;

    for (size_t i = 0; i < sizeof(IMPLIED) / sizeof(IMPLIED[0]); i++)
        if (flags & IMPLIED[i].flag)
            categories |= IMPLIED[i].categories;
    return categories;
}

/* What can be done with a command of which only this is known. */
static void decide(struct redis_command *cmd, int64_t first, int64_t last, int64_t step)
{
    int64_t least;

    cmd->plan = REDIS_REFUSED;
    if (cmd->flags & (REDIS_COMMAND_MOVABLE_KEYS | REDIS_COMMAND_PUBSUB) || first < 1 ||
        first > KEY_PLACE_LIMIT || last > KEY_PLACE_LIMIT || last < -KEY_PLACE_LIMIT ||
        (last >= 0 && last < first) || step < 1 || step > KEY_PLACE_LIMIT)
        return;
    /* Modules often tell no arity: the keys give the least. */
    least = last < 0 ? first - last : last + 1;
    if (cmd->arity >= 0 ? cmd->arity < least : -cmd->arity < least) {
        if (cmd->arity >= 0)
            return;
        cmd->arity = (int16_t)-least;
    }
    cmd->keys = REDIS_KEYS_RANGE;
    cmd->first_key = (int16_t)first;
    cmd->last_key = (int16_t)last;
    cmd->key_step = (int16_t)step;
    if (cmd->flags & REDIS_COMMAND_ADMIN)
        cmd->plan = REDIS_ADMIN;
    else if (cmd->flags & REDIS_COMMAND_BLOCKING)
        cmd->plan = REDIS_BLOCKING;
    else
        cmd->plan = REDIS_KEYED;
}

static const struct redis_command *probe(const struct redis_learned *learned, struct slice name);

/* Keeps it, unless our own table has it.  A name too long to be typed is left out. */
static enum err keep(struct redis_learned *learned, struct slice name, struct redis_command *cmd)
{
    struct redis_command_key key;

    if (name.len == 0 || name.len >= sizeof(cmd->name) || redis_command_named(name) != NULL)
        return ERR_NONE;
    redis_command_key(&key, name.at, name.len);
    memcpy(cmd->name, key.words, sizeof(cmd->name));
    if (memchr(cmd->name, '\0', name.len) != NULL)
        return ERR_PROTOCOL;
    cmd->name_len = (uint8_t)name.len;
    if (learned->count == COMMANDS_LIMIT)
        return ERR_LIMIT;
    if (learned->count == learned->cap) {
        learned->cap = learned->cap > 0 ? learned->cap * 2 : 64;
        learned->commands =
            mem_resize(learned->commands, learned->cap * sizeof(*learned->commands));
    }
    learned->commands[learned->count++] = *cmd;
    return ERR_NONE;
}

/* The fields that every version has. */
enum { FIELDS = 6, CATEGORIES = 6, SUBCOMMANDS = 9 };

/* Reads one command; `subcommands` is how many follow it in the bytes, then `rest` further
 * values. */
static enum err read_command(struct reader *r, struct redis_learned *learned, uint64_t *subcommands,
                             uint64_t *rest)
{
    struct redis_command cmd = { .flags = REDIS_COMMAND_LEARNED };
    int64_t arity, first, last, step;
    struct slice name;
    uint64_t fields;

    *subcommands = *rest = 0;
    TRY(read_count(r, &fields));
    if (fields == 0)
        return ERR_NONE; /* null: the server does not know it any more */
    if (fields < FIELDS)
        return ERR_PROTOCOL;
    TRY(read_text(r, &name));
    TRY(read_number(r, &arity));
    TRY(read_bits(r, flag_find, &cmd.flags));
    TRY(read_number(r, &first));
    TRY(read_number(r, &last));
    TRY(read_number(r, &step));
    if (arity < INT16_MIN || arity > INT16_MAX)
        return ERR_PROTOCOL;
    cmd.arity = (int16_t)arity;
    cmd.categories = implied_categories(cmd.flags);
    if (fields > CATEGORIES)
        TRY(read_bits(r, redis_category_find, &cmd.categories));
    if (fields > SUBCOMMANDS) {
        TRY(skip(r, SUBCOMMANDS - CATEGORIES - 1));
        TRY(read_count(r, subcommands));
        *rest = fields - SUBCOMMANDS - 1;
    } else if (fields > CATEGORIES + 1) {
        TRY(skip(r, fields - CATEGORIES - 1));
    }
    if (*subcommands > 0)
        cmd.flags |= REDIS_COMMAND_CONTAINER;
    decide(&cmd, first, last, step);
    return keep(learned, name, &cmd);
}

static enum err read_commands(struct reader *r, struct redis_learned *learned)
{
    uint64_t count, subcommands, rest, deeper, deeper_rest;

    TRY(read_count(r, &count));
    for (; count > 0; count--) {
        TRY(read_command(r, learned, &subcommands, &rest));
        for (; subcommands > 0; subcommands--) {
            TRY(read_command(r, learned, &deeper, &deeper_rest));
            if (deeper > (uint64_t)(r->end - r->at))
                return ERR_PROTOCOL;
            TRY(skip(r, deeper));
            TRY(skip(r, deeper_rest));
        }
        TRY(skip(r, rest));
    }
    return r->at == r->end ? ERR_NONE : ERR_PROTOCOL;
}

static void make_index(struct redis_learned *learned)
{
    for (learned->bits = 4; (size_t)1 << learned->bits < learned->count * 2; learned->bits++)
        ;
    size_t mask = ((size_t)1 << learned->bits) - 1;
    learned->slots = mem_new((mask + 1) * sizeof(*learned->slots));
    for (size_t i = 0; i < learned->count; i++) {
        const struct redis_command *cmd = &learned->commands[i];
        struct redis_command_key key;

        if (probe(learned, slice_of(cmd->name, cmd->name_len)) != NULL)
            continue; /* told twice: the first counts */
        redis_command_key(&key, (const uint8_t *)cmd->name, cmd->name_len);
        size_t slot = redis_command_hash(&key) >> (64 - learned->bits);
        while (learned->slots[slot] != 0)
            slot = (slot + 1) & mask;
        learned->slots[slot] = (uint32_t)(i + 1);
    }
}

enum err redis_learned_read(struct slice reply, struct redis_learned **out)
{
    struct redis_learned *learned = mem_new(sizeof(*learned));
    struct reader r = { reply.at, reply.at + reply.len };
    enum err err = read_commands(&r, learned);

    if (err != ERR_NONE) {
        redis_learned_free(&learned);
        return err;
    }
    make_index(learned);
    *out = learned;
    return ERR_NONE;
}

void redis_learned_free(struct redis_learned **learned)
{
    if (*learned != NULL) {
        free((*learned)->commands);
        free((*learned)->slots);
        free(*learned);
    }
    *learned = NULL;
}

static const struct redis_command *probe(const struct redis_learned *learned, struct slice name)
{
    struct redis_command_key key;
    size_t mask = ((size_t)1 << learned->bits) - 1;

    if (name.len >= REDIS_COMMAND_NAME_LIMIT)
        return NULL;
    redis_command_key(&key, name.at, name.len);
    size_t slot = redis_command_hash(&key) >> (64 - learned->bits);
    for (; learned->slots[slot] != 0; slot = (slot + 1) & mask) {
        const struct redis_command *cmd = &learned->commands[learned->slots[slot] - 1];

        if (cmd->name_len == key.len && memcmp(cmd->name, key.words, sizeof(key.words)) == 0)
            return cmd;
    }
    return NULL;
}

const struct redis_command *redis_learned_find(const struct redis_learned *learned,
                                               const struct slice *args, size_t count)
{
    uint8_t joined[REDIS_COMMAND_NAME_LIMIT];
    const struct redis_command *cmd;

    if (learned == NULL || count == 0)
        return NULL;
    cmd = probe(learned, args[0]);
    if (count < 2 || (cmd != NULL && !redis_command_has_subcommands(cmd)))
        return cmd;
    /* The container may be in our own table: a new subcommand of an old command. */
    if (args[0].len >= sizeof(joined) || args[1].len >= sizeof(joined) - args[0].len)
        return NULL;
    if (args[0].len > 0)
        memcpy(joined, args[0].at, args[0].len);
    joined[args[0].len] = '|';
    if (args[1].len > 0)
        memcpy(joined + args[0].len + 1, args[1].at, args[1].len);
    return probe(learned, slice_of(joined, args[0].len + 1 + args[1].len));
}

size_t redis_learned_count(const struct redis_learned *learned)
{
    return learned != NULL ? learned->count : 0;
}
