/* Hostile words, and hostile replies to COMMAND.  The first byte chooses; words are parted by 0xff,
 * a word in front of which is 0xfe stands for the name of a command of the table. */
#include <assert.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "shard/redis_command.h"

enum { WORDS = 64 };

static void ask(const struct redis_command *cmd, const struct slice *args, size_t count)
{
    uint32_t *keys = mem_new(count * sizeof(*keys)); /* its end is watched */
    struct buf error = { 0 };
    struct slice start;
    size_t n = 0, place = 0;

    if (cmd != NULL) {
        if (redis_command_keys(cmd, args, count, keys, &n) == ERR_NONE) {
            assert(n <= count);
            for (size_t i = 0; i < n; i++)
                assert(keys[i] > 0 && keys[i] < count && (i == 0 || keys[i] > keys[i - 1]));
            if (redis_command_has_one_key(cmd))
                assert(n == 1 && keys[0] == 1);
        }
        redis_command_plan(cmd, args, count);
        while (redis_command_next_pattern(cmd, args, count, &place, &start))
            assert(place > 2 && place <= count && start.at[start.len] == '*');
    }
    redis_command_put_error(&error, cmd, args, count);
    assert(error.len < 600 && memchr(error.at, '\n', error.len) == NULL);
    buf_fini(&error);
    free(keys);
}

static void ask_words(struct slice input, const struct redis_learned *learned)
{
    struct slice args[WORDS];
    size_t count = 0;

    while (input.len > 0 && count < WORDS) {
        const uint8_t *end = memchr(input.at, 0xff, input.len);
        size_t len = end != NULL ? (size_t)(end - input.at) : input.len;

        args[count++] = slice_of(input.at, len);
        input = slice_from(input, len + (end != NULL));
    }
    if (count == 0)
        return;
    if (args[0].len == 3 && args[0].at[0] == 0xfe) {
        const struct redis_command *cmd =
            redis_command_at(args[0].at[1] + 256 * (args[0].at[2] % 2));

        if (cmd != NULL)
            ask(cmd, args, count);
        return;
    }
    ask(redis_command_find(args, count), args, count);
    const struct redis_command *cmd = redis_learned_find(learned, args, count);
    if (cmd != NULL)
        ask(cmd, args, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct redis_learned *learned = NULL;
    struct slice words = { 0 };

    if (len == 0)
        return 0;
    struct slice input = slice_of(at + 1, len - 1);
    if (at[0] % 2 == 0) {
        ask_words(input, NULL);
        return 0;
    }
    /* A reply, and after 0xfd the words that are looked for in it. */
    const uint8_t *end = input.len > 0 ? memchr(input.at, 0xfd, input.len) : NULL;
    if (end != NULL) {
        words = slice_from(input, (size_t)(end - input.at) + 1);
        input.len = (size_t)(end - input.at);
    }
    if (redis_learned_read(input, &learned) == ERR_NONE)
        ask_words(words, learned);
    redis_learned_free(&learned);
    return 0;
}
