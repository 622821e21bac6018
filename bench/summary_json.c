/* The summary as JSON: settings, then each target's medians, rounds, commands and troubles. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/summary.h"

static void add_number(cJSON *to, const char *name, uint64_t value)
{
    cJSON_AddNumberToObject(to, name, (double)value);
}

static void add_counter(cJSON *to, const char *name, const struct counter *c)
{
    add_number(to, name, counter_get(c));
}

static void add_latency(cJSON *to, const struct histogram *h)
{
    static const struct {
        const char *name;
        double fraction;
    } ROWS[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99_9", 0.999 } };
    cJSON *latency = cJSON_AddObjectToObject(to, "latency_us");
    uint64_t count = counter_get(&h->count), max = counter_get(&h->max);

    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        uint64_t value = histogram_percentile(h, ROWS[i].fraction);

        add_number(latency, ROWS[i].name, value < max ? value : max);
    }
    add_number(latency, "max", max);
    cJSON_AddNumberToObject(latency, "mean",
                            count > 0 ? (double)counter_get(&h->sum) / (double)count : 0);
}

static void add_texts(cJSON *to, const char *name,
                      const struct figures_text table[static FIGURES_TEXTS])
{
    cJSON *texts = cJSON_AddObjectToObject(to, name);

    for (int i = 0; i < FIGURES_TEXTS && table[i].count > 0; i++)
        add_number(texts, table[i].text, table[i].count);
}

static void add_rounds(cJSON *to, const struct summary *s)
{
    cJSON *rounds = cJSON_AddArrayToObject(to, "rounds");

    for (uint32_t i = 0; i < s->rounds; i++) {
        const struct summary_round *r = &s->round[i];
        cJSON *round = cJSON_CreateObject();

        add_number(round, "calls", r->calls);
        cJSON_AddNumberToObject(round, "seconds", (double)r->elapsed_us / 1e6);
        cJSON_AddNumberToObject(round, "calls_per_s", r->per_second);
        add_number(round, "p50_us", r->p50_us);
        add_number(round, "p90_us", r->p90_us);
        add_number(round, "p99_us", r->p99_us);
        add_number(round, "p99_9_us", r->p999_us);
        add_number(round, "max_us", r->max_us);
        cJSON_AddItemToArray(rounds, round);
    }
}

static cJSON *target_json(const struct summary *s, const struct plan *plan)
{
    const struct figures *f = &s->figures;
    cJSON *target = cJSON_CreateObject(), *commands;

    cJSON_AddStringToObject(target, "target", s->target->label);
    cJSON_AddBoolToObject(target, "passed", summary_is_fine(s, plan));
    add_counter(target, "calls", &f->calls);
    cJSON_AddNumberToObject(target, "calls_per_s", summary_per_second(s));
    add_latency(target, &s->latency);
    commands = cJSON_AddObjectToObject(target, "commands");
    for (uint32_t i = 0; i < plan->mix.count; i++) {
        cJSON *command = cJSON_AddObjectToObject(commands, plan->mix.entries[i].label);

        add_counter(command, "calls", &f->latency[i].count);
        add_latency(command, &f->latency[i]);
    }
    add_rounds(target, s);
    add_counter(target, "bytes_in", &f->bytes_in);
    add_counter(target, "bytes_out", &f->bytes_out);
    add_counter(target, "misses", &f->misses);
    add_counter(target, "errors", &f->errors);
    add_counter(target, "foreign", &f->foreign);
    add_counter(target, "lost", &f->lost);
    add_counter(target, "filled", &f->filled);
    add_counter(target, "read_back", &f->audited);
    add_counter(target, "unread", &f->unread);
    add_counter(target, "unanswered", &f->unanswered);
    add_counter(target, "unsent", &f->unsent);
    add_counter(target, "reconnects", &f->reconnects);
    add_counter(target, "idle_lost", &f->idle_lost);
    add_texts(target, "error_texts", f->error_texts);
    add_texts(target, "foreign_texts", f->foreign_texts);
    add_texts(target, "lost_texts", f->lost_texts);
    return target;
}

static void add_settings(cJSON *to, const struct plan *p)
{
    cJSON *settings = cJSON_AddObjectToObject(to, "settings");

    add_number(settings, "connections", p->connections);
    add_number(settings, "pipeline", p->pipeline);
    add_number(settings, "threads", p->threads);
    add_number(settings, "idle", p->idle);
    add_number(settings, "rate", p->rate);
    add_number(settings, "keys", p->keys.count);
    add_number(settings, "seed", p->seed);
    add_number(settings, "resp", p->resp);
    cJSON_AddBoolToObject(settings, "verify", p->verify);
    cJSON_AddBoolToObject(settings, "verify_writes", p->verify_writes);
}

static bool write_text(const char *path, const char *text)
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    bool written;
    char why[80];

    if (file != NULL) {
        written = fprintf(file, "%s\n", text) > 0;
        written = (file == stdout ? fflush(file) : fclose(file)) == 0 && written;
        if (written)
            return true;
    }
    fprintf(stderr, "sheaf-bench: %s: %s\n", path, strerror_r(errno, why, sizeof(why)));
    return false;
}

bool summary_write_json(const struct summary *s, const struct plan *plan)
{
    cJSON *all = cJSON_CreateObject(), *targets;
    char *text;
    bool written;

    cJSON_AddStringToObject(all, "version", SHEAF_VERSION);
    add_settings(all, plan);
    targets = cJSON_AddArrayToObject(all, "targets");
    for (uint32_t i = 0; i < plan->target_count; i++)
        cJSON_AddItemToArray(targets, target_json(&s[i], plan));
    text = cJSON_Print(all);
    written = write_text(plan->json_path, text);
    cJSON_free(text);
    cJSON_Delete(all);
    return written;
}
