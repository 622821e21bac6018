/* See store_piece.h.  Open addressing, at most half full. */
#include "proxy/memory/store_piece.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"

enum { SLOTS_FIRST = 64, SLOTS_KEPT = 1 << 14, VALUE_KEPT = 1024 };

static bool is_same(const struct store_key *a, const struct store_key *b)
{
    return a->hash == b->hash && a->database == b->database && slice_is(a->name, b->name);
}

static uint32_t first_slot(const struct store_piece *p, const struct store_key *key)
{
    return (uint32_t)(key->hash ^ key->database) & (p->slots - 1);
}

/* The slot of the key, or the empty one where it would be. */
static uint32_t slot_of(const struct store_piece *p, const struct store_key *key)
{
    uint32_t slot = first_slot(p, key);

    while (p->index[slot] != 0 && !is_same(&p->keys[p->index[slot] - 1].key, key))
        slot = (slot + 1) & (p->slots - 1);
    return slot;
}

static void grow_index(struct store_piece *p)
{
    p->slots = p->slots == 0 ? SLOTS_FIRST : 2 * p->slots;
    free(p->index);
    p->index = mem_new(p->slots * sizeof(*p->index));
    assert(p->count == 0 || p->keys != NULL);
    for (uint32_t i = 0; i < p->count; i++)
        p->index[slot_of(p, &p->keys[i].key)] = i + 1;
}

static void grow_keys(struct store_piece *p)
{
    uint32_t room = p->room == 0 ? SLOTS_FIRST / 2 : 2 * p->room;

    p->keys = mem_resize(p->keys, room * sizeof(*p->keys));
    memset(&p->keys[p->room], 0, (room - p->room) * sizeof(*p->keys));
    p->room = room;
}

struct store_piece_key *store_piece_find(struct store_piece *p, const struct store_key *key)
{
    uint32_t at = p->slots == 0 ? 0 : p->index[slot_of(p, key)];

    return at == 0 ? NULL : &p->keys[at - 1];
}

struct store_piece_key *store_piece_add(struct store_piece *p, const struct store_key *key)
{
    struct store_piece_key *k = store_piece_find(p, key);
    struct buf value;

    if (k != NULL)
        return k;
    if (2 * (p->count + 1) > p->slots)
        grow_index(p);
    if (p->count == p->room)
        grow_keys(p);
    assert(p->keys != NULL);
    p->index[slot_of(p, key)] = p->count + 1;
    k = &p->keys[p->count++];
    value = k->value; /* its memory is kept from the piece before */
    *k = (struct store_piece_key){ .key = *key, .value = value };
    buf_clear(&k->value);
    return k;
}

struct store_piece_key *store_piece_add_copy(struct store_piece *p, const struct store_key *key)
{
    struct store_key copy = *key;
    struct buf *name;

    p->names = mem_resize(p->names, (p->name_count + 1) * sizeof(*p->names));
    name = &p->names[p->name_count++];
    *name = (struct buf){ 0 };
    buf_slice(name, key->name);
    copy.name = buf_all(name);
    return store_piece_add(p, &copy);
}

void store_piece_unset(struct store_piece *p, struct store_piece_key *k,
                       enum store_piece_state state)
{
    p->held -= k->value.len;
    if (k->value.cap > VALUE_KEPT)
        buf_fini(&k->value);
    buf_clear(&k->value);
    k->state = state;
}

void store_piece_set(struct store_piece *p, struct store_piece_key *k, struct slice value,
                     int64_t expires_ms)
{
    struct buf is = { 0 };

    p->held += value.len - k->value.len;
    if (value.at >= k->value.at && value.at < k->value.at + k->value.len) { /* it lies in it */
        buf_slice(&is, value);
        buf_fini(&k->value);
        k->value = is;
    } else {
        buf_clear(&k->value);
        buf_slice(&k->value, value);
    }
    k->expires_ms = expires_ms;
    k->state = STORE_PIECE_THERE;
}

void store_piece_clear(struct store_piece *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        store_piece_unset(p, &p->keys[i], STORE_PIECE_UNKNOWN);
    for (uint32_t i = 0; i < p->name_count; i++)
        buf_fini(&p->names[i]);
    free(p->names);
    p->names = NULL;
    p->name_count = 0;
    p->count = 0;
    p->held = 0;
    if (p->slots > SLOTS_KEPT)
        store_piece_fini(p);
    else if (p->slots > 0)
        memset(p->index, 0, p->slots * sizeof(*p->index));
}

void store_piece_fini(struct store_piece *p)
{
    for (uint32_t i = 0; i < p->room; i++)
        buf_fini(&p->keys[i].value);
    for (uint32_t i = 0; i < p->name_count; i++)
        buf_fini(&p->names[i]);
    free(p->names);
    free(p->keys);
    free(p->index);
    *p = (struct store_piece){ 0 };
}
