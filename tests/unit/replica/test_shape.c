/* Which statements share a shape, and which must not. */
#include <stdlib.h>

#include "tests/unit/check.h"

#include "replica/shape.h"

static struct shape shape_text(const char *text)
{
    struct shape shape = { 0 };

    CHECK(shape_of(slice_text(text), false, &shape));
    return shape;
}

static bool are_alike(const char *a, const char *b)
{
    struct shape x = shape_text(a), y = shape_text(b);

    return x.low == y.low && x.high == y.high;
}

#define CHECK_ALIKE(a, b) CHECK(are_alike(a, b))
#define CHECK_OTHER(a, b) CHECK(!are_alike(a, b))

static void values_spaces_and_case_do_not_matter(void)
{
    CHECK_ALIKE("SELECT v FROM t WHERE id = 5", "select  V\tfrom T where ID=6789");
    CHECK_ALIKE("SELECT 'a'", "SELECT 'it''s'");
    CHECK_ALIKE("SELECT 'a'", "SELECT E'\\'b'");
    CHECK_ALIKE("SELECT 'a'", "SELECT $x$a'$x$");
    CHECK_ALIKE("SELECT 'a'", "SELECT 5");
    CHECK_ALIKE("SELECT 1.5e-3", "SELECT .5");
    CHECK_ALIKE("SELECT 1", "SELECT $1");
    CHECK_ALIKE("SELECT 1", "SELECT 1 -- one");
    CHECK_ALIKE("SELECT 1", "/* a /* b */ c */SELECT/**/1");
    CHECK_ALIKE("SELECT 'a'", "SELECT 'a' -- goes on\n 'b'");
    CHECK_ALIKE("SELECT \"a\"", "SELECT\n\"a\"");
}

static void words_and_marks_do(void)
{
    CHECK_OTHER("SELECT a", "SELECT b");
    CHECK_OTHER("SELECT \"A\"", "SELECT \"a\"");
    CHECK_OTHER("SELECT ab", "SELECT a b");
    CHECK_OTHER("SELECT a.b", "SELECT a b");
    CHECK_OTHER("SELECT a - b", "SELECT a + b");
    CHECK_OTHER("SELECT f(1)", "SELECT g(1)");
    CHECK_OTHER("SELECT 1", "SELECT 1;");
    CHECK_OTHER("SELECT 'a'", "SELECT a");
    CHECK_OTHER("SELECT 1; SELECT 2", "SELECT 1");
    CHECK_OTHER("SELECT 1 FOR UPDATE", "SELECT 1 FOR SHARE");
    CHECK_OTHER("EXPLAIN (ANALYZE true) SELECT 1", "EXPLAIN (ANALYZE false) SELECT 1");
}

static void lists_of_values_count_as_one(void)
{
    CHECK_ALIKE("SELECT v FROM t WHERE id IN (1)", "SELECT v FROM t WHERE id IN (1,2, 3, 4)");
    CHECK_ALIKE("SELECT v FROM t WHERE id IN ($1)", "SELECT v FROM t WHERE id IN ($1, $2)");
    CHECK_ALIKE("SELECT v FROM t WHERE id IN (-1, 2)", "SELECT v FROM t WHERE id IN (1, -2, -3)");
    CHECK_ALIKE("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (1, 'a'), (2, 'b'),(3,'')");
    CHECK_ALIKE("INSERT INTO t VALUES (now(), 1)", "INSERT INTO t VALUES (now(), 2)");
    CHECK_OTHER("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (1, now())");
    CHECK_OTHER("SELECT f(1), g(1)", "SELECT f(1), f(1)");
    CHECK_OTHER("INSERT INTO t VALUES (a, 1), (1, 1)", "INSERT INTO t VALUES (a, 1)");
    CHECK_OTHER("SELECT (1), (nextval('a'))", "SELECT (1)");
}

static void values_that_decide_stay(void)
{
    CHECK_OTHER("SELECT current_setting('a.b')", "SELECT current_setting('in_hot_standby')");
    CHECK_OTHER("SELECT \"current_setting\"('a.b')", "SELECT \"current_setting\"('a.c')");
    CHECK_OTHER("SELECT Current_Setting('a.b')", "SELECT Current_Setting('a.c')");
    CHECK_OTHER("SELECT set_config('a', '1', false)", "SELECT set_config('a', '2', false)");
    CHECK_OTHER("SELECT U&\"\\0063urrent_setting\"('a.b')",
                "SELECT U&\"\\0063urrent_setting\"('a.c')");
    CHECK_OTHER("SELECT current_setting($1)", "SELECT current_setting('a.b')");
    CHECK_ALIKE("SELECT 1, current_setting('a.b')", "SELECT 2, current_setting('a.b')");
}

static void hints_are_no_part_of_it(void)
{
    struct shape shape = shape_text("SELECT 1 /* route=primary, min_lsn=1/A */");

    CHECK_ALIKE("SELECT 1 /* route=primary, min_lsn=1/A */", "SELECT 1");
    CHECK_INT(shape.hints.route, HINT_PRIMARY);
    CHECK_BYTES(shape.hints.min_position, bytes("1/A"));
    CHECK_INT(shape_text("SELECT '/* route=primary */'").hints.route, HINT_NONE);
    CHECK_INT(shape_text("/*route=any*/SELECT 1--route=replica").hints.route, HINT_REPLICA);
    CHECK_INT(shape_text("SELECT 1 /*route='replica'*/").hints.route, HINT_NONE);
    CHECK_INT(shape_text("SELECT 1 /*route=elsewhere*/").hints.route, HINT_NONE);
    CHECK_INT(shape_text("SELECT 1 /*min_lsn=x*/").hints.min_position.len, 0);
}

static void what_does_not_end_has_none(void)
{
    static const char *const TEXTS[] = { "SELECT 'a",    "SELECT \"a",   "SELECT /* a",
                                         "SELECT $$a",   "SELECT E'\\'", "SELECT U&\"a",
                                         "SELECT $a$b$", "SELECT X'1",   "SELECT 1 \x01" };
    struct shape shape;

    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++)
        CHECK(!shape_of(slice_text(TEXTS[i]), false, &shape));
}

static void backslashes_escape_where_they_do(void)
{
    struct slice text = bytes("SELECT '\\' OR '");
    struct shape shape;

    CHECK(!shape_of(text, false, &shape));
    CHECK(shape_of(bytes("SELECT 'a\\' OR '"), true, &shape));
    CHECK(!shape_of(bytes("SELECT '\\'"), true, &shape));
    CHECK(shape_of(bytes("SELECT '\\'"), false, &shape));
    /* A string goes on in the next line with the escapes with which it began. */
    CHECK(!shape_of(bytes("SELECT E'a'\n'b\\'"), false, &shape));
    CHECK(shape_of(bytes("SELECT 'a'\n'b\\'"), false, &shape));
    CHECK(shape_of(bytes("SELECT E'a' 'b\\'"), false, &shape));
    CHECK(!shape_of(bytes("SELECT E'a' --x\n --y\n 'b\\'"), false, &shape));
}

/* The same tokens in pieces of any length; beyond the buffer that is hashed at once. */
static void long_texts_have_shapes_too(void)
{
    enum { TIMES = 3000 };
    char *a = malloc(TIMES * 24 + 64), *b = malloc(TIMES * 24 + 64), *x = a, *y = b;
    struct shape one, two;

    x = stpcpy(x, "SELECT ");
    y = stpcpy(y, "select\n");
    for (int i = 0; i < TIMES; i++) {
        x += sprintf(x, "Col%d = %d OR ", i, i);    /* lint: there is room */
        y += sprintf(y, "col%d=%d or\n", i, i * 7); /* lint: there is room */
    }
    stpcpy(x, "a");
    stpcpy(y, "a");
    one = shape_text(a);
    two = shape_text(b);
    CHECK(one.low == two.low && one.high == two.high);
    stpcpy(y, "b");
    two = shape_text(b);
    CHECK(one.low != two.low);
    memset(a, 'A', TIMES * 20);
    memset(b, 'a', TIMES * 20);
    a[TIMES * 20] = b[TIMES * 20] = '\0';
    one = shape_text(a);
    two = shape_text(b);
    CHECK(one.low == two.low && one.high == two.high);
    free(a);
    free(b);
}

static void the_end_of_the_text_is_the_end(void)
{
    static const char *const TEXTS[] = { "SELECT a", "SELECT 12", "SELECT -", "SELECT /",
                                         "SELECT .", "e",         "U&",       "U",
                                         "$",        "$1",        "$a",       "1e",
                                         "1.",       "1e+",       "--",       "-" };
    struct shape shape;

    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        size_t len = strlen(TEXTS[i]);
        char *copy = malloc(len); /* so that a look beyond it is seen */

        memcpy(copy, TEXTS[i], len);
        CHECK(shape_of(slice_of(copy, len), false, &shape));
        free(copy);
    }
    CHECK(shape_of(slice_of(NULL, 0), false, &shape));
}

int main(void)
{
    RUN(values_spaces_and_case_do_not_matter);
    RUN(words_and_marks_do);
    RUN(lists_of_values_count_as_one);
    RUN(values_that_decide_stay);
    RUN(hints_are_no_part_of_it);
    RUN(what_does_not_end_has_none);
    RUN(backslashes_escape_where_they_do);
    RUN(long_texts_have_shapes_too);
    RUN(the_end_of_the_text_is_the_end);
    return check_report();
}
