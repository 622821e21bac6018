/* A session's settings and what undoes them.  See pg_settings_session.h.
 *
 * In a transaction two vectors are kept: `current`, which stays after COMMIT, and `effective`,
 * which has SET LOCAL too.  Level 0 of the stack is the beginning of the transaction, each other
 * one a savepoint; a level holds both vectors as they were then.  Where too many savepoints were
 * made they are not noted, which does no harm as long as nothing was, or is, changed in the
 * transaction. */
#include "proxy/sql/pg_settings_session.h"

#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/sql/pg_settings_pool.h"

struct level {
    const struct pg_settings *current, *effective; /* references */
    size_t name_at, name_len;                      /* in the names */
};

struct pg_settings_undo {
    const struct pg_settings *effective; /* a reference */
    struct level *levels;                /* owned */
    size_t count, room;
    struct buf names;
    bool changed;  /* by something of this transaction, undone or not */
    bool in_block; /* which was there at a ReadyForQuery */
    bool overflow; /* there are savepoints that were not noted */
};

typedef enum err change_f(struct pg_settings_pool *pool, const struct pg_settings_session *s,
                          const struct pg_settings **v, struct slice name, struct slice value);

/* --- Levels ---------------------------------------------------------------------------------- */

static void push_level(const struct pg_settings_session *s, struct slice name)
{
    struct pg_settings_undo *undo = s->undo;

    if (undo->count == undo->room) {
        undo->room = undo->room == 0 ? 2 : undo->room * 2;
        undo->levels = mem_resize(undo->levels, undo->room * sizeof(undo->levels[0]));
    }
    undo->levels[undo->count++] = (struct level){
        .current = pg_settings_ref(s->current),
        .effective = pg_settings_ref(undo->effective),
        .name_at = undo->names.len,
        .name_len = name.len,
    };
    buf_slice(&undo->names, name);
}

static void pop_level(struct pg_settings_pool *pool, struct pg_settings_undo *undo)
{
    struct level *top = &undo->levels[--undo->count];

    undo->names.len = top->name_at;
    pg_settings_unref(pool, &top->current);
    pg_settings_unref(pool, &top->effective);
}

static struct pg_settings_undo *undo_of(struct pg_settings_session *s)
{
    if (s->undo == NULL) {
        s->undo = mem_new(sizeof(*s->undo));
        s->undo->effective = pg_settings_ref(s->current);
        push_level(s, (struct slice){ 0 });
    }
    return s->undo;
}

static void end_undo(struct pg_settings_pool *pool, struct pg_settings_session *s)
{
    struct pg_settings_undo *undo = s->undo;

    if (undo == NULL)
        return;
    while (undo->count > 0)
        pop_level(pool, undo);
    pg_settings_unref(pool, &undo->effective);
    buf_fini(&undo->names);
    free(undo->levels);
    free(undo);
    s->undo = NULL;
}

static void exchange(struct pg_settings_pool *pool, const struct pg_settings **v,
                     const struct pg_settings *other)
{
    pg_settings_ref(other);
    pg_settings_unref(pool, v);
    *v = other;
}

/* Number of the newest level with this name; 0: none is known. */
static size_t find_level(const struct pg_settings_undo *undo, struct slice name)
{
    size_t i = undo == NULL ? 0 : undo->count - 1;

    for (; i > 0; i--) {
        const struct level *l = &undo->levels[i];

        if (slice_is(slice_of(undo->names.at + l->name_at, l->name_len), name))
            break;
    }
    return i;
}

/* --- Changes --------------------------------------------------------------------------------- */

static enum err change_set(struct pg_settings_pool *pool, const struct pg_settings_session *s,
                           const struct pg_settings **v, struct slice name, struct slice value)
{
    (void)s;
    return pg_settings_set(pool, v, name, value);
}

static enum err change_back(struct pg_settings_pool *pool, const struct pg_settings_session *s,
                            const struct pg_settings **v, struct slice name, struct slice value)
{
    char folded[PG_SETTINGS_NAME_BYTES];

    if (!pg_settings_fold(name, folded, &name))
        return ERR_NONE;
    TRY(pg_settings_drop(pool, v, name));
    if (pg_settings_find(s->start, name, &value))
        TRY(pg_settings_set(pool, v, name, value));
    if (slice_is_text(name, "session_authorization"))
        return change_back(pool, s, v, slice_text("role"), value);
    return ERR_NONE;
}

/* To what is at the start, but for who it is; and for what SET LOCAL has sent there already, which
 * servers then pass over: it is as before when the transaction ends. */
static enum err change_all_back(struct pg_settings_pool *pool, const struct pg_settings_session *s,
                                const struct pg_settings **v, struct slice name, struct slice value)
{
    static const char *const KEPT[] = { "session_authorization", "role" };
    const struct pg_settings *next = pg_settings_ref(s->start);
    enum err err = ERR_NONE;

    (void)name;
    for (size_t i = 0; i < 2 && err == ERR_NONE; i++) {
        struct slice kept = slice_text(KEPT[i]);

        err = pg_settings_find(*v, kept, &value) ? pg_settings_set(pool, &next, kept, value)
                                                 : pg_settings_drop(pool, &next, kept);
    }
    for (size_t i = 0; i < pg_settings_count(*v) && err == ERR_NONE; i++) {
        const struct pg_settings_entry *e = &(*v)->entries[i];

        if (!pg_settings_find(s->start, e->name, &value) &&
            !pg_settings_find(s->undo->effective, e->name, &value))
            pg_settings_put(pool, &next, e);
    }
    if (err == ERR_NONE)
        exchange(pool, v, next);
    pg_settings_unref(pool, &next);
    return err;
}

/* Who has set it, where not everybody may: that is who the session is now, if only until the end of
 * the transaction. */
static void note_setter(struct pg_settings_pool *pool, const struct pg_settings **current,
                        const struct pg_settings *effective, struct slice name)
{
    char folded[PG_SETTINGS_NAME_BYTES];
    bool is_there;
    size_t place;

    if (!pg_settings_fold(name, folded, &name))
        return;
    place = pg_settings_place(effective, name, &is_there);
    if (is_there && (effective->entries[place].traits & PG_TRAIT_PRIVILEGED))
        pg_settings_put(pool, current, &effective->entries[place]);
}

static enum err change(struct pg_settings_pool *pool, struct pg_settings_session *s, bool is_local,
                       change_f *how, struct slice name, struct slice value)
{
    struct pg_settings_undo *undo = undo_of(s);
    const struct pg_settings *current = pg_settings_ref(s->current);
    const struct pg_settings *effective = pg_settings_ref(undo->effective);
    enum err err = undo->overflow ? ERR_LIMIT : ERR_NONE;

    if (err == ERR_NONE && !is_local)
        err = how(pool, s, &current, name, value);
    if (err == ERR_NONE)
        err = how(pool, s, &effective, name, value);
    if (err == ERR_NONE && !is_local && how == change_set)
        note_setter(pool, &current, effective, name);
    if (err == ERR_NONE) {
        exchange(pool, &s->current, current);
        exchange(pool, &undo->effective, effective);
        undo->changed = true;
    }
    pg_settings_unref(pool, &current);
    pg_settings_unref(pool, &effective);
    return err;
}

enum err pg_settings_session_start(struct pg_settings_pool *pool, struct pg_settings_session *s,
                                   struct slice name, struct slice value)
{
    TRY(pg_settings_set(pool, &s->start, name, value));
    exchange(pool, &s->current, s->start);
    return ERR_NONE;
}

void pg_settings_session_start_reported(struct pg_settings_pool *pool,
                                        struct pg_settings_session *s,
                                        const struct pg_settings *reported)
{
    struct slice name = slice_text("datestyle"), value;

    if (!pg_settings_find(s->start, name, &value) || !pg_settings_is_partial(name, value) ||
        !pg_settings_find(reported, slice_text("DateStyle"), &value))
        return;
    if (pg_settings_set(pool, &s->start, name, value) == ERR_NONE && s->undo == NULL)
        exchange(pool, &s->current, s->start);
}

void pg_settings_session_fini(struct pg_settings_pool *pool, struct pg_settings_session *s)
{
    end_undo(pool, s);
    pg_settings_unref(pool, &s->start);
    pg_settings_unref(pool, &s->current);
}

enum err pg_settings_session_set(struct pg_settings_pool *pool, struct pg_settings_session *s,
                                 struct slice name, struct slice value)
{
    return change(pool, s, false, change_set, name, value);
}

enum err pg_settings_session_set_local(struct pg_settings_pool *pool, struct pg_settings_session *s,
                                       struct slice name, struct slice value)
{
    return change(pool, s, true, change_set, name, value);
}

enum err pg_settings_session_reset(struct pg_settings_pool *pool, struct pg_settings_session *s,
                                   struct slice name)
{
    return change(pool, s, false, change_back, name, (struct slice){ 0 });
}

enum err pg_settings_session_reset_local(struct pg_settings_pool *pool,
                                         struct pg_settings_session *s, struct slice name)
{
    return change(pool, s, true, change_back, name, (struct slice){ 0 });
}

enum err pg_settings_session_reset_all(struct pg_settings_pool *pool, struct pg_settings_session *s)
{
    return change(pool, s, false, change_all_back, (struct slice){ 0 }, (struct slice){ 0 });
}

void pg_settings_session_discard_all(struct pg_settings_pool *pool, struct pg_settings_session *s)
{
    end_undo(pool, s);
    exchange(pool, &s->current, s->start);
}

/* --- Ends of transactions and savepoints ----------------------------------------------------- */

void pg_settings_session_commit(struct pg_settings_pool *pool, struct pg_settings_session *s)
{
    end_undo(pool, s);
}

void pg_settings_session_rollback(struct pg_settings_pool *pool, struct pg_settings_session *s)
{
    if (s->undo == NULL)
        return;
    exchange(pool, &s->current, s->undo->levels[0].current);
    end_undo(pool, s);
}

void pg_settings_session_stay(struct pg_settings_session *s)
{
    if (s->undo != NULL)
        s->undo->in_block = true;
}

void pg_settings_session_not_prepared(struct pg_settings_pool *pool, struct pg_settings_session *s)
{
    if (s->undo != NULL && s->undo->in_block)
        pg_settings_session_rollback(pool, s);
    else
        pg_settings_session_commit(pool, s);
}

enum err pg_settings_session_savepoint(struct pg_settings_pool *pool, struct pg_settings_session *s,
                                       struct slice name)
{
    struct pg_settings_undo *undo = undo_of(s);

    (void)pool;
    if (!undo->overflow && undo->count <= PG_SETTINGS_SAVEPOINTS &&
        undo->names.len + name.len <= PG_SETTINGS_SAVEPOINT_BYTES) {
        push_level(s, name);
        return ERR_NONE;
    }
    undo->overflow = true;
    return undo->changed ? ERR_LIMIT : ERR_NONE;
}

void pg_settings_session_release(struct pg_settings_pool *pool, struct pg_settings_session *s,
                                 struct slice name)
{
    size_t level = find_level(s->undo, name);

    while (level > 0 && s->undo->count > level)
        pop_level(pool, s->undo);
}

void pg_settings_session_rollback_to(struct pg_settings_pool *pool, struct pg_settings_session *s,
                                     struct slice name)
{
    size_t level = find_level(s->undo, name);

    if (level == 0)
        return;
    while (s->undo->count > level + 1)
        pop_level(pool, s->undo);
    exchange(pool, &s->current, s->undo->levels[level].current);
    exchange(pool, &s->undo->effective, s->undo->levels[level].effective);
}

const struct pg_settings *pg_settings_session_effective(const struct pg_settings_session *s)
{
    return s->undo == NULL ? s->current : s->undo->effective;
}

/* --- What the server says -------------------------------------------------------------------- */

static bool is_default(struct slice name, const struct pg_settings_found *found, struct slice value)
{
    if (slice_is_text(name, "role"))
        return slice_is_text(value, "none");
    if (slice_is_text(name, "session_authorization"))
        return found->login.len == 0 || slice_is(value, found->login);
    return value.len == 0 && memchr(name.at, '.', name.len) != NULL; /* it was set, and no more */
}

enum err pg_settings_session_found(struct pg_settings_pool *pool,
                                   const struct pg_settings_session *s,
                                   struct pg_settings_found *found, struct slice name,
                                   struct slice value, struct slice shown)
{
    char folded[PG_SETTINGS_NAME_BYTES];
    bool is_ours;
    size_t place;

    if (!pg_settings_fold(name, folded, &name))
        return ERR_LIMIT;
    place = pg_settings_place(s->current, name, &is_ours);
    if (is_ours) {
        const struct pg_settings_entry *e = &s->current->entries[place];

        if (slice_is(e->value, value) || slice_is(e->value, shown)) {
            pg_settings_put(pool, &found->v, e);
            return ERR_NONE;
        }
    }
    if (!is_default(name, found, value))
        return pg_settings_set(pool, &found->v, name, value);
    if (is_ours) /* it is known to be gone, which no row would not mean */
        pg_settings_put(pool, &found->v,
                        &(struct pg_settings_entry){ .name = name, .traits = PG_TRAIT_UNTRACKED });
    return ERR_NONE;
}

/* Is nothing said by there being no row for it?  The names of Sheaf's own no server knows; those
 * with a dot are in no list; and not everybody sees what not everybody may set. */
static bool may_be_hidden(const struct pg_settings_entry *e)
{
    return (e->traits & (PG_TRAIT_OWN | PG_TRAIT_PRIVILEGED)) != 0;
}

static void take_marks(struct pg_settings_pool *pool, const struct pg_settings **v)
{
    for (size_t i = 0; i < pg_settings_count(*v);) {
        if ((*v)->entries[i].traits & PG_TRAIT_UNTRACKED)
            pg_settings_take(pool, v, (*v)->entries[i].name);
        else
            i++;
    }
}

/* What code has set that not everybody may: as who the session is now, as far as is known. */
static void note_who(struct pg_settings_pool *pool, const struct pg_settings *ours,
                     const struct pg_settings **v)
{
    const struct pg_settings *under = pg_settings_identity(pool, *v);

    for (size_t i = 0; i < pg_settings_count(*v); i++) {
        struct pg_settings_entry e = (*v)->entries[i];
        struct slice before;

        if (!(e.traits & PG_TRAIT_PRIVILEGED) || e.under == under ||
            (pg_settings_find(ours, e.name, &before) && slice_is(before, e.value)))
            continue;
        e.under = under;
        pg_settings_put(pool, v, &e); /* as many entries, in the same order */
    }
    pg_settings_unref(pool, &under);
}

/* Code has RESET it.  True: something of it, which the server lacks. */
static bool put_start(struct pg_settings_pool *pool, const struct pg_settings *start,
                      struct pg_settings_found *found)
{
    bool lacks = false;

    for (size_t i = 0; i < pg_settings_count(start); i++) {
        const struct pg_settings_entry *e = &start->entries[i];
        bool is_found;
        size_t place = pg_settings_place(found->v, e->name, &is_found);
        bool is_gone = is_found && found->v->entries[place].traits & PG_TRAIT_UNTRACKED;

        if (is_gone ? found->is_reset : !is_found && !may_be_hidden(e)) {
            pg_settings_put(pool, &found->v, e);
            lacks = true;
        }
    }
    return lacks;
}

bool pg_settings_session_adopt(struct pg_settings_pool *pool, struct pg_settings_session *s,
                               struct pg_settings_found *found)
{
    bool lacks;

    for (size_t i = 0; i < pg_settings_count(s->current); i++) {
        const struct pg_settings_entry *e = &s->current->entries[i];
        struct slice value;

        if (may_be_hidden(e) && !pg_settings_find(found->v, e->name, &value))
            pg_settings_put(pool, &found->v, e);
    }
    lacks = put_start(pool, s->start, found);
    take_marks(pool, &found->v);
    note_who(pool, s->current, &found->v);
    end_undo(pool, s);
    exchange(pool, &s->current, found->v);
    pg_settings_unref(pool, &found->v);
    return lacks;
}
