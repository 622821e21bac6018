#include "tests/unit/check.h"

#include <stdio.h>

#include "replica/catalog_table.h"

static enum err add(struct catalog_table *t, enum catalog_kind kind, const char *schema,
                    const char *name, uint8_t nature, uint8_t reach)
{
    return catalog_table_add(
        t, &(struct catalog_row){ kind, slice_text(schema), slice_text(name), nature, reach });
}

static int function(const struct catalog_table *t, const char *path, const char *schema,
                    const char *name)
{
    struct catalog_view view = { t, slice_text(path == NULL ? "" : path), path != NULL };
    struct catalog catalog;

    catalog_table_see(&view, &catalog);
    return (int)catalog.function(catalog.state, slice_text(schema), slice_text(name));
}

static void what_was_added_is_found_by_its_kind_schema_and_name(void)
{
    struct catalog_table *t = catalog_table_new(1);
    struct catalog_view view = { t, { 0 }, false };
    struct catalog c;

    CHECK_INT(add(t, CATALOG_FUNCTION, "public", "f", CATALOG_FUNCTION_READS, 1), ERR_NONE);
    CHECK_INT(add(t, CATALOG_RELATION, "public", "r", CATALOG_RELATION_UNLOGGED, 1), ERR_NONE);
    CHECK_INT(add(t, CATALOG_TYPE, "public", "t", CATALOG_FUNCTION_WRITES, 1), ERR_NONE);
    CHECK_INT(add(t, CATALOG_MEMBER, "public", "m", CATALOG_FUNCTION_WRITES, 1), ERR_NONE);
    CHECK_INT(add(t, CATALOG_OPERATOR, "public", "@@>", CATALOG_FUNCTION_WRITES, 1), ERR_NONE);
    catalog_table_see(&view, &c);
    CHECK_INT(c.function(&view, slice_text("public"), slice_text("f")), CATALOG_FUNCTION_READS);
    CHECK_INT(c.function(&view, slice_text(""), slice_text("f")), CATALOG_FUNCTION_READS);
    CHECK_INT(c.function(&view, slice_text("other"), slice_text("f")), CATALOG_FUNCTION_UNKNOWN);
    CHECK_INT(c.function(&view, slice_text(""), slice_text("F")), CATALOG_FUNCTION_UNKNOWN);
    CHECK_INT(c.function(&view, slice_text(""), slice_text("r")), CATALOG_FUNCTION_UNKNOWN);
    CHECK_INT(c.relation(&view, slice_text(""), slice_text("r")), CATALOG_RELATION_UNLOGGED);
    CHECK_INT(c.relation(&view, slice_text(""), slice_text("f")), CATALOG_RELATION_UNKNOWN);
    CHECK_INT(c.type(&view, slice_text(""), slice_text("t")), CATALOG_FUNCTION_WRITES);
    CHECK_INT(c.member(&view, slice_text(""), slice_text("m")), CATALOG_FUNCTION_WRITES);
    CHECK_INT(c.of_operator(&view, slice_text("public"), slice_text("@@>")),
              CATALOG_FUNCTION_WRITES);
    /* Schema and name may not run into each other. */
    CHECK_INT(c.function(&view, slice_text("publi"), slice_text("cf")), CATALOG_FUNCTION_UNKNOWN);
    catalog_table_free(&t);
    CHECK(t == NULL);
    catalog_table_free(&t);
}

static void of_several_the_strictest_counts(void)
{
    struct catalog_table *t = catalog_table_new(2);

    CHECK_INT(add(t, CATALOG_FUNCTION, "a", "f", CATALOG_FUNCTION_WRITES, 0), ERR_NONE);
    CHECK_INT(add(t, CATALOG_FUNCTION, "a", "f", CATALOG_FUNCTION_READS, 0), ERR_NONE);
    CHECK_INT(add(t, CATALOG_FUNCTION, "b", "f", CATALOG_FUNCTION_READS, 1), ERR_NONE);
    CHECK_INT(function(t, NULL, "a", "f"), CATALOG_FUNCTION_WRITES);
    CHECK_INT(function(t, NULL, "b", "f"), CATALOG_FUNCTION_READS);
    CHECK_INT(function(t, NULL, "", "f"), CATALOG_FUNCTION_WRITES);
    CHECK_INT(function(t, "b", "", "f"), CATALOG_FUNCTION_WRITES); /* whatever the path says */
    catalog_table_free(&t);
}

static void a_name_of_postgresqls_own_is_looked_for_where_the_path_leads(void)
{
    enum { WRITES = CATALOG_FUNCTION_WRITES };
    struct catalog_table *t = catalog_table_new(3);

    CHECK_INT(add(t, CATALOG_FUNCTION, "shadow", "length", WRITES, 0), ERR_NONE);
    CHECK_INT(add(t, CATALOG_FUNCTION, "Odd \"One", "upper", WRITES, 0), ERR_NONE);
    CHECK_INT(add(t, CATALOG_FUNCTION, "app", "lower", WRITES,
                  CATALOG_REACH_DEFAULT | CATALOG_REACH_USER),
              ERR_NONE);
    CHECK_INT(function(t, NULL, "", "length"), 0);
    CHECK_INT(function(t, NULL, "shadow", "length"), WRITES);
    CHECK_INT(function(t, "public", "", "length"), 0);
    CHECK_INT(function(t, "", "", "length"), 0);
    CHECK_INT(function(t, "public, shadow", "", "length"), WRITES);
    CHECK_INT(function(t, "Shadow,public", "", "length"), WRITES);
    CHECK_INT(function(t, "\"Shadow\", public", "", "length"), 0);
    CHECK_INT(function(t, " \"shadow\"", "", "length"), WRITES);
    CHECK_INT(function(t, "\"Odd \"\"One\"", "", "upper"), WRITES);
    CHECK_INT(function(t, "\"$user\", public", "", "length"), 0);
    CHECK_INT(function(t, "\"$user\", public", "", "lower"), WRITES);
    CHECK_INT(function(t, "public", "", "lower"), 0);
    CHECK_INT(function(t, NULL, "", "lower"), WRITES);
    /* What can't be read may lead anywhere. */
    CHECK_INT(function(t, "\"shadow", "", "length"), WRITES);
    CHECK_INT(function(t, "public, \"", "", "length"), WRITES);
    catalog_table_free(&t);
}

static void what_is_no_row_is_refused(void)
{
    struct catalog_table *t = catalog_table_new(4);
    char long_name[300];

    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    CHECK_INT(add(t, CATALOG_KIND_COUNT, "s", "n", 1, 0), ERR_PROTOCOL);
    CHECK_INT(add(t, CATALOG_FUNCTION, "", "n", 1, 0), ERR_PROTOCOL);
    CHECK_INT(add(t, CATALOG_FUNCTION, "s", "", 1, 0), ERR_PROTOCOL);
    CHECK_INT(add(t, CATALOG_FUNCTION, "s", "n", CATALOG_FUNCTION_WRITES + 1, 0), ERR_PROTOCOL);
    CHECK_INT(add(t, CATALOG_RELATION, "s", "n", CATALOG_RELATION_TEMPORARY + 1, 0), ERR_PROTOCOL);
    CHECK_INT(add(t, CATALOG_FUNCTION, "s", long_name, 1, 0), ERR_PROTOCOL);
    CHECK_INT(add(t, CATALOG_FUNCTION, long_name, "n", 1, 0), ERR_PROTOCOL);
    CHECK_INT(catalog_table_names(t), 0);
    catalog_table_free(&t);
}

static void names_and_memory_are_bounded(void)
{
    struct catalog_table *t = catalog_table_new(5);
    char name[256];
    int i;

    for (i = 0; i < CATALOG_NAMES_MOST; i++) {
        snprintf(name, sizeof(name), "name%d", i);
        if (add(t, CATALOG_FUNCTION, "s", name, 1 + i % 2, 0) != ERR_NONE)
            break;
    }
    CHECK_INT(i, CATALOG_NAMES_MOST);
    CHECK_INT(add(t, CATALOG_FUNCTION, "s", "more", 1, 0), ERR_LIMIT);
    for (i = 0; i < CATALOG_NAMES_MOST; i += 997) {
        snprintf(name, sizeof(name), "name%d", i);
        CHECK_INT(function(t, NULL, "s", name), 1 + i % 2);
        CHECK_INT(function(t, NULL, "", name), 1 + i % 2);
    }
    CHECK_INT(function(t, NULL, "s", "more"), 0);
    CHECK_INT(function(t, NULL, "s", "name1"), 2);
    catalog_table_free(&t);

    t = catalog_table_new(6);
    memset(name, 'y', 255);
    name[255] = '\0';
    for (i = 0; i < CATALOG_NAMES_MOST; i++) {
        char schema[256];

        memset(schema, 'x', 255);
        snprintf(schema + 240, 16, "%d", i);
        memcpy(name, schema + 240, strlen(schema + 240));
        if (add(t, CATALOG_FUNCTION, schema, name, 1, 0) != ERR_NONE)
            break;
    }
    CHECK(i < CATALOG_NAMES_MOST && i > 10000);
    CHECK(catalog_table_bytes(t) < 3 * (size_t)CATALOG_BYTES_MOST);
    catalog_table_free(&t);
}

int main(void)
{
    RUN(what_was_added_is_found_by_its_kind_schema_and_name);
    RUN(of_several_the_strictest_counts);
    RUN(a_name_of_postgresqls_own_is_looked_for_where_the_path_leads);
    RUN(what_is_no_row_is_refused);
    RUN(names_and_memory_are_bounded);
    return check_report();
}
