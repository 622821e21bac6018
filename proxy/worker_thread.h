/* A worker's thread: its loop, its listeners, and the letters that the daemon sends it. */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

#include "proxy/core/worker.h"
#include "proxy/io/mailbox.h"
#include "proxy/io/resolve.h"

struct gate; /* a listener of this worker */

struct worker_thread {
    pthread_t thread;
    struct worker worker;
    struct mailbox *box;
    struct gate **gates; /* owned; by listener number of the worker's assembly */
    uint32_t gate_count;
    bool started;
    struct mailbox *daemon; /* borrowed: where it reports that it ended */
    mail_f *ended;
};

/* A new configuration for one worker: what it listens on, and all else. */
struct posting {
    struct assembly *assembly; /* counted reference, passes to the worker */
    uint32_t listener_count;
    int *fds;        /* owned; by listener number: new sockets; -1: goes on */
    uint32_t *was;   /* owned; by listener number: its old number */
    sem_t *followed; /* borrowed until it is posted, when the worker has followed */
};

/* Makes the worker and its loop in this thread, with its first configuration. */
enum err worker_thread_init(struct worker_thread *t, uint32_t index, uint32_t count,
                            struct resolver *resolver, struct posting *posting) MUST_CHECK;
void worker_thread_start(struct worker_thread *t);
/* The letters.  Any thread. */
void worker_thread_follow(struct worker_thread *t, struct posting *posting);
/* Takes no more sessions, lets those that are there finish what is under way, then ends. */
void worker_thread_drain(struct worker_thread *t);
/* Ends now. */
void worker_thread_stop(struct worker_thread *t);
/* Waits for its end and frees all. */
void worker_thread_join(struct worker_thread *t);
