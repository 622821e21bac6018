/* See catalog_table.h.  Entries are in the order in which they came, their names in one piece of
 * memory, and a table of numbers, at most half full, finds them.  For each name there is one entry
 * more, of no schema, that says the strictest of all schemas. */
#include "replica/catalog_table.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/buf.h"
#include "proxy/base/mem.h"
#include "replica/builtin_function.h"

enum { NAME_BYTES_MOST = 255, SLOTS_FIRST = 64 };

struct entry {
    uint32_t hash;
    uint32_t at; /* of the schema in the names, with the name behind it */
    uint8_t schema_len, name_len;
    uint8_t kind;
    uint8_t nature;
    uint8_t of_default, of_user; /* of an entry of no schema: the strictest by their reach */
};

struct catalog_table {
    uint32_t count, room, slot_count;
    uint32_t names;
    uint64_t seed;
    struct entry *entries; /* owned */
    uint32_t *slots;       /* owned: number of an entry, counted from 1; 0: free */
    struct buf text;
};

/* ---- making ---- */

struct catalog_table *catalog_table_new(uint64_t seed)
{
    struct catalog_table *t = mem_new(sizeof(*t));

    t->seed = seed;
    t->slot_count = SLOTS_FIRST;
    t->slots = mem_new(t->slot_count * sizeof(*t->slots));
    return t;
}

void catalog_table_free(struct catalog_table **where)
{
    struct catalog_table *t = *where;

    *where = NULL;
    if (t == NULL)
        return;
    buf_fini(&t->text);
    free(t->entries);
    free(t->slots);
    free(t);
}

size_t catalog_table_names(const struct catalog_table *t)
{
    return t->names;
}

size_t catalog_table_bytes(const struct catalog_table *t)
{
    return sizeof(*t) + t->text.cap + t->room * sizeof(*t->entries) +
           t->slot_count * sizeof(*t->slots);
}

static uint64_t mix(uint64_t hash, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        hash = (hash ^ bytes.at[i]) * 0x9fb21c651e98df25ULL;
        hash ^= hash >> 32;
    }
    return (hash ^ 0x100) * 0x9fb21c651e98df25ULL;
}

static uint32_t hash_of(const struct catalog_table *t, enum catalog_kind kind, struct slice schema,
                        struct slice name)
{
    return (uint32_t)(mix(mix(t->seed + kind, schema), name) >> 32);
}

static bool is_it(const struct catalog_table *t, const struct entry *e, enum catalog_kind kind,
                  struct slice schema, struct slice name)
{
    const uint8_t *at = t->text.at + e->at;

    return e->kind == kind && slice_is(slice_of(at, e->schema_len), schema) &&
           slice_is(slice_of(at + e->schema_len, e->name_len), name);
}

static struct entry *find(const struct catalog_table *t, enum catalog_kind kind,
                          struct slice schema, struct slice name)
{
    uint32_t hash = hash_of(t, kind, schema, name);

    for (uint32_t i = hash & (t->slot_count - 1); t->slots[i] != 0;
         i = (i + 1) & (t->slot_count - 1)) {
        struct entry *e = &t->entries[t->slots[i] - 1];

        if (e->hash == hash && is_it(t, e, kind, schema, name))
            return e;
    }
    return NULL;
}

static void put_slot(struct catalog_table *t, uint32_t number)
{
    uint32_t i = t->entries[number - 1].hash & (t->slot_count - 1);

    while (t->slots[i] != 0)
        i = (i + 1) & (t->slot_count - 1);
    t->slots[i] = number;
}

static void grow(struct catalog_table *t)
{
    if (t->count == t->room) {
        t->room = t->room == 0 ? SLOTS_FIRST / 2 : t->room * 2;
        t->entries = mem_resize(t->entries, t->room * sizeof(*t->entries));
    }
    if ((t->count + 1) * 2 <= t->slot_count)
        return;
    free(t->slots);
    t->slot_count *= 2;
    t->slots = mem_new(t->slot_count * sizeof(*t->slots));
    for (uint32_t number = 1; number <= t->count; number++)
        put_slot(t, number);
}

static struct entry *find_or_add(struct catalog_table *t, enum catalog_kind kind,
                                 struct slice schema, struct slice name)
{
    struct entry *e = find(t, kind, schema, name);

    if (e != NULL)
        return e;
    grow(t);
    e = &t->entries[t->count++];
    *e = (struct entry){ .hash = hash_of(t, kind, schema, name),
                         .at = (uint32_t)t->text.len,
                         .schema_len = (uint8_t)schema.len,
                         .name_len = (uint8_t)name.len,
                         .kind = (uint8_t)kind };
    buf_slice(&t->text, schema);
    buf_slice(&t->text, name);
    put_slot(t, t->count);
    return e;
}

static void make_stricter(uint8_t *nature, uint8_t other)
{
    if (other > *nature)
        *nature = other;
}

static bool is_row(const struct catalog_row *row)
{
    uint8_t most = row->kind == CATALOG_RELATION ? (uint8_t)CATALOG_RELATION_TEMPORARY
                                                 : (uint8_t)CATALOG_FUNCTION_WRITES;

    return row->kind < CATALOG_KIND_COUNT && row->nature <= most && row->schema.len > 0 &&
           row->schema.len <= NAME_BYTES_MOST && row->name.len > 0 &&
           row->name.len <= NAME_BYTES_MOST;
}

enum err catalog_table_add(struct catalog_table *t, const struct catalog_row *row)
{
    struct entry *e;

    if (!is_row(row))
        return ERR_PROTOCOL;
    if (t->names == CATALOG_NAMES_MOST || catalog_table_bytes(t) > CATALOG_BYTES_MOST)
        return ERR_LIMIT;
    t->names++;
    make_stricter(&find_or_add(t, row->kind, row->schema, row->name)->nature, row->nature);
    e = find_or_add(t, row->kind, (struct slice){ 0 }, row->name);
    make_stricter(&e->nature, row->nature);
    if (row->reach & CATALOG_REACH_DEFAULT)
        make_stricter(&e->of_default, row->nature);
    if (row->reach & CATALOG_REACH_USER)
        make_stricter(&e->of_user, row->nature);
    return ERR_NONE;
}

/* ---- a search_path ---- */

/* The next name of a list as PostgreSQL reads it: folded if it is not quoted.  False: there is no
 * more that can be read; *rest is empty if all was. */
static bool next_of_path(struct slice *rest, uint8_t out[NAME_BYTES_MOST], struct slice *name)
{
    size_t len = 0, i = 0;
    bool quoted, open;

    while (i < rest->len && strchr(" \t\n\r\f\v,", rest->at[i]) != NULL && rest->at[i] != '\0')
        i++;
    if (i == rest->len) {
        *rest = (struct slice){ 0 };
        return false;
    }
    quoted = open = rest->at[i] == '"';
    for (i += quoted; i < rest->len; i++) {
        uint8_t c = rest->at[i];

        if (quoted && c == '"' && (i + 1 == rest->len || rest->at[i + 1] != '"')) {
            open = false;
            i++;
            break;
        }
        if (!quoted && strchr(" \t\n\r\f\v,", c) != NULL && c != '\0')
            break;
        if (len == NAME_BYTES_MOST)
            return false;
        out[len++] = !quoted && (uint8_t)(c - 'A') < 26 ? (uint8_t)(c | 0x20) : c;
        i += quoted && c == '"';
    }
    if (open)
        return false;
    *rest = slice_from(*rest, i);
    *name = slice_of(out, len);
    return true;
}

static uint8_t nature_by_path(const struct catalog_view *v, const struct entry *all,
                              struct slice name)
{
    uint8_t schema_bytes[NAME_BYTES_MOST], strictest = 0;
    struct slice rest = v->path, schema;

    while (next_of_path(&rest, schema_bytes, &schema)) {
        const struct entry *e = find(v->table, (enum catalog_kind)all->kind, schema, name);

        if (e != NULL && schema.len > 0)
            make_stricter(&strictest, e->nature);
        if (slice_is_text(schema, "$user"))
            make_stricter(&strictest, all->of_user);
    }
    return rest.len == 0 ? strictest : all->nature;
}

/* ---- looking up ---- */

static uint8_t look_up(const struct catalog_view *v, enum catalog_kind kind, struct slice schema,
                       struct slice name, bool by_path)
{
    const struct entry *e = find(v->table, kind, schema, name);

    if (e == NULL)
        return 0;
    if (schema.len > 0 || !by_path)
        return e->nature;
    if (v->has_path)
        return nature_by_path(v, e, name);
    return e->of_user > e->of_default ? e->of_user : e->of_default;
}

static enum catalog_function see_function(const void *state, struct slice schema, struct slice name)
{
    return (enum catalog_function)look_up(state, CATALOG_FUNCTION, schema, name,
                                          builtin_function_find(name) != NULL);
}

static enum catalog_function see_member(const void *state, struct slice schema, struct slice name)
{
    return (enum catalog_function)look_up(state, CATALOG_MEMBER, schema, name,
                                          builtin_function_find(name) != NULL);
}

static enum catalog_function see_operator(const void *state, struct slice schema, struct slice name)
{
    return (enum catalog_function)look_up(state, CATALOG_OPERATOR, schema, name, true);
}

static enum catalog_function see_type(const void *state, struct slice schema, struct slice name)
{
    return (enum catalog_function)look_up(state, CATALOG_TYPE, schema, name, false);
}

static enum catalog_relation see_relation(const void *state, struct slice schema, struct slice name)
{
    return (enum catalog_relation)look_up(state, CATALOG_RELATION, schema, name, false);
}

void catalog_table_see(const struct catalog_view *view, struct catalog *out)
{
    *out = (struct catalog){ .state = view,
                             .function = see_function,
                             .relation = see_relation,
                             .member = see_member,
                             .of_operator = see_operator,
                             .type = see_type };
}
