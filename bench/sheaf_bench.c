/* sheaf-bench: puts load on an endpoint, or on two in turn, and tells how they did.
 *
 *     plan.c (what is asked for) -> crew.c (threads) -> hand.c (one thread)
 *         -> lane.c (one connection) -> load_*.c (the protocol)
 *     and back: figures.c (counted) -> summary.c (told)
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/crew.h"
#include "bench/ledger.h"
#include "bench/load.h"
#include "bench/plan.h"
#include "bench/summary.h"
#include "proxy/base/mem.h"

static void on_signal(int number)
{
    (void)number;
    crew_interrupt();
}

static void catch_signals(void)
{
    /* The second one ends the program at once. */
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static bool have_descriptors(const struct plan *p)
{
    struct rlimit limit;
    rlim_t need = (rlim_t)p->connections + p->idle + 4 * (rlim_t)p->threads + 32;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < need) {
        limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= need)
        return true;
    fprintf(stderr,
            "sheaf-bench: %u connections need %llu file descriptors, the limit is %llu "
            "(ulimit -Hn)\n",
            p->connections + p->idle, (unsigned long long)need, (unsigned long long)limit.rlim_cur);
    return false;
}

/* Compiles the mix for this target's protocol. */
static bool prepare(struct plan *p, struct load *load)
{
    char why[512] = "";

    for (uint32_t i = 0; i < p->mix.count + 2; i++) {
        if (load->driver->prepare(load, &p->mix.entries[i], why, sizeof(why)) != ERR_NONE) {
            fprintf(stderr, "sheaf-bench: %s\n", why);
            return false;
        }
    }
    return true;
}

static void release(struct plan *p)
{
    for (uint32_t i = 0; i < p->mix.count + 2; i++)
        p->targets[0].driver->release(&p->mix.entries[i]);
}

/* Adds the keys whose acknowledged writes were not found. */
static void write_lost(const struct plan *p, const struct ledger *ledger)
{
    FILE *file = p->lost_path != NULL ? fopen(p->lost_path, "a") : NULL;
    uint8_t name[KEYSPACE_NAME_MAX];
    char why[80];

    if (p->lost_path == NULL)
        return;
    if (file == NULL) {
        fprintf(stderr, "sheaf-bench: %s: %s\n", p->lost_path, strerror_r(errno, why, sizeof(why)));
        return;
    }
    for (uint64_t key = 0; key < ledger->count; key++) {
        if (!ledger->entries[key].lost)
            continue;
        keyspace_name(&p->keys, key, name);
        fprintf(file, "%.*s\n", (int)keyspace_name_len(&p->keys), (const char *)name);
    }
    fclose(file);
}

static bool run_round(struct plan *p, uint32_t round, uint32_t which, struct summary *summary)
{
    struct ledger ledger = { 0 };
    struct crew_result *result = mem_new(sizeof(*result));
    struct load load = { .driver = p->targets[which].driver,
                         .target = &p->targets[which],
                         .mix = &p->mix,
                         .keys = p->keys,
                         .values = p->values,
                         .ledger = p->verify_writes ? &ledger : NULL,
                         .lanes = p->connections,
                         .resp = p->resp,
                         .query_mode = p->query_mode,
                         .verify = p->verify,
                         .fill = p->fill };
    bool prepared = prepare(p, &load);

    if (prepared) {
        if (p->verify_writes)
            ledger_init(&ledger, p->keys.count);
        crew_run(p, &load, round, result);
        summary_add(summary, result);
        if (p->verify_writes)
            write_lost(p, &ledger);
        ledger_fini(&ledger);
    }
    release(p);
    free(result);
    return prepared;
}

static bool tell(const struct plan *p, const struct summary *summaries)
{
    bool fine = true;

    for (uint32_t i = 0; i < p->target_count; i++)
        fine = summary_is_fine(&summaries[i], p) && fine;
    if (p->json_path == NULL || strcmp(p->json_path, "-") != 0) {
        for (uint32_t i = 0; i < p->target_count; i++)
            summary_print(&summaries[i], p);
        if (p->target_count > 1)
            summary_print_ratios(&summaries[0], &summaries[1]);
    }
    if (p->json_path != NULL)
        fine = summary_write_json(summaries, p) && fine;
    return fine;
}

int main(int count, char **arguments)
{
    struct plan *p = mem_new(sizeof(*p));
    struct summary *summaries = mem_new(PLAN_TARGETS_MAX * sizeof(*summaries));
    enum plan_next next = plan_read(p, count, arguments);
    bool going = next == PLAN_RUN && have_descriptors(p);
    int code = next == PLAN_RUN ? 1 : next == PLAN_EXIT_USAGE ? 2 : 0;

    catch_signals();
    for (uint32_t i = 0; i < PLAN_TARGETS_MAX; i++)
        summaries[i].target = &p->targets[i];
    for (uint32_t round = 0; going && round < p->rounds && !crew_is_interrupted(); round++) {
        for (uint32_t i = 0; going && i < p->target_count; i++) {
            going = run_round(p, round, i, &summaries[i]) && !summaries[i].failed;
            if (!going && summaries[i].rounds == 0)
                code = 2;
        }
    }
    if (summaries[0].rounds > 0)
        code = tell(p, summaries) ? 0 : 1;
    plan_fini(p);
    free(summaries);
    free(p);
    return code;
}
