/* Any bytes are a file of users or a list of problems, and no secret is among these. */
#include <stdlib.h>

#include "config/auth_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct arena arena = { 0 };
    struct problems problems = { 0 };
    struct auth_users users;
    struct buf why = { 0 };
    uint8_t *own = malloc(size);

    if (size > 0)
        memcpy(own, at, size);
    auth_file_parse(slice_of(own, size), (struct place){ .file = "fuzz" }, &arena, &users,
                    &problems);
    free(own);
    for (uint32_t i = 0; i < users.count; i++) {
        const struct auth_user *user = &users.list[i];

        must(user->name[0] != '\0' && strlen(user->name) <= AUTH_NAME_BYTES);
        must(user->secret == NULL || auth_secret_check(user->secret, &why) == ERR_NONE);
        must(i == 0 || user->place.line > users.list[i - 1].place.line);
    }
    must(why.len == 0);
    problems_fini(&problems);
    arena_fini(&arena);
    return 0;
}
