/* What the names in a statement mean: functions, relations, types. */
#include "replica/look.h"

static void raise_to(struct statement *s, enum statement_route route, const char *reason)
{
    if (route <= s->route)
        return;
    s->route = (uint8_t)route;
    s->reason = reason;
    s->subject = (struct slice){ 0 };
}

void look_raise(struct statement *s, enum statement_route route, const char *reason)
{
    s->is_certain |= route == ROUTE_PRIMARY;
    raise_to(s, route, reason);
}

/* As look_raise(), with the name of what it is about. */
static void look_raise_about(struct look *l, struct statement *s, enum statement_route route,
                             const char *reason, struct slice subject)
{
    if (route <= s->route)
        return;
    raise_to(s, route, reason);
    s->subject = arena_copy(l->arena, subject);
}

static bool starts(struct slice name, const char *with)
{
    return slice_starts(name, slice_text(with));
}

static bool is_any(struct slice name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_is_text(name, names[i]))
            return true;
    return false;
}

static bool is_temporary_schema(struct slice schema)
{
    return slice_is_text(schema, "pg_temp") || starts(schema, "pg_temp_") ||
           starts(schema, "pg_toast_temp_");
}

static bool is_own_schema(struct slice schema)
{
    return schema.len == 0 || slice_is_text(schema, "pg_catalog");
}

/* What a call leaves, or asks for, beside its route. */
static const uint32_t EFFECT_OF[] = {
    [BUILTIN_SEQUENCE] = EFFECT_SEQUENCE, [BUILTIN_CURRVAL] = EFFECT_CURRVAL,
    [BUILTIN_SETS] = EFFECT_SETS,         [BUILTIN_LOCKS] = EFFECT_LOCK,
    [BUILTIN_SEEDS] = EFFECT_SEED,        [BUILTIN_LISTENS] = EFFECT_LISTENS,
    [BUILTIN_STAYS] = EFFECT_LOADS,
};

/* Settings of the session or the application: the same on whichever server it stands. */
static bool is_session_setting(struct slice name)
{
    static const char *const SAME[] = {
        "search_path",     "timezone",    "datestyle",          "intervalstyle", "application_name",
        "client_encoding", "role",        "statement_timeout",  "bytea_output",  "server_encoding",
        "lc_messages",     "lc_monetary", "extra_float_digits", "lock_timeout"
    };
    char folded[32];

    if (memchr(name.at, '.', name.len) != NULL)
        return true;
    if (name.len >= sizeof(folded))
        return false;
    for (size_t i = 0; i < name.len; i++)
        folded[i] = (char)(name.at[i] | ((uint8_t)(name.at[i] - 'A') < 26 ? 0x20 : 0));
    return is_any(slice_of(folded, name.len), SAME, sizeof(SAME) / sizeof(SAME[0]));
}

static bool tells_of_server(const struct builtin_function *f)
{
    return f->class == BUILTIN_HERE || f->class == BUILTIN_SHOWS;
}

static void judge_own(struct look *l, struct statement *s, const struct builtin_function *f,
                      struct slice argument)
{
    if (f->class == BUILTIN_SAFE)
        return;
    if (f->class == BUILTIN_SHOWS && argument.len > 0 && is_session_setting(argument))
        return;
    look_raise_about(l, s, tells_of_server(f) ? ROUTE_HERE : ROUTE_PRIMARY, f->reason,
                     slice_text(f->name));
    if (f->class == BUILTIN_RUNS)
        s->effects |= EFFECT_OPAQUE;
    if (f->class >= BUILTIN_SEQUENCE)
        s->effects |= EFFECT_OF[f->class];
}

/* Until it is known what a name means it may mean anything. */
static void be_blind(const struct look *l, struct statement *s)
{
    if (l->options->catalog != NULL || !l->options->needs_catalog)
        return;
    s->effects |= EFFECT_UNKNOWN;
    raise_to(s, ROUTE_PRIMARY, "the catalog is not known");
}

static enum catalog_function ask(const struct look *l, struct slice schema, struct slice name)
{
    const struct catalog *catalog = l->options->catalog;

    return catalog == NULL ? CATALOG_FUNCTION_UNKNOWN
                           : catalog->function(catalog->state, schema, name);
}

/* The functions of dblink reach other servers, with sessions of their own. */
static bool judge_extension(struct look *l, struct statement *s, struct slice name)
{
    if (!starts(name, "dblink"))
        return false;
    look_raise_about(l, s, ROUTE_PRIMARY, "function of dblink", name);
    s->effects |= starts(name, "dblink_connect") ? EFFECT_LOADS : EFFECT_OPAQUE;
    return true;
}

static void writes(struct look *l, struct statement *s, const char *reason, struct slice name)
{
    s->effects |= EFFECT_OPAQUE;
    look_raise_about(l, s, ROUTE_PRIMARY, reason, name);
}

static void judge_foreign(struct look *l, struct statement *s, struct slice schema,
                          struct slice name)
{
    enum catalog_function nature;

    if (judge_extension(l, s, name))
        return;
    nature = ask(l, schema, name);
    if (nature == CATALOG_FUNCTION_READS) {
        look_raise_about(l, s, ROUTE_TRY, "a function that reads", name);
        return;
    }
    s->effects |= EFFECT_OPAQUE;
    if (nature == CATALOG_FUNCTION_UNKNOWN && l->options->needs_catalog)
        s->effects |= EFFECT_UNKNOWN;
    if (nature == CATALOG_FUNCTION_WRITES)
        look_raise_about(l, s, ROUTE_PRIMARY, "a volatile function", name);
    else if (l->options->tries_unknown_functions)
        look_raise_about(l, s, ROUTE_TRY, "a function that is not known", name);
    else
        look_raise_about(l, s, ROUTE_PRIMARY, "a function that is not known", name);
}

void look_at_function(struct look *l, struct statement *s, struct slice schema, struct slice name,
                      struct slice argument)
{
    const struct builtin_function *own = is_own_schema(schema) ? builtin_function_find(name) : NULL;

    if (is_temporary_schema(schema)) {
        look_raise_about(l, s, ROUTE_PRIMARY, "a temporary function", name);
        s->effects |= EFFECT_TEMP | EFFECT_OPAQUE;
        return;
    }
    if (slice_is_text(schema, "information_schema"))
        return;
    if (own == NULL) {
        judge_foreign(l, s, schema, name);
        return;
    }
    judge_own(l, s, own, argument);
    /* Other schemas may have one of the same name that fits the arguments better. */
    if (schema.len == 0 && ask(l, schema, name) == CATALOG_FUNCTION_WRITES)
        judge_foreign(l, s, schema, name);
    if (schema.len == 0)
        be_blind(l, s);
}

void look_at_member(struct look *l, struct statement *s, struct slice name)
{
    const struct builtin_function *own = builtin_function_find(name);

    if (own != NULL && own->takes_one)
        judge_own(l, s, own, (struct slice){ 0 });
    look_raise(s, ROUTE_TRY, "a member that may be a function");
    look_at_column(l, s, name);
}

void look_at_column(struct look *l, struct statement *s, struct slice name)
{
    static const char *const OF_SEQUENCES[] = { "last_value", "log_cnt", "is_called" };
    const struct catalog *catalog = l->options->catalog;

    if (catalog != NULL &&
        (catalog->member != NULL ? catalog->member : catalog->function)(
            catalog->state, (struct slice){ 0 }, name) == CATALOG_FUNCTION_WRITES)
        writes(l, s, "a volatile function", name);
    if (name.len > 0)
        be_blind(l, s);
    if (is_any(name, OF_SEQUENCES, sizeof(OF_SEQUENCES) / sizeof(OF_SEQUENCES[0])))
        look_raise_about(l, s, ROUTE_PRIMARY, "the state of a sequence", name);
}

/* Views of the catalog that tell of the server that answers. */
static bool is_of_server(struct slice name)
{
    static const char *const HERE[] = {
        "pg_aios",
        "pg_available_extension_versions",
        "pg_available_extensions",
        "pg_backend_memory_contexts",
        "pg_config",
        "pg_cursors",
        "pg_dsm_registry_allocations",
        "pg_file_settings",
        "pg_hba_file_rules",
        "pg_ident_file_mappings",
        "pg_locks",
        "pg_prepared_statements",
        "pg_prepared_xacts",
        "pg_replication_origin_status",
        "pg_replication_slots",
        "pg_settings",
        "pg_shmem_allocations",
        "pg_shmem_allocations_numa",
        "pg_timezone_abbrevs",
        "pg_timezone_names",
        "pg_wait_events",
    };

    return starts(name, "pg_stat_") || starts(name, "pg_statio_") ||
           is_any(name, HERE, sizeof(HERE) / sizeof(HERE[0]));
}

static const struct {
    uint8_t route;
    uint32_t effects;
    const char *reason;
} OF_NATURE[] = {
    [CATALOG_RELATION_UNKNOWN] = { ROUTE_TRY, 0, "a read" },
    [CATALOG_RELATION_PLAIN] = { ROUTE_READ, 0, "a read" },
    [CATALOG_RELATION_WRITES] = { ROUTE_PRIMARY, EFFECT_OPAQUE, "a view with volatile functions" },
    [CATALOG_RELATION_FOREIGN] = { ROUTE_PRIMARY, 0, "a foreign table" },
    [CATALOG_RELATION_UNLOGGED] = { ROUTE_PRIMARY, 0, "an unlogged table" },
    [CATALOG_RELATION_SEQUENCE] = { ROUTE_PRIMARY, 0, "the state of a sequence" },
    [CATALOG_RELATION_TEMPORARY] = { ROUTE_PRIMARY, 0, "a temporary table" },
};

static void keep_name(struct look *l, struct look_name **list, struct slice name)
{
    struct look_name *kept = arena_new(l->arena, sizeof(*kept));

    kept->name = name;
    kept->next = *list;
    *list = kept;
}

static void be_strange(struct look *l, struct statement *s, struct slice name)
{
    s->effects |= EFFECT_UNKNOWN;
    look_raise_about(l, s, ROUTE_PRIMARY, "a relation that is not known", name);
}

static void meet_stranger(struct look *l, struct statement *s, struct slice schema,
                          struct slice name)
{
    if (schema.len > 0)
        be_strange(l, s, name);
    else
        keep_name(l, &l->strangers, arena_copy(l->arena, name));
}

void look_at_query_name(struct look *l, struct slice name)
{
    if (l->options->needs_catalog)
        keep_name(l, &l->queries, arena_copy(l->arena, name));
}

static bool is_in(const struct look_name *list, struct slice name)
{
    enum { QUERIES_MOST = 200 }; /* of a text that gives more it is not worth the time */
    size_t seen = 0;

    for (; list != NULL && seen < QUERIES_MOST; list = list->next, seen++)
        if (slice_is(list->name, name))
            return true;
    return false;
}

static bool may_go_to_replica(const struct statement *s)
{
    return s->route <= ROUTE_TRY || s->route == ROUTE_HERE;
}

void look_at_strangers(struct look *l, struct statement *s)
{
    for (const struct look_name *n = l->strangers; n != NULL && may_go_to_replica(s); n = n->next)
        if (!is_in(l->queries, n->name))
            be_strange(l, s, n->name);
    l->strangers = l->queries = NULL;
}

void look_at_relation(struct look *l, struct statement *s, struct slice schema, struct slice name)
{
    const struct catalog *catalog = l->options->catalog;
    enum catalog_relation nature = CATALOG_RELATION_UNKNOWN;

    if (is_temporary_schema(schema)) {
        look_raise_about(l, s, ROUTE_PRIMARY, "a temporary table", name);
        s->effects |= EFFECT_TEMP;
        return;
    }
    if (is_own_schema(schema) && slice_is_text(name, "pg_sequences"))
        look_raise_about(l, s, ROUTE_PRIMARY, "the state of a sequence", name);
    if (is_own_schema(schema) && starts(name, "pg_") && is_of_server(name)) {
        look_raise_about(l, s, ROUTE_HERE, "a view of the server's state", name);
        return;
    }
    if (slice_is_text(schema, "pg_catalog") || slice_is_text(schema, "information_schema"))
        return;
    if (catalog != NULL)
        nature = catalog->relation(catalog->state, schema, name);
    be_blind(l, s);
    if (catalog != NULL && nature == CATALOG_RELATION_UNKNOWN && l->options->needs_catalog &&
        !l->by_words && !(schema.len == 0 && starts(name, "pg_")))
        meet_stranger(l, s, schema, name);
    s->effects |= OF_NATURE[nature].effects;
    look_raise_about(l, s, OF_NATURE[nature].route, OF_NATURE[nature].reason, name);
}

void look_at_operator(struct look *l, struct statement *s, struct slice schema, struct slice name)
{
    const struct catalog *catalog = l->options->catalog;

    if (catalog != NULL && catalog->of_operator != NULL &&
        catalog->of_operator(catalog->state, schema, name) == CATALOG_FUNCTION_WRITES)
        writes(l, s, "an operator with a volatile function", name);
    if (!slice_is_text(schema, "pg_catalog"))
        be_blind(l, s);
}

void look_at_type(struct look *l, struct statement *s, struct slice schema, struct slice name)
{
    const struct catalog *catalog = l->options->catalog;

    if (catalog != NULL && catalog->type != NULL &&
        catalog->type(catalog->state, schema, name) == CATALOG_FUNCTION_WRITES)
        writes(l, s, "a type with a volatile function", name);
    if (!slice_is_text(schema, "pg_catalog"))
        be_blind(l, s);
    if (!is_own_schema(schema) || builtin_function_find(name) == NULL)
        look_raise_about(l, s, ROUTE_TRY, "a type that may call functions", name);
}
