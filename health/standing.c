/* See standing.h; the table is standing.def. */
#include "health/standing.h"

static const struct {
    const char *word, *text;
} FITS[STANDING_FITS] = {
    [STANDING_UNKNOWN] = { "unknown", "is not known" },
#define STANDING(name, word, text) [STANDING_##name] = { word, text },
#include "health/standing.def"
#undef STANDING
};

const char *standing_role_name(enum standing_role role)
{
    static const char *const NAMES[] = { "unknown", "primary", "replica" };

    return NAMES[role];
}

const char *standing_fit_word(enum standing_fit fit)
{
    return FITS[fit].word;
}

const char *standing_fit_text(enum standing_fit fit)
{
    return FITS[fit].text;
}
