/* Uniform and zipf choice of keys.  Zipf by rejection from the area under the curve (Hoermann and
 * Derflinger 1996): no table, so any number of keys, and about one try per choice. */
#include "bench/keyspace.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Spreads the popular ranks over the key space.  A prime above the largest count: a bijection. */
#define KEYSPACE_SPREAD UINT64_C(4294967311)

static double area_until(double x, double exponent)
{
    double rest = 1 - exponent;

    return fabs(rest) < 1e-9 ? log(x) : (pow(x, rest) - 1) / rest;
}

static double where_area_is(double area, double exponent)
{
    double rest = 1 - exponent;

    return fabs(rest) < 1e-9 ? exp(area) : pow(fmax(0, 1 + area * rest), 1 / rest);
}

enum err keyspace_shape(struct keyspace *k, const char *text)
{
    char *end = NULL;

    if (strcmp(text, "uniform") == 0) {
        k->exponent = 0;
        return ERR_NONE;
    }
    if (strcmp(text, "zipf") == 0) {
        k->exponent = 0.99;
        return ERR_NONE;
    }
    if (strncmp(text, "zipf:", 5) != 0)
        return ERR_SYNTAX;
    k->exponent = strtod(text + 5, &end);
    if (end == text + 5 || *end != '\0' || !(k->exponent > 0 && k->exponent <= 5))
        return ERR_RANGE;
    return ERR_NONE;
}

enum err keyspace_begin(struct keyspace *k)
{
    uint64_t room = 1;

    for (uint32_t i = 0; i < k->digits && room <= UINT32_MAX; i++)
        room *= 10;
    if (k->count == 0 || k->count > UINT32_MAX || k->count > room)
        return ERR_RANGE;
    if (keyspace_name_len(k) > KEYSPACE_NAME_MAX)
        return ERR_RANGE;
    k->area_first = area_until(1.5, k->exponent) - 1;
    k->area_all = area_until((double)k->count + 0.5, k->exponent);
    k->shortcut =
        2 - where_area_is(area_until(2.5, k->exponent) - pow(2, -k->exponent), k->exponent);
    return ERR_NONE;
}

static uint64_t zipf_rank(const struct keyspace *k, struct dice *dice)
{
    for (;;) {
        double area = k->area_all + dice_fraction(dice) * (k->area_first - k->area_all);
        double x = where_area_is(area, k->exponent);
        double rank = fmin(fmax(floor(x + 0.5), 1), (double)k->count);

        if (rank - x <= k->shortcut ||
            area >= area_until(rank + 0.5, k->exponent) - pow(rank, -k->exponent))
            return (uint64_t)rank - 1;
    }
}

uint64_t keyspace_pick(const struct keyspace *k, struct dice *dice)
{
    if (k->exponent == 0)
        return dice_below(dice, k->count);
    return (uint64_t)((unsigned __int128)zipf_rank(k, dice) * KEYSPACE_SPREAD % k->count);
}

size_t keyspace_name_len(const struct keyspace *k)
{
    return strlen(k->prefix) + k->digits;
}

void keyspace_name(const struct keyspace *k, uint64_t key, uint8_t *out)
{
    size_t prefix = strlen(k->prefix);

    memcpy(out, k->prefix, prefix);
    for (uint32_t i = k->digits; i > 0; i--) {
        out[prefix + i - 1] = (uint8_t)('0' + key % 10);
        key /= 10;
    }
    assert(key == 0);
}
