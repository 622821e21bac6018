/* Configurations that are wrong, and the exact words an operator reads. */
#pragma once

#include <stdlib.h>

#include "tests/unit/check.h"
#include "tests/unit/config/vocabulary.h"

struct mistake {
    const char *text, *problems;
};

static inline void check_mistakes(const struct mistake *mistakes)
{
    for (const struct mistake *m = mistakes; m->text != NULL; m++) {
        struct problems problems = { 0 };
        struct snapshot *s = NULL;
        enum err err = config_load_text("t.ini", m->text, &TEST_VOCABULARY, &s, &problems);
        size_t errors = problems.errors;
        char *found = test_problems(&problems);

        CHECK_TEXT(found, m->problems);
        CHECK_INT(err, errors > 0 ? ERR_CONFIG : ERR_NONE);
        CHECK((s == NULL) == (err != ERR_NONE));
        snapshot_free(&s);
        free(found);
    }
}
