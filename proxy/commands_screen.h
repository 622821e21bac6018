/* A text on a terminal that may be smaller: its first lines stay, the others move, the last row
 * says how to get about.  Knows no terminal: bytes come out. */
#pragma once

#include "proxy/base/buf.h"

struct commands_screen {
    unsigned rows, columns;
    unsigned head; /* lines of the text that stay, if there is room for more than them */
    size_t first;  /* of the others, the one on top; brought within bounds by drawing */
};

/* Escape sequences that end with "m" take no room; a row ends with plain letters. */
void commands_screen_draw(struct commands_screen *s, struct slice text, struct buf *out);

/* What the keys typed ask for: 'q' to leave, else 0 after moving `first`.  A page: what is seen. */
char commands_screen_keys(struct commands_screen *s, struct slice typed);
