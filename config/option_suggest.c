/* "did you mean": the nearest word by the number of letters to insert, delete, change or swap. */
#include <string.h>

#include "config/option.h"

enum { WORD_BYTES = 48, ROWS = 3, FAR = 1000 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Three rows of the usual table, reused in turn. */
static unsigned distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    unsigned rows[ROWS][WORD_BYTES + 1];

    if (a_len > WORD_BYTES || b_len > WORD_BYTES)
        return FAR;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % ROWS], *above = rows[(i - 1) % ROWS];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(row[j], least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], rows[(i - 2) % ROWS][j - 2] + 1);
        }
    }
    return rows[a_len % ROWS][b_len];
}

struct nearest {
    const char *word; /* the best so far; NULL: none was near enough */
    unsigned far;
    size_t alike; /* bytes at the start that are the same: decides between equally near ones */
};

static void consider(struct nearest *best, const char *candidate, const char *word)
{
    size_t len = strlen(word), candidate_len = strlen(candidate), alike = 0;
    size_t shorter = len < candidate_len ? len : candidate_len;
    unsigned allowed = len < 4 ? 1 : len < 9 ? 2 : 3;
    unsigned far = distance(word, candidate);

    while (alike < shorter && word[alike] == candidate[alike])
        alike++;
    if (far > allowed && (shorter < 3 || alike < shorter))
        return;
    if (best->word == NULL || far < best->far || (far == best->far && alike > best->alike))
        *best = (struct nearest){ candidate, far, alike };
}

static void say(const struct nearest *best, struct buf *out)
{
    if (best->word != NULL)
        buf_format(out, "; did you mean \"%s\"?", best->word);
}

void option_suggest(const struct option *table, const char *name, struct buf *out)
{
    struct nearest best = { 0 };

    for (; table->name != NULL; table++)
        consider(&best, table->name, name);
    say(&best, out);
}

void option_suggest_word(const char *const *words, const char *word, struct buf *out)
{
    struct nearest best = { 0 };

    for (; words != NULL && *words != NULL; words++)
        consider(&best, *words, word);
    say(&best, out);
}
