/* The process: configuration, workers, signals, reload, drain.  Its main thread is the steward's:
 * it moves no user's bytes. */
#pragma once

#include <event2/event.h>
#include <stdint.h>

#include "proxy/core/assembly.h"
#include "proxy/io/mailbox.h"
#include "proxy/io/resolve.h"

struct worker_thread;
struct steward;

struct daemon {
    const char *file; /* borrowed: the configuration */
    const char *text; /* borrowed: it, if it is in no file; then `file` is what it is called */
    struct event_base *base;
    struct mailbox *box;
    struct resolver *resolver;
    struct assembly *assembly; /* counted reference: the newest */
    struct worker_thread *threads;
    uint32_t thread_count, threads_ended;
    uint64_t generation, reloads;
    uint64_t started_us;
    bool draining;
    struct steward *steward; /* owned */
};

/* Runs until it is told to end.  Returns the process's exit code: 0, 1 if it failed at run time, 2
 * for a configuration that can't be served. */
int daemon_run(const char *file); /* NULL: the built-in one */
/* Reads the configuration again.  False: nothing was changed, `why` says it (it is logged too). */
bool daemon_reload(struct daemon *d, struct buf *why);
/* Whether we listen on the port now: what comes there by a reload may share it with what goes. */
bool daemon_has_port(const struct daemon *d, uint16_t port);
/* Finishes what is under way, and ends; a second call ends at once. */
void daemon_drain(struct daemon *d);
