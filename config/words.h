/* Lines of words with spaces between them, such as `user`: taken apart, and lists that grow. */
#pragma once

#include <stddef.h>

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

/* The next word of the line, which then begins behind it; empty: there is none. */
struct slice words_next(struct slice *line);
/* The list with one more element's room, in the arena. */
void *words_grown(struct arena *arena, const void *list, size_t count, size_t size);
/* As the file has it: dollars doubled. */
void words_print(struct slice word, struct buf *out);
