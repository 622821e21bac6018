/* Reads one complete reply, element by element, for those that merge or inspect replies.
 *
 *     struct resp_reader reader = { reply };            which resp_reply_scan() found to be whole
 *     struct resp_item item;
 *
 *     TRY(resp_read(&reader, &item));                   e.g. '*' with item.count elements
 *     for (uint64_t i = 0; i < item.count; i++)
 *         TRY(resp_read_skip(&reader, &element));       each element, whatever is in it
 *
 * Any bytes may be given: what is short or not RESP is ERR_PROTOCOL, and the reader stays where it
 * was.  Attributes before an element are passed in silence. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/base/slice.h"

struct resp_reader {
    struct slice in; /* what is not read yet */
};

struct resp_item {
    struct slice raw;  /* the element's bytes; of an aggregate: its first line only */
    struct slice text; /* bulk, verbatim (with its "txt:"), simple, error, double, big number */
    /* Aggregates: the elements that follow, two for each pair of a map.  Never more than the bytes
     * to come can hold, so it may size an array. */
    uint64_t count;
    int64_t integer; /* ':', and '#' as 0 or 1 */
    uint8_t type;    /* '+' '-' ':' '$' '*' '%' '~' '>' '_' '#' ',' '(' '!' '=' */
    bool is_null;    /* "_", "$-1", "*-1" */
};

MUST_CHECK enum err resp_read(struct resp_reader *reader, struct resp_item *out);

/* Passes one element with all that is in it, and gives its bytes and those of its attributes. */
MUST_CHECK enum err resp_read_skip(struct resp_reader *reader, struct slice *raw);

static inline bool resp_item_is_error(const struct resp_item *item)
{
    return item->type == '-' || item->type == '!';
}
