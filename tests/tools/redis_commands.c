/* Tells what the command table says, for tests/scenario/oracle_commands.py.
 *
 *     redis_commands            a line for each command: name, arity, flags, categories, keys rule
 *     redis_commands keys       for each line of standard input, words in hexadecimal with spaces
 *                               between ("-" is an empty word), a line: the places of the keys, or
 *                               "unknown", "arity", "error TEXT"
 *     redis_commands learned    reads a COMMAND reply, a line for each command of it that is new */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/buf.h"
#include "proxy/base/mem.h"
#include "shard/redis_command.h"

enum { WORDS_LIMIT = 256 };

static void print_command(const struct redis_command *cmd)
{
    printf("%s\t%d\t%u\t%u\t%u\n", cmd->name, cmd->arity, cmd->flags, cmd->categories, cmd->keys);
}

static struct slice read_word(char *hex, struct buf *text)
{
    size_t start = text->len;

    for (; hex[0] != '\0' && hex[0] != '-'; hex += 2) {
        char digits[3] = { hex[0], hex[1], '\0' };
        uint8_t byte = (uint8_t)strtoul(digits, NULL, 16);

        buf_put(text, &byte, 1);
    }
    return slice_of(text->at + start, text->len - start);
}

static void print_keys(const struct slice *args, size_t count)
{
    const struct redis_command *cmd = redis_command_find(args, count);
    uint32_t keys[WORDS_LIMIT];
    struct buf error = { 0 };
    size_t n = 0;

    redis_command_put_error(&error, cmd, args, count);
    if (cmd == NULL) {
        printf("unknown %.*s\n", (int)error.len, (const char *)error.at);
    } else if (!redis_command_arity_is_right(cmd, count)) {
        printf("arity %.*s\n", (int)error.len, (const char *)error.at);
    } else if (redis_command_keys(cmd, args, count, keys, &n) != ERR_NONE) {
        printf("error %.*s\n", (int)error.len, (const char *)error.at);
    } else {
        for (size_t i = 0; i < n; i++)
            printf("%s%u", i > 0 ? " " : "", keys[i]);
        printf("\n");
    }
    buf_fini(&error);
}

static void read_keys(void)
{
    char *line = NULL;
    size_t size = 0;

    while (getline(&line, &size, stdin) > 0) {
        struct slice args[WORDS_LIMIT];
        struct buf text = { 0 };
        size_t count = 0;
        char *rest;

        buf_reserve(&text, strlen(line) + 1); /* so that it does not move */
        for (char *word = strtok_r(line, " \n", &rest); word != NULL && count < WORDS_LIMIT;
             word = strtok_r(NULL, " \n", &rest))
            args[count++] = read_word(word, &text);
        print_keys(args, count);
        buf_fini(&text);
    }
    free(line);
}

static int read_learned(void)
{
    struct buf reply = { 0 };
    struct redis_learned *learned = NULL;
    size_t got;

    do {
        got = fread(buf_reserve(&reply, 65536), 1, 65536, stdin);
        buf_grow(&reply, got);
    } while (got > 0);
    enum err err = redis_learned_read(buf_all(&reply), &learned);
    if (err != ERR_NONE)
        printf("error %s\n", err_text(err));
    else
        printf("%zu\n", redis_learned_count(learned));
    redis_learned_free(&learned);
    buf_fini(&reply);
    return err != ERR_NONE;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "keys") == 0) {
        read_keys();
    } else if (argc == 2 && strcmp(argv[1], "learned") == 0) {
        return read_learned();
    } else {
        for (size_t i = 0; redis_command_at(i) != NULL; i++)
            print_command(redis_command_at(i));
    }
    return 0;
}
