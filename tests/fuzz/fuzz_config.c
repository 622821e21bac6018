/* Any bytes are a configuration or a list of problems; what loads prints as what loads again. */
#include <stdlib.h>
#include <string.h>

#include "config/diff.h"
#include "proxy/base/mem.h"
#include "tests/unit/config/vocabulary.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static char *print(const struct snapshot *s)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    config_check_print(s, out);
    fclose(out);
    return text;
}

/* Values from the environment may hold what no line can, so only files without them must
 * survive. */
static void load_again(const struct snapshot *s)
{
    struct problems problems = { 0 };
    struct snapshot *again = NULL;
    char *first = print(s), *second;

    if (config_load_text("again.ini", first, &TEST_VOCABULARY, &again, &problems) != ERR_NONE)
        abort();
    second = print(again);
    if (strcmp(first, second) != 0)
        abort();
    free(first);
    free(second);
    snapshot_free(&again);
    problems_fini(&problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    char *text = mem_text_of(at, len);
    struct problems problems = { 0 };
    struct snapshot *s = NULL;
    struct diff diff;

    if (config_load_text("fuzz.ini", text, &TEST_VOCABULARY, &s, &problems) == ERR_NONE) {
        if (strstr(text, "${") == NULL)
            load_again(s);
        diff_init(&diff, s, s, &problems);
        for (uint32_t i = 0; i < s->pool_count; i++)
            if (diff.pool_change[i] != DIFF_SAME)
                abort();
        diff_fini(&diff);
    } else if (problems.errors == 0) {
        abort();
    }
    snapshot_free(&s);
    problems_fini(&problems);
    free(text);
    return 0;
}
