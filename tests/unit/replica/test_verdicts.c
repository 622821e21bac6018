#include "tests/unit/check.h"

#include "replica/verdicts.h"

static const struct statement_verdict READ = { .reason = "a read", .route = ROUTE_TRY };

static struct verdict_key key_of(uint64_t number)
{
    return (struct verdict_key){ .low = number * 0x9e3779b97f4a7c15ULL, .high = number, .path = 1 };
}

static void what_was_kept_is_found(void)
{
    struct verdicts *table = verdicts_new(64 * 1024);
    struct verdict_key key = key_of(1), other = key_of(1);
    const struct statement_verdict *found;

    CHECK(verdicts_find(table, &key, 0) == NULL);
    verdicts_keep(table, &key, &READ);
    found = verdicts_find(table, &key, 0);
    CHECK(found != NULL && found->route == ROUTE_TRY);
    other.path = 2;
    CHECK(verdicts_find(table, &other, 0) == NULL);
    other.path = 1;
    other.role = 1;
    CHECK(verdicts_find(table, &other, 0) == NULL);
    verdicts_free(&table);
    CHECK(table == NULL);
    verdicts_free(&table);
}

static void a_server_s_verdict_holds_for_its_time(void)
{
    struct verdicts *table = verdicts_new(64 * 1024);
    struct verdict_key key = key_of(1), unknown = key_of(2);
    const struct statement_verdict *found;
    struct verdict_view view;
    size_t cursor = 0;

    verdicts_keep(table, &key, &READ);
    verdicts_overrule(table, &key, "25006", 1000);
    verdicts_overrule(table, &unknown, "25006", 1000);
    found = verdicts_find(table, &key, 999);
    CHECK(found != NULL && found->route == ROUTE_PRIMARY);
    CHECK_TEXT(found->reason, "a replica refused it");
    CHECK(verdicts_walk(table, 999, &cursor, &view));
    CHECK_TEXT(view.sqlstate, "25006");
    CHECK_INT(view.overruled, 1);
    CHECK_INT(view.overruled_until, 1000);
    CHECK_INT(view.hits, 1);
    CHECK(!verdicts_walk(table, 999, &cursor, &view));
    found = verdicts_find(table, &key, 1000);
    CHECK(found != NULL && found->route == ROUTE_TRY);
    verdicts_free(&table);
}

static void a_new_catalog_forgets_all(void)
{
    struct verdicts *table = verdicts_new(64 * 1024);
    struct verdict_key key = key_of(1);
    struct verdicts_counts counts;
    struct verdict_view view;
    size_t cursor = 0;

    verdicts_keep(table, &key, &READ);
    verdicts_forget_all(table);
    CHECK(verdicts_find(table, &key, 0) == NULL);
    CHECK(!verdicts_walk(table, 0, &cursor, &view));
    verdicts_keep(table, &key, &READ);
    CHECK(verdicts_find(table, &key, 0) != NULL);
    verdicts_count(table, &counts);
    CHECK_INT(counts.entries, 1);
    CHECK_INT(counts.kept, 2);
    CHECK_INT(counts.evicted, 0);
    verdicts_free(&table);
}

static void memory_is_bounded_and_what_is_used_stays(void)
{
    enum { BYTES = 256 * 1024, FLOOD = 100000 };
    struct verdicts *table = verdicts_new(BYTES);
    struct verdict_key used = key_of(0), key;
    struct verdicts_counts counts;
    struct verdict_view view;
    size_t cursor = 0, seen = 0, missed = 0;

    verdicts_keep(table, &used, &READ);
    for (uint64_t i = 1; i < FLOOD; i++) {
        key = key_of(i);
        verdicts_keep(table, &key, &READ);
        missed += verdicts_find(table, &used, 0) == NULL;
    }
    CHECK_INT(missed, 0);
    verdicts_count(table, &counts);
    CHECK(counts.bytes <= BYTES);
    CHECK(counts.entries > 1000 && counts.entries < 5000);
    CHECK_INT(counts.evicted + counts.entries, counts.kept);
    while (verdicts_walk(table, 0, &cursor, &view))
        seen++;
    CHECK_INT(seen, counts.entries);
    verdicts_free(&table);
}

static void the_smallest_table_works(void)
{
    struct verdicts *table = verdicts_new(0);
    struct verdict_key key;

    for (uint64_t i = 0; i < 100; i++) {
        key = key_of(i);
        verdicts_keep(table, &key, &READ);
        CHECK(verdicts_find(table, &key, 0) != NULL);
    }
    verdicts_free(&table);
}

static void a_verdict_is_what_the_statement_was(void)
{
    struct arena arena = { 0 };
    struct statement_options options = { 0 };
    struct script script;
    struct statement_verdict v;

    script_read(bytes("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY"), &options, &arena, &script);
    v = verdict_of(&script);
    CHECK_INT(v.kind, STATEMENT_BEGIN);
    CHECK_INT(v.route, ROUTE_SESSION);
    CHECK_INT(v.modes.access, MODE_READ_ONLY);
    CHECK_INT(v.modes.isolation, MODE_SERIALIZABLE);
    script_read(bytes("SELECT pg_advisory_lock(1)"), &options, &arena, &script);
    v = verdict_of(&script);
    CHECK_INT(v.effects, EFFECT_LOCK);
    CHECK_TEXT(v.reason, "function pg_advisory_lock()");
    arena_fini(&arena);
    statement_forget_thread();
}

int main(void)
{
    RUN(what_was_kept_is_found);
    RUN(a_server_s_verdict_holds_for_its_time);
    RUN(a_new_catalog_forgets_all);
    RUN(memory_is_bounded_and_what_is_used_stays);
    RUN(the_smallest_table_works);
    RUN(a_verdict_is_what_the_statement_was);
    return check_report();
}
