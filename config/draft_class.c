/* See draft.h: classes of keys, which belong to the memory pools they name. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "config/draft.h"
#include "config/expand.h"
#include "config/tables.h"
#include "config/words.h"

#define FIRST(place) (place).file, (place).line

enum {
    CLASSES_MOST = 256,
    MATCHES_MOST = 256, /* of a class */
    MATCH_BYTES = 256,  /* of a prefix or pattern */
};

static int digit_of(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* "1aff" and its like; blanks may stand between bytes.  0: it is none. */
static size_t read_hex(const char *text, uint8_t *bytes, size_t room)
{
    size_t len = 0;

    for (; *text != '\0'; text++) {
        if (*text == ' ')
            continue;
        if (len == room || !isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
            return 0;
        bytes[len++] = (uint8_t)(digit_of(text[0]) << 4 | digit_of(text[1]));
        text++;
    }
    return len;
}

static enum err read_first_byte(const char *value, struct key_match *m, struct buf *why)
{
    bool is_range = strlen(value) == 5 && value[2] == '-';
    char low[3];

    snprintf(low, sizeof(low), "%.2s", value);
    if ((strlen(value) == 2 || is_range) && read_hex(low, &m->low, 1) == 1 &&
        read_hex(is_range ? value + 3 : low, &m->high, 1) == 1 && m->low <= m->high)
        return ERR_NONE;
    buf_format(why,
               "must be two hexadecimal digits, or two such bytes with a \"-\" between them, "
               "the lesser one first, not \"%s\"",
               value);
    return ERR_SYNTAX;
}

static enum err read_match(struct loading *l, const struct draft_line *line, const char *value,
                           struct key_match *m, struct buf *why)
{
    uint8_t bytes[MATCH_BYTES];

    if (draft_is_line(line, "first_byte")) {
        m->kind = KEY_MATCH_FIRST_BYTE;
        return read_first_byte(value, m, why);
    }
    m->kind = draft_is_line(line, "pattern") ? KEY_MATCH_PATTERN : KEY_MATCH_PREFIX;
    m->is_hex = draft_is_line(line, "prefix_hex");
    if (m->is_hex) {
        size_t len = read_hex(value, bytes, sizeof(bytes));

        if (len == 0) {
            buf_format(why, "must be two hexadecimal digits for each of 1 to %d bytes, not \"%s\"",
                       MATCH_BYTES, value);
            return ERR_SYNTAX;
        }
        m->text = arena_copy(l->arena, slice_of(bytes, len));
        return ERR_NONE;
    }
    if (value[0] == '\0' || strlen(value) > MATCH_BYTES) {
        buf_format(why, "must have 1 to %d bytes", MATCH_BYTES);
        return ERR_RANGE;
    }
    m->text = slice_text(value);
    return ERR_NONE;
}

static enum err find_memory_pool(struct loading *l, const char *name,
                                 const struct memory_pool **out, struct buf *why)
{
    const struct pool_settings *pool = snapshot_pool(l->snapshot, name);

    if (pool == NULL) {
        buf_format(why, "there is no pool \"%s\"", name);
        return ERR_CONFIG;
    }
    if (pool->kind != POOL_MEMORY) {
        buf_format(why, "pool \"%s\" is no memory pool, but [%s %s]", name,
                   pool_kind_name(pool->kind), name);
        return ERR_CONFIG;
    }
    *out = memory_pool_of(pool);
    return ERR_NONE;
}

static enum err build_line(struct loading *l, struct key_class *c, const struct draft_line *line,
                           struct buf *why)
{
    struct key_match match = { 0 };
    const struct memory_pool *pool;
    const char *value;

    TRY(expand(slice_text(line->value), EXPAND_PLAIN, l->arena, &value, why));
    if (draft_is_line(line, "in")) {
        TRY(find_memory_pool(l, value, &pool, why));
        c->in = words_grown(l->arena, c->in, c->in_count, sizeof(struct memory_pool *));
        c->in[c->in_count++] = pool;
        return ERR_NONE;
    }
    TRY(read_match(l, line, value, &match, why));
    if (c->match_count == MATCHES_MOST) {
        buf_format(why, "a class may have %d prefixes, patterns and first bytes", MATCHES_MOST);
        return ERR_LIMIT;
    }
    c->matches = words_grown(l->arena, c->matches, c->match_count, sizeof(*c->matches));
    c->matches[c->match_count++] = match;
    return ERR_NONE;
}

static bool is_in(const struct key_class *c, const struct memory_pool *pool)
{
    for (uint32_t i = 0; i < c->in_count; i++)
        if (c->in[i] == pool)
            return true;
    return c->in_count == 0;
}

static void give_to_pools(struct loading *l, const struct key_class *c)
{
    for (uint32_t i = 0; i < l->snapshot->pool_count; i++) {
        struct memory_pool *pool;

        if (l->snapshot->pools[i]->kind != POOL_MEMORY)
            continue;
        pool = memory_pool_of(l->snapshot->pools[i]);
        if (!is_in(c, pool))
            continue;
        pool->classes =
            words_grown(l->arena, pool->classes, pool->class_count, sizeof(struct key_class *));
        pool->classes[pool->class_count++] = c;
    }
}

static void build_class(struct loading *l, struct draft *d)
{
    struct snapshot *s = l->snapshot;
    struct key_class *c = d->key_class;
    struct buf why = { 0 };

    if (s->class_count == CLASSES_MOST) {
        problems_error(l->problems, d->place, "there may be %d classes", CLASSES_MOST);
        return;
    }
    for (const struct draft_line *line = d->lines; line != NULL; line = line->next)
        if (build_line(l, c, line, &why) != ERR_NONE)
            draft_blame(l, line->place, line->option->name, &why);
    if (c->pool_name != NULL && find_memory_pool(l, c->pool_name, &c->pool, &why) != ERR_NONE)
        draft_blame(l, draft_place(d, "pool"), "pool", &why);
    if (c->ttl_ms == 0)
        c->ttl_ms = c->max_ttl_ms;
    buf_fini(&why);
    s->classes = words_grown(l->arena, s->classes, s->class_count, sizeof(struct key_class *));
    s->classes[s->class_count++] = c;
    give_to_pools(l, c);
}

void draft_build_classes(struct loading *l)
{
    for (struct draft *d = l->drafts; d != NULL; d = d->next)
        if (d->key_class != NULL)
            build_class(l, d);
}

bool draft_is_classes_pool(const struct loading *l, const struct pool_settings *pool)
{
    for (uint32_t i = 0; i < l->snapshot->class_count; i++) {
        const struct memory_pool *of = l->snapshot->classes[i]->pool;

        if (of != NULL && &of->base == pool)
            return true;
    }
    return false;
}

/* What its requests are written in. */
static bool is_memcached(const struct memory_pool *pool)
{
    return pool->base.endpoint_count > 0 &&
           strcmp(pool->base.endpoints[0]->protocol, "memcached") == 0;
}

/* What hides the stamps hides them on all shards. */
static bool is_stamped_alike(struct loading *l, const struct draft *d, const struct memory_pool *of)
{
    const struct key_class *c = d->key_class;

    if (of->stamp == c->pool->stamp)
        return true;
    problems_error(l->problems, draft_place(d, "pool"),
                   "pool: %s and %s, whose keys it is to have, must both have stamps, or both none",
                   c->pool->base.name, of->base.name);
    return false;
}

static void check_pool(struct loading *l, const struct draft *d)
{
    const struct key_class *c = d->key_class;

    for (uint32_t i = 0; i < l->snapshot->pool_count && c->pool != NULL; i++) {
        const struct memory_pool *of;

        if (l->snapshot->pools[i]->kind != POOL_MEMORY)
            continue;
        of = memory_pool_of(l->snapshot->pools[i]);
        if (!is_in(c, of) || of->base.endpoint_count == 0 || c->pool->base.endpoint_count == 0)
            continue;
        if (is_memcached(of) == is_memcached(c->pool)) {
            if (!is_stamped_alike(l, d, of))
                return;
            continue;
        }
        problems_error(l->problems, draft_place(d, "pool"),
                       "pool: the shards of %s are %s memcached, and those of %s, whose keys they "
                       "are to have, are%s%s",
                       c->pool->base.name, is_memcached(c->pool) ? "of" : "not of", of->base.name,
                       is_memcached(of) ? "" : " not",
                       c->in_count == 0 ? "; an \"in\" line says whose keys are meant" : "");
        return;
    }
}

void draft_check_class(struct loading *l, const struct draft *d)
{
    const struct key_class *c = d->key_class;
    const struct draft_order order = { "ttl", "max_ttl", c->ttl_ms, c->max_ttl_ms, false };
    const struct draft_order memory = { "cache_memory", "max_memory", c->cache_bytes,
                                        l->snapshot->proxy.max_memory_bytes, true };

    if (c->match_count == 0 && !draft_is_given(d, "prefix") && !draft_is_given(d, "prefix_hex") &&
        !draft_is_given(d, "first_byte") && !draft_is_given(d, "pattern"))
        problems_error(
            l->problems, d->place,
            "[%s] has no \"prefix\", \"prefix_hex\", \"first_byte\" or \"pattern\" line: "
            "no key is of it",
            d->title);
    if (c->max_ttl_ms > 0)
        draft_check_order(l, d, &order);
    if (c->cache_ms > 0)
        draft_check_order(l, d, &memory);
    check_pool(l, d);
}
