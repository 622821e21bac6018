/* See redis_absent.h.  The table is checked against real servers by test_absent.py. */
#include "proxy/memory/redis_absent.h"

#include <string.h>

#include "proxy/memory/redis_transaction.h"

enum absent {
    ABSENT_NULL,
    ABSENT_ZERO,
    ABSENT_NO_TIME, /* TTL and its like: -2 */
    ABSENT_NO_TYPE,
    ABSENT_TEXT,
    ABSENT_LIST,
    ABSENT_SET,
    ABSENT_MAP,
    ABSENT_NULLS, /* of each word behind the key; of MGET each key */
    ABSENT_NULL_LISTS,
    ABSENT_ZEROS,
};

struct row {
    const char *name;
    enum absent absent;
    uint8_t most_words; /* with more it says something else; 0: however many */
};

static const struct row ROWS[] = {
#define ABSENT(name, absent, most_words) { name, ABSENT_##absent, most_words },
#include "proxy/memory/redis_absent.def"
#undef ABSENT
};

static const char MARK[] = "*0\r\n";

static const struct row *find(const struct redis_command *cmd, size_t count)
{
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++)
        if (strcmp(ROWS[i].name, cmd->name) == 0)
            return ROWS[i].most_words == 0 || count <= ROWS[i].most_words ? &ROWS[i] : NULL;
    return NULL;
}

static struct slice repeat(struct arena *arena, const char *element, size_t count)
{
    size_t len = strlen(element), header = redis_header_bytes(count);
    uint8_t *start = arena_bytes(arena, header + count * len);
    uint8_t *at = redis_put_header(start, '*', count);

    for (size_t i = 0; i < count; i++)
        at = mempcpy(at, element, len);
    return slice_of(start, (size_t)(at - start));
}

bool redis_absent_is_mark(const struct memory_part *part)
{
    return part->failed && slice_is_text(part->reply, MARK);
}

struct slice redis_absent_nulls(struct arena *arena, enum resp_version version, size_t count)
{
    return repeat(arena, version == RESP_VERSION_3 ? "_\r\n" : "$-1\r\n", count);
}

static struct slice reply(const struct row *row, enum resp_version version,
                          struct memory_operation *op)
{
    size_t behind = op->count - 2;
    bool is_3 = version == RESP_VERSION_3;

    switch (row->absent) {
    case ABSENT_NULL:
        return slice_text(is_3 ? "_\r\n" : "$-1\r\n");
    case ABSENT_ZERO:
        return slice_text(":0\r\n");
    case ABSENT_NO_TIME:
        return slice_text(":-2\r\n");
    case ABSENT_NO_TYPE:
        return slice_text("+none\r\n");
    case ABSENT_TEXT:
        return slice_text("$0\r\n\r\n");
    case ABSENT_LIST:
        return slice_text("*0\r\n");
    case ABSENT_SET:
        return slice_text(is_3 ? "~0\r\n" : "*0\r\n");
    case ABSENT_MAP:
        return slice_text(is_3 ? "%0\r\n" : "*0\r\n");
    case ABSENT_NULLS:
        if (strcmp(row->name, "mget") != 0)
            return redis_absent_nulls(op->arena, version, behind);
        if (op->part_count > 1)
            return slice_text(MARK);
        return redis_absent_nulls(op->arena, version, behind + 1);
    case ABSENT_NULL_LISTS:
        return repeat(op->arena, is_3 ? "_\r\n" : "*-1\r\n", behind);
    case ABSENT_ZEROS:
        return repeat(op->arena, ":0\r\n", behind);
    }
    return (struct slice){ 0 };
}

void redis_absent_plan(const struct redis_session *session, const struct redis_command *cmd,
                       struct memory_operation *op)
{
    const struct row *row = find(cmd, op->count);
    enum resp_version version = session->base.version == 3 ? RESP_VERSION_3 : RESP_VERSION_2;

    if (row != NULL && op->way == MEMORY_PARTS && !redis_transaction_watches(session))
        op->instead = reply(row, version, op);
}
