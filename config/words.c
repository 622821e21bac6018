/* See words.h. */
#include "config/words.h"

#include <ctype.h>
#include <string.h>

struct slice words_next(struct slice *line)
{
    size_t start = 0, end;

    while (start < line->len && isspace(line->at[start]))
        start++;
    for (end = start; end < line->len && !isspace(line->at[end]);)
        end++;
    struct slice word = slice_of(line->at + start, end - start);
    *line = slice_from(*line, end);
    return word;
}

void *words_grown(struct arena *arena, const void *list, size_t count, size_t size)
{
    void *more = arena_new(arena, (count + 1) * size);

    return count == 0 ? more : memcpy(more, list, count * size);
}

void words_print(struct slice word, struct buf *out)
{
    for (size_t i = 0; i < word.len; i++)
        buf_put(out, word.at[i] == '$' ? "$$" : (const char *)&word.at[i],
                word.at[i] == '$' ? 2 : 1);
}
