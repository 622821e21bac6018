/* The names that a session gave its statements.  See pg_statements.h.
 *
 * The table has what the server's replies have confirmed.  What is pending lies over it, in the
 * order of the messages: the newest change that touches a name decides; settled, a change is made
 * in the table, or forgotten. */
#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "proxy/base/mem.h"
#include "proxy/sql/pg_statements_store.h"

enum { FIRST_SLOTS = 8, FIRST_CHANGES = 4, FIRST_KEPT = 2, NAME_OVERHEAD_BYTES = 48 };

struct name {
    uint64_t hash;
    struct pg_statement *st; /* a reference */
    uint32_t len;
    uint8_t at[];
};

enum change_kind { CHANGE_DEFINE, CHANGE_UNDEFINE, CHANGE_QUERY };

struct change {
    enum change_kind kind;
    uint32_t segment;        /* between which Syncs */
    uint64_t hash;           /* of the name */
    struct slice name;       /* owned; empty: the unnamed statement */
    struct pg_statement *st; /* a reference, of DEFINE */
};

/* What a name meant before. */
struct past {
    uint64_t hash;
    struct slice name;       /* owned; empty: the unnamed statement */
    struct pg_statement *st; /* a reference; NULL: it was free */
};

struct pg_statement_names {
    struct name **slots; /* owned, open addressing; NULL: none */
    size_t slot_count, count, bytes;
    struct pg_statement *unnamed; /* a reference, or NULL */
    struct change *changes;       /* owned ring */
    size_t change_size, change_head, change_count;
    size_t pending_names, pending_bytes; /* of what is to be defined */
    struct past *kept;                   /* owned */
    size_t kept_size, kept_count;
    uint32_t segment;
    bool keeps;
};

static struct pg_statement_names *names_of(struct pg_statements_session *s)
{
    if (s->names == NULL) {
        s->names = mem_new(sizeof(*s->names));
        s->names->keeps = s->keeps;
    }
    return s->names;
}

static uint64_t hash_of(struct slice name)
{
    return name.len == 0 ? 0 : XXH3_64bits(name.at, name.len);
}

/* --- The table ------------------------------------------------------------------------------- */

static bool is_it(const struct name *n, struct slice name, uint64_t hash)
{
    return n->hash == hash && slice_is(slice_of(n->at, n->len), name);
}

/* Where the name is, or the free slot where it belongs. */
static size_t slot_of(const struct pg_statement_names *names, struct slice name, uint64_t hash)
{
    size_t i = hash & (names->slot_count - 1);

    while (names->slots[i] != NULL && !is_it(names->slots[i], name, hash))
        i = (i + 1) & (names->slot_count - 1);
    return i;
}

static struct pg_statement *look_up(const struct pg_statement_names *names, struct slice name,
                                    uint64_t hash)
{
    size_t slot;

    if (name.len == 0)
        return names->unnamed;
    if (names->count == 0)
        return NULL;
    slot = slot_of(names, name, hash);
    return names->slots[slot] == NULL ? NULL : names->slots[slot]->st;
}

static void make_slots(struct pg_statement_names *names)
{
    struct name **old = names->slots;
    size_t old_count = names->slot_count;

    if ((names->count + 1) * 4 <= old_count * 3)
        return;
    names->slot_count = old_count == 0 ? FIRST_SLOTS : old_count * 2;
    names->slots = mem_new(names->slot_count * sizeof(struct name *));
    for (size_t i = 0; i < old_count; i++)
        if (old[i] != NULL) {
            struct slice name = slice_of(old[i]->at, old[i]->len);

            names->slots[slot_of(names, name, old[i]->hash)] = old[i];
        }
    free(old);
}

static size_t bytes_of(struct slice name, const struct pg_statement *st)
{
    return NAME_OVERHEAD_BYTES + name.len + pg_statement_bytes(st);
}

/* Closes the gap at a slot: what stands behind it moves up if it may. */
static void close_gap(struct pg_statement_names *names, size_t gap)
{
    size_t mask = names->slot_count - 1, i = gap;

    while (names->slots[i = (i + 1) & mask] != NULL) {
        size_t home = names->slots[i]->hash & mask;

        if (((i - home) & mask) >= ((i - gap) & mask)) {
            names->slots[gap] = names->slots[i];
            names->slots[i] = NULL;
            gap = i;
        }
    }
}

static struct slice copy_of(struct slice name)
{
    if (name.len == 0)
        return (struct slice){ 0 };
    return slice_of(mem_text_of(name.at, name.len), name.len);
}

static void keep_name(struct pg_statement_names *names, struct slice name, uint64_t hash)
{
    struct pg_statement *st;

    if (!names->keeps)
        return;
    if (names->kept_count == names->kept_size) {
        names->kept_size = names->kept_size == 0 ? FIRST_KEPT : names->kept_size * 2;
        names->kept = mem_resize(names->kept, names->kept_size * sizeof(names->kept[0]));
    }
    st = look_up(names, name, hash);
    names->kept[names->kept_count++] = (struct past){
        .hash = hash, .name = copy_of(name), .st = st == NULL ? NULL : pg_statement_ref(st)
    };
}

static void drop_name(struct pg_statements *store, struct pg_statement_names *names,
                      struct slice name, uint64_t hash)
{
    struct name *gone;
    size_t slot;

    if (name.len == 0) {
        pg_statement_unref(store, &names->unnamed);
        return;
    }
    if (names->count == 0)
        return;
    slot = slot_of(names, name, hash);
    gone = names->slots[slot];
    if (gone == NULL)
        return;
    names->bytes -= bytes_of(name, gone->st);
    names->count--;
    names->slots[slot] = NULL;
    pg_statement_unref(store, &gone->st);
    free(gone);
    close_gap(names, slot);
}

static void remove_name(struct pg_statements *store, struct pg_statement_names *names,
                        struct slice name, uint64_t hash)
{
    keep_name(names, name, hash);
    drop_name(store, names, name, hash);
}

/* Takes the reference in *st. */
static void put_name(struct pg_statements *store, struct pg_statement_names *names,
                     struct slice name, uint64_t hash, struct pg_statement **st)
{
    struct name *n;

    remove_name(store, names, name, hash);
    if (name.len == 0) {
        names->unnamed = *st;
    } else {
        make_slots(names);
        n = mem_new(sizeof(*n) + name.len);
        *n = (struct name){ .hash = hash, .st = *st, .len = (uint32_t)name.len };
        memcpy(n->at, name.at, name.len);
        names->slots[slot_of(names, name, hash)] = n;
        names->count++;
        names->bytes += bytes_of(name, *st);
    }
    *st = NULL;
}

/* DEALLOCATE ALL leaves the unnamed statement. */
static void remove_all(struct pg_statements *store, struct pg_statement_names *names)
{
    for (size_t i = 0; i < names->slot_count; i++)
        if (names->slots[i] != NULL) {
            keep_name(names, slice_of(names->slots[i]->at, names->slots[i]->len),
                      names->slots[i]->hash);
        }
    for (size_t i = 0; i < names->slot_count; i++)
        if (names->slots[i] != NULL) {
            pg_statement_unref(store, &names->slots[i]->st);
            free(names->slots[i]);
        }
    free(names->slots);
    names->slots = NULL;
    names->slot_count = names->count = names->bytes = 0;
}

/* --- Changes --------------------------------------------------------------------------------- */

static struct change *change_at(const struct pg_statement_names *names, size_t i)
{
    return &names->changes[(names->change_head + i) & (names->change_size - 1)];
}

static void grow_changes(struct pg_statement_names *names)
{
    size_t size = names->change_size == 0 ? FIRST_CHANGES : names->change_size * 2;
    struct change *changes = mem_new(size * sizeof(changes[0]));

    for (size_t i = 0; i < names->change_count; i++)
        changes[i] = *change_at(names, i);
    free(names->changes);
    names->changes = changes;
    names->change_size = size;
    names->change_head = 0;
}

static enum err note(struct pg_statements_session *s, enum change_kind kind, struct slice name,
                     struct pg_statement *st)
{
    struct pg_statement_names *names = names_of(s);

    if (names->change_count >= PG_STATEMENTS_PENDING)
        return ERR_AGAIN;
    if (names->change_count == names->change_size)
        grow_changes(names);
    *change_at(names, names->change_count++) = (struct change){
        .kind = kind,
        .segment = names->segment,
        .hash = hash_of(name),
        .name = copy_of(name),
        .st = st == NULL ? NULL : pg_statement_ref(st),
    };
    if (kind == CHANGE_DEFINE && name.len > 0) {
        names->pending_names++;
        names->pending_bytes += bytes_of(name, st);
    }
    return ERR_NONE;
}

static void end_change(struct pg_statements *store, struct change *c)
{
    pg_statement_unref(store, &c->st);
    free((void *)c->name.at);
}

static void forget_first(struct pg_statements *store, struct pg_statement_names *names)
{
    end_change(store, change_at(names, 0));
    names->change_head = (names->change_head + 1) & (names->change_size - 1);
    names->change_count--;
    if (names->change_count == 0 && names->change_size > FIRST_CHANGES) {
        free(names->changes);
        names->changes = NULL;
        names->change_size = names->change_head = 0;
    }
}

static void no_longer_pending(struct pg_statement_names *names, const struct change *c)
{
    if (c->kind == CHANGE_DEFINE && c->name.len > 0) {
        names->pending_names--;
        names->pending_bytes -= bytes_of(c->name, c->st);
    }
}

void pg_statements_session_take_back(struct pg_statements *store, struct pg_statements_session *s)
{
    struct pg_statement_names *names = s->names;
    struct change *c;

    assert(names != NULL && names->change_count > 0);
    c = change_at(names, names->change_count - 1);
    no_longer_pending(names, c);
    end_change(store, c);
    names->change_count--;
}

uint64_t pg_statements_session_undefine_now(struct pg_statements *store,
                                            struct pg_statements_session *s, struct slice name)
{
    uint64_t hash = hash_of(name), id;
    const struct pg_statement *st;

    if (s->names == NULL || (st = look_up(s->names, name, hash)) == NULL)
        return 0;
    id = st->id;
    remove_name(store, s->names, name, hash);
    return id;
}

void pg_statements_session_define_now(struct pg_statements *store, struct pg_statements_session *s,
                                      struct slice name, struct pg_statement *st)
{
    pg_statement_ref(st);
    put_name(store, names_of(s), name, hash_of(name), &st);
}

void pg_statements_session_clear_now(struct pg_statements *store, struct pg_statements_session *s)
{
    if (s->names != NULL)
        remove_all(store, s->names);
}

void pg_statements_session_settle(struct pg_statements *store, struct pg_statements_session *s,
                                  enum pg_outcome outcome)
{
    struct pg_statement_names *names = s->names;
    struct change *c;

    assert(names != NULL && names->change_count > 0);
    c = change_at(names, 0);
    no_longer_pending(names, c);
    if (outcome != PG_OUTCOME_SKIPPED)
        switch (c->kind) {
        case CHANGE_DEFINE:
            if (outcome == PG_OUTCOME_DONE)
                put_name(store, names, c->name, c->hash, &c->st);
            else if (c->name.len == 0) /* the old one goes before the new one is looked at */
                remove_name(store, names, c->name, c->hash);
            break;
        case CHANGE_UNDEFINE:
            if (outcome == PG_OUTCOME_DONE)
                remove_name(store, names, c->name, c->hash);
            break;
        case CHANGE_QUERY:
            remove_name(store, names, (struct slice){ 0 }, 0);
            break;
        }
    forget_first(store, names);
}

void pg_statements_session_fini(struct pg_statements *store, struct pg_statements_session *s)
{
    struct pg_statement_names *names = s->names;

    if (names == NULL)
        return;
    while (names->change_count > 0)
        forget_first(store, names);
    pg_statements_session_end_keeping(store, s);
    remove_all(store, names);
    pg_statement_unref(store, &names->unnamed);
    free(names->kept);
    free(names->changes);
    free(names);
    s->names = NULL;
}

/* --- What they meant before ------------------------------------------------------------------ */

static void end_kept(struct pg_statements *store, struct pg_statement_names *names)
{
    struct past *past = &names->kept[--names->kept_count];

    pg_statement_unref(store, &past->st);
    free((void *)past->name.at);
}

void pg_statements_session_end_keeping(struct pg_statements *store, struct pg_statements_session *s)
{
    struct pg_statement_names *names = s->names;

    s->keeps = false;
    if (names == NULL)
        return;
    names->keeps = false;
    while (names->kept_count > 0)
        end_kept(store, names);
    if (names->kept_size > FIRST_KEPT) {
        free(names->kept);
        names->kept = NULL;
        names->kept_size = 0;
    }
}

void pg_statements_session_keep(struct pg_statements *store, struct pg_statements_session *s)
{
    pg_statements_session_end_keeping(store, s);
    s->keeps = true;
    if (s->names != NULL)
        s->names->keeps = true;
}

void pg_statements_session_undo(struct pg_statements *store, struct pg_statements_session *s)
{
    struct pg_statement_names *names = s->names;

    if (names != NULL) {
        names->keeps = false;
        for (; names->kept_count > 0; end_kept(store, names)) {
            struct past *past = &names->kept[names->kept_count - 1];

            if (past->st != NULL)
                put_name(store, names, past->name, past->hash, &past->st);
            else
                drop_name(store, names, past->name, past->hash);
        }
    }
    pg_statements_session_end_keeping(store, s);
}

/* --- Looking --------------------------------------------------------------------------------- */

/* Does the outcome of this change leave open what a message that follows sees? */
static bool is_open(const struct pg_statement_names *names, const struct change *c)
{
    return c->segment != names->segment;
}

/* The newest pending change that decides about the name; NULL: none does. */
static const struct change *deciding(const struct pg_statement_names *names, struct slice name,
                                     uint64_t hash)
{
    for (size_t i = names->change_count; i > 0; i--) {
        const struct change *c = change_at(names, i - 1);

        switch (c->kind) {
        case CHANGE_DEFINE:
        case CHANGE_UNDEFINE:
            if (c->hash == hash && slice_is(c->name, name))
                return c;
            break;
        case CHANGE_QUERY:
            if (name.len == 0)
                return c;
            break;
        }
    }
    return NULL;
}

enum pg_name pg_statements_session_find(const struct pg_statements_session *s, struct slice name,
                                        struct pg_statement **out)
{
    const struct pg_statement_names *names = s->names;
    uint64_t hash = hash_of(name);
    const struct change *c;
    struct pg_statement *st;

    if (names == NULL)
        return PG_NAME_FREE;
    c = deciding(names, name, hash);
    if (c != NULL && is_open(names, c))
        return PG_NAME_LATER;
    st = c == NULL ? look_up(names, name, hash) : c->st;
    if (st == NULL)
        return PG_NAME_FREE;
    *out = st;
    return PG_NAME_THERE;
}

bool pg_statements_session_has_room(const struct pg_statements *store,
                                    const struct pg_statements_session *s, struct slice name,
                                    const struct pg_statement *st)
{
    const struct pg_statements_limits *limits = pg_statements_limits_of(store);
    const struct pg_statement_names *names = s->names;

    if (name.len == 0 || names == NULL)
        return name.len == 0 || bytes_of(name, st) <= limits->session_bytes;
    return names->count + names->pending_names < limits->session_names &&
           names->bytes + names->pending_bytes + bytes_of(name, st) <= limits->session_bytes;
}

enum err pg_statements_session_define(struct pg_statements *store, struct pg_statements_session *s,
                                      struct slice name, struct pg_statement *st)
{
    if (!pg_statements_session_has_room(store, s, name, st))
        return ERR_LIMIT;
    return note(s, CHANGE_DEFINE, name, st);
}

enum err pg_statements_session_undefine(struct pg_statements_session *s, struct slice name)
{
    return note(s, CHANGE_UNDEFINE, name, NULL);
}

enum err pg_statements_session_query(struct pg_statements_session *s, bool *changes)
{
    struct slice unnamed = { 0 };
    const struct change *c;

    *changes = false;
    if (s->names == NULL)
        return ERR_NONE;
    c = deciding(s->names, unnamed, 0);
    if (c == NULL ? s->names->unnamed == NULL : c->kind == CHANGE_QUERY && !is_open(s->names, c))
        return ERR_NONE;
    TRY(note(s, CHANGE_QUERY, unnamed, NULL));
    *changes = true;
    return ERR_NONE;
}

void pg_statements_session_sync(struct pg_statements_session *s)
{
    if (s->names != NULL)
        s->names->segment++;
}

size_t pg_statements_session_pending(const struct pg_statements_session *s)
{
    return s->names == NULL ? 0 : s->names->change_count;
}

size_t pg_statements_session_count(const struct pg_statements_session *s)
{
    return s->names == NULL ? 0 : s->names->count;
}

/* --- Words of servers ------------------------------------------------------------------------ */

uint32_t pg_statement_name_mark(struct slice name)
{
    return (uint32_t)hash_of(name);
}

/* The one with that mark, if there is one, else any. */
static bool name_of(const struct pg_statement_names *names, uint64_t id, uint32_t mark,
                    struct slice *name)
{
    bool found = false;

    for (size_t i = 0; i < names->change_count; i++) {
        const struct change *c = change_at(names, i);

        if (c->st == NULL || c->st->id != id)
            continue;
        if (!found || (uint32_t)c->hash == mark)
            *name = c->name;
        found = true;
    }
    for (size_t i = 0; i < names->slot_count; i++) {
        const struct name *n = names->slots[i];

        if (n == NULL || n->st->id != id)
            continue;
        if (!found || (uint32_t)n->hash == mark)
            *name = slice_of(n->at, n->len);
        found = true;
    }
    return found;
}

void pg_statements_session_reword(const struct pg_statements_session *s, struct slice text,
                                  uint32_t mark, struct buf *out)
{
    size_t at;
    uint64_t id;
    struct slice name = { 0 };

    while (s->names != NULL && pg_statement_find_name(text, &at, &id)) {
        buf_put(out, text.at, at);
        if (name_of(s->names, id, mark, &name))
            buf_slice(out, name);
        else
            buf_put(out, text.at + at, PG_STATEMENT_NAME_BYTES - 1);
        text = slice_from(text, at + PG_STATEMENT_NAME_BYTES - 1);
    }
    buf_slice(out, text);
}
