/* The statements that one upstream has.  See pg_prepared.h.
 *
 * Entries lie in an array and know each other by their number plus one, 0 being nobody; `slots`
 * finds them by their ids. */
#include "proxy/sql/pg_prepared.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/mem.h"

enum { FIRST_ENTRIES = 8 };

struct pg_prepared_entry {
    uint64_t id;
    uint32_t newer,
        older;     /* in the order of their use; `older` of a free entry: the next free one */
    uint32_t text; /* that needed it last */
    uint8_t state; /* enum pg_prepared_state */
    bool is_there; /* SENT, but the server has it: its Close was skipped */
};

void pg_prepared_fini(struct pg_prepared *p)
{
    free(p->entries);
    free(p->slots);
    *p = (struct pg_prepared){ 0 };
}

static struct pg_prepared_entry *entry_of(const struct pg_prepared *p, uint32_t number)
{
    return &p->entries[number - 1];
}

static uint32_t mask_of(const struct pg_prepared *p)
{
    return p->size * 2 - 1;
}

static uint32_t home_of(const struct pg_prepared *p, uint64_t id)
{
    return (uint32_t)((id * 0x9e3779b97f4a7c15) >> 32) & mask_of(p);
}

/* Where the id is, or the free slot where it belongs. */
static uint32_t slot_of(const struct pg_prepared *p, uint64_t id)
{
    uint32_t slot = home_of(p, id);

    while (p->slots[slot] != 0 && entry_of(p, p->slots[slot])->id != id)
        slot = (slot + 1) & mask_of(p);
    return slot;
}

static uint32_t find(const struct pg_prepared *p, uint64_t id)
{
    return p->size == 0 ? 0 : p->slots[slot_of(p, id)];
}

static void unchain(struct pg_prepared *p, uint32_t number)
{
    struct pg_prepared_entry *e = entry_of(p, number);

    *(e->newer == 0 ? &p->newest : &entry_of(p, e->newer)->older) = e->older;
    *(e->older == 0 ? &p->oldest : &entry_of(p, e->older)->newer) = e->newer;
}

static void chain_newest(struct pg_prepared *p, uint32_t number)
{
    struct pg_prepared_entry *e = entry_of(p, number);

    e->newer = 0;
    e->older = p->newest;
    *(p->newest == 0 ? &p->oldest : &entry_of(p, p->newest)->newer) = number;
    p->newest = number;
}

static void grow(struct pg_prepared *p)
{
    uint32_t size = p->size == 0 ? FIRST_ENTRIES : p->size * 2;

    p->entries = mem_resize(p->entries, size * sizeof(p->entries[0]));
    free(p->slots);
    p->slots = mem_new((size_t)size * 2 * sizeof(p->slots[0]));
    for (uint32_t i = size; i > p->size; i--) {
        p->entries[i - 1] = (struct pg_prepared_entry){ .older = p->free };
        p->free = i;
    }
    p->size = size;
    for (uint32_t number = p->newest; number != 0; number = entry_of(p, number)->older)
        p->slots[slot_of(p, entry_of(p, number)->id)] = number;
}

static uint32_t text_of(const struct pg_prepared *p)
{
    return p->is_in_text ? p->text : 0;
}

static void insert(struct pg_prepared *p, uint64_t id, enum pg_prepared_state state)
{
    uint32_t number;

    if (p->free == 0)
        grow(p);
    number = p->free;
    p->free = entry_of(p, number)->older;
    *entry_of(p, number) =
        (struct pg_prepared_entry){ .id = id, .text = text_of(p), .state = (uint8_t)state };
    p->slots[slot_of(p, id)] = number;
    chain_newest(p, number);
    p->count++;
}

/* What stands behind the gap at a slot moves up if it may. */
static void close_gap(struct pg_prepared *p, uint32_t gap)
{
    uint32_t mask = mask_of(p), i = gap;

    while (p->slots[i = (i + 1) & mask] != 0) {
        uint32_t home = home_of(p, entry_of(p, p->slots[i])->id);

        if (((i - home) & mask) >= ((i - gap) & mask)) {
            p->slots[gap] = p->slots[i];
            p->slots[i] = 0;
            gap = i;
        }
    }
}

void pg_prepared_remove(struct pg_prepared *p, uint64_t id)
{
    uint32_t number = find(p, id), slot;

    if (number == 0)
        return;
    slot = slot_of(p, id);
    p->slots[slot] = 0;
    close_gap(p, slot);
    unchain(p, number);
    *entry_of(p, number) = (struct pg_prepared_entry){ .older = p->free };
    p->free = number;
    p->count--;
}

enum pg_prepared_state pg_prepared_find(struct pg_prepared *p, uint64_t id)
{
    uint32_t number = find(p, id);

    if (number == 0)
        return PG_PREPARED_ABSENT;
    if (p->newest != number) {
        unchain(p, number);
        chain_newest(p, number);
    }
    entry_of(p, number)->text = text_of(p);
    return (enum pg_prepared_state)entry_of(p, number)->state;
}

void pg_prepared_begin_text(struct pg_prepared *p)
{
    p->text += p->text == UINT32_MAX ? 2 : 1; /* 0 is none */
    p->is_in_text = true;
}

void pg_prepared_end_text(struct pg_prepared *p)
{
    p->is_in_text = false;
}

/* Does the text that is looked at need it? */
static bool is_needed(const struct pg_prepared *p, uint32_t number)
{
    return number != 0 && p->is_in_text && entry_of(p, number)->text == p->text;
}

/* The one used least lately of which it is known that the server has it; 0: none. */
static uint64_t to_evict(const struct pg_prepared *p)
{
    uint32_t number = p->oldest;

    while (number != 0 && (entry_of(p, number)->state != PG_PREPARED_READY || is_needed(p, number)))
        number = entry_of(p, number)->newer;
    return number == 0 ? 0 : entry_of(p, number)->id;
}

enum err pg_prepared_add(struct pg_prepared *p, uint64_t id, uint64_t *evicted)
{
    uint64_t goes = 0;

    assert(id != 0 && find(p, id) == 0);
    if (p->max == 0)
        p->max = PG_PREPARED_MAX;
    if (p->count >= p->max) {
        goes = to_evict(p);
        if (goes == 0 && !is_needed(p, p->newest))
            return ERR_AGAIN;
        pg_prepared_remove(p, goes);
    }
    insert(p, id, PG_PREPARED_SENT);
    *evicted = goes;
    return ERR_NONE;
}

void pg_prepared_settle(struct pg_prepared *p, uint64_t id, enum pg_outcome outcome)
{
    uint32_t number = find(p, id);
    struct pg_prepared_entry *e;

    if (number == 0)
        return;
    e = entry_of(p, number);
    if (e->state != PG_PREPARED_SENT)
        return;
    if (outcome != PG_OUTCOME_DONE && !e->is_there) {
        pg_prepared_remove(p, id);
        return;
    }
    e->state = PG_PREPARED_READY;
    e->is_there = false;
}

uint64_t pg_prepared_surplus(struct pg_prepared *p)
{
    uint64_t goes = p->count > p->max ? to_evict(p) : 0;

    if (goes != 0)
        pg_prepared_remove(p, goes);
    return goes;
}

void pg_prepared_closed(struct pg_prepared *p, uint64_t id)
{
    uint32_t number = find(p, id);

    if (number == 0)
        return;
    if (entry_of(p, number)->state == PG_PREPARED_SENT)
        entry_of(p, number)->is_there = false; /* the Parse is behind it */
    else
        pg_prepared_remove(p, id);
}

void pg_prepared_restore(struct pg_prepared *p, uint64_t id)
{
    uint32_t number = find(p, id);

    if (number == 0)
        insert(p, id, PG_PREPARED_READY);
    else if (entry_of(p, number)->state == PG_PREPARED_SENT)
        entry_of(p, number)->is_there = true;
}

void pg_prepared_clear(struct pg_prepared *p)
{
    struct pg_prepared was = *p;

    pg_prepared_fini(p);
    p->max = was.max;
    p->text = was.text;
    p->is_in_text = was.is_in_text;
    p->syncs = was.syncs;
    p->unnamed_hopes = was.unnamed_hopes;
    p->unnamed_since = was.unnamed_since;
    pg_prepared_unnamed_is_unknown(p); /* they leave it */
}

void pg_prepared_doubt(struct pg_prepared *p)
{
    pg_prepared_clear(p);
    p->is_doubtful = true;
}

/* What was skipped leaves the one that was there. */
void pg_prepared_unnamed_settle(struct pg_prepared *p, uint64_t id, enum pg_outcome outcome)
{
    assert(p->unnamed_hopes > 0);
    p->unnamed_hopes--;
    if (outcome != PG_OUTCOME_SKIPPED) /* a Parse that fails has ended what was */
        p->unnamed_known = outcome == PG_OUTCOME_DONE ? id : 0;
    if (p->unnamed_hopes == 0)
        p->unnamed = p->unnamed_known;
}
