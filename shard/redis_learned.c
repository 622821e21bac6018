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

/* One of a command's key specifications, as servers tell them since 7.0: where to begin, and what
 * the keys are from there. */
struct key_spec {
    struct slice begin, find; /* "index"; "range" or "keynum" */
    int64_t index;
    int64_t lastkey, keystep, limit; /* range */
    int64_t keynumidx, firstkey;     /* keynum, with keystep */
    uint32_t doubts;                 /* it is not all, or no key at all */
};

enum { SPECS_MOST = 2 };

struct key_specs {
    struct key_spec at[SPECS_MOST];
    uint64_t count; /* told; those beyond are not kept */
};

static uint32_t doubt_find(struct slice text)
{
    return slice_is_word(text, "incomplete") || slice_is_word(text, "not_key");
}

/* The numbers of "spec": what else it has (a keyword) is passed over. */
static enum err read_spec_numbers(struct reader *r, struct key_spec *spec)
{
    const struct {
        const char *name;
        int64_t *place;
    } numbers[] = {
        { "index", &spec->index },         { "lastkey", &spec->lastkey },
        { "keystep", &spec->keystep },     { "limit", &spec->limit },
        { "keynumidx", &spec->keynumidx }, { "firstkey", &spec->firstkey },
    };
    uint64_t count;

    TRY(read_count(r, &count));
    for (; count >= 2; count -= 2) {
        int64_t *place = NULL;
        struct slice name;

        TRY(read_text(r, &name));
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
            if (slice_is_word(name, numbers[i].name))
                place = numbers[i].place;
        TRY(place != NULL ? read_number(r, place) : skip(r, 1));
    }
    return skip(r, count);
}

static enum err read_spec_half(struct reader *r, struct slice *type, struct key_spec *spec)
{
    uint64_t count;

    TRY(read_count(r, &count));
    for (; count >= 2; count -= 2) {
        struct slice name;

        TRY(read_text(r, &name));
        if (slice_is_word(name, "type"))
            TRY(read_text(r, type));
        else if (slice_is_word(name, "spec"))
            TRY(read_spec_numbers(r, spec));
        else
            TRY(skip(r, 1));
    }
    return skip(r, count);
}

static enum err read_key_spec(struct reader *r, struct key_spec *spec)
{
    uint64_t count;

    *spec = (struct key_spec){ 0 };
    TRY(read_count(r, &count));
    for (; count >= 2; count -= 2) {
        struct slice name;

        TRY(read_text(r, &name));
        if (slice_is_word(name, "flags"))
            TRY(read_bits(r, doubt_find, &spec->doubts));
        else if (slice_is_word(name, "begin_search"))
            TRY(read_spec_half(r, &spec->begin, spec));
        else if (slice_is_word(name, "find_keys"))
            TRY(read_spec_half(r, &spec->find, spec));
        else
            TRY(skip(r, 1));
    }
    return skip(r, count);
}

static enum err read_key_specs(struct reader *r, struct key_specs *specs)
{
    uint64_t count;

    TRY(read_count(r, &count));
    for (specs->count = 0; specs->count < count; specs->count++)
        TRY(specs->count < SPECS_MOST ? read_key_spec(r, &specs->at[specs->count]) : skip(r, 1));
    return ERR_NONE;
}

/* Modules often tell no arity: the keys give the least.  False: it has not even so many words. */
static bool has_words(struct redis_command *cmd, int64_t least)
{
    if (cmd->arity >= 0)
        return cmd->arity >= least;
    if (-cmd->arity < least)
        cmd->arity = (int16_t)-least;
    return true;
}

static bool is_sure(const struct key_spec *spec, const char *find)
{
    return spec->doubts == 0 && slice_is_word(spec->begin, "index") &&
           slice_is_word(spec->find, find) && spec->index >= 1 && spec->index <= KEY_PLACE_LIMIT;
}

/* Keys whose number is told before them: alone, or behind a key of the command's first word. */
static bool find_counted(struct redis_command *cmd, const struct key_specs *specs)
{
    const struct key_spec *counted = &specs->at[0], *first = NULL;

    if (specs->count == 2) {
        first = &specs->at[0];
        counted = &specs->at[1];
        if (!is_sure(first, "range") || first->index != 1 || first->lastkey != 0)
            return false;
    }
    if (specs->count < 1 || specs->count > 2 || !is_sure(counted, "keynum") ||
        counted->keynumidx != 0 || counted->firstkey != 1 || counted->keystep < 1 ||
        counted->keystep > KEY_PLACE_LIMIT ||
        (first != NULL && (counted->index < 2 || counted->keystep != 1)) ||
        !has_words(cmd, counted->index + 1 + counted->keystep))
        return false;
    cmd->keys = first != NULL ? REDIS_KEYS_DESTINATION_COUNTED : REDIS_KEYS_COUNTED;
    cmd->first_key = (int16_t)counted->index;
    cmd->key_step = (int16_t)counted->keystep;
    return true;
}

static bool find_range(struct redis_command *cmd, int64_t first, int64_t last, int64_t step)
{
    if (first < 1 || first > KEY_PLACE_LIMIT || last > KEY_PLACE_LIMIT || last < -KEY_PLACE_LIMIT ||
        (last >= 0 && last < first) || step < 1 || step > KEY_PLACE_LIMIT ||
        !has_words(cmd, last < 0 ? first - last : last + 1))
        return false;
    cmd->keys = REDIS_KEYS_RANGE;
    cmd->first_key = (int16_t)first;
    cmd->last_key = (int16_t)last;
    cmd->key_step = (int16_t)step;
    return true;
}

/* What can be done with a command of which only this is known. */
static void decide(struct redis_command *cmd, int64_t first, int64_t last, int64_t step,
                   const struct key_specs *specs)
{
    cmd->plan = REDIS_REFUSED;
    if ((cmd->flags & REDIS_COMMAND_PUBSUB) != 0 ||
        !((cmd->flags & REDIS_COMMAND_MOVABLE_KEYS) != 0 ? find_counted(cmd, specs)
                                                         : find_range(cmd, first, last, step)))
        return;
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
enum { FIELDS = 6, CATEGORIES = 6, KEY_SPECS = 8, SUBCOMMANDS = 9 };

/* Reads one command; `subcommands` is how many follow it in the bytes, then `rest` further
 * values. */
static enum err read_command(struct reader *r, struct redis_learned *learned, uint64_t *subcommands,
                             uint64_t *rest)
{
    struct redis_command cmd = { .flags = REDIS_COMMAND_LEARNED };
    struct key_specs specs = { 0 };
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
        TRY(skip(r, KEY_SPECS - CATEGORIES - 1));
        TRY(read_key_specs(r, &specs));
        TRY(read_count(r, subcommands));
        *rest = fields - SUBCOMMANDS - 1;
    } else if (fields > CATEGORIES + 1) {
        TRY(skip(r, fields - CATEGORIES - 1));
    }
    if (*subcommands > 0)
        cmd.flags |= REDIS_COMMAND_CONTAINER;
    decide(&cmd, first, last, step, &specs);
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
