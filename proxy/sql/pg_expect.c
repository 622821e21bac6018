/* The queue of replies that are owed.  See pg_expect.h.
 *
 *     BEGIN -- the one frame that answers --> next entry
 *     Describe of a statement:  BEGIN -t-> DESCRIBED -T,n->
 *     Execute:   ROWS -D-> ROWS -C,I,s->                       (it begins there)
 *     Query:     BEGIN -T-> ROWS -C-> BETWEEN ... -Z->         BETWEEN: as BEGIN, but Z may come
 *     these two: -G-> COPY_IN -C->    -H-> COPY_OUT -c-> COPY_OUT_DONE -C->    -W-> COPY_BOTH
 *     Query, FunctionCall, Sync:  -E,V-> READY -Z->
 *
 * In the ring the entries that COPY makes doubtful stand directly behind the head. */
#include "proxy/sql/pg_expect.h"

#include <stdlib.h>

#include "proxy/base/mem.h"

enum { FIRST_SIZE = 16 };

static struct pg_expected *entry_at(const struct pg_expect *e, uint32_t i)
{
    return &e->ring[(e->head + i) & (e->size - 1)];
}

/* What stands at the head begins. */
static void set_phase(struct pg_expect *e, enum pg_expect_phase phase)
{
    e->phase = phase;
    e->data_type = phase == PG_PHASE_ROWS       ? PG_EXPECT_DATA | 'D'
                   : phase == PG_PHASE_COPY_OUT ? PG_EXPECT_DATA | 'd'
                                                : 0;
}

static void begin_head(struct pg_expect *e)
{
    while (e->count > 0 && entry_at(e, 0)->kind == PG_EXPECT_COPY_END) {
        e->head = (e->head + 1) & (e->size - 1);
        e->count--;
    }
    set_phase(e, e->count > 0 && entry_at(e, 0)->kind == PG_EXPECT_EXECUTE &&
                         !(entry_at(e, 0)->flags & PG_EXPECT_FAKE)
                     ? PG_PHASE_ROWS
                     : PG_PHASE_BEGIN);
    e->data_turn =
        e->count > 0 && entry_at(e, 0)->flags & PG_EXPECT_SWALLOW ? PG_TURN_SWALLOW : PG_TURN_PASS;
}

static struct pg_expected pop(struct pg_expect *e)
{
    struct pg_expected entry = *entry_at(e, 0);

    e->head = (e->head + 1) & (e->size - 1);
    e->count--;
    return entry;
}

void pg_expect_fini(struct pg_expect *e)
{
    free(e->ring);
    *e = (struct pg_expect){ 0 };
}

void pg_expect_trim(struct pg_expect *e)
{
    if (e->count > 0)
        return;
    free(e->ring);
    e->ring = NULL;
    e->head = e->size = 0;
}

static void grow(struct pg_expect *e)
{
    uint32_t size = e->size == 0 ? FIRST_SIZE : e->size * 2;
    struct pg_expected *ring = mem_new(size * sizeof(ring[0]));

    for (uint32_t i = 0; i < e->count; i++)
        ring[i] = *entry_at(e, i);
    free(e->ring);
    e->ring = ring;
    e->size = size;
    e->head = 0;
}

static enum err append(struct pg_expect *e, struct pg_expected entry)
{
    if (e->count >= PG_EXPECT_LIMIT)
        return ERR_LIMIT;
    if (e->count == e->size)
        grow(e);
    *entry_at(e, e->count++) = entry;
    if (e->count == 1)
        begin_head(e);
    return ERR_NONE;
}

/* Has the client ended the copying that the head does? */
static bool copy_is_ended(const struct pg_expect *e)
{
    uint32_t i = 1;

    while (i < e->count && entry_at(e, i)->flags & PG_EXPECT_DOUBTFUL)
        i++;
    return i < e->count;
}

enum err pg_expect_push(struct pg_expect *e, struct pg_expected entry)
{
    bool is_sync = entry.kind == PG_EXPECT_SYNC;

    assert(entry.kind != PG_EXPECT_NOTHING && entry.kind != PG_EXPECT_COPY_END);
    assert(!(entry.flags &
             ~(PG_EXPECT_SWALLOW | PG_EXPECT_FAKE | PG_EXPECT_WRITES | PG_EXPECT_COMMITS)));
    assert(e->skips == 0);
    assert(!e->skipping || !is_sync || !(entry.flags & PG_EXPECT_FAKE)); /* it waits for a Sync */
    if (e->skipping && !is_sync)
        return ERR_CLOSED;
    if (is_sync && e->phase == PG_PHASE_COPY_IN && !copy_is_ended(e))
        entry.flags |= PG_EXPECT_DOUBTFUL;
    TRY(append(e, entry));
    if (is_sync)
        e->skipping = false;
    return ERR_NONE;
}

enum err pg_expect_push_copy_end(struct pg_expect *e)
{
    if (e->skipping || e->count == 0)
        return ERR_NONE; /* the server forgets it */
    return append(e, (struct pg_expected){ .kind = PG_EXPECT_COPY_END });
}

/* --- COPY FROM STDIN ------------------------------------------------------------------------- */

static void begin_copy_in(struct pg_expect *e)
{
    set_phase(e, PG_PHASE_COPY_IN);
    for (uint32_t i = 1; i < e->count && entry_at(e, i)->kind == PG_EXPECT_SYNC; i++)
        entry_at(e, i)->flags |= PG_EXPECT_DOUBTFUL;
}

/* Forgets what stood directly behind the head for the copying's sake. */
static bool forget_doubtful(struct pg_expect *e)
{
    uint32_t i = 1;
    bool any;

    while (i < e->count && entry_at(e, i)->flags & PG_EXPECT_DOUBTFUL)
        i++;
    any = i > 1;
    if (i < e->count && entry_at(e, i)->kind == PG_EXPECT_COPY_END)
        i++;
    *entry_at(e, i - 1) = *entry_at(e, 0);
    e->head = (e->head + i - 1) & (e->size - 1);
    e->count -= i - 1;
    return any;
}

/* --- Frames ---------------------------------------------------------------------------------- */

static unsigned ends(struct pg_expect *e)
{
    unsigned turn = e->data_turn | PG_TURN_ENDS;

    e->ended = pop(e);
    begin_head(e);
    return turn;
}

static unsigned goes_on(struct pg_expect *e, enum pg_expect_phase phase)
{
    set_phase(e, phase);
    return e->data_turn;
}

/* The server reads on behind the next Sync. */
static unsigned skip(struct pg_expect *e)
{
    unsigned turn = e->data_turn | PG_TURN_ENDS | PG_TURN_ERROR | PG_TURN_SKIPS;

    e->ended = pop(e);
    while (e->skips < e->count && entry_at(e, e->skips)->kind != PG_EXPECT_SYNC)
        e->skips++;
    if (e->skips == e->count)
        e->skipping = true;
    if (e->skips == 0)
        begin_head(e);
    else
        set_phase(e, PG_PHASE_BEGIN);
    return turn;
}

static unsigned on_error(struct pg_expect *e)
{
    if (e->count == 0)
        return PG_TURN_STRAY | PG_TURN_ERROR;
    if (e->phase == PG_PHASE_COPY_IN && forget_doubtful(e))
        e->unsure = true;
    switch ((enum pg_expect_kind)entry_at(e, 0)->kind) {
    case PG_EXPECT_SYNC:
    case PG_EXPECT_QUERY:
    case PG_EXPECT_FUNCTION_CALL:
        e->ended = *entry_at(e, 0);
        return goes_on(e, PG_PHASE_READY) | PG_TURN_ERROR;
    case PG_EXPECT_PARSE:
    case PG_EXPECT_BIND:
    case PG_EXPECT_DESCRIBE_STATEMENT:
    case PG_EXPECT_DESCRIBE_PORTAL:
    case PG_EXPECT_EXECUTE:
    case PG_EXPECT_CLOSE:
        return skip(e);
    case PG_EXPECT_NOTHING:
    case PG_EXPECT_COPY_END:
        break;
    }
    return PG_TURN_BAD;
}

static unsigned on_ready(struct pg_expect *e, enum pg_expect_kind head)
{
    if (head == PG_EXPECT_SYNC || e->phase == PG_PHASE_READY ||
        (head == PG_EXPECT_QUERY && e->phase == PG_PHASE_BETWEEN))
        return ends(e);
    if (!e->unsure)
        return PG_TURN_BAD;
    e->skipping = false; /* the doubtful Sync was read as one, after all */
    return PG_TURN_PASS;
}

static unsigned on_complete(struct pg_expect *e, enum pg_expect_kind head)
{
    switch ((enum pg_expect_phase)e->phase) {
    case PG_PHASE_BEGIN:
    case PG_PHASE_BETWEEN:
        if (head != PG_EXPECT_QUERY)
            return PG_TURN_BAD;
        break;
    case PG_PHASE_COPY_IN:
    case PG_PHASE_COPY_BOTH:
        forget_doubtful(e);
        break;
    case PG_PHASE_ROWS:
    case PG_PHASE_COPY_OUT_DONE:
        break;
    case PG_PHASE_DESCRIBED:
    case PG_PHASE_COPY_OUT:
    case PG_PHASE_READY:
        return PG_TURN_BAD;
    }
    return head == PG_EXPECT_QUERY ? goes_on(e, PG_PHASE_BETWEEN) : ends(e);
}

static unsigned on_columns(struct pg_expect *e, enum pg_expect_kind head, uint8_t type)
{
    if (head == PG_EXPECT_DESCRIBE_STATEMENT && e->phase == PG_PHASE_DESCRIBED)
        return ends(e);
    if (head == PG_EXPECT_DESCRIBE_PORTAL)
        return ends(e);
    if (head == PG_EXPECT_QUERY && type == 'T' &&
        (e->phase == PG_PHASE_BEGIN || e->phase == PG_PHASE_BETWEEN))
        return goes_on(e, PG_PHASE_ROWS);
    return PG_TURN_BAD;
}

static unsigned on_empty(struct pg_expect *e, enum pg_expect_kind head)
{
    if (head == PG_EXPECT_EXECUTE && e->phase == PG_PHASE_ROWS)
        return ends(e);
    if (head == PG_EXPECT_QUERY && e->phase == PG_PHASE_BEGIN)
        return goes_on(e, PG_PHASE_BETWEEN);
    return PG_TURN_BAD;
}

static unsigned on_copy_begins(struct pg_expect *e, enum pg_expect_kind head, uint8_t type)
{
    if (!(head == PG_EXPECT_EXECUTE && e->phase == PG_PHASE_ROWS) &&
        !(head == PG_EXPECT_QUERY && (e->phase == PG_PHASE_BEGIN || e->phase == PG_PHASE_BETWEEN)))
        return PG_TURN_BAD;
    if (type == 'G')
        begin_copy_in(e);
    else
        set_phase(e, type == 'H' ? PG_PHASE_COPY_OUT : PG_PHASE_COPY_BOTH);
    return e->data_turn;
}

/* Frames that answer one kind of message alone. */
static unsigned answers(struct pg_expect *e, bool is_it)
{
    return is_it ? ends(e) : PG_TURN_BAD;
}

static unsigned answer(struct pg_expect *e, enum pg_expect_kind head, uint8_t type)
{
    switch (type) {
    case '1':
        return answers(e, head == PG_EXPECT_PARSE);
    case '2':
        return answers(e, head == PG_EXPECT_BIND);
    case '3':
        return answers(e, head == PG_EXPECT_CLOSE);
    case 's':
        return answers(e, head == PG_EXPECT_EXECUTE && e->phase == PG_PHASE_ROWS);
    case 't':
        return head == PG_EXPECT_DESCRIBE_STATEMENT && e->phase == PG_PHASE_BEGIN
                   ? goes_on(e, PG_PHASE_DESCRIBED)
                   : PG_TURN_BAD;
    case 'T':
    case 'n':
        return on_columns(e, head, type);
    case 'C':
        return on_complete(e, head);
    case 'I':
        return on_empty(e, head);
    case 'V':
        return head == PG_EXPECT_FUNCTION_CALL && e->phase == PG_PHASE_BEGIN
                   ? goes_on(e, PG_PHASE_READY)
                   : PG_TURN_BAD;
    case 'G':
    case 'H':
    case 'W':
        return on_copy_begins(e, head, type);
    case 'd':
        return e->phase == PG_PHASE_COPY_BOTH ? e->data_turn : PG_TURN_BAD;
    case 'c':
        return e->phase == PG_PHASE_COPY_OUT || e->phase == PG_PHASE_COPY_BOTH
                   ? goes_on(e, PG_PHASE_COPY_OUT_DONE)
                   : PG_TURN_BAD;
    default:
        return PG_TURN_BAD;
    }
}

unsigned pg_expect_other_frame(struct pg_expect *e, uint8_t type)
{
    enum pg_expect_kind head = PG_EXPECT_NOTHING;

    assert(e->skips == 0); /* pg_expect_skipped() has taken them */
    if (type == 'N' || type == 'S' || type == 'A')
        return PG_TURN_ASYNC | (e->count > 0 ? e->data_turn : PG_TURN_PASS);
    if (e->count > 0) {
        if (entry_at(e, 0)->flags & PG_EXPECT_FAKE)
            return PG_TURN_BAD;
        head = (enum pg_expect_kind)entry_at(e, 0)->kind;
    }
    if (type == 'E')
        return on_error(e);
    if (type == 'Z')
        return on_ready(e, head);
    return head == PG_EXPECT_NOTHING ? PG_TURN_BAD : answer(e, head, type);
}

/* --- Entries that no frame ends -------------------------------------------------------------- */

unsigned pg_expect_flags(const struct pg_expect *e)
{
    unsigned flags = 0;

    for (uint32_t i = 0; i < e->count; i++)
        flags |= e->ring[(e->head + i) & (e->size - 1)].flags;
    return flags;
}

/* Is it answered to the client by ReadyForQuery? */
static bool tells_end(const struct pg_expected *entry)
{
    return !(entry->flags & PG_EXPECT_SWALLOW) &&
           (entry->kind == PG_EXPECT_SYNC || entry->kind == PG_EXPECT_QUERY ||
            entry->kind == PG_EXPECT_FUNCTION_CALL);
}

bool pg_expect_may_fail(const struct pg_expect *e)
{
    enum { LOOKED_AT = 64 };

    for (uint32_t i = 0; i < e->count && i < LOOKED_AT; i++)
        if (tells_end(entry_at(e, i)))
            return true;
    return e->count > LOOKED_AT;
}

bool pg_expect_owes_end(const struct pg_expect *e, uint32_t unseen)
{
    for (uint32_t i = 0; i + unseen < e->count; i++)
        if (tells_end(entry_at(e, i)))
            return true;
    return false;
}

bool pg_expect_is_swallowed(const struct pg_expect *e)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (!(e->ring[(e->head + i) & (e->size - 1)].flags & PG_EXPECT_SWALLOW))
            return false;
    return true;
}

bool pg_expect_skipped(struct pg_expect *e, struct pg_expected *out)
{
    while (e->skips > 0) {
        e->skips--;
        *out = pop(e);
        if (e->skips == 0)
            begin_head(e);
        if (out->kind != PG_EXPECT_COPY_END)
            return true;
    }
    return false;
}

bool pg_expect_fake(struct pg_expect *e, struct pg_expected *out)
{
    assert(e->skips == 0);
    if (e->count == 0 || !(entry_at(e, 0)->flags & PG_EXPECT_FAKE))
        return false;
    *out = pop(e);
    begin_head(e);
    return true;
}

bool pg_expect_take(struct pg_expect *e, struct pg_expected *out)
{
    e->skips = 0;
    while (e->count > 0) {
        *out = pop(e);
        if (out->kind != PG_EXPECT_COPY_END)
            return true;
    }
    e->skipping = false;
    begin_head(e);
    return false;
}
