/* Names of types.  See pg_type_names.h. */
#include "proxy/sql/pg_type_names.h"

#include "proxy/wire/pgwire.h"

static const struct {
    uint32_t number;
    const char *name;
} TYPES[] = {
#define TYPE(number, name) { number, name },
#include "proxy/sql/pg_type_names.def"
#undef TYPE
};

static const char *name_of(uint32_t number)
{
    size_t from = 0, to = sizeof(TYPES) / sizeof(TYPES[0]);

    while (from < to) {
        size_t middle = (from + to) / 2;

        if (TYPES[middle].number == number)
            return TYPES[middle].name;
        if (TYPES[middle].number < number)
            from = middle + 1;
        else
            to = middle;
    }
    return NULL;
}

/* Did the client leave it to the server? */
static bool is_open(struct slice said, size_t i)
{
    return said.len / 4 <= i || pg_type_at(said, i) == 0;
}

bool pg_type_names_put(struct buf *out, struct slice types, struct slice said)
{
    const char *before = "(";

    for (size_t i = 0; i < types.len / 4; i++) {
        const char *name = name_of(pg_type_at(types, i));

        if (name == NULL && !is_open(said, i))
            return false;
        buf_format(out, "%spg_catalog.\"%s\"", before, name == NULL ? "unknown" : name);
        before = ", ";
    }
    if (types.len / 4 > 0)
        buf_text(out, ") ");
    return true;
}
