/* Any bytes are a nutcracker.yml or a list of problems. */
#include <stdint.h>
#include <stdlib.h>

#include "config/import_twemproxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct problems problems = { 0 };
    char *text;
    size_t text_len;
    FILE *out = open_memstream(&text, &text_len);
    enum err err = import_twemproxy_text("fuzz.yml", (const char *)at, len, out, &problems);

    fclose(out);
    if ((err == ERR_NONE) != (problems.errors == 0) || (err == ERR_NONE) != (text_len > 0))
        abort();
    free(text);
    problems_fini(&problems);
    return 0;
}
