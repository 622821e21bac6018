/* Counters: numbers that are kept as text, as Redis keeps them. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/memory/verbs_call.h"

static void add(struct verb_call *c, int64_t more)
{
    struct store_value was = { 0 };
    int64_t number = 0;
    char text[24];
    int len;

    if (verb_get(c, c->args[1], &was) && !verb_integer(was.bytes, &number)) {
        verb_error(c, "%s", VERBS_NOT_INTEGER);
        return;
    }
    if (__builtin_add_overflow(number, more, &number)) {
        verb_error(c, "ERR increment or decrement would overflow");
        return;
    }
    len = snprintf(text, sizeof(text), "%lld", (long long)number);
    if (verb_put(c, c->args[1], slice_of(text, (size_t)len), was.expires_ms))
        resp_put_integer(c->out, number);
}

void verb_incr(struct verb_call *c)
{
    add(c, 1);
}

void verb_decr(struct verb_call *c)
{
    add(c, -1);
}

void verb_incrby(struct verb_call *c)
{
    int64_t more;

    if (verb_argument(c, 2, &more))
        add(c, more);
}

void verb_decrby(struct verb_call *c)
{
    int64_t less;

    if (!verb_argument(c, 2, &less))
        return;
    if (less == INT64_MIN)
        verb_error(c, "ERR decrement would overflow");
    else
        add(c, -less);
}

/* ---- floats ---- */

enum { FLOAT_BYTES = 256, FLOAT_TEXT_BYTES = 5 * 1024 };

static bool read_float(struct slice text, long double *out)
{
    char copy[FLOAT_BYTES];
    char *end;

    if (text.len == 0 || text.len >= sizeof(copy) || isspace(text.at[0]) ||
        memchr(text.at, 0, text.len) != NULL)
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    errno = 0;
    *out = strtold(copy, &end);
    return *end == '\0' && !isnan(*out) && !(errno == ERANGE && (isinf(*out) || *out == 0));
}

/* Without needless zeros. */
static size_t write_float(long double number, char *text)
{
    size_t len = (size_t)snprintf(text, FLOAT_TEXT_BYTES, "%.17Lf", number);

    if (memchr(text, '.', len) != NULL) {
        while (text[len - 1] == '0')
            len--;
        len -= text[len - 1] == '.';
    }
    if (len == 2 && text[0] == '-' && text[1] == '0') {
        text[0] = '0';
        len = 1;
    }
    return len;
}

void verb_incrbyfloat(struct verb_call *c)
{
    struct store_value was = { 0 };
    long double number = 0, more;
    char text[FLOAT_TEXT_BYTES];
    struct slice sum;

    if ((verb_get(c, c->args[1], &was) && !read_float(was.bytes, &number)) ||
        !read_float(c->args[2], &more)) {
        verb_error(c, "ERR value is not a valid float");
        return;
    }
    number += more;
    if (isnan(number) || isinf(number)) {
        verb_error(c, "ERR increment would produce NaN or Infinity");
        return;
    }
    sum = slice_of(text, write_float(number, text));
    if (verb_put(c, c->args[1], sum, was.expires_ms))
        resp_put_bulk(c->out, sum);
}
