/* SET, RESET, SHOW's kin, set_config() and the modes of transactions. */
#include "replica/grammar_nodes.h"
#include "replica/look.h"

struct setting *look_add_setting(struct look *l, struct statement *s)
{
    if (s->setting_count == l->setting_room) {
        size_t room = l->setting_room == 0 ? 1 : l->setting_room * 2;
        struct setting *larger = arena_bytes(l->arena, room * sizeof(*larger));

        if (s->setting_count > 0)
            memcpy(larger, s->settings, s->setting_count * sizeof(*larger));
        s->settings = larger;
        l->setting_room = room;
    }
    /* The row was made here, and is this statement's own. */
    struct setting *added = (struct setting *)&s->settings[s->setting_count++];

    *added = (struct setting){ 0 };
    return added;
}

/* As PostgreSQL reads a boolean; -1: it is none. */
static int boolean_of(struct slice text)
{
    static const char *const TRUE[] = { "true", "yes", "on", "1" };
    static const char *const FALSE[] = { "false", "no", "off", "0" };

    for (size_t i = 0; i < 4; i++) {
        size_t least = i == 2 ? 2 : 1; /* "o" is neither */

        if (text.len >= least && text.len <= strlen(TRUE[i]) &&
            strncasecmp((const char *)text.at, TRUE[i], text.len) == 0)
            return 1;
        if (text.len >= least && text.len <= strlen(FALSE[i]) &&
            strncasecmp((const char *)text.at, FALSE[i], text.len) == 0)
            return 0;
    }
    return -1;
}

static enum mode_isolation isolation_of(struct slice text)
{
    static const char *const NAMES[] = {
        [MODE_READ_UNCOMMITTED] = "read uncommitted",
        [MODE_READ_COMMITTED] = "read committed",
        [MODE_REPEATABLE_READ] = "repeatable read",
        [MODE_SERIALIZABLE] = "serializable",
    };

    for (unsigned i = MODE_READ_UNCOMMITTED; i <= MODE_SERIALIZABLE; i++)
        if (slice_is_word(text, NAMES[i]))
            return (enum mode_isolation)i;
    return MODE_ISOLATION_UNSAID;
}

static void take_mode(struct transaction_modes *modes, struct slice name, struct slice value)
{
    int is_on = boolean_of(value);

    if (slice_is_text(name, "transaction_isolation"))
        modes->isolation = (uint8_t)isolation_of(value);
    if (is_on < 0)
        return;
    if (slice_is_text(name, "transaction_read_only"))
        modes->access = is_on ? MODE_READ_ONLY : MODE_READ_WRITE;
    else if (slice_is_text(name, "transaction_deferrable"))
        modes->deferrable = is_on ? MODE_DEFERRABLE : MODE_NOT_DEFERRABLE;
}

void look_at_setting(struct statement *s, const struct setting *setting)
{
    if (slice_is_text(setting->name, "seed"))
        s->effects |= EFFECT_SEED;
    if (setting->is_known && !setting->is_default)
        take_mode(&s->modes, setting->name, setting->text);
}

/* The text of a constant as SET has it; false: it is none. */
static bool text_of_constant(struct look *l, const A_Const *constant, struct slice *out)
{
    char number[16];

    if (!IsA(constant, A_Const) || constant->isnull)
        return false;
    if (nodeTag(&constant->val.node) == T_String)
        *out = slice_text(constant->val.sval.sval);
    else if (nodeTag(&constant->val.node) == T_Float)
        *out = slice_text(constant->val.fval.fval);
    else if (nodeTag(&constant->val.node) == T_Integer)
        *out =
            arena_copy(l->arena, slice_of(number, look_put_int(constant->val.ival.ival, number)));
    else
        return false;
    return true;
}

/* SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE.  The fields change what a bare number means,
 * which is the server's to say. */
static bool text_of_interval(struct look *l, const TypeCast *cast, struct slice *out)
{
    struct slice inside;

    if (!IsA(cast, TypeCast) || !text_of_constant(l, (const A_Const *)cast->arg, &inside))
        return false;
    look_put_interval(l, inside, out);
    return cast->typeName->typmods == NIL || memchr(inside.at, ':', inside.len) != NULL;
}

static void take_values(struct look *l, struct setting *setting, const List *values)
{
    size_t count = values == NIL ? 0 : (size_t)values->length;
    struct slice *items = arena_bytes(l->arena, (count + 1) * sizeof(*items));
    const Node *node;

    setting->is_known = count > 0;
    for (size_t i = 0; i < count && setting->is_known; i++) {
        node = lfirst(list_nth_cell(values, (int)i));
        setting->is_known = text_of_constant(l, (const A_Const *)node, &items[i]) ||
                            text_of_interval(l, (const TypeCast *)node, &items[i]);
    }
    if (setting->is_known)
        look_set_items(l, setting, items, count);
}

static void look_at_one_setting(struct look *l, struct statement *s, const VariableSetStmt *set)
{
    struct setting *setting = look_add_setting(l, s);

    look_set_name(l, setting, slice_text(set->name));
    setting->is_local = set->is_local;
    setting->is_default = set->kind == VAR_SET_DEFAULT || set->kind == VAR_RESET;
    if (setting->is_default)
        setting->is_known = true;
    else if (set->kind == VAR_SET_VALUE)
        take_values(l, setting, set->args);
    s->name = setting->name;
    s->is_sheaf = setting->is_sheaf;
    look_at_setting(s, setting);
}

void look_at_modes(struct statement *s, const void *options)
{
    const ListCell *cell;

    foreach (cell, (const List *)options) {
        const DefElem *mode = lfirst(cell);
        const A_Const *value = (const A_Const *)mode->arg;

        if (value == NULL || !IsA(value, A_Const))
            continue;
        if (nodeTag(&value->val.node) == T_String)
            take_mode(&s->modes, slice_text(mode->defname), slice_text(value->val.sval.sval));
        else if (nodeTag(&value->val.node) == T_Integer)
            take_mode(&s->modes, slice_text(mode->defname),
                      slice_text(value->val.ival.ival != 0 ? "on" : "off"));
    }
}

/* SET SESSION CHARACTERISTICS, as the settings that it is short for. */
static void add_default(struct look *l, struct statement *s, const char *name, const char *value)
{
    struct setting *setting = look_add_setting(l, s);

    look_set_name(l, setting, slice_text(name));
    look_set_text(l, setting, slice_text(value));
    setting->is_known = true;
}

static void look_at_characteristics(struct look *l, struct statement *s)
{
    static const char *const ISOLATION[] = {
        [MODE_READ_UNCOMMITTED] = "read uncommitted",
        [MODE_READ_COMMITTED] = "read committed",
        [MODE_REPEATABLE_READ] = "repeatable read",
        [MODE_SERIALIZABLE] = "serializable",
    };

    s->kind = STATEMENT_SET_CHARACTERISTICS;
    if (s->modes.isolation != MODE_ISOLATION_UNSAID)
        add_default(l, s, "default_transaction_isolation", ISOLATION[s->modes.isolation]);
    if (s->modes.access != MODE_ACCESS_UNSAID)
        add_default(l, s, "default_transaction_read_only",
                    s->modes.access == MODE_READ_ONLY ? "on" : "off");
    if (s->modes.deferrable != MODE_DEFERRABLE_UNSAID)
        add_default(l, s, "default_transaction_deferrable",
                    s->modes.deferrable == MODE_DEFERRABLE ? "on" : "off");
}

void look_at_set(struct look *l, struct statement *s, const void *node)
{
    const VariableSetStmt *set = node;

    look_raise(s, ROUTE_SESSION, "means the session");
    switch (set->kind) {
    case VAR_SET_MULTI:
        s->kind = STATEMENT_SET_TRANSACTION;
        if (strcmp(set->name, "TRANSACTION SNAPSHOT") == 0) {
            s->modes.has_snapshot = true;
            look_raise(s, ROUTE_PRIMARY, "a snapshot of one server");
            return;
        }
        look_at_modes(s, set->args);
        if (strcmp(set->name, "SESSION CHARACTERISTICS") == 0)
            look_at_characteristics(l, s);
        return;
    case VAR_RESET_ALL:
        s->kind = STATEMENT_RESET_ALL;
        return;
    case VAR_RESET:
        s->kind = STATEMENT_RESET;
        look_at_one_setting(l, s, set);
        return;
    case VAR_SET_VALUE:
    case VAR_SET_DEFAULT:
    case VAR_SET_CURRENT:
        s->kind = STATEMENT_SET;
        look_at_one_setting(l, s, set);
        return;
    }
}

/* What an argument is, casts to text and boolean aside: a constant (with NULL and booleans as
 * "null", "true", "false" in *out), or the number of a parameter. */
enum argument { ARGUMENT_TEXT, ARGUMENT_NULL, ARGUMENT_PARAMETER, ARGUMENT_UNKNOWN };

/* Casts that change nothing of a text or a boolean. */
static bool is_transparent(const TypeName *type)
{
    const String *name;

    if (type->typmods != NIL || type->arrayBounds != NIL || type->names == NIL)
        return false;
    name = llast(type->names);
    return strcmp(name->sval, "text") == 0 || strcmp(name->sval, "varchar") == 0 ||
           strcmp(name->sval, "bool") == 0;
}

static enum argument read_argument(struct look *l, const Node *node, struct slice *out,
                                   uint16_t *parameter)
{
    const A_Const *constant;

    while (IsA(node, TypeCast) && is_transparent(((const TypeCast *)node)->typeName))
        node = ((const TypeCast *)node)->arg;
    if (IsA(node, ParamRef)) {
        *parameter = (uint16_t)((const ParamRef *)node)->number;
        return ((const ParamRef *)node)->number == *parameter ? ARGUMENT_PARAMETER
                                                              : ARGUMENT_UNKNOWN;
    }
    if (!IsA(node, A_Const))
        return ARGUMENT_UNKNOWN;
    constant = (const A_Const *)node;
    if (constant->isnull)
        return ARGUMENT_NULL;
    if (nodeTag(&constant->val.node) == T_Boolean) {
        *out = slice_text(constant->val.boolval.boolval ? "true" : "false");
        return ARGUMENT_TEXT;
    }
    return text_of_constant(l, constant, out) ? ARGUMENT_TEXT : ARGUMENT_UNKNOWN;
}

static bool is_call_of(const FuncCall *call, const char *name)
{
    const ListCell *cell;
    struct slice schema;

    if (!IsA(call, FuncCall) || strcmp(((const String *)llast(call->funcname))->sval, name) != 0)
        return false;
    schema = slice_text(((const String *)linitial(call->funcname))->sval);
    if (call->funcname->length > 1 && !slice_is_text(schema, "pg_catalog"))
        return false;
    foreach (cell, call->args)
        if (IsA(lfirst(cell), NamedArgExpr))
            return false;
    return true;
}

/* A constant or parameter, or a call of set_config() or current_setting() with such. */
static bool is_plain_target(struct look *l, const Node *node, bool may_call)
{
    const ListCell *cell;
    struct slice ignored;
    uint16_t number;

    if (read_argument(l, node, &ignored, &number) != ARGUMENT_UNKNOWN)
        return true;
    if (!may_call || !(is_call_of((const FuncCall *)node, "set_config") ||
                       is_call_of((const FuncCall *)node, "current_setting")))
        return false;
    foreach (cell, ((const FuncCall *)node)->args)
        if (!is_plain_target(l, lfirst(cell), false))
            return false;
    return true;
}

bool look_is_certain(struct look *l, const void *node)
{
    const SelectStmt *select = node;
    const ListCell *cell;

    if (select->op != SETOP_NONE || select->targetList == NIL || select->fromClause != NIL ||
        select->whereClause != NULL || select->groupClause != NIL || select->havingClause != NULL ||
        select->limitCount != NULL || select->limitOffset != NULL || select->withClause != NULL)
        return false;
    foreach (cell, select->targetList)
        if (!is_plain_target(l, ((const ResTarget *)lfirst(cell))->val, true))
            return false;
    return true;
}

/* Is the call one of the targets of such a SELECT? */
static bool is_certain(const struct look *l, const FuncCall *call)
{
    const ListCell *cell;

    if (l->certain == NULL)
        return false;
    foreach (cell, l->certain->targetList)
        if (((const ResTarget *)lfirst(cell))->val == (const Node *)call)
            return true;
    return false;
}

void look_at_set_config(struct look *l, struct statement *s, const void *node)
{
    const FuncCall *call = node;
    struct setting *setting = look_add_setting(l, s);
    struct slice name = { 0 }, text = { 0 }, local = { 0 };
    enum argument kinds[3];

    s->effects |= EFFECT_SETS;
    if (call->args == NIL || call->args->length != 3)
        return;
    kinds[0] = read_argument(l, linitial(call->args), &name, &setting->name_parameter);
    kinds[1] = read_argument(l, lsecond(call->args), &text, &setting->value_parameter);
    kinds[2] = read_argument(l, lthird(call->args), &local, &setting->local_parameter);
    look_set_name(l, setting, name);
    setting->is_default = kinds[1] == ARGUMENT_NULL;
    setting->is_local = kinds[2] == ARGUMENT_TEXT && boolean_of(local) == 1;
    setting->is_known = is_certain(l, call) && kinds[0] != ARGUMENT_UNKNOWN &&
                        kinds[1] != ARGUMENT_UNKNOWN && kinds[2] != ARGUMENT_UNKNOWN &&
                        (kinds[2] != ARGUMENT_TEXT || boolean_of(local) >= 0);
    if (kinds[1] == ARGUMENT_TEXT)
        look_set_text(l, setting, text);
    look_at_setting(s, setting);
}
