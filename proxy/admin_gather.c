/* See admin_gather.h.  What cannot be read from /proc is told as 0. */
#include "proxy/admin_gather.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/daemon.h"
#include "proxy/worker_thread.h"

double admin_gather_age_s(uint64_t monotonic_us)
{
    return ((double)clock_now_us() - (double)monotonic_us) / 1e6;
}

double admin_gather_wall_s(uint64_t monotonic_us)
{
    struct timespec wall;

    clock_gettime(CLOCK_REALTIME, &wall);
    return (double)wall.tv_sec + (double)wall.tv_nsec / 1e9 - admin_gather_age_s(monotonic_us);
}

const char *admin_gather_close_word(enum close_reason reason)
{
    static _Thread_local char word[64];
    const char *name = close_reason_name(reason);
    size_t len = 0;

    for (; name[len] != '\0' && len < sizeof(word) - 1; len++)
        word[len] = (char)tolower((unsigned char)name[len]);
    word[len] = '\0';
    return word;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static uint64_t count_open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    uint64_t count = 0;

    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL) /* NOLINT(concurrency-mt-unsafe): a folder of our own */
        count++;
    closedir(folder);
    return count > 3 ? count - 3 : 0; /* ".", ".." and the folder itself */
}

static void gather_process(struct admin_gather *g)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    unsigned long long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    struct rusage usage;
    struct rlimit files;

    if (file != NULL) {
        if (fscanf(file, "%llu %llu", &all, &resident) == 2) {
            g->virtual_bytes = all * page;
            g->resident_bytes = resident * page;
        }
        fclose(file);
    }
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        g->cpu_user_s = seconds(usage.ru_utime);
        g->cpu_system_s = seconds(usage.ru_stime);
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        g->most_files = files.rlim_cur;
    g->open_files = count_open_files();
}

static void gather_worker(struct admin_gather *g, const struct worker_counters *w)
{
    g->sessions_open += counter_get(&w->sessions_open);
    g->sessions_opened += counter_get(&w->sessions_opened);
    g->held_bytes += counter_get(&w->held_bytes);
    g->turns += counter_get(&w->turns);
    for (int i = 0; i < CLOSE_REASONS; i++)
        g->closed[i] += counter_get(&w->closed[i]);
}

struct admin_gather admin_gather(const struct daemon *d)
{
    struct admin_gather g = { .uptime_s = admin_gather_age_s(d->started_us),
                              .started_wall_s = admin_gather_wall_s(d->started_us) };

    for (uint32_t i = 0; i < d->thread_count; i++)
        gather_worker(&g, &d->threads[i].worker.shared);
    gather_process(&g);
    return g;
}
