/* See plan.h.  One table row per option: what it is called, what it takes, what it means; the help
 * text and the parser both come from it. */
#include "bench/plan.h"

#include <getopt.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load.h"

enum { PLAN_KEY_DIGITS = 12, PLAN_OPTIONS_MAX = 64 };

typedef bool plan_option_f(struct plan *p, const char *value);

struct plan_option {
    const char *name, *takes, *help, *expected;
    char letter;
    plan_option_f *read; /* NULL: a heading of the help text */
};

static bool whole_number(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
    uint64_t number;

    if (!slice_to_u64(slice_text(text), &number) || number < low || number > high)
        return false;
    *out = number;
    return true;
}

static bool small_number(const char *text, uint64_t low, uint64_t high, uint32_t *out)
{
    uint64_t number;

    if (!whole_number(text, low, high, &number))
        return false;
    *out = (uint32_t)number;
    return true;
}

/* Seconds, or with a unit: 10, 2.5, 500ms, 10s, 2m. */
static bool duration(const char *text, uint64_t *out_us)
{
    char *end = NULL;
    double number = strtod(text, &end), unit = 1e6;

    if (end == text || !isfinite(number) || number < 0)
        return false;
    if (strcmp(end, "us") == 0)
        unit = 1;
    else if (strcmp(end, "ms") == 0)
        unit = 1e3;
    else if (strcmp(end, "m") == 0)
        unit = 60e6;
    else if (*end != '\0' && strcmp(end, "s") != 0)
        return false;
    if (number * unit > 1e12)
        return false;
    *out_us = (uint64_t)(number * unit);
    return true;
}

static bool read_connections(struct plan *p, const char *value)
{
    return small_number(value, 1, 100000, &p->connections);
}

static bool read_pipeline(struct plan *p, const char *value)
{
    return small_number(value, 1, 100000, &p->pipeline);
}

static bool read_threads(struct plan *p, const char *value)
{
    return small_number(value, 1, 256, &p->threads);
}

static bool read_idle(struct plan *p, const char *value)
{
    return small_number(value, 0, 1000000, &p->idle);
}

static bool read_rate(struct plan *p, const char *value)
{
    return whole_number(value, 1, 100000000, &p->rate);
}

static bool read_arrival(struct plan *p, const char *value)
{
    p->poisson = strcmp(value, "poisson") == 0;
    return p->poisson || strcmp(value, "even") == 0;
}

static bool read_duration(struct plan *p, const char *value)
{
    return duration(value, &p->duration_us) && p->duration_us > 0;
}

static bool read_count(struct plan *p, const char *value)
{
    return whole_number(value, 1, UINT64_MAX / 2, &p->count);
}

static bool read_warmup(struct plan *p, const char *value)
{
    return duration(value, &p->warmup_us);
}

static bool read_timeout(struct plan *p, const char *value)
{
    return duration(value, &p->timeout_us) && p->timeout_us > 0;
}

static bool read_rounds(struct plan *p, const char *value)
{
    return small_number(value, 1, 1000, &p->rounds);
}

static bool read_mix(struct plan *p, const char *value)
{
    return mix_add_verbs(&p->mix, value) == ERR_NONE;
}

static bool read_command(struct plan *p, const char *value)
{
    return mix_add_template(&p->mix, value) == ERR_NONE;
}

static bool read_keys(struct plan *p, const char *value)
{
    return whole_number(value, 1, UINT32_MAX, &p->keys.count);
}

static bool read_distribution(struct plan *p, const char *value)
{
    return keyspace_shape(&p->keys, value) == ERR_NONE;
}

static bool read_prefix(struct plan *p, const char *value)
{
    p->keys.prefix = value;
    return strlen(value) <= KEYSPACE_NAME_MAX - PLAN_KEY_DIGITS;
}

static bool read_value_size(struct plan *p, const char *value)
{
    return payload_parse(&p->values, value) == ERR_NONE;
}

static bool read_fill(struct plan *p, const char *value)
{
    (void)value;
    return p->fill = true;
}

static bool read_fill_only(struct plan *p, const char *value)
{
    (void)value;
    return p->fill = p->fill_only = true;
}

static bool read_seed(struct plan *p, const char *value)
{
    return whole_number(value, 0, UINT64_MAX, &p->seed);
}

static bool read_resp(struct plan *p, const char *value)
{
    return small_number(value, 2, 3, &p->resp);
}

static bool read_query_mode(struct plan *p, const char *value)
{
    static const char *const NAMES[] = { [LOAD_QUERY_SIMPLE] = "simple",
                                         [LOAD_QUERY_EXTENDED] = "extended",
                                         [LOAD_QUERY_PREPARED] = "prepared" };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        if (strcmp(value, NAMES[i]) == 0) {
            p->query_mode = (enum load_query_mode)i;
            return true;
        }
    }
    return false;
}

static bool read_verify(struct plan *p, const char *value)
{
    (void)value;
    return p->verify = true;
}

static bool read_verify_writes(struct plan *p, const char *value)
{
    (void)value;
    return p->verify = p->verify_writes = true;
}

static bool read_lost(struct plan *p, const char *value)
{
    p->lost_path = value;
    return true;
}

static bool read_tolerate(struct plan *p, const char *value)
{
    (void)value;
    return p->tolerate_errors = true;
}

static bool read_compare(struct plan *p, const char *value)
{
    p->targets[1].url = value; /* opened once all arguments are read */
    p->target_count = 2;
    return true;
}

static bool read_json(struct plan *p, const char *value)
{
    p->json_path = value;
    return true;
}

static bool read_quiet(struct plan *p, const char *value)
{
    (void)value;
    return p->quiet = true;
}

static const struct plan_option OPTIONS[] = {
    { .help = "How much" },
    { "connections", "N", "connections that carry load (50)", "1 to 100000", 'c',
      read_connections },
    { "pipeline", "N", "calls sent together on a connection (1)", "1 to 100000", 'P',
      read_pipeline },
    { "threads", "N", "threads (1)", "1 to 256", 't', read_threads },
    { "idle", "N", "open N more connections that say nothing", "0 to 1000000", 'i', read_idle },
    { "rate", "N",
      "N calls per second in all, each due at a fixed time, whether or not replies came;\n"
      "latency counts from when a call was due.  Without it: as fast as replies come",
      "1 to 100000000", 'r', read_rate },
    { "arrival", "HOW", "with --rate: even (default) or poisson", "even or poisson", 0,
      read_arrival },
    { "duration", "TIME", "how long to measure: 10s (default), 500ms, 2m", "a time such as 10s",
      'd', read_duration },
    { "count", "N", "measure N calls instead of a time", "a number", 'n', read_count },
    { "warmup", "TIME", "load before measuring (500ms)", "a time such as 500ms", 'w', read_warmup },
    { "timeout", "TIME", "give up a connection whose oldest call waits longer (10s)",
      "a time such as 10s", 0, read_timeout },
    { "rounds", "N", "repeat, alternating with --compare (1; with --compare 5)", "1 to 1000", 0,
      read_rounds },
    { .help = "What" },
    { "mix", "LIST",
      "verbs and weights: get=80,set=20,mget:10=5 (get); for Redis: get set mget mset del unlink\n"
      "exists touch strlen ttl incr lpush rpop sadd ping; :N is the number of keys in a call;\n"
      "for memcached: get set;\n"
      "for PostgreSQL: get set update del ping, on a table sheaf_bench that --fill makes;\n"
      "for S3: get put put-unsigned put-checked del list get-refused",
      "a list such as get=80,set=20,mget:10=5", 'm', read_mix },
    { "command", "TEXT",
      "a command of the protocol, with __key__ and __data__ filled in; may repeat;\n"
      "'3*LPUSH __key__ __data__' has weight 3.  In SQL they stand for values, quotes included:\n"
      "'SELECT abalance FROM pgbench_accounts WHERE aid = __key__' with --key-prefix ''",
      "a command such as 'HSET __key__ field __data__'", 'C', read_command },
    { "keys", "N", "number of keys (100000)", "1 to 4294967295", 'k', read_keys },
    { "distribution", "HOW", "uniform (default), zipf or zipf:EXPONENT (0.99)",
      "uniform, zipf or zipf:EXPONENT", 0, read_distribution },
    { "key-prefix", "TEXT", "keys are this and 12 digits (key:)", "at most 244 bytes", 0,
      read_prefix },
    { "value-size", "SIZES", "64 (default), 4K, a range 100-1000, a mix 64:80,1K-4K:19,1M:1",
      "sizes such as 64, 100-1000 or 64:80,4K:20", 's', read_value_size },
    { "fill", NULL, "first write every key once", "", 'f', read_fill },
    { "fill-only", NULL, "write every key once and end", "", 0, read_fill_only },
    { "seed", "N", "for the same sequence of calls again (1)", "a number", 0, read_seed },
    { "resp", "2|3", "Redis: protocol version (2)", "2 or 3", 0, read_resp },
    { "query-mode", "HOW",
      "PostgreSQL: simple (default), extended, or prepared: once on each connection",
      "simple, extended or prepared", 'M', read_query_mode },
    { .help = "Correctness" },
    { "verify", NULL,
      "tag values by key and check every reply; a foreign reply fails the run.\n"
      "The keys must hold nothing else: use --fill, or a --key-prefix of their own",
      "", 'v', read_verify },
    { "verify-writes", NULL,
      "and remember each acknowledged write: reads, and a last pass over all keys, must find it.\n"
      "Each connection has keys of its own; get, set, mget, mset and SQL's update only",
      "", 0, read_verify_writes },
    { "lost", "FILE", "write the keys of lost writes there, one a line", "", 0, read_lost },
    { "tolerate-errors", NULL, "error replies and lost connections do not fail the run", "", 0,
      read_tolerate },
    { .help = "Output" },
    { "compare", "URL", "load this one too, in alternating rounds, and print ratios", "", 0,
      read_compare },
    { "json", "FILE", "write everything there; - is standard output, instead of the table", "", 'j',
      read_json },
    { "quiet", NULL, "no progress line", "", 'q', read_quiet },
};

enum { OPTION_COUNT = sizeof(OPTIONS) / sizeof(OPTIONS[0]) };

static void print_option(const struct plan_option *o)
{
    char left[64];
    const char *text = o->help;

    snprintf(left, sizeof(left), o->letter ? "  -%c, --%s%s%s" : "  %c   --%s%s%s",
             o->letter ? o->letter : ' ', o->name, o->takes ? " " : "", o->takes ? o->takes : "");
    printf("%-28s", left);
    for (size_t len; len = strcspn(text, "\n"), text[len] != '\0'; text += len + 1)
        printf("%.*s\n%28s", (int)len, text, "");
    puts(text);
}

static void print_help(void)
{
    puts("Usage: sheaf-bench [OPTION...] URL\n\n"
         "Puts load on a Redis, memcached, PostgreSQL or S3 endpoint and tells how it did.\n"
         "URL: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], "
         "redis+unix://[[USER]:PASSWORD@]/PATH[?db=DB],\n"
         "     memcached://[USER:PASSWORD@]HOST[:PORT], memcached+unix:///PATH,\n"
         "     postgresql://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE], "
         "postgresql+unix://[USER[:PASSWORD]@]/PATH[?db=DATABASE],\n"
         "     s3://[ID:SECRET@]HOST[:PORT]/BUCKET");
    for (const struct plan_option *o = OPTIONS; o < OPTIONS + OPTION_COUNT; o++) {
        if (o->read == NULL)
            printf("\n%s:\n", o->help);
        else
            print_option(o);
    }
    puts("\nOther:\n  -h, --help\n      --version\n\n"
         "Exit codes: 0 fine; 1 errors, foreign replies, lost writes or no connection; 2 usage.\n\n"
         "Examples:\n"
         "  sheaf-bench -f -m get=80,set=20 redis://127.0.0.1:6379\n"
         "  sheaf-bench --rate 50000 -d 30s --distribution zipf redis://:secret@10.0.0.1/2\n"
         "  sheaf-bench -P 16 --compare redis://10.0.0.9:6379 redis://127.0.0.1:6379\n"
         "  sheaf-bench -f -M prepared -m get=90,set=10 postgresql://app:secret@10.0.0.1/app");
}

static const struct plan_option *make_getopt(struct option longs[static PLAN_OPTIONS_MAX],
                                             char letters[static PLAN_OPTIONS_MAX * 2 + 4])
{
    size_t count = 0;
    char *letter = letters;

    *letter++ = ':';
    *letter++ = 'h';
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct plan_option *o = &OPTIONS[i];

        if (o->read == NULL)
            continue;
        longs[count++] = (struct option){ o->name, o->takes != NULL, NULL, 1000 + i };
        if (o->letter) {
            *letter++ = o->letter;
            if (o->takes != NULL)
                *letter++ = ':';
        }
    }
    longs[count++] = (struct option){ "help", 0, NULL, 'h' };
    longs[count++] = (struct option){ "version", 0, NULL, 1 };
    longs[count] = (struct option){ 0 };
    *letter = '\0';
    return OPTIONS;
}

static const struct plan_option *option_found(int found)
{
    if (found >= 1000)
        return &OPTIONS[found - 1000];
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (OPTIONS[i].letter == found)
            return &OPTIONS[i];
    }
    return NULL;
}

static enum plan_next usage(const char *text, const char *about)
{
    fprintf(stderr, "sheaf-bench: %s%s; --help tells more\n", text, about);
    return PLAN_EXIT_USAGE;
}

static enum plan_next read_options(struct plan *p, int count, char **arguments)
{
    struct option longs[PLAN_OPTIONS_MAX];
    char letters[PLAN_OPTIONS_MAX * 2 + 4];
    int found;

    make_getopt(longs, letters);
    opterr = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): no thread runs yet
    while ((found = getopt_long(count, arguments, letters, longs, NULL)) != -1) {
        const struct plan_option *o;

        if (found == 'h') {
            print_help();
            return PLAN_EXIT_FINE;
        }
        if (found == 1) {
            puts("sheaf-bench " SHEAF_VERSION);
            return PLAN_EXIT_FINE;
        }
        if (found == '?' || found == ':')
            return usage(found == '?' ? "no such option: " : "a value is missing after ",
                         arguments[optind - 1]);
        o = option_found(found);
        if (!o->read(p, optarg)) {
            fprintf(stderr, "sheaf-bench: --%s \"%s\": expected %s\n", o->name, optarg,
                    o->expected);
            return PLAN_EXIT_USAGE;
        }
    }
    return PLAN_RUN;
}

/* What no option alone can see. */
static enum plan_next check_together(struct plan *p)
{
    if (p->mix.count == 0 && mix_add_verbs(&p->mix, "get") != ERR_NONE)
        return PLAN_EXIT_USAGE;
    mix_close(&p->mix);
    if (keyspace_begin(&p->keys) != ERR_NONE)
        return usage("--keys and --key-prefix do not fit together", "");
    if (p->connections < p->threads)
        return usage("there are more --threads than --connections", "");
    if (p->verify_writes && p->keys.count < p->connections)
        return usage("--verify-writes needs a key for each connection: raise --keys", "");
    if (p->lost_path != NULL && !p->verify_writes)
        return usage("--lost needs --verify-writes", "");
    if (p->poisson && p->rate == 0)
        return usage("--arrival needs --rate", "");
    p->values.tagged = p->verify;
    return PLAN_RUN;
}

static enum plan_next open_targets(struct plan *p, const char *url)
{
    char problem[TARGET_PROBLEM_BYTES];

    p->targets[0].url = url;
    for (uint32_t i = 0; i < p->target_count; i++) {
        enum err err = target_open(&p->targets[i], p->targets[i].url, problem);

        if (err != ERR_NONE) {
            fprintf(stderr, "sheaf-bench: %s\n", problem);
            return PLAN_EXIT_USAGE;
        }
    }
    return PLAN_RUN;
}

enum plan_next plan_read(struct plan *p, int count, char **arguments)
{
    enum plan_next next;

    *p = (struct plan){ .target_count = 1,
                        .keys = { .prefix = "key:", .digits = PLAN_KEY_DIGITS, .count = 100000 },
                        .threads = 1,
                        .connections = 50,
                        .pipeline = 1,
                        .resp = 2,
                        .duration_us = 10000000,
                        .warmup_us = 500000,
                        .timeout_us = 10000000,
                        .seed = 1,
                        .values = { .count = 1, .total_weight = 1, .sizes = { { 64, 64, 1 } } } };
    next = read_options(p, count, arguments);
    if (next != PLAN_RUN)
        return next;
    if (optind + 1 != count)
        return usage(optind == count ? "which URL?" : "only one URL (and --compare URL): ",
                     optind == count ? "" : arguments[optind + 1]);
    if (p->rounds == 0)
        p->rounds = p->target_count > 1 ? 5 : 1;
    next = check_together(p);
    return next == PLAN_RUN ? open_targets(p, arguments[optind]) : next;
}

void plan_fini(struct plan *p)
{
    for (uint32_t i = 0; i < p->target_count; i++)
        target_close(&p->targets[i]);
    mix_fini(&p->mix);
}
