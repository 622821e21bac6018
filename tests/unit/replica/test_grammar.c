/* PostgreSQL's grammar cannot end or disturb the process, from any thread. */
#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/check.h"

#include "replica/grammar.h"

extern __thread bool proc_exit_inprogress; /* of the library: makes each of its errors fatal */

static bool parses(const char *text)
{
    const struct List *tree;
    bool is_parsed = grammar_parse(text, false, &tree);

    grammar_done();
    return is_parsed;
}

static void errors_stay_inside(void)
{
    for (int i = 0; i < 1000; i++) {
        CHECK(!parses("SELECT FROM WHERE"));
        CHECK(parses("SELECT 1"));
        CHECK(!parses("SELECT U&'\\d800'"));
    }
}

static void fatal_errors_do_not_end_the_process(void)
{
    proc_exit_inprogress = true;
    CHECK(!parses("nonsense"));
    proc_exit_inprogress = true;
    CHECK(!parses("nonsense"));
    CHECK(parses("SELECT 1"));
}

static void depth_is_an_error(void)
{
    enum { DEEP = 100000 };
    char *text = malloc(DEEP + 8);

    memset(text, '(', DEEP);
    memcpy(text, "SELECT ", 7);
    text[DEEP] = '\0';
    CHECK(!parses(text));
    free(text);
}

static void *parse_much(void *ignored)
{
    size_t parsed = 0;

    (void)ignored;
    for (int i = 0; i < 300; i++)
        parsed += parses("SELECT a, b FROM t WHERE c = 'd' AND e > 5") + !parses("SELECT (");
    grammar_forget_thread();
    return (void *)parsed;
}

/* Small stacks, as threads of a proxy may have. */
static void threads_do_not_disturb_each_other(void)
{
    pthread_t threads[8];
    pthread_attr_t attributes;
    void *parsed;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    for (size_t i = 0; i < 8; i++)
        CHECK_INT(pthread_create(&threads[i], &attributes, parse_much, NULL), 0);
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], &parsed);
        CHECK_INT((size_t)parsed, 600);
    }
    pthread_attr_destroy(&attributes);
}

static void a_thread_that_forgot_can_begin_again(void)
{
    CHECK(parses("SELECT 1"));
    grammar_forget_thread();
    grammar_forget_thread();
    CHECK(parses("SELECT 1"));
    grammar_forget_thread();
}

static void keywords_are_known(void)
{
    CHECK(grammar_is_keyword("select"));
    CHECK(grammar_is_keyword("user"));
    CHECK(!grammar_is_keyword("public")); /* unreserved words need no quotes */
    CHECK(!grammar_is_keyword("update"));
    CHECK(!grammar_is_keyword("abc"));
    CHECK(!grammar_is_keyword(""));
}

int main(void)
{
    RUN(errors_stay_inside);
    RUN(fatal_errors_do_not_end_the_process);
    RUN(depth_is_an_error);
    RUN(threads_do_not_disturb_each_other);
    RUN(a_thread_that_forgot_can_begin_again);
    RUN(keywords_are_known);
    return check_report();
}
