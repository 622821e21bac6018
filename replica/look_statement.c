/* What one statement is.  Queries are gone through by look_nodes.c; of utility statements only
 * those parts are looked into that are evaluated.  What is not listed here is DDL or
 * administration: it goes to the primary and may do anything. */
#include "replica/grammar_nodes.h"
#include "replica/look.h"

typedef void look_statement_f(struct look *l, struct statement *s, const void *node);

static void mean_session(struct statement *s, enum statement_kind kind, const char *name,
                         struct look *l)
{
    s->kind = (uint8_t)kind;
    if (name != NULL)
        s->name = arena_copy(l->arena, slice_text(name));
    look_raise(s, ROUTE_SESSION, "means the session");
}

/* Looks at a statement within this one. */
static struct statement *look_inside(struct look *l, const struct statement *s, const void *node)
{
    struct statement *inner = arena_new(l->arena, sizeof(*inner));
    size_t room = l->setting_room;

    inner->text = s->text;
    look_at_statement(l, inner, node);
    l->setting_room = room;
    return inner;
}

/* Whoever runs this one runs the inner one. */
static void run_inner(struct statement *s)
{
    s->effects |= s->inner->effects;
    s->settings = s->inner->settings;
    s->setting_count = s->inner->setting_count;
    s->is_certain |= s->inner->is_certain;
    if (s->inner->route > s->route) {
        s->route = s->inner->route;
        s->reason = s->inner->reason;
        s->subject = s->inner->subject;
    }
}

static void take_executed(struct statement *s, const struct statement *inner)
{
    s->executed = inner->executed;
    s->written = inner->written;
}

static void look_query(struct look *l, struct statement *s, const void *node)
{
    const SelectStmt *select = node;

    if (IsA(select, SelectStmt) && look_is_certain(l, select))
        l->certain = select;
    look_at_nodes(l, s, node);
    l->certain = NULL;
}

static void look_transaction(struct look *l, struct statement *s, const void *node)
{
    static const uint8_t KIND[] = {
        [TRANS_STMT_BEGIN] = STATEMENT_BEGIN,
        [TRANS_STMT_START] = STATEMENT_BEGIN,
        [TRANS_STMT_COMMIT] = STATEMENT_COMMIT,
        [TRANS_STMT_ROLLBACK] = STATEMENT_ROLLBACK,
        [TRANS_STMT_SAVEPOINT] = STATEMENT_SAVEPOINT,
        [TRANS_STMT_RELEASE] = STATEMENT_RELEASE,
        [TRANS_STMT_ROLLBACK_TO] = STATEMENT_ROLLBACK_TO,
        [TRANS_STMT_PREPARE] = STATEMENT_PREPARE_TRANSACTION,
        [TRANS_STMT_COMMIT_PREPARED] = STATEMENT_QUERY,
        [TRANS_STMT_ROLLBACK_PREPARED] = STATEMENT_QUERY,
    };
    const TransactionStmt *t = node;

    mean_session(s, KIND[t->kind], t->savepoint_name, l);
    s->is_chain = t->chain;
    look_at_modes(s, t->options);
    if (t->kind == TRANS_STMT_PREPARE)
        look_raise(s, ROUTE_PRIMARY, "PREPARE TRANSACTION");
    if (s->kind == STATEMENT_QUERY) {
        look_raise(s, ROUTE_PRIMARY, "a prepared transaction");
        s->effects |= EFFECT_ALONE;
    }
}

static void look_show(struct look *l, struct statement *s, const void *node)
{
    struct setting folded = { 0 };

    look_set_name(l, &folded, slice_text(((const VariableShowStmt *)node)->name));
    s->kind = STATEMENT_SHOW;
    s->is_sheaf = folded.is_sheaf;
    if (!slice_is_text(folded.name, "all"))
        s->name = folded.name;
    look_raise(s, ROUTE_HERE, "SHOW tells of one server");
}

static void look_prepare(struct look *l, struct statement *s, const void *node)
{
    const PrepareStmt *prepare = node;
    struct statement *inner;

    mean_session(s, STATEMENT_PREPARE, prepare->name, l);
    inner = look_inside(l, s, prepare->query);
    look_cut_prepare(l, s, &inner->text);
    s->inner = inner;
}

static void look_execute(struct look *l, struct statement *s, const void *node)
{
    const ExecuteStmt *execute = node;

    mean_session(s, STATEMENT_EXECUTE, execute->name, l);
    s->executed = s->name;
    look_cut_execute(l, s);
    look_at_nodes(l, s, execute->params);
}

static void look_deallocate(struct look *l, struct statement *s, const void *node)
{
    const char *name = ((const DeallocateStmt *)node)->name;

    mean_session(s, name == NULL ? STATEMENT_DEALLOCATE_ALL : STATEMENT_DEALLOCATE, name, l);
    if (name != NULL)
        look_cut_deallocate(l, s);
}

static void look_discard(struct look *l, struct statement *s, const void *node)
{
    static const uint8_t KIND[] = {
        [DISCARD_ALL] = STATEMENT_DISCARD_ALL,
        [DISCARD_PLANS] = STATEMENT_DISCARD_PLANS,
        [DISCARD_SEQUENCES] = STATEMENT_DISCARD_SEQUENCES,
        [DISCARD_TEMP] = STATEMENT_DISCARD_TEMP,
    };

    mean_session(s, KIND[((const DiscardStmt *)node)->target], NULL, l);
    if (s->kind == STATEMENT_DISCARD_ALL)
        s->effects |= EFFECT_ALONE;
}

static void look_listen(struct look *l, struct statement *s, const void *node)
{
    mean_session(s, STATEMENT_LISTEN, ((const ListenStmt *)node)->conditionname, l);
    s->effects |= EFFECT_LISTENS;
    look_raise(s, ROUTE_PRIMARY, "LISTEN");
}

static void look_unlisten(struct look *l, struct statement *s, const void *node)
{
    const char *name = ((const UnlistenStmt *)node)->conditionname;

    mean_session(s, name == NULL ? STATEMENT_UNLISTEN_ALL : STATEMENT_UNLISTEN, name, l);
    s->effects |= EFFECT_LISTENS;
    look_raise(s, ROUTE_PRIMARY, "UNLISTEN");
}

static void look_notify(struct look *l, struct statement *s, const void *node)
{
    mean_session(s, STATEMENT_NOTIFY, ((const NotifyStmt *)node)->conditionname, l);
    look_raise(s, ROUTE_PRIMARY, "NOTIFY");
}

static void look_declare(struct look *l, struct statement *s, const void *node)
{
    const DeclareCursorStmt *declare = node;

    s->kind = STATEMENT_DECLARE;
    s->name = arena_copy(l->arena, slice_text(declare->portalname));
    s->inner = look_inside(l, s, declare->query);
    run_inner(s);
    for (size_t i = 0; i < s->setting_count; i++)
        ((struct setting *)s->settings)[i].is_known = false; /* it happens when it is fetched */
    if (declare->options & CURSOR_OPT_HOLD) {
        s->effects |= EFFECT_HOLD;
        look_raise(s, ROUTE_PRIMARY, "WITH HOLD");
    }
}

static void look_fetch(struct look *l, struct statement *s, const void *node)
{
    mean_session(s, STATEMENT_FETCH, ((const FetchStmt *)node)->portalname, l);
}

static void look_close(struct look *l, struct statement *s, const void *node)
{
    const char *name = ((const ClosePortalStmt *)node)->portalname;

    mean_session(s, name == NULL ? STATEMENT_CLOSE_ALL : STATEMENT_CLOSE, name, l);
}

static void look_copy(struct look *l, struct statement *s, const void *node)
{
    const CopyStmt *copy = node;

    if (copy->is_from)
        look_raise(s, ROUTE_PRIMARY, "COPY FROM");
    if (copy->filename != NULL)
        look_raise(s, ROUTE_PRIMARY, copy->is_program ? "COPY with a program" : "COPY with a file");
    else if (!copy->is_program)
        s->kind = copy->is_from ? STATEMENT_COPY_IN : STATEMENT_COPY_OUT;
    look_at_nodes(l, s, copy->relation);
    look_at_nodes(l, s, copy->whereClause);
    if (copy->query == NULL)
        return;
    s->inner = look_inside(l, s, copy->query);
    run_inner(s);
    for (size_t i = 0; i < s->setting_count; i++)
        ((struct setting *)s->settings)[i].is_known &= s->kind == STATEMENT_COPY_OUT;
}

static void look_lock(struct look *l, struct statement *s, const void *node)
{
    look_raise(s, ROUTE_PRIMARY, "LOCK TABLE");
    look_at_nodes(l, s, ((const LockStmt *)node)->relations);
}

static void look_load(struct look *l, struct statement *s, const void *node)
{
    (void)l, (void)node;
    s->kind = STATEMENT_LOAD;
    s->effects |= EFFECT_LOADS;
    look_raise(s, ROUTE_PRIMARY, "LOAD");
}

static void look_call(struct look *l, struct statement *s, const void *node)
{
    s->kind = STATEMENT_CALL;
    s->effects |= EFFECT_OPAQUE;
    look_raise(s, ROUTE_PRIMARY, "CALL");
    look_at_nodes(l, s, ((const CallStmt *)node)->funccall);
}

static void look_do(struct look *l, struct statement *s, const void *node)
{
    (void)l, (void)node;
    s->kind = STATEMENT_DO;
    s->effects |= EFFECT_OPAQUE;
    look_raise(s, ROUTE_PRIMARY, "DO");
}

static bool is_false(const Node *value)
{
    struct slice text;

    if (value == NULL)
        return false;
    if (IsA(value, Integer))
        return ((const Integer *)value)->ival == 0;
    if (!IsA(value, String))
        return false;
    text = slice_text(((const String *)value)->sval);
    return slice_is_word(text, "false") || slice_is_word(text, "off");
}

static void look_explain(struct look *l, struct statement *s, const void *node)
{
    const ExplainStmt *explain = node;
    const ListCell *cell;

    s->kind = STATEMENT_EXPLAIN;
    foreach (cell, explain->options) {
        const DefElem *option = lfirst(cell);

        if (strcmp(option->defname, "analyze") == 0) {
            s->is_analyze = !is_false(option->arg); /* the last one counts */
            s->depends_on_literals |= option->arg != NULL;
        }
    }
    s->inner = look_inside(l, s, explain->query);
    run_inner(s);
    take_executed(s, s->inner);
    if (!s->is_analyze) {
        s->effects &= ~(uint32_t)EFFECT_SETS;
        s->settings = NULL;
        s->setting_count = 0;
    }
}

static void look_create_as(struct look *l, struct statement *s, const void *node)
{
    const CreateTableAsStmt *create = node;
    struct statement *inner;

    look_raise(s, ROUTE_PRIMARY, "CREATE TABLE AS");
    look_at_made(l, s, create->into->rel);
    inner = look_inside(l, s, create->query);
    take_executed(s, inner);
    s->effects |= inner->effects;
    s->settings = inner->settings;
    s->setting_count = inner->setting_count;
    for (size_t i = 0; i < s->setting_count; i++)
        ((struct setting *)s->settings)[i].is_known = false;
}

static void look_ddl(struct look *l, struct statement *s, const void *node)
{
    (void)l, (void)node;
    look_raise(s, ROUTE_PRIMARY, "neither a query nor known");
    s->effects |= EFFECT_CATALOG | EFFECT_OPAQUE;
}

static void look_create_table(struct look *l, struct statement *s, const void *node)
{
    look_raise(s, ROUTE_PRIMARY, "CREATE TABLE");
    look_at_made(l, s, ((const CreateStmt *)node)->relation);
}

static void look_create_view(struct look *l, struct statement *s, const void *node)
{
    look_raise(s, ROUTE_PRIMARY, "CREATE VIEW");
    look_at_made(l, s, ((const ViewStmt *)node)->view);
}

static void look_create_sequence(struct look *l, struct statement *s, const void *node)
{
    look_raise(s, ROUTE_PRIMARY, "CREATE SEQUENCE");
    look_at_made(l, s, ((const CreateSeqStmt *)node)->sequence);
}

static void look_constraints(struct look *l, struct statement *s, const void *node)
{
    (void)node;
    mean_session(s, STATEMENT_QUERY, NULL, l); /* of the transaction under way; none: nothing */
}

/* Administration that runs in no transaction block. */
static void look_alone(struct look *l, struct statement *s, const void *node)
{
    look_ddl(l, s, node);
    s->effects |= EFFECT_ALONE;
}

static struct slice copy_name(const struct look *l, const char *name)
{
    return name == NULL ? (struct slice){ 0 } : arena_copy(l->arena, slice_text(name));
}

static void look_role_set(struct look *l, struct statement *s, const void *node)
{
    const AlterRoleSetStmt *set = node;

    look_ddl(l, s, node);
    s->effects |= EFFECT_PRESETS;
    if (set->role != NULL && set->role->roletype == ROLESPEC_CSTRING)
        s->role = copy_name(l, set->role->rolename);
    s->database = copy_name(l, set->database);
}

/* Connections that it has logged in to are of nobody then, also if another gets its name. */
static void look_role_drop(struct look *l, struct statement *s, const void *node)
{
    const struct List *roles = ((const DropRoleStmt *)node)->roles;
    const RoleSpec *first = look_count(roles) == 1 ? lfirst(list_nth_cell(roles, 0)) : NULL;

    look_ddl(l, s, node);
    s->effects |= EFFECT_PRESETS;
    if (first != NULL && first->roletype == ROLESPEC_CSTRING)
        s->role = copy_name(l, first->rolename);
}

static void look_rename(struct look *l, struct statement *s, const void *node)
{
    const RenameStmt *rename = node;

    look_ddl(l, s, node);
    if (rename->renameType != OBJECT_ROLE)
        return;
    s->effects |= EFFECT_PRESETS;
    s->role = copy_name(l, rename->subname);
}

static void look_database_set(struct look *l, struct statement *s, const void *node)
{
    look_ddl(l, s, node);
    s->effects |= EFFECT_PRESETS;
    s->database = copy_name(l, ((const AlterDatabaseSetStmt *)node)->dbname);
}

static void look_vacuum(struct look *l, struct statement *s, const void *node)
{
    (void)l;
    look_raise(s, ROUTE_PRIMARY, "VACUUM or ANALYZE");
    if (((const VacuumStmt *)node)->is_vacuumcmd)
        s->effects |= EFFECT_ALONE;
}

static void look_truncate(struct look *l, struct statement *s, const void *node)
{
    look_raise(s, ROUTE_PRIMARY, "TRUNCATE");
    look_at_nodes(l, s, ((const TruncateStmt *)node)->relations);
}

static void look_checkpoint(struct look *l, struct statement *s, const void *node)
{
    (void)l, (void)node;
    look_raise(s, ROUTE_PRIMARY, "CHECKPOINT");
}

static void look_index(struct look *l, struct statement *s, const void *node)
{
    look_ddl(l, s, node);
    if (((const IndexStmt *)node)->concurrent)
        s->effects |= EFFECT_ALONE;
}

static void look_drop(struct look *l, struct statement *s, const void *node)
{
    look_ddl(l, s, node);
    if (((const DropStmt *)node)->concurrent)
        s->effects |= EFFECT_ALONE;
}

#define RULE(type, look) [T_##type] = look

static look_statement_f *const RULES[] = {
    RULE(SelectStmt, look_query),
    RULE(InsertStmt, look_query),
    RULE(UpdateStmt, look_query),
    RULE(DeleteStmt, look_query),
    RULE(MergeStmt, look_query),
    RULE(TransactionStmt, look_transaction),
    RULE(VariableSetStmt, look_at_set),
    RULE(VariableShowStmt, look_show),
    RULE(PrepareStmt, look_prepare),
    RULE(ExecuteStmt, look_execute),
    RULE(DeallocateStmt, look_deallocate),
    RULE(DiscardStmt, look_discard),
    RULE(ListenStmt, look_listen),
    RULE(UnlistenStmt, look_unlisten),
    RULE(NotifyStmt, look_notify),
    RULE(DeclareCursorStmt, look_declare),
    RULE(FetchStmt, look_fetch),
    RULE(ClosePortalStmt, look_close),
    RULE(CopyStmt, look_copy),
    RULE(LockStmt, look_lock),
    RULE(LoadStmt, look_load),
    RULE(CallStmt, look_call),
    RULE(DoStmt, look_do),
    RULE(ExplainStmt, look_explain),
    RULE(CreateTableAsStmt, look_create_as),
    RULE(CreateStmt, look_create_table),
    RULE(ViewStmt, look_create_view),
    RULE(CreateSeqStmt, look_create_sequence),
    RULE(ConstraintsSetStmt, look_constraints),
    RULE(TruncateStmt, look_truncate),
    RULE(CheckPointStmt, look_checkpoint),
    RULE(VacuumStmt, look_vacuum),
    RULE(IndexStmt, look_index),
    RULE(DropStmt, look_drop),
    RULE(ClusterStmt, look_alone),
    RULE(ReindexStmt, look_alone),
    RULE(CreatedbStmt, look_alone),
    RULE(DropdbStmt, look_alone),
    RULE(AlterDatabaseStmt, look_alone),
    RULE(AlterRoleSetStmt, look_role_set),
    RULE(AlterDatabaseSetStmt, look_database_set),
    RULE(DropRoleStmt, look_role_drop),
    RULE(RenameStmt, look_rename),
    RULE(CreateTableSpaceStmt, look_alone),
    RULE(DropTableSpaceStmt, look_alone),
    RULE(AlterSystemStmt, look_alone),
    RULE(CreateSubscriptionStmt, look_alone),
    RULE(AlterSubscriptionStmt, look_alone),
    RULE(DropSubscriptionStmt, look_alone),
};

void look_at_statement(struct look *l, struct statement *s, const void *node)
{
    size_t tag = (size_t)nodeTag(node);

    l->setting_room = 0;
    s->kind = STATEMENT_QUERY;
    s->reason = "a read";
    if (tag < sizeof(RULES) / sizeof(RULES[0]) && RULES[tag] != NULL)
        RULES[tag](l, s, node);
    else
        look_ddl(l, s, node);
    look_at_strangers(l, s);
}

size_t look_count(const struct List *tree)
{
    return tree == NIL ? 0 : (size_t)tree->length;
}

const void *look_raw(const struct List *tree, size_t index, size_t *from, size_t *len)
{
    const RawStmt *raw = lfirst(list_nth_cell(tree, (int)index));

    *from = (size_t)raw->stmt_location;
    *len = (size_t)raw->stmt_len;
    return raw->stmt;
}
