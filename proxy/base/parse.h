/* What a decoder says of the bytes that it was shown. */
#pragma once

enum parse {
    PARSE_DONE, /* one whole thing stands at the front */
    PARSE_MORE, /* so far it is well formed, but not whole */
    PARSE_BAD,  /* it can't become well formed */
};
