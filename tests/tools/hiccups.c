/* Tells when CPUs stood still: what runs on them, a machine beneath them or a kernel that does not
 * let go, then delays all alike.
 *
 *     hiccups CPU...
 *
 * On each CPU a thread of real-time priority sleeps for a millisecond, again and again.  Each time
 * that it wakes late by more than one, a line says from when to when, in seconds since 1970.  Ends
 * when its input does; with 2 at once if it may not have that priority. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD_NS = 1000 * 1000, LATE_NS = 1000 * 1000, MOST = 64 };

static void fail(const char *what, int error)
{
    fprintf(stderr, "hiccups: %s: %s\n", what, strerror(error));
    exit(2);
}

static double seconds(struct timespec t)
{
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add(struct timespec *t, long ns)
{
    t->tv_nsec += ns;
    if (t->tv_nsec >= 1000000000) {
        t->tv_nsec -= 1000000000;
        t->tv_sec++;
    }
}

static void *watch(void *unused)
{
    struct timespec due, now;

    (void)unused;
    clock_gettime(CLOCK_REALTIME, &due);
    for (;;) {
        add(&due, PERIOD_NS);
        clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &due, NULL);
        clock_gettime(CLOCK_REALTIME, &now);
        if (seconds(now) - seconds(due) <= LATE_NS / 1e9)
            continue;
        printf("%.6f %.6f\n", seconds(due), seconds(now));
        due = now;
    }
    return NULL;
}

static void begin_on(int cpu)
{
    struct sched_param first = { .sched_priority = 1 };
    pthread_attr_t attributes;
    pthread_t thread;
    cpu_set_t set;
    int error;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_attr_init(&attributes);
    pthread_attr_setaffinity_np(&attributes, sizeof(set), &set);
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
    pthread_attr_setschedparam(&attributes, &first);
    error = pthread_create(&thread, &attributes, watch, NULL);
    if (error != 0)
        fail("a thread of real-time priority", error);
    pthread_attr_destroy(&attributes);
}

int main(int argc, char **argv)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc && i <= MOST; i++)
        begin_on((int)strtol(argv[i], NULL, 10));
    while (poll(&in, 1, -1) < 0)
        ;
    fflush(stdout);
    _exit(0);
}
