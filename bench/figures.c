/* See figures.h. */
#include "bench/figures.h"

#include <stdbool.h>
#include <string.h>

static struct slice first_line(struct slice text)
{
    const uint8_t *end = memchr(text.at, '\r', text.len);

    if (end != NULL)
        text.len = (size_t)(end - text.at);
    if (text.len >= FIGURES_TEXT_BYTES)
        text.len = FIGURES_TEXT_BYTES - 1;
    return text;
}

void figures_note(struct figures_text table[static FIGURES_TEXTS], struct slice text,
                  uint64_t count)
{
    struct figures_text *row = table;

    text = first_line(text);
    for (; row < table + FIGURES_TEXTS - 1 && row->count > 0; row++) {
        if (slice_is_text(text, row->text))
            break;
    }
    if (row->count == 0) {
        memcpy(row->text, text.at, text.len);
        row->text[text.len] = '\0';
    } else if (!slice_is_text(text, row->text)) {
        memcpy(row->text, "others", sizeof("others"));
    }
    row->count += count;
}

static void clear(struct histogram *h)
{
    counter_set(&h->count, 0);
    counter_set(&h->sum, 0);
    counter_set(&h->max, 0);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        counter_set(&h->bucket[i], 0);
}

static void add(struct counter *into, const struct counter *from)
{
    counter_add(into, counter_get(from));
}

static void merge_texts(struct figures_text *into, const struct figures_text *from)
{
    for (unsigned i = 0; i < FIGURES_TEXTS; i++) {
        if (from[i].count > 0)
            figures_note(into, slice_text(from[i].text), from[i].count);
    }
}

void figures_merge(struct figures *into, const struct figures *from)
{
    add(&into->calls, &from->calls);
    add(&into->misses, &from->misses);
    add(&into->errors, &from->errors);
    add(&into->foreign, &from->foreign);
    add(&into->lost, &from->lost);
    add(&into->filled, &from->filled);
    add(&into->audited, &from->audited);
    add(&into->unread, &from->unread);
    add(&into->unanswered, &from->unanswered);
    add(&into->unsent, &from->unsent);
    add(&into->reconnects, &from->reconnects);
    add(&into->idle_lost, &from->idle_lost);
    add(&into->bytes_in, &from->bytes_in);
    add(&into->bytes_out, &from->bytes_out);
    for (unsigned i = 0; i < MIX_MAX; i++) {
        if (counter_get(&from->latency[i].count) > 0)
            histogram_merge(&into->latency[i], &from->latency[i]);
    }
    merge_texts(into->error_texts, from->error_texts);
    merge_texts(into->foreign_texts, from->foreign_texts);
    merge_texts(into->lost_texts, from->lost_texts);
}

void figures_latency(const struct figures *f, struct histogram *out)
{
    clear(out);
    for (unsigned i = 0; i < MIX_MAX; i++) {
        if (counter_get(&f->latency[i].count) > 0)
            histogram_merge(out, &f->latency[i]);
    }
}
