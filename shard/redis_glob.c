/* See redis_glob.h.  No recursion: on a mismatch, only the last star is given one byte more. */
#include "shard/redis_glob.h"

#include <ctype.h>

static int fold_letter(int c)
{
    return tolower(c);
}

static int keep_letter(int c)
{
    return c;
}

typedef int letter_f(int c);

/* One pattern element at `at` against one byte; *next is where the element ends. */
static bool fits_class(struct slice p, size_t at, int c, letter_f *letter, size_t *next)
{
    bool negated = at < p.len && p.at[at] == '^', fits = false;

    for (at += negated; at < p.len && p.at[at] != ']'; at++) {
        int low, high;

        if (p.at[at] == '\\' && at + 1 < p.len)
            at++;
        low = high = letter(p.at[at]);
        if (at + 2 < p.len && p.at[at + 1] == '-') {
            high = letter(p.at[at + 2]);
            at += 2;
        }
        if (low > high) {
            int other = low;

            low = high;
            high = other;
        }
        fits = fits || (c >= low && c <= high);
    }
    *next = at < p.len ? at + 1 : at;
    return fits != negated;
}

static bool fits_one(struct slice p, size_t at, uint8_t byte, letter_f *letter, size_t *next)
{
    int c = letter(byte);

    if (p.at[at] == '[')
        return fits_class(p, at + 1, c, letter, next);
    if (p.at[at] == '\\' && at + 1 < p.len)
        at++;
    else if (p.at[at] == '?') {
        *next = at + 1;
        return true;
    }
    *next = at + 1;
    return letter(p.at[at]) == c;
}

static bool fits(struct slice pattern, struct slice text, letter_f *letter)
{
    size_t at = 0, seen = 0, next, star = SIZE_MAX, star_seen = 0;

    while (seen < text.len) {
        if (at < pattern.len && pattern.at[at] == '*') {
            star = ++at;
            star_seen = seen;
        } else if (at < pattern.len && fits_one(pattern, at, text.at[seen], letter, &next)) {
            at = next;
            seen++;
        } else if (star != SIZE_MAX) {
            at = star;
            seen = ++star_seen;
        } else {
            return false;
        }
    }
    while (at < pattern.len && pattern.at[at] == '*')
        at++;
    return at == pattern.len;
}

bool redis_glob_fits(struct slice pattern, struct slice text)
{
    return fits(pattern, text, fold_letter);
}

bool redis_glob_fits_exactly(struct slice pattern, struct slice text)
{
    return fits(pattern, text, keep_letter);
}
