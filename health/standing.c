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

static void tell_lag(const struct standing *s, struct buf *out)
{
    buf_format(out, "%s%.1f s and %llu bytes", s->lag_is_known ? "" : "at least ",
               (double)s->lag_us / 1e6, (unsigned long long)s->lag_bytes);
    if (s->replay_is_paused)
        buf_text(out, "; its replay is paused");
}

void standing_tell(const struct standing *s, struct buf *out)
{
    buf_text(out, standing_fit_text(s->fit));
    switch (s->fit) {
    case STANDING_LAGGING:
        buf_text(out, ": ");
        tell_lag(s, out);
        break;
    case STANDING_OTHER_TIMELINE:
    case STANDING_STALE_PRIMARY:
        buf_format(out, ": timeline %u", s->timeline);
        break;
    case STANDING_OTHER_CLUSTER:
        buf_format(out, ": system identifier %llu", (unsigned long long)s->system_id);
        break;
    case STANDING_UNKNOWN:
    case STANDING_FRESH:
    case STANDING_FITS:
        break;
    }
}
