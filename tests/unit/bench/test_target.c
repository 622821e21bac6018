#include "bench/target.h"
#include "tests/unit/check.h"

static void a_url_is_taken_apart(void)
{
    char problem[TARGET_PROBLEM_BYTES];
    struct target t;

    CHECK(target_open(&t, "redis://app:s%3a%2F@127.0.0.1:7001/5", problem) == ERR_NONE);
    CHECK_TEXT(t.host, "127.0.0.1");
    CHECK_TEXT(t.user, "app");
    CHECK_TEXT(t.password, "s:/");
    CHECK_TEXT(t.database, "5");
    CHECK_INT(t.port, 7001);
    CHECK_TEXT(t.label, "127.0.0.1:7001");
    target_close(&t);
}

static void what_is_left_out_has_defaults(void)
{
    char problem[TARGET_PROBLEM_BYTES];
    struct target t;

    CHECK(target_open(&t, "redis://[::1]", problem) == ERR_NONE);
    CHECK_TEXT(t.host, "::1");
    CHECK_INT(t.port, 6379);
    CHECK(t.user == NULL && t.password == NULL && t.database == NULL);
    CHECK_TEXT(t.label, "[::1]:6379");
    target_close(&t);
}

static void what_is_no_url_is_refused_with_a_sentence(void)
{
    static const char *const BAD[] = { "",
                                       "127.0.0.1:6379",
                                       "http://x",
                                       "redis://h:0",
                                       "redis://h:70000",
                                       "redis://h:x",
                                       "redis://[::1",
                                       "redis+unix://a.sock" };

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        char problem[TARGET_PROBLEM_BYTES] = "";
        struct target t;

        CHECK(target_open(&t, BAD[i], problem) != ERR_NONE);
        CHECK(problem[0] != '\0');
        target_close(&t);
    }
}

int main(void)
{
    RUN(a_url_is_taken_apart);
    RUN(what_is_left_out_has_defaults);
    RUN(what_is_no_url_is_refused_with_a_sentence);
    return check_report();
}
