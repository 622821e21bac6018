/* Goes through the nodes of a query: what is in it that is no mere read?  With a stack of its own
 * and a limit of nodes, so that no text can exhaust the thread's.  A node that is not of the table
 * below is not known to be harmless: it sends the statement to the primary. */
#include "replica/grammar_nodes.h"
#include "replica/look.h"

enum { CHILDREN_LIMIT = 16 };

typedef void look_at_node_f(struct look *l, struct statement *s, const void *node);

struct node_rule {
    bool is_known;
    look_at_node_f *look;              /* NULL: nothing but its children is of interest */
    uint16_t children[CHILDREN_LIMIT]; /* offsets of pointers to nodes or lists, up to a 0 */
};

static struct slice text_of(const char *text)
{
    return text == NULL ? (struct slice){ 0 } : slice_text(text);
}

/* The n-th name from the end of a list of names: 0 is the last one.  Empty: there is none. */
static struct slice name_from_end(const List *names, int n)
{
    const Node *node;

    if (names == NIL || names->length <= n)
        return (struct slice){ 0 };
    node = lfirst(list_nth_cell(names, names->length - 1 - n));
    return node != NULL && IsA(node, String) ? text_of(((const String *)node)->sval)
                                             : (struct slice){ 0 };
}

static void push(struct look *l, const void *node)
{
    if (node == NULL)
        return;
    if (l->stack_len == l->stack_room) {
        size_t room = l->stack_room == 0 ? 64 : l->stack_room * 2;
        const struct Node **larger = arena_bytes(l->arena, room * sizeof(void *));

        if (l->stack_len > 0)
            memcpy(larger, l->stack, l->stack_len * sizeof(void *));
        l->stack = larger;
        l->stack_room = room;
    }
    l->stack[l->stack_len++] = node;
}

/* The value of a constant string, also behind a cast; empty if it is none. */
static struct slice constant_text(const Node *node)
{
    if (node != NULL && IsA(node, TypeCast))
        node = ((const TypeCast *)node)->arg;
    if (node == NULL || !IsA(node, A_Const) || ((const A_Const *)node)->isnull ||
        nodeTag(&((const A_Const *)node)->val.node) != T_String)
        return (struct slice){ 0 };
    return text_of(((const A_Const *)node)->val.sval.sval);
}

static void look_function(struct look *l, struct statement *s, const void *node)
{
    const FuncCall *call = node;
    struct slice name = name_from_end(call->funcname, 0), schema = name_from_end(call->funcname, 1);
    struct slice argument = { 0 };

    if (call->args != NIL)
        argument = constant_text(linitial(call->args));
    look_at_function(l, s, schema, name, argument);
    if ((schema.len == 0 || slice_is_text(schema, "pg_catalog")) &&
        slice_is_text(name, "set_config"))
        look_at_set_config(l, s, call);
}

static void look_column(struct look *l, struct statement *s, const void *node)
{
    look_at_column(l, s, name_from_end(((const ColumnRef *)node)->fields, 0));
}

static void look_members(struct look *l, struct statement *s, const void *node)
{
    const ListCell *cell;

    foreach (cell, ((const A_Indirection *)node)->indirection) {
        if (IsA(lfirst(cell), String))
            look_at_member(l, s, text_of(((const String *)lfirst(cell))->sval));
        else
            push(l, lfirst(cell));
    }
}

static void look_range(struct look *l, struct statement *s, const void *node)
{
    const RangeVar *range = node;

    look_at_relation(l, s, text_of(range->schemaname), text_of(range->relname));
}

static void look_sample(struct look *l, struct statement *s, const void *node)
{
    const List *method = ((const RangeTableSample *)node)->method;

    look_at_function(l, s, name_from_end(method, 1), name_from_end(method, 0), (struct slice){ 0 });
}

static void look_type(struct look *l, struct statement *s, const void *node)
{
    const List *names = ((const TypeName *)node)->names;

    look_at_type(l, s, name_from_end(names, 1), name_from_end(names, 0));
}

/* One that stands for itself in no text: CASE x WHEN, USING, IN (SELECT ...). */
static void imply(struct look *l, struct statement *s, const char *name)
{
    look_at_operator(l, s, (struct slice){ 0 }, slice_text(name));
}

static void look_operator(struct look *l, struct statement *s, const void *node)
{
    const A_Expr *e = node;

    if (e->kind == AEXPR_BETWEEN || e->kind == AEXPR_NOT_BETWEEN || e->kind == AEXPR_BETWEEN_SYM ||
        e->kind == AEXPR_NOT_BETWEEN_SYM) {
        imply(l, s, ">=");
        imply(l, s, "<=");
        imply(l, s, "<");
        imply(l, s, ">");
        return;
    }
    look_at_operator(l, s, name_from_end(e->name, 1), name_from_end(e->name, 0));
}

static void look_case(struct look *l, struct statement *s, const void *node)
{
    if (((const CaseExpr *)node)->arg != NULL)
        imply(l, s, "=");
}

static void look_join(struct look *l, struct statement *s, const void *node)
{
    if (((const JoinExpr *)node)->usingClause != NIL || ((const JoinExpr *)node)->isNatural)
        imply(l, s, "=");
}

static void look_sort(struct look *l, struct statement *s, const void *node)
{
    const List *names = ((const SortBy *)node)->useOp;

    if (names != NIL)
        look_at_operator(l, s, name_from_end(names, 1), name_from_end(names, 0));
}

static void look_common(struct look *l, struct statement *s, const void *node)
{
    (void)s;
    look_at_query_name(l, text_of(((const CommonTableExpr *)node)->ctename));
}

/* x OPERATOR ANY (SELECT ...), x IN (SELECT ...) */
static void look_sublink(struct look *l, struct statement *s, const void *node)
{
    const SubLink *link = node;

    if (link->operName != NIL)
        look_at_operator(l, s, name_from_end(link->operName, 1), name_from_end(link->operName, 0));
    else if (link->subLinkType == ANY_SUBLINK)
        imply(l, s, "=");
}

static void look_locking(struct look *l, struct statement *s, const void *node)
{
    static const char *const REASON[] = {
        [LCS_NONE] = "row locks",       [LCS_FORKEYSHARE] = "FOR KEY SHARE",
        [LCS_FORSHARE] = "FOR SHARE",   [LCS_FORNOKEYUPDATE] = "FOR NO KEY UPDATE",
        [LCS_FORUPDATE] = "FOR UPDATE",
    };

    (void)l;
    look_raise(s, ROUTE_PRIMARY, REASON[((const LockingClause *)node)->strength]);
}

void look_at_made(struct look *l, struct statement *s, const void *node)
{
    bool is_temporary = ((const RangeVar *)node)->relpersistence == 't';

    s->effects |= EFFECT_OPAQUE | (is_temporary ? EFFECT_TEMP : EFFECT_CATALOG);
    look_range(l, s, node);
}

static void look_into(struct look *l, struct statement *s, const void *node)
{
    look_raise(s, ROUTE_PRIMARY, "SELECT INTO");
    look_at_made(l, s, ((const IntoClause *)node)->rel);
}

static void look_insert(struct look *l, struct statement *s, const void *node)
{
    (void)l, (void)node;
    look_raise(s, ROUTE_PRIMARY, "INSERT");
}

static void look_update(struct look *l, struct statement *s, const void *node)
{
    const RangeVar *relation = ((const UpdateStmt *)node)->relation;

    if (relation != NULL && relation->relname != NULL &&
        strcmp(relation->relname, "pg_settings") == 0) { /* its rule calls set_config() */
        s->effects |= EFFECT_SETS;
        look_add_setting(l, s);
    }
    look_raise(s, ROUTE_PRIMARY, "UPDATE");
}

static void look_delete(struct look *l, struct statement *s, const void *node)
{
    (void)l, (void)node;
    look_raise(s, ROUTE_PRIMARY, "DELETE");
}

static void look_merge(struct look *l, struct statement *s, const void *node)
{
    (void)l, (void)node;
    look_raise(s, ROUTE_PRIMARY, "MERGE");
}

#define AT(type, member)      offsetof(type, member)
#define RULE(type, look, ...) [T_##type] = { true, look, { __VA_ARGS__ } }

static const struct node_rule RULES[] = {
    RULE(SelectStmt, NULL, AT(SelectStmt, withClause), AT(SelectStmt, distinctClause),
         AT(SelectStmt, intoClause), AT(SelectStmt, targetList), AT(SelectStmt, fromClause),
         AT(SelectStmt, whereClause), AT(SelectStmt, groupClause), AT(SelectStmt, havingClause),
         AT(SelectStmt, windowClause), AT(SelectStmt, valuesLists), AT(SelectStmt, sortClause),
         AT(SelectStmt, limitOffset), AT(SelectStmt, limitCount), AT(SelectStmt, lockingClause),
         AT(SelectStmt, larg), AT(SelectStmt, rarg)),
    RULE(InsertStmt, look_insert, AT(InsertStmt, relation), AT(InsertStmt, cols),
         AT(InsertStmt, selectStmt), AT(InsertStmt, onConflictClause),
         AT(InsertStmt, returningList), AT(InsertStmt, withClause)),
    RULE(UpdateStmt, look_update, AT(UpdateStmt, relation), AT(UpdateStmt, targetList),
         AT(UpdateStmt, whereClause), AT(UpdateStmt, fromClause), AT(UpdateStmt, returningList),
         AT(UpdateStmt, withClause)),
    RULE(DeleteStmt, look_delete, AT(DeleteStmt, relation), AT(DeleteStmt, usingClause),
         AT(DeleteStmt, whereClause), AT(DeleteStmt, returningList), AT(DeleteStmt, withClause)),
    RULE(MergeStmt, look_merge, AT(MergeStmt, relation), AT(MergeStmt, sourceRelation),
         AT(MergeStmt, joinCondition), AT(MergeStmt, mergeWhenClauses), AT(MergeStmt, withClause)),
    RULE(MergeWhenClause, NULL, AT(MergeWhenClause, condition), AT(MergeWhenClause, targetList),
         AT(MergeWhenClause, values)),
    RULE(OnConflictClause, NULL, AT(OnConflictClause, infer), AT(OnConflictClause, targetList),
         AT(OnConflictClause, whereClause)),
    RULE(InferClause, NULL, AT(InferClause, indexElems), AT(InferClause, whereClause)),
    RULE(IndexElem, NULL, AT(IndexElem, expr)),
    RULE(WithClause, NULL, AT(WithClause, ctes)),
    RULE(CommonTableExpr, look_common, AT(CommonTableExpr, ctequery),
         AT(CommonTableExpr, cycle_clause)),
    RULE(CTECycleClause, NULL, AT(CTECycleClause, cycle_mark_value),
         AT(CTECycleClause, cycle_mark_default)),
    RULE(IntoClause, look_into),
    RULE(LockingClause, look_locking),
    RULE(ResTarget, NULL, AT(ResTarget, indirection), AT(ResTarget, val)),
    RULE(RangeVar, look_range),
    RULE(RangeSubselect, NULL, AT(RangeSubselect, subquery)),
    RULE(RangeFunction, NULL, AT(RangeFunction, functions), AT(RangeFunction, coldeflist)),
    RULE(RangeTableSample, look_sample, AT(RangeTableSample, relation), AT(RangeTableSample, args),
         AT(RangeTableSample, repeatable)),
    RULE(RangeTableFunc, NULL, AT(RangeTableFunc, docexpr), AT(RangeTableFunc, rowexpr),
         AT(RangeTableFunc, namespaces), AT(RangeTableFunc, columns)),
    RULE(RangeTableFuncCol, NULL, AT(RangeTableFuncCol, typeName), AT(RangeTableFuncCol, colexpr),
         AT(RangeTableFuncCol, coldefexpr)),
    RULE(JoinExpr, look_join, AT(JoinExpr, larg), AT(JoinExpr, rarg), AT(JoinExpr, quals)),
    RULE(SortBy, look_sort, AT(SortBy, node)),
    RULE(WindowDef, NULL, AT(WindowDef, partitionClause), AT(WindowDef, orderClause),
         AT(WindowDef, startOffset), AT(WindowDef, endOffset)),
    RULE(GroupingSet, NULL, AT(GroupingSet, content)),
    RULE(ColumnRef, look_column),
    RULE(ColumnDef, NULL, AT(ColumnDef, typeName)),
    RULE(ParamRef, NULL),
    RULE(A_Const, NULL),
    RULE(A_Star, NULL),
    RULE(A_Expr, look_operator, AT(A_Expr, lexpr), AT(A_Expr, rexpr)),
    RULE(A_Indices, NULL, AT(A_Indices, lidx), AT(A_Indices, uidx)),
    RULE(A_Indirection, look_members, AT(A_Indirection, arg)),
    RULE(A_ArrayExpr, NULL, AT(A_ArrayExpr, elements)),
    RULE(MultiAssignRef, NULL, AT(MultiAssignRef, source)),
    RULE(TypeCast, NULL, AT(TypeCast, arg), AT(TypeCast, typeName)),
    RULE(TypeName, look_type),
    RULE(CollateClause, NULL, AT(CollateClause, arg)),
    RULE(FuncCall, look_function, AT(FuncCall, args), AT(FuncCall, agg_order),
         AT(FuncCall, agg_filter), AT(FuncCall, over)),
    RULE(NamedArgExpr, NULL, AT(NamedArgExpr, arg)),
    RULE(SubLink, look_sublink, AT(SubLink, testexpr), AT(SubLink, subselect)),
    RULE(BoolExpr, NULL, AT(BoolExpr, args)),
    RULE(CaseExpr, look_case, AT(CaseExpr, arg), AT(CaseExpr, args), AT(CaseExpr, defresult)),
    RULE(CaseWhen, NULL, AT(CaseWhen, expr), AT(CaseWhen, result)),
    RULE(RowExpr, NULL, AT(RowExpr, args)),
    RULE(CoalesceExpr, NULL, AT(CoalesceExpr, args)),
    RULE(MinMaxExpr, NULL, AT(MinMaxExpr, args)),
    RULE(SQLValueFunction, NULL),
    RULE(XmlExpr, NULL, AT(XmlExpr, named_args), AT(XmlExpr, args)),
    RULE(XmlSerialize, NULL, AT(XmlSerialize, expr), AT(XmlSerialize, typeName)),
    RULE(NullTest, NULL, AT(NullTest, arg)),
    RULE(BooleanTest, NULL, AT(BooleanTest, arg)),
    RULE(GroupingFunc, NULL, AT(GroupingFunc, args)),
    RULE(SetToDefault, NULL),
    RULE(CurrentOfExpr, NULL),
    RULE(Alias, NULL),
    RULE(Integer, NULL),
    RULE(Float, NULL),
    RULE(Boolean, NULL),
    RULE(String, NULL),
    RULE(BitString, NULL),
};

static void look_at_node(struct look *l, struct statement *s, const Node *node)
{
    size_t tag = (size_t)nodeTag(node);
    const struct node_rule *rule = tag < sizeof(RULES) / sizeof(RULES[0]) ? &RULES[tag] : NULL;

    if (rule == NULL || !rule->is_known) {
        look_raise(s, ROUTE_PRIMARY, "an expression that is not known");
        s->effects |= EFFECT_OPAQUE;
        return;
    }
    if (rule->look != NULL)
        rule->look(l, s, node);
    /* The last one first, so that they are seen in their order. */
    for (size_t i = CHILDREN_LIMIT; i-- > 0;)
        if (rule->children[i] != 0)
            push(l, *(const Node *const *)((const char *)node + rule->children[i]));
}

static void push_list(struct look *l, const List *list)
{
    for (int i = list->length; i-- > 0;)
        push(l, lfirst(list_nth_cell(list, i)));
}

void look_at_nodes(struct look *l, struct statement *s, const void *root)
{
    size_t bottom = l->stack_len;

    push(l, root);
    while (l->stack_len > bottom) {
        const Node *node = (const Node *)l->stack[--l->stack_len];

        if (++l->seen > SCRIPT_NODE_LIMIT) {
            look_raise(s, ROUTE_PRIMARY, "too large to be looked into");
            s->effects |= EFFECT_OPAQUE | EFFECT_UNSEEN;
            l->stack_len = bottom;
        } else if (IsA(node, List)) {
            push_list(l, (const List *)node);
        } else {
            look_at_node(l, s, node);
        }
    }
}
