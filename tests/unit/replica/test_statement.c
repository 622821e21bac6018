/* What statements are: their kinds, names and settings; what is known of catalogs; and what happens
 * to texts that nobody should send. */
#include <stdlib.h>

#include "tests/unit/check.h"

#include "replica/statement.h"

static struct arena arena;
static const struct statement_options NOTHING_KNOWN;

static struct script read_slice(struct slice text, const struct statement_options *options)
{
    struct script script;

    script_read(text, options, &arena, &script);
    return script;
}

static struct script read_text(const char *text)
{
    return read_slice(slice_text(text), &NOTHING_KNOWN);
}

/* The only statement of a text. */
static const struct statement *only(const char *text)
{
    static const struct statement NONE = { .reason = "" };
    struct script script = read_text(text);

    CHECK_INT(script.count, 1);
    return script.count == 1 ? &script.statements[0] : &NONE;
}

static void check_kind(const char *text, enum statement_kind kind, const char *name)
{
    const struct statement *s = only(text);

    if (s->kind != kind || !slice_is_text(s->name, name)) {
        printf("%s\n  is %s of \"%.*s\"\n", text, statement_kind_text(s->kind), (int)s->name.len,
               (const char *)s->name.at);
        check_failures_here++;
    }
}

static void kinds_and_names_are_told(void)
{
    check_kind("begin", STATEMENT_BEGIN, "");
    check_kind("START TRANSACTION", STATEMENT_BEGIN, "");
    check_kind("END", STATEMENT_COMMIT, "");
    check_kind("COMMIT WORK", STATEMENT_COMMIT, "");
    check_kind("ABORT", STATEMENT_ROLLBACK, "");
    check_kind("SAVEPOINT \"A b\"", STATEMENT_SAVEPOINT, "A b");
    check_kind("RELEASE ABC", STATEMENT_RELEASE, "abc");
    check_kind("ROLLBACK TO SAVEPOINT x", STATEMENT_ROLLBACK_TO, "x");
    check_kind("PREPARE TRANSACTION 'x'", STATEMENT_PREPARE_TRANSACTION, "");
    check_kind("RESET ALL", STATEMENT_RESET_ALL, "");
    check_kind("SHOW ALL", STATEMENT_SHOW, "");
    check_kind("SHOW TimeZone", STATEMENT_SHOW, "timezone");
    check_kind("SHOW TRANSACTION ISOLATION LEVEL", STATEMENT_SHOW, "transaction_isolation");
    check_kind("DEALLOCATE PREPARE x", STATEMENT_DEALLOCATE, "x");
    check_kind("DEALLOCATE ALL", STATEMENT_DEALLOCATE_ALL, "");
    check_kind("DISCARD ALL", STATEMENT_DISCARD_ALL, "");
    check_kind("DISCARD PLANS", STATEMENT_DISCARD_PLANS, "");
    check_kind("DISCARD SEQUENCES", STATEMENT_DISCARD_SEQUENCES, "");
    check_kind("DISCARD TEMPORARY", STATEMENT_DISCARD_TEMP, "");
    check_kind("LISTEN \"C\"", STATEMENT_LISTEN, "C");
    check_kind("UNLISTEN c", STATEMENT_UNLISTEN, "c");
    check_kind("UNLISTEN *", STATEMENT_UNLISTEN_ALL, "");
    check_kind("NOTIFY c", STATEMENT_NOTIFY, "c");
    check_kind("DECLARE c CURSOR FOR SELECT 1", STATEMENT_DECLARE, "c");
    check_kind("FETCH ALL c", STATEMENT_FETCH, "c");
    check_kind("MOVE NEXT FROM c", STATEMENT_FETCH, "c");
    check_kind("CLOSE c", STATEMENT_CLOSE, "c");
    check_kind("CLOSE ALL", STATEMENT_CLOSE_ALL, "");
    check_kind("COPY t FROM STDIN", STATEMENT_COPY_IN, "");
    check_kind("COPY t TO STDOUT", STATEMENT_COPY_OUT, "");
    check_kind("COPY t FROM PROGRAM 'x'", STATEMENT_QUERY, "");
    check_kind("LOAD 'x'", STATEMENT_LOAD, "");
    check_kind("CALL f()", STATEMENT_CALL, "");
    check_kind("DO 'x'", STATEMENT_DO, "");
    check_kind("EXPLAIN SELECT 1", STATEMENT_EXPLAIN, "");
    check_kind("COMMIT PREPARED 'x'", STATEMENT_QUERY, "");
}

static void check_modes(const char *text, enum mode_access access, enum mode_isolation isolation,
                        enum mode_deferrable deferrable)
{
    const struct statement *s = only(text);

    if (s->modes.access != access || s->modes.isolation != isolation ||
        s->modes.deferrable != deferrable) {
        printf("%s\n  has modes %d %d %d\n", text, s->modes.access, s->modes.isolation,
               s->modes.deferrable);
        check_failures_here++;
    }
}

static void modes_of_transactions_are_told(void)
{
    check_modes("BEGIN", MODE_ACCESS_UNSAID, MODE_ISOLATION_UNSAID, MODE_DEFERRABLE_UNSAID);
    check_modes("BEGIN READ ONLY", MODE_READ_ONLY, MODE_ISOLATION_UNSAID, MODE_DEFERRABLE_UNSAID);
    check_modes("BEGIN READ ONLY, READ WRITE", MODE_READ_WRITE, MODE_ISOLATION_UNSAID,
                MODE_DEFERRABLE_UNSAID);
    check_modes("START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
                MODE_READ_ONLY, MODE_SERIALIZABLE, MODE_DEFERRABLE);
    check_modes("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ NOT DEFERRABLE",
                MODE_ACCESS_UNSAID, MODE_REPEATABLE_READ, MODE_NOT_DEFERRABLE);
    check_modes("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", MODE_READ_ONLY,
                MODE_ISOLATION_UNSAID, MODE_DEFERRABLE_UNSAID);
    check_modes("SET transaction_read_only = on", MODE_READ_ONLY, MODE_ISOLATION_UNSAID,
                MODE_DEFERRABLE_UNSAID);
    check_modes("SET LOCAL transaction_read_only TO 'f'", MODE_READ_WRITE, MODE_ISOLATION_UNSAID,
                MODE_DEFERRABLE_UNSAID);
    check_modes("SET transaction_isolation = 'Read Committed'", MODE_ACCESS_UNSAID,
                MODE_READ_COMMITTED, MODE_DEFERRABLE_UNSAID);
    check_modes("SET default_transaction_read_only = on", MODE_ACCESS_UNSAID, MODE_ISOLATION_UNSAID,
                MODE_DEFERRABLE_UNSAID);
    check_modes("SELECT set_config('transaction_read_only', 'on', true)", MODE_READ_ONLY,
                MODE_ISOLATION_UNSAID, MODE_DEFERRABLE_UNSAID);
    CHECK(only("SET TRANSACTION SNAPSHOT 'x'")->modes.has_snapshot);
    CHECK(only("COMMIT AND CHAIN")->is_chain);
    CHECK(only("ROLLBACK AND CHAIN")->is_chain);
    CHECK(!only("COMMIT AND NO CHAIN")->is_chain);
}

/* One setting, as "name|value|text" and flags: d default, l local, k known. */
static void check_setting(const char *text, const char *expected)
{
    const struct statement *s = only(text);
    const struct setting *set = s->settings;
    char found[512];

    CHECK_INT(s->setting_count, 1);
    if (s->setting_count != 1)
        return;
    snprintf(found, sizeof(found), "%.*s|%.*s|%.*s|%s%s%s", (int)set->name.len,
             (const char *)set->name.at, (int)set->value.len, (const char *)set->value.at,
             (int)set->text.len, (const char *)set->text.at, set->is_default ? "d" : "",
             set->is_local ? "l" : "", set->is_known ? "k" : "");
    CHECK_TEXT(found, expected);
}

static void settings_are_told_in_a_form_that_can_be_set_again(void)
{
    check_setting("SET a.b = 'c'", "a.b|'c'|c|k");
    check_setting("SET \"A.b\".C TO c", "a.b.c|'c'|c|k");
    check_setting("SET LOCAL a.b TO 'it''s'", "a.b|'it''s'|it's|lk");
    check_setting("SET SESSION work_mem = 64", "work_mem|'64'|64|k");
    check_setting("SET geqo_threshold = -1", "geqo_threshold|'-1'|-1|k");
    check_setting("SET seq_page_cost = -1.50", "seq_page_cost|'-1.50'|-1.50|k");
    check_setting("SET enable_seqscan = off", "enable_seqscan|'off'|off|k");
    check_setting("SET enable_seqscan = TRUE", "enable_seqscan|'true'|true|k");
    check_setting("SET a.b = 'c\\d'", "a.b|E'c\\\\d'|c\\d|k");
    check_setting("SET a.b = E'c\\nd'", "a.b|'c\nd'|c\nd|k");
    check_setting("SET search_path = a, \"B c\", 'd', \"$user\", \"select\", ''",
                  "search_path|'a', 'B c', 'd', '$user', 'select', ''|"
                  "a, \"B c\", d, \"$user\", \"select\", \"\"|k");
    check_setting("SET SCHEMA 'x'", "search_path|'x'|x|k");
    check_setting("SET DateStyle = ISO, MDY", "datestyle|'iso', 'mdy'|iso, mdy|k");
    check_setting("SET x TO DEFAULT", "x|||dk");
    check_setting("SET LOCAL x TO DEFAULT", "x|||dlk");
    check_setting("RESET a.B", "a.b|||dk");
    check_setting("SET x FROM CURRENT", "x|||");
}

static void statements_that_are_short_for_settings_have_their_names(void)
{
    check_setting("SET ROLE \"Bob\"", "role|'Bob'|Bob|k");
    check_setting("SET LOCAL ROLE bob", "role|'bob'|bob|lk");
    check_setting("SET ROLE NONE", "role|'none'|none|k");
    check_setting("RESET ROLE", "role|||dk");
    check_setting("SET SESSION AUTHORIZATION bob", "session_authorization|'bob'|bob|k");
    check_setting("SET SESSION AUTHORIZATION DEFAULT", "session_authorization|||dk");
    check_setting("RESET SESSION AUTHORIZATION", "session_authorization|||dk");
    check_setting("SET NAMES 'utf8'", "client_encoding|'utf8'|utf8|k");
    check_setting("SET NAMES", "client_encoding|||dk");
    check_setting("SET XML OPTION DOCUMENT", "xmloption|'DOCUMENT'|DOCUMENT|k");
    check_setting("SET TIME ZONE 'UTC'", "timezone|'UTC'|UTC|k");
    check_setting("SET TIME ZONE LOCAL", "timezone|||dk");
    check_setting("SET TIME ZONE -7.5", "timezone|'-7.5'|-7.5|k");
    check_setting("SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE",
                  "timezone|'INTERVAL ''-08:00'''|INTERVAL '-08:00'|k");
    check_setting("SET TIME ZONE INTERVAL '5' HOUR", "timezone|||");
    check_setting("RESET TIME ZONE", "timezone|||dk");
    check_setting("RESET TRANSACTION ISOLATION LEVEL", "transaction_isolation|||dk");
}

static void characteristics_are_settings_too(void)
{
    const struct statement *s = only("SET SESSION CHARACTERISTICS AS TRANSACTION "
                                     "ISOLATION LEVEL SERIALIZABLE, READ ONLY, NOT DEFERRABLE");

    CHECK_INT(s->kind, STATEMENT_SET_CHARACTERISTICS);
    CHECK_INT(s->setting_count, 3);
    CHECK_BYTES(s->settings[0].name, bytes("default_transaction_isolation"));
    CHECK_BYTES(s->settings[0].value, bytes("'serializable'"));
    CHECK_BYTES(s->settings[1].name, bytes("default_transaction_read_only"));
    CHECK_BYTES(s->settings[1].text, bytes("on"));
    CHECK_BYTES(s->settings[2].name, bytes("default_transaction_deferrable"));
    CHECK_BYTES(s->settings[2].text, bytes("off"));
}

static void set_config_is_known_where_it_surely_happens(void)
{
    check_setting("SELECT set_config('A.b', 'c', false)", "a.b|'c'|c|k");
    check_setting("SELECT set_config('a.b', 'c', true)", "a.b|'c'|c|lk");
    check_setting("SELECT pg_catalog.set_config('a.b'::text, 'c', 't'::bool) AS x", "a.b|'c'|c|lk");
    check_setting("SELECT 1, current_setting('a.b'), set_config('a.b', NULL, false)", "a.b|||dk");
    check_setting("SELECT set_config('search_path', 'A, \"B c\",\"d\"\"e\"', false)",
                  "search_path|'a', 'B c', 'd\"e'|A, \"B c\",\"d\"\"e\"|k");
    check_setting("SELECT set_config('search_path', '', false)", "search_path|''||k");
    check_setting("SELECT set_config('search_path', 'a b', false)", "search_path|'a b'|a b|k");
    check_setting("SELECT set_config('DateStyle', 'ISO, MDY', false)",
                  "datestyle|'ISO, MDY'|ISO, MDY|k");
    /* These may happen never, later, or more than once. */
    check_setting("SELECT set_config('a.b', 'c', false) WHERE false", "a.b|'c'|c|");
    check_setting("SELECT set_config('a.b', 'c', false) LIMIT 0", "a.b|'c'|c|");
    check_setting("SELECT set_config('a.b', 'c', false), generate_series(1, 0)", "a.b|'c'|c|");
    check_setting("SELECT CASE WHEN false THEN set_config('a.b', 'c', false) END", "a.b|'c'|c|");
    check_setting("SELECT set_config('a.b', v, false) FROM t", "a.b|||");
    check_setting("SELECT set_config('a.b', 'c' || 'd', false)", "a.b|||");
    check_setting("SELECT set_config('a' || 'b', 'c', false)", "|'c'|c|");
    check_setting("SELECT set_config('a.b', '1.50'::numeric(3,1)::text, false)", "a.b|||");
    check_setting("SELECT set_config('a.b', 'c', random() > 0.5)", "a.b|'c'|c|");
    check_setting("DECLARE c CURSOR FOR SELECT set_config('a.b', 'c', false)", "a.b|'c'|c|");
    check_setting("COPY (SELECT set_config('a.b', 'c', false)) TO STDOUT", "a.b|'c'|c|k");
    check_setting("EXPLAIN ANALYZE SELECT set_config('a.b', 'c', false)", "a.b|'c'|c|k");
    CHECK_INT(only("EXPLAIN SELECT set_config('a.b', 'c', false)")->setting_count, 0);
    CHECK_INT(only("PREPARE p AS SELECT set_config('a.b', 'c', false)")->setting_count, 0);
}

static void bound_arguments_of_set_config_are_told_by_number(void)
{
    const struct statement *s =
        only("SELECT set_config($1, $2::text, $3), set_config('a.b', $4, true)");

    CHECK_INT(s->setting_count, 2);
    CHECK_INT(s->settings[0].name_parameter, 1);
    CHECK_INT(s->settings[0].value_parameter, 2);
    CHECK_INT(s->settings[0].local_parameter, 3);
    CHECK(s->settings[0].is_known);
    CHECK_INT(s->settings[1].name_parameter, 0);
    CHECK_INT(s->settings[1].value_parameter, 4);
    CHECK(s->settings[1].is_known && s->settings[1].is_local);
    CHECK(!only("SELECT set_config($99999, 'a', false)")->settings[0].is_known);
}

static void what_is_prepared_is_cut_out(void)
{
    const struct statement *s = only("prepare \"P\" /* AS */ (int, numeric(3,1)) as select $1 ");

    CHECK_BYTES(s->name, bytes("P"));
    CHECK_BYTES(s->types, bytes("int, numeric(3,1)"));
    CHECK(s->inner != NULL);
    CHECK_BYTES(s->inner->text, bytes(" select $1"));
    CHECK_INT(s->inner->route, ROUTE_READ);
    s = only("PREPARE p AS DELETE FROM t AS x");
    CHECK_BYTES(s->types, bytes(""));
    CHECK_BYTES(s->inner->text, bytes(" DELETE FROM t AS x"));
    CHECK_INT(s->inner->route, ROUTE_PRIMARY);
    CHECK_TEXT(s->inner->reason, "DELETE");
    s = only("EXECUTE p (1, 'a)b', f(2))");
    CHECK_BYTES(s->name, bytes("p"));
    CHECK_BYTES(s->arguments, bytes("1, 'a)b', f(2)"));
    s = only("EXPLAIN (ANALYZE) EXECUTE p(1)");
    CHECK(s->is_analyze);
    CHECK_INT(s->inner->kind, STATEMENT_EXECUTE);
    CHECK_BYTES(s->inner->arguments, bytes("1"));
}

static void each_statement_has_its_part_of_the_text(void)
{
    struct script script = read_text(" SELECT 1 ; ;\n SET a.b = ';' ;COMMIT");

    CHECK_INT(script.count, 3);
    CHECK_BYTES(script.statements[0].text, bytes("SELECT 1"));
    CHECK_BYTES(script.statements[1].text, bytes("SET a.b = ';'"));
    CHECK_BYTES(script.statements[2].text, bytes("COMMIT"));
}

static void sheaf_s_own_settings_are_its_own(void)
{
    CHECK(only("SET sheaf.route = 'primary'")->is_sheaf);
    CHECK(only("SET LOCAL Sheaf.Route TO replica")->is_sheaf);
    CHECK(only("RESET sheaf.route")->is_sheaf);
    CHECK(only("SHOW sheaf.position")->is_sheaf);
    CHECK_BYTES(only("SHOW sheaf.position")->name, bytes("sheaf.position"));
    CHECK(!only("SET sheafs.route = 1")->is_sheaf);
    CHECK(!only("SHOW ALL")->is_sheaf);
    CHECK(only("SELECT set_config('sheaf.route', 'any', false)")->settings[0].is_sheaf);
}

static void explain_route_is_answered_here(void)
{
    const struct statement *s = only("explain /* x */ route select nextval('sq')");

    CHECK_INT(s->kind, STATEMENT_EXPLAIN_ROUTE);
    CHECK_INT(s->route, ROUTE_SESSION);
    CHECK_INT(s->effects, 0);
    CHECK(s->inner != NULL);
    CHECK_INT(s->inner->route, ROUTE_PRIMARY);
    CHECK_TEXT(s->inner->reason, "function nextval()");
    CHECK_BYTES(s->inner->subject, bytes("nextval"));
    CHECK_INT(only("EXPLAIN ROUTE SELECT 1; DELETE FROM t")->inner->route, ROUTE_PRIMARY);
    CHECK_INT(only("EXPLAIN ROUTE")->inner->kind, STATEMENT_EMPTY);
    CHECK_TEXT(only("EXPLAIN ROUTE BEGIN; COMMIT")->inner->reason, "more than one statement");
    /* It does not nest, however often it is said. */
    CHECK_INT(only("EXPLAIN ROUTE EXPLAIN ROUTE SELECT 1")->inner->route, ROUTE_PRIMARY);
}

/* What hints of those who know better may not send elsewhere. */
static void what_writes_is_certain_whatever_its_names_mean(void)
{
    CHECK(read_text("INSERT INTO t SELECT f()").is_certain);
    CHECK(read_text("WITH gone AS (DELETE FROM t RETURNING *) SELECT f() FROM gone").is_certain);
    CHECK(read_text("SELECT f() FROM t FOR UPDATE").is_certain);
    CHECK(read_text("EXPLAIN ANALYZE UPDATE t SET v = f()").is_certain);
    CHECK(read_text("SELECT f(); INSERT INTO t VALUES (1)").is_certain);
    CHECK(!read_text("SELECT f() FROM t").is_certain);
    CHECK(!read_text("SELECT f(); SELECT 1").is_certain);
}

static void hints_are_found_wherever_comments_may_stand(void)
{
    struct script script = read_text("/* route=primary */ SELECT 1");

    CHECK_INT(script.hints.route, HINT_PRIMARY);
    script = read_text("SELECT /* route=replica, min_lsn=0/16B3748 */ 1");
    CHECK_INT(script.hints.route, HINT_REPLICA);
    CHECK_BYTES(script.hints.min_position, bytes("0/16B3748"));
    script = read_text("SELECT 1 -- Route=ANY");
    CHECK_INT(script.hints.route, HINT_ANY);
    script = read_text("SELECT '/* route=primary */', \"-- route=primary\"");
    CHECK_INT(script.hints.route, HINT_NONE);
    script = read_text("SELECT 1 /* see route=primary */");
    CHECK_INT(script.hints.route, HINT_NONE);
    script = read_text("SELECT 1 /*route='primary',traceparent='00-1'*/");
    CHECK_INT(script.hints.route, HINT_NONE);
    script = read_text("/* route=replica */ SELECT 1 /* route=primary */ -- route=any");
    CHECK_INT(script.hints.route, HINT_PRIMARY);
}

static enum catalog_function know_function(const void *state, struct slice schema,
                                           struct slice name)
{
    (void)state, (void)schema;
    if (slice_is_text(name, "f_read"))
        return CATALOG_FUNCTION_READS;
    if (slice_is_text(name, "f_write") || slice_is_text(name, "upper"))
        return CATALOG_FUNCTION_WRITES;
    return CATALOG_FUNCTION_UNKNOWN;
}

static enum catalog_relation know_relation(const void *state, struct slice schema,
                                           struct slice name)
{
    static const char *const NAMES[] = {
        [CATALOG_RELATION_UNKNOWN] = "",          [CATALOG_RELATION_PLAIN] = "plain",
        [CATALOG_RELATION_WRITES] = "v_writes",   [CATALOG_RELATION_FOREIGN] = "foreign_t",
        [CATALOG_RELATION_UNLOGGED] = "unlogged", [CATALOG_RELATION_SEQUENCE] = "sq",
        [CATALOG_RELATION_TEMPORARY] = "temp_t",
    };

    (void)state;
    for (size_t i = 1; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (slice_is_text(name, NAMES[i]) && (schema.len == 0 || slice_is_text(schema, "s")))
            return i;
    return CATALOG_RELATION_UNKNOWN;
}

static void check_with_catalog(const char *text, enum statement_route route, const char *reason)
{
    static const struct catalog CATALOG = { .function = know_function, .relation = know_relation };
    static const struct statement_options OPTIONS = { .catalog = &CATALOG };
    struct script script = read_slice(slice_text(text), &OPTIONS);

    if (script.route != route || strcmp(script.reason, reason) != 0) {
        printf("%s\n  is %s: %s\n", text, statement_route_text(script.route), script.reason);
        check_failures_here++;
    }
}

/* Where what only a catalog knows needs one. */
static void check_need(const struct catalog *catalog, const char *text, enum statement_route route,
                       const char *reason)
{
    const struct statement_options options = { .catalog = catalog, .needs_catalog = true };
    struct script script = read_slice(slice_text(text), &options);
    bool is_unknown = strstr(reason, "not known") != NULL;

    if (script.route != route || strcmp(script.reason, reason) != 0 ||
        (is_unknown && !(script.effects & EFFECT_UNKNOWN))) {
        printf("%s\n  is %s: %s, effects %x\n", text, statement_route_text(script.route),
               script.reason, script.effects);
        check_failures_here++;
    }
}

static void without_a_catalog_what_it_would_tell_goes_to_the_primary(void)
{
    static const char *const BLIND[] = {
        "SELECT * FROM t",
        "SELECT now()",
        "SELECT 1 + 1",
        "SELECT '1'::text",
        "SELECT (ROW(1)).f",
        "SELECT 1 FROM pg_class",
        "COPY t TO STDOUT",
        "EXPLAIN SELECT FROM t",
        "SELECT 1 = ANY (SELECT 1)",
        "SELECT count(*), x.y",
        "WITH x AS (SELECT 1) TABLE x",
        "SELECT JSON_OBJECT('a': a)",
    };

    for (size_t i = 0; i < sizeof(BLIND) / sizeof(BLIND[0]); i++)
        check_need(NULL, BLIND[i], ROUTE_PRIMARY, "the catalog is not known");
    check_need(NULL, "SELECT 1", ROUTE_READ, "a read");
    check_need(NULL, "SELECT pg_catalog.now()", ROUTE_READ, "a read");
    check_need(NULL, "SELECT f()", ROUTE_PRIMARY, "a function that is not known");
    check_need(NULL, "SELECT nextval('sq')", ROUTE_PRIMARY, "function nextval()");
    check_need(NULL, "INSERT INTO t SELECT 1", ROUTE_PRIMARY, "INSERT");
    check_need(NULL, "BEGIN READ ONLY", ROUTE_SESSION, "means the session");
}

static void names_that_the_catalog_does_not_know_go_to_the_primary(void)
{
    static const struct catalog CATALOG = { .function = know_function, .relation = know_relation };

    check_need(&CATALOG, "SELECT * FROM plain", ROUTE_READ, "a read");
    check_need(&CATALOG, "SELECT * FROM made", ROUTE_PRIMARY, "a relation that is not known");
    check_need(&CATALOG, "SELECT * FROM other.plain", ROUTE_PRIMARY,
               "a relation that is not known");
    check_need(&CATALOG, "SELECT * FROM plain, (SELECT * FROM made) x", ROUTE_PRIMARY,
               "a relation that is not known");
    check_need(&CATALOG, "SELECT relname FROM pg_class", ROUTE_TRY, "a read");
    check_need(&CATALOG, "SELECT * FROM pg_catalog.pg_class", ROUTE_READ, "a read");
    check_need(&CATALOG, "WITH x AS (SELECT 1) SELECT * FROM x, x y", ROUTE_TRY, "a read");
    check_need(&CATALOG, "SELECT * FROM (WITH RECURSIVE x AS (SELECT 1 UNION TABLE x) TABLE x) y",
               ROUTE_TRY, "a read");
    check_need(&CATALOG, "WITH x AS (SELECT 1) SELECT * FROM x, made", ROUTE_PRIMARY,
               "a relation that is not known");
    /* Of one statement, not of the next. */
    check_need(&CATALOG, "WITH x AS (SELECT 1) TABLE x; TABLE x", ROUTE_PRIMARY,
               "a relation that is not known");
    check_need(&CATALOG, "EXPLAIN SELECT * FROM made", ROUTE_PRIMARY,
               "a relation that is not known");
    check_need(&CATALOG, "INSERT INTO made SELECT 1", ROUTE_PRIMARY, "INSERT");
    /* Words that the grammar does not know may be names of anything. */
    check_need(&CATALOG, "SELECT JSON_OBJECT('a': made) FROM made", ROUTE_TRY,
               "a read, by its words");
}

static enum catalog_function know_own(const void *state, struct slice schema, struct slice name)
{
    (void)state, (void)schema;
    return slice_is_text(name, "=") || slice_is_text(name, "<=") || slice_is_text(name, "<<<") ||
                   slice_is_text(name, "dom")
               ? CATALOG_FUNCTION_WRITES
               : CATALOG_FUNCTION_UNKNOWN;
}

/* Those of which the text has no word, and those where one would not look for a type. */
static void operators_and_types_are_known_where_nobody_names_them(void)
{
    static const struct catalog CATALOG = { .function = know_function,
                                            .relation = know_relation,
                                            .of_operator = know_own,
                                            .type = know_own };
    static const char *const OPERATORS[] = {
        "SELECT 1 WHERE 1 IN (SELECT 1)",
        "SELECT CASE 1 WHEN 2 THEN 3 END",
        "SELECT 1 WHERE 1 BETWEEN 0 AND 2",
        "SELECT 1 WHERE 1 NOT BETWEEN SYMMETRIC 0 AND 2",
        "SELECT 1 FROM plain a JOIN plain b USING (id)",
        "SELECT 1 FROM plain a NATURAL JOIN plain b",
        "SELECT 1 FROM plain ORDER BY 1 USING <<<",
    };
    static const char *const TYPES[] = {
        "SELECT * FROM json_to_record('{}') AS x(a dom)",
        "SELECT * FROM ROWS FROM (json_to_record('{}') AS (a dom)) AS x",
        "SELECT XMLSERIALIZE(CONTENT 'a' AS dom)",
    };

    for (size_t i = 0; i < sizeof(OPERATORS) / sizeof(OPERATORS[0]); i++)
        check_need(&CATALOG, OPERATORS[i], ROUTE_PRIMARY, "an operator with a volatile function");
    for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++)
        check_need(&CATALOG, TYPES[i], ROUTE_PRIMARY, "a type with a volatile function");
    check_need(&CATALOG, "SELECT CASE WHEN true THEN 3 END", ROUTE_READ, "a read");
    check_need(&CATALOG, "SELECT 1 FROM plain a CROSS JOIN plain b ORDER BY 1", ROUTE_READ,
               "a read");
}

static void the_catalog_tells_of_functions_and_relations(void)
{
    check_with_catalog("SELECT f_read(1)", ROUTE_TRY, "a function that reads");
    check_with_catalog("SELECT s.f_write(1)", ROUTE_PRIMARY, "a volatile function");
    check_with_catalog("SELECT f_other(1)", ROUTE_PRIMARY, "a function that is not known");
    check_with_catalog("SELECT t.f_write FROM plain t", ROUTE_PRIMARY, "a volatile function");
    check_with_catalog("SELECT (t.id).f_write FROM plain t", ROUTE_PRIMARY, "a volatile function");
    /* Somebody made an upper() of his own; pg_catalog's is meant only if it is named. */
    check_with_catalog("SELECT upper('a')", ROUTE_PRIMARY, "a volatile function");
    check_with_catalog("SELECT pg_catalog.upper('a')", ROUTE_READ, "a read");
    check_with_catalog("SELECT * FROM plain", ROUTE_READ, "a read");
    check_with_catalog("SELECT * FROM s.plain", ROUTE_READ, "a read");
    check_with_catalog("SELECT * FROM other.plain", ROUTE_TRY, "a read");
    check_with_catalog("SELECT * FROM plain, v_writes", ROUTE_PRIMARY,
                       "a view with volatile functions");
    check_with_catalog("SELECT * FROM foreign_t", ROUTE_PRIMARY, "a foreign table");
    check_with_catalog("SELECT * FROM unlogged", ROUTE_PRIMARY, "an unlogged table");
    check_with_catalog("SELECT * FROM sq", ROUTE_PRIMARY, "the state of a sequence");
    check_with_catalog("SELECT * FROM temp_t", ROUTE_PRIMARY, "a temporary table");
    check_with_catalog("COPY unlogged TO STDOUT", ROUTE_PRIMARY, "an unlogged table");
    check_with_catalog("SELECT JSON_OBJECT('a': 1) FROM unlogged", ROUTE_PRIMARY,
                       "an unlogged table");
}

static void unknown_functions_may_be_tried(void)
{
    static const struct statement_options TRY_THEM = { .tries_unknown_functions = true };

    CHECK_INT(read_slice(bytes("SELECT f(1)"), &TRY_THEM).route, ROUTE_TRY);
    CHECK_INT(read_slice(bytes("SELECT f(1)"), &TRY_THEM).effects, EFFECT_OPAQUE);
    CHECK_INT(read_slice(bytes("SELECT dblink('a', 'b')"), &TRY_THEM).route, ROUTE_PRIMARY);
    CHECK_INT(read_slice(bytes("SELECT nextval('a')"), &TRY_THEM).route, ROUTE_PRIMARY);
}

static void backslashes_escape_where_the_session_says_so(void)
{
    static const struct statement_options ESCAPES = { .backslash_escapes = true };
    struct slice text = bytes("SELECT '\\'; DELETE FROM t; --'");

    CHECK_INT(read_slice(text, &NOTHING_KNOWN).count, 2);
    CHECK_INT(read_slice(text, &NOTHING_KNOWN).route, ROUTE_PRIMARY);
    CHECK_INT(read_slice(text, &ESCAPES).count, 1);
    CHECK_INT(read_slice(text, &ESCAPES).route, ROUTE_READ);
}

static void encodings_that_hide_ascii_are_not_guessed_at(void)
{
    static const struct statement_options SJIS = { .hides_ascii = true };

    CHECK(statement_encoding_hides_ascii(bytes("SJIS")));
    CHECK(statement_encoding_hides_ascii(bytes("shift_jis_2004")));
    CHECK(statement_encoding_hides_ascii(bytes("Big5")));
    CHECK(statement_encoding_hides_ascii(bytes("WIN936")));
    CHECK(statement_encoding_hides_ascii(bytes("GB18030")));
    CHECK(!statement_encoding_hides_ascii(bytes("UTF8")));
    CHECK(!statement_encoding_hides_ascii(bytes("EUC_JP")));
    CHECK(!statement_encoding_hides_ascii(bytes("")));
    CHECK_INT(read_slice(bytes("SELECT 1"), &SJIS).route, ROUTE_READ);
    CHECK_INT(read_slice(bytes("SELECT E'\x83\\'"), &SJIS).route, ROUTE_PRIMARY);
    CHECK(read_slice(bytes("SELECT E'\x83\\'"), &SJIS).effects & EFFECT_UNSEEN);
}

static void characters_that_hide_ascii_are_masked(void)
{
    static const struct {
        const char *encoding, *text, *masked;
    } CASES[] = {
        { "SJIS", "'\x83\\'", "'\x83\xff'" },
        { "Shift-JIS", "\xb1'a'", "\xb1'a'" }, /* half a width, one byte */
        { "sjis", "\xe0;\xfc'", "\xe0\xff\xfc\xff" },
        { "BIG5", "a\xa5\\b",
          "a\xa5\xff"
          "b" },
        { "GBK", "\x81'\x81\x81'", "\x81\xff\x81\xff'" },
        { "UHC",
          "\xb0"
          "A",
          "\xb0\xff" },
        { "GB18030",
          "\x81"
          "0\x81"
          "0'",
          "\x81\xff\xff\xff'" },
        { "GB18030", "\x81\x81'", "\x81\xff'" },
        { "JOHAB", "\x8f''x",
          "\x8f\xff\xff"
          "x" },
        { "SJIS", "\x83", "\x83" }, /* cut off */
        { "GB18030",
          "\x81"
          "0'",
          "\x81\xff\xff" },
        { "UTF8", "\xe3\x81\x82'", "\xe3\x81\x82'" },
        { "LATIN1", "\xe3'", "\xe3'" },
        { "SJIS", "", "" },
    };
    uint8_t out[16];

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct slice text = slice_text(CASES[i].text);

        statement_mask(slice_text(CASES[i].encoding), text, out);
        CHECK_BYTES(slice_of(out, text.len), slice_text(CASES[i].masked));
    }
}

static void what_is_temporary_is_no_news_to_others(void)
{
    CHECK(only("CREATE TABLE t (a int)")->effects & EFFECT_CATALOG);
    CHECK(only("SELECT 1 INTO t")->effects & EFFECT_CATALOG);
    CHECK(!(only("CREATE TEMP TABLE t (a int)")->effects & EFFECT_CATALOG));
    CHECK(!(only("CREATE TEMP TABLE t AS SELECT 1")->effects & EFFECT_CATALOG));
    CHECK(!(only("SELECT 1 INTO TEMP t")->effects & EFFECT_CATALOG));
    CHECK(!(only("INSERT INTO t VALUES (1)")->effects & EFFECT_CATALOG));
}

static void whose_settings_of_new_sessions_change_is_told(void)
{
    static const struct {
        const char *text, *role, *database;
    } CASES[] = {
        { "ALTER ROLE App SET timezone = 'UTC'", "app", "" },
        { "ALTER USER \"A b\" IN DATABASE d RESET timezone", "A b", "d" },
        { "ALTER ROLE app RESET ALL", "app", "" },
        { "ALTER ROLE ALL SET timezone TO DEFAULT", "", "" },
        { "ALTER ROLE CURRENT_USER SET timezone FROM CURRENT", "", "" },
        { "ALTER DATABASE \"D\" SET timezone = 'UTC'", "", "D" },
        { "ALTER SOMETHING app SET timezone = 'UTC'", "", "" },
        { "DROP ROLE IF EXISTS App", "app", "" },
        { "DROP USER a, b", "", "" },
        { "ALTER ROLE app RENAME TO other", "app", "" },
        { "DROP SOMETHING app", "", "" },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        CHECK(only(CASES[i].text)->effects & EFFECT_PRESETS);
        CHECK_BYTES(only(CASES[i].text)->role, slice_text(CASES[i].role));
        CHECK_BYTES(only(CASES[i].text)->database, slice_text(CASES[i].database));
    }
    CHECK(read_text("SELECT 1; ALTER ROLE a SET b.c = 1").effects & EFFECT_PRESETS);
    CHECK(!(only("ALTER ROLE app PASSWORD 'x'")->effects & EFFECT_PRESETS));
    CHECK(!(only("ALTER TABLE app SET LOGGED")->effects & EFFECT_PRESETS));
    CHECK(!(only("ALTER TABLE app RENAME TO other")->effects & EFFECT_PRESETS));
    CHECK(!(only("DROP TABLE app")->effects & EFFECT_PRESETS));
    CHECK(!(only("ALTER SYSTEM SET timezone = 'UTC'")->effects & EFFECT_PRESETS));
}

static void what_depends_on_literals_is_not_remembered(void)
{
    CHECK(read_text("SELECT 1").may_be_remembered);
    CHECK(read_text("INSERT INTO t VALUES (1)").may_be_remembered);
    CHECK(read_text("BEGIN READ ONLY").may_be_remembered);
    CHECK(read_text("COMMIT").may_be_remembered);
    CHECK(read_text("EXPLAIN ANALYZE SELECT 1").may_be_remembered);
    CHECK(read_text("SELECT current_setting('a.b')").may_be_remembered);
    CHECK(read_text("SELECT JSON_OBJECT('a': 1)").may_be_remembered);
    CHECK(!read_text("EXPLAIN (ANALYZE 'off') SELECT 1").may_be_remembered);
    CHECK(!read_text("EXPLAIN (ANALYZE 0) SELECT 1").may_be_remembered);
    CHECK(!read_text("SET a.b = 1").may_be_remembered);
    CHECK(!read_text("SELECT set_config('a.b', 'c', false)").may_be_remembered);
    CHECK(!read_text("SELECT 1; SELECT 2").may_be_remembered);
    CHECK(!read_text("SAVEPOINT x").may_be_remembered);
    CHECK(!read_text("EXECUTE p").may_be_remembered);
    CHECK(!read_text("nonsense").may_be_remembered);
    CHECK(!read_text("SET x = U&'\\d800'").may_be_remembered);
    CHECK(!read_text("").may_be_remembered);
}

/* `front`, then `unit` again and again, then `back`, `size` bytes in all. */
static struct slice repeated(const char *front, const char *unit, size_t times, const char *back)
{
    size_t len = strlen(front) + times * strlen(unit) + strlen(back);
    char *text = (char *)arena_bytes(&arena, len + 1), *at = text;

    at = stpcpy(at, front);
    for (size_t i = 0; i < times; i++)
        at = stpcpy(at, unit);
    stpcpy(at, back);
    return slice_of(text, len);
}

static void no_text_is_too_long_or_too_deep(void)
{
    struct script script;

    script = read_slice(repeated("SELECT 1", "+1", SCRIPT_TEXT_LIMIT, ""), &NOTHING_KNOWN);
    CHECK_INT(script.route, ROUTE_PRIMARY);
    CHECK(script.effects & EFFECT_UNSEEN);
    script = read_slice(repeated("SELECT 1", "+1", 100000, ""), &NOTHING_KNOWN);
    CHECK_INT(script.route, ROUTE_TRY);
    script = read_slice(repeated("SELECT 1", "+nextval('s')", 10000, ""), &NOTHING_KNOWN);
    CHECK_INT(script.route, ROUTE_PRIMARY);
    CHECK(script.effects & EFFECT_SEQUENCE);
    script = read_slice(repeated("SELECT ", "(", 30000, ""), &NOTHING_KNOWN);
    CHECK_INT(script.count, 1);
    script = read_slice(repeated("SELECT ", "NOT ", 8000, "true"), &NOTHING_KNOWN);
    CHECK_INT(script.route, ROUTE_READ);
    script = read_slice(repeated("SELECT ", "CASE WHEN ", 3000, ""), &NOTHING_KNOWN);
    CHECK_INT(script.count, 1);
    script = read_slice(repeated("SELECT 1", " UNION SELECT 1", 2000, ""), &NOTHING_KNOWN);
    CHECK_INT(script.route, ROUTE_READ);
    script = read_slice(repeated("", "EXPLAIN ROUTE ", 18000, "SELECT 1"), &NOTHING_KNOWN);
    CHECK_INT(script.statements[0].kind, STATEMENT_EXPLAIN_ROUTE);
    script = read_slice(repeated("SELECT ", "/*", 100000, ""), &NOTHING_KNOWN);
    CHECK_INT(script.route, ROUTE_PRIMARY);
    script = read_slice(repeated("", "SELECT 1;", SCRIPT_STATEMENT_LIMIT, ""), &NOTHING_KNOWN);
    CHECK_INT(script.count, SCRIPT_STATEMENT_LIMIT);
    script = read_slice(repeated("", "SELECT 1;", SCRIPT_STATEMENT_LIMIT + 1, ""), &NOTHING_KNOWN);
    CHECK_INT(script.count, 1);
    CHECK(script.effects & EFFECT_UNSEEN);
    script = read_slice(repeated("INSERT INTO t VALUES (1)", ",(2)", 50000, ""), &NOTHING_KNOWN);
    CHECK_INT(script.route, ROUTE_PRIMARY);
    CHECK_INT(script.effects, 0);
}

static struct statement of_long(const char *front, const char *back)
{
    return read_slice(repeated(front, "x", SCRIPT_PARSE_LIMIT, back), &NOTHING_KNOWN).statements[0];
}

/* A client's name of it is another there, so that it must be known however long the text is. */
static void what_is_prepared_and_executed_is_known_in_long_texts(void)
{
    struct statement s = of_long("EXECUTE A (nextval('s'), '", "')");

    CHECK_INT(s.kind, STATEMENT_EXECUTE);
    CHECK_BYTES(s.executed, slice_text("a"));
    CHECK_BYTES(s.written, slice_text("A"));
    CHECK_INT(s.effects, EFFECT_SEQUENCE);
    s = of_long("PREPARE \"A\"\"B\" (int, text) AS SELECT nextval($2), '", "'");
    CHECK_INT(s.kind, STATEMENT_PREPARE);
    CHECK_BYTES(s.name, slice_text("A\"B"));
    CHECK_BYTES(s.types, slice_text("int, text"));
    CHECK_INT(s.inner->effects, EFFECT_SEQUENCE);
    CHECK(slice_starts(s.inner->text, slice_text(" SELECT nextval($2), 'x")));
    CHECK(of_long("PREPARE TRANSACTION '", "'").effects & EFFECT_UNSEEN);
    CHECK(of_long("PREPARE a AS nonsense '", "'").effects & EFFECT_UNSEEN);
    s = of_long("DEALLOCATE PREPARE a -- ", "");
    CHECK_INT(s.kind, STATEMENT_DEALLOCATE);
    CHECK_BYTES(s.written, slice_text("a"));
    CHECK_INT(of_long("DEALLOCATE /* ", " */ All").kind, STATEMENT_DEALLOCATE_ALL);
}

static void texts_of_any_bytes_are_borne(void)
{
    CHECK_INT(read_slice(bytes("SELECT '\0'"), &NOTHING_KNOWN).route, ROUTE_PRIMARY);
    CHECK_INT(read_slice(bytes("SELECT '\xff\xfe\xc3'"), &NOTHING_KNOWN).route, ROUTE_READ);
    CHECK_INT(read_slice(bytes("SELECT \xff\xfe\xc3"), &NOTHING_KNOWN).count, 1);
    CHECK_INT(read_slice(bytes("\x01\x02"), &NOTHING_KNOWN).route, ROUTE_PRIMARY);
    CHECK_INT(read_slice(bytes("SELECT U&'\\d800'"), &NOTHING_KNOWN).count, 1);
}

/* What is not split correctly would hide statements. */
static void bodies_with_semicolons_are_not_cut(void)
{
    const char *text = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END";

    CHECK_INT(read_text(text).count, 1);
    CHECK_INT(read_text("CREATE FUNCTION f() RETURNS int newword BEGIN ATOMIC SELECT 1; END").count,
              1);
    CHECK_INT(
        read_text("CREATE RULE r AS ON INSERT TO t DO ALSO newword (SELECT 1; SELECT 2)").count, 1);
}

int main(void)
{
    RUN(kinds_and_names_are_told);
    RUN(modes_of_transactions_are_told);
    RUN(settings_are_told_in_a_form_that_can_be_set_again);
    RUN(statements_that_are_short_for_settings_have_their_names);
    RUN(characteristics_are_settings_too);
    RUN(set_config_is_known_where_it_surely_happens);
    RUN(bound_arguments_of_set_config_are_told_by_number);
    RUN(what_is_prepared_is_cut_out);
    RUN(each_statement_has_its_part_of_the_text);
    RUN(sheaf_s_own_settings_are_its_own);
    RUN(explain_route_is_answered_here);
    RUN(what_writes_is_certain_whatever_its_names_mean);
    RUN(hints_are_found_wherever_comments_may_stand);
    RUN(the_catalog_tells_of_functions_and_relations);
    RUN(operators_and_types_are_known_where_nobody_names_them);
    RUN(without_a_catalog_what_it_would_tell_goes_to_the_primary);
    RUN(names_that_the_catalog_does_not_know_go_to_the_primary);
    RUN(unknown_functions_may_be_tried);
    RUN(backslashes_escape_where_the_session_says_so);
    RUN(encodings_that_hide_ascii_are_not_guessed_at);
    RUN(characters_that_hide_ascii_are_masked);
    RUN(what_is_temporary_is_no_news_to_others);
    RUN(whose_settings_of_new_sessions_change_is_told);
    RUN(what_depends_on_literals_is_not_remembered);
    RUN(no_text_is_too_long_or_too_deep);
    RUN(what_is_prepared_and_executed_is_known_in_long_texts);
    RUN(texts_of_any_bytes_are_borne);
    RUN(bodies_with_semicolons_are_not_cut);
    arena_fini(&arena);
    statement_forget_thread();
    return check_report();
}
