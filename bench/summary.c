/* See summary.h.  The table for people; summary_json.c has the other form. */
#include "bench/summary.h"

#include <stdio.h>
#include <stdlib.h>

static const double FRACTIONS[] = { 0.5, 0.9, 0.99, 0.999, 1 };
enum { FRACTION_COUNT = sizeof(FRACTIONS) / sizeof(FRACTIONS[0]) };

static uint64_t percentile(const struct histogram *h, double fraction)
{
    uint64_t max = counter_get(&h->max), value = histogram_percentile(h, fraction);

    return fraction >= 1 || value > max ? max : value;
}

void summary_add(struct summary *s, const struct crew_result *r)
{
    struct summary_round *round = &s->round[s->rounds++];
    struct histogram *latency = &s->latency;

    figures_latency(&r->figures, latency);
    *round = (struct summary_round){ .calls = counter_get(&r->figures.calls),
                                     .elapsed_us = r->elapsed_us,
                                     .p50_us = percentile(latency, 0.5),
                                     .p90_us = percentile(latency, 0.9),
                                     .p99_us = percentile(latency, 0.99),
                                     .p999_us = percentile(latency, 0.999),
                                     .max_us = percentile(latency, 1) };
    if (r->elapsed_us > 0)
        round->per_second = (double)round->calls * 1e6 / (double)r->elapsed_us;
    figures_merge(&s->figures, &r->figures);
    figures_latency(&s->figures, latency);
    if (r->failed) {
        s->failed = true;
        fprintf(stderr, "sheaf-bench: %s\n", r->problem);
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double summary_per_second(const struct summary *s)
{
    double sorted[SUMMARY_ROUNDS_MAX];

    if (s->rounds == 0)
        return 0;
    for (uint32_t i = 0; i < s->rounds; i++)
        sorted[i] = s->round[i].per_second;
    qsort(sorted, s->rounds, sizeof(sorted[0]), compare_doubles);
    return (sorted[(s->rounds - 1) / 2] + sorted[s->rounds / 2]) / 2;
}

bool summary_is_fine(const struct summary *s, const struct plan *plan)
{
    const struct figures *f = &s->figures;

    if (s->failed || counter_get(&f->foreign) + counter_get(&f->lost) > 0)
        return false;
    if (!plan->fill_only && counter_get(&f->calls) == 0)
        return false;
    return plan->tolerate_errors || counter_get(&f->errors) + counter_get(&f->idle_lost) == 0;
}

static const char *time_text(uint64_t us, char text[static 24])
{
    if (us < 1000)
        snprintf(text, 24, "%llu us", (unsigned long long)us);
    else if (us < 1000000)
        snprintf(text, 24, "%.2f ms", (double)us / 1e3);
    else
        snprintf(text, 24, "%.2f s", (double)us / 1e6);
    return text;
}

static void print_latency(const char *label, const struct histogram *h)
{
    char text[24];

    printf("  %-16.16s %12llu", label, (unsigned long long)counter_get(&h->count));
    for (int i = 0; i < FRACTION_COUNT; i++)
        printf(" %10s", time_text(percentile(h, FRACTIONS[i]), text));
    putchar('\n');
}

static void print_latencies(const struct summary *s, const struct plan *plan)
{
    printf("\n  %-16s %12s %10s %10s %10s %10s %10s\n", "latency of", "calls", "p50", "p90", "p99",
           "p99.9", "max");
    for (uint32_t i = 0; i < plan->mix.count && plan->mix.count > 1; i++)
        print_latency(plan->mix.entries[i].label, &s->figures.latency[i]);
    print_latency(plan->mix.count > 1 ? "all" : plan->mix.entries[0].label, &s->latency);
}

static void print_count(const char *what, const struct counter *c)
{
    if (counter_get(c) > 0)
        printf("  %-28s %llu\n", what, (unsigned long long)counter_get(c));
}

static void print_texts(const struct figures_text table[static FIGURES_TEXTS])
{
    for (int i = 0; i < FIGURES_TEXTS && table[i].count > 0; i++)
        printf("    %llu x %s\n", (unsigned long long)table[i].count, table[i].text);
}

static void print_troubles(const struct summary *s, const struct plan *plan)
{
    const struct figures *f = &s->figures;

    print_count("replies without a value", &f->misses);
    print_count("errors", &f->errors);
    print_texts(f->error_texts);
    print_count("calls without a reply", &f->unanswered);
    print_count("reconnects", &f->reconnects);
    print_count("idle connections lost", &f->idle_lost);
    print_count("due but never sent", &f->unsent);
    if (!plan->verify)
        return;
    print_count("FOREIGN REPLIES", &f->foreign);
    print_texts(f->foreign_texts);
    print_count("LOST WRITES", &f->lost);
    print_texts(f->lost_texts);
    print_count("keys read back", &f->audited);
    print_count("keys that could not be read", &f->unread);
    if (counter_get(&f->foreign) + counter_get(&f->lost) == 0 && counter_get(&f->calls) > 0)
        printf("  every value read was the right one\n");
}

static void print_throughput(const struct summary *s, const struct plan *plan)
{
    const struct figures *f = &s->figures;
    uint64_t elapsed_us = 0;

    for (uint32_t i = 0; i < s->rounds; i++)
        elapsed_us += s->round[i].elapsed_us;
    printf("  %.0f calls/s", summary_per_second(s));
    if (plan->rate > 0)
        printf(" of %llu asked for", (unsigned long long)plan->rate);
    printf("   %llu calls in %.2f s", (unsigned long long)counter_get(&f->calls),
           (double)elapsed_us / 1e6);
    if (elapsed_us > 0)
        printf("   %.1f MB/s in, %.1f MB/s out",
               (double)counter_get(&f->bytes_in) / (double)elapsed_us,
               (double)counter_get(&f->bytes_out) / (double)elapsed_us);
    if (s->rounds > 1)
        printf("   median of %u rounds", s->rounds);
    putchar('\n');
}

void summary_print(const struct summary *s, const struct plan *plan)
{
    printf("%s\n", s->target->label);
    print_count("keys written", &s->figures.filled);
    if (counter_get(&s->figures.calls) > 0) {
        print_throughput(s, plan);
        print_latencies(s, plan);
    }
    print_troubles(s, plan);
}

static void print_ratio(const char *what, double first, double second)
{
    if (second > 0)
        printf("  %-16s %22.0f %22.0f %8.2f\n", what, first, second, first / second);
}

void summary_print_ratios(const struct summary *first, const struct summary *second)
{
    static const char *const NAMES[FRACTION_COUNT] = { "p50 us", "p90 us", "p99 us", "p99.9 us",
                                                       "max us" };

    printf("\n%-18s %22.22s %22.22s %8s\n", "", first->target->label, second->target->label,
           "ratio");
    print_ratio("calls/s", summary_per_second(first), summary_per_second(second));
    for (int i = 0; i < FRACTION_COUNT; i++)
        print_ratio(NAMES[i], (double)percentile(&first->latency, FRACTIONS[i]),
                    (double)percentile(&second->latency, FRACTIONS[i]));
}
