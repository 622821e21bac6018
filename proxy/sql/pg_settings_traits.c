/* What is special about some names of settings. */
#include <stdio.h>

#include "proxy/base/slice.h"
#include "proxy/sql/pg_settings_pool.h"

static const struct {
    const char *name;
    unsigned traits;
} TRAITS[] = {
#define TRAIT(name, traits) { name, traits },
#include "proxy/sql/pg_settings_traits.def"
#undef TRAIT
};

/* Names of old, which PostgreSQL still takes. */
static const struct {
    const char *old, *name;
} OLD_NAMES[] = {
    { "sort_mem", "work_mem" },
    { "vacuum_mem", "maintenance_work_mem" },
};

unsigned pg_settings_traits(struct slice name)
{
    size_t low = 0, high = sizeof(TRAITS) / sizeof(TRAITS[0]);

    if (memchr(name.at, '.', name.len) != NULL)
        return slice_starts(name, slice_text("sheaf.")) ? PG_TRAIT_OWN : PG_TRAIT_PRIVILEGED;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const char *there = TRAITS[middle].name;
        int order = strncmp(there, (const char *)name.at, name.len);

        if (order == 0 && there[name.len] == 0)
            return TRAITS[middle].traits;
        if (order >= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return 0;
}

bool pg_settings_fold(struct slice name, char out[PG_SETTINGS_NAME_BYTES], struct slice *folded)
{
    if (name.len == 0 || name.len >= PG_SETTINGS_NAME_BYTES || memchr(name.at, 0, name.len) != NULL)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i];

        out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    *folded = slice_of(out, name.len);
    for (size_t i = 0; i < sizeof(OLD_NAMES) / sizeof(OLD_NAMES[0]); i++)
        if (slice_is_text(*folded, OLD_NAMES[i].old))
            *folded = slice_text(OLD_NAMES[i].name);
    return true;
}

/* --- datestyle ------------------------------------------------------------------------------- */

struct datestyle {
    const char *style, *order; /* NULL: not said */
};

static const struct {
    const char *word;
    size_t least; /* letters that are enough, and more may follow; 0: the whole word */
    const char *style, *order;
} DATESTYLES[] = {
    { "iso", 0, "iso", NULL },       { "sql", 0, "sql", NULL }, { "postgres", 8, "postgres", NULL },
    { "german", 0, "german", NULL }, { "ymd", 0, NULL, "ymd" }, { "dmy", 0, NULL, "dmy" },
    { "euro", 4, NULL, "dmy" },      { "mdy", 0, NULL, "mdy" }, { "us", 0, NULL, "mdy" },
    { "noneuro", 7, NULL, "mdy" },
};

static bool read_datestyle_word(struct slice word, struct datestyle *out)
{
    for (size_t i = 0; i < sizeof(DATESTYLES) / sizeof(DATESTYLES[0]); i++) {
        size_t least = DATESTYLES[i].least;
        struct slice begins = slice_of(word.at, least > 0 && word.len > least ? least : word.len);

        if (!slice_is_word(begins, DATESTYLES[i].word))
            continue;
        if (DATESTYLES[i].style != NULL)
            out->style = DATESTYLES[i].style;
        if (DATESTYLES[i].order != NULL)
            out->order = DATESTYLES[i].order;
        return true;
    }
    return false;
}

static bool read_datestyle(struct slice value, struct datestyle *out)
{
    while (value.len > 0) {
        size_t len = 0;

        while (len < value.len && strchr(", \"", value.at[len]) == NULL)
            len++;
        if (len > 0 && !read_datestyle_word(slice_of(value.at, len), out))
            return false;
        value = slice_from(value, len < value.len ? len + 1 : len);
    }
    return true;
}

static bool is_german(const struct datestyle *d)
{
    return d->style != NULL && strcmp(d->style, "german") == 0;
}

bool pg_settings_is_partial(struct slice name, struct slice value)
{
    struct datestyle d = { 0 };

    if (!slice_is_text(name, "datestyle"))
        return false;
    return !read_datestyle(value, &d) || d.style == NULL || (d.order == NULL && !is_german(&d));
}

struct slice pg_settings_datestyle(const struct pg_settings *v, struct slice value,
                                   char merged[PG_DATESTYLE_BYTES])
{
    struct datestyle old = { 0 }, now = { 0 };
    struct slice before;

    if (!pg_settings_find(v, slice_text("datestyle"), &before) || !read_datestyle(before, &old) ||
        !read_datestyle(value, &now) || (now.style != NULL && now.order != NULL))
        return value;
    if (is_german(&now) && now.order == NULL)
        return value; /* which brings its own order */
    if (is_german(&old) && old.order == NULL)
        old.order = "dmy";
    if (now.style == NULL)
        now.style = old.style;
    if (now.order == NULL)
        now.order = old.order;
    if (now.style == NULL || now.order == NULL)
        return value;
    snprintf(merged, PG_DATESTYLE_BYTES, "%s, %s", now.style, now.order);
    return slice_text(merged);
}
