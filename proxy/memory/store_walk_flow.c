/* The thread of a store that does not wait for disks: it does what would hold up the workers if
 * they did it, a step at a time.
 *
 *     worker: a walk that is not over after its first step ---> queue ---> next step ... reply
 *     worker: a flush of many keys ---> shed() ... shed()
 *
 * Between two steps the lock goes to the workers that want it.  It begins when it is first needed,
 * and in the end it is what gives the store's memory back. */
#include <time.h>

#include "proxy/base/clock.h"
#include "proxy/memory/store_open_flow.h"

enum {
    SHED_ENTRIES = 1000, /* in a step */
    REST_US = 1000 * 1000,
};

/* Workers are many, and may want it all the time: then it is a step for each while. */
static void make_way(const struct store_home *home)
{
    enum { LOOKS = 20 };
    const struct timespec while_ns = { .tv_nsec = 50 * 1000 };

    for (int i = 0; i < LOOKS && atomic_load(&home->wanted) > 0; i++)
        nanosleep(&while_ns, NULL);
}

/* The first of the queue, which is done before the next one is begun, so that there is one walk's
 * list of names at a time. */
static bool walk_some(struct store_home *home, struct list *done)
{
    struct store_job *job;

    if (list_is_empty(&home->queue) || store_home_must_wait_for_workers(home))
        return false;
    job = LIST_ITEM(list_first(&home->queue), struct store_job, link);
    job->walk.goes_on = job->walk.goes_on && !atomic_load(&job->is_unwanted);
    if (job->walk.goes_on && store_open_ready(home)) {
        home->verbs.now_ms = clock_wall_us() / 1000;
        job->ask.walk = &job->walk;
        verbs_run(&home->verbs, &job->ask, &job->reply);
        if (job->walk.goes_on)
            return true;
    }
    list_remove(&job->link);
    list_append(done, &job->link);
    home->queued_bytes -= job->bytes.len;
    if (job->walk.goes_on)
        store_home_refuse(done, home->err, home->why);
    return true;
}

static bool shed_some(struct store_home *home)
{
    return home->verbs.store != NULL && home->engine->shed != NULL &&
           home->engine->shed(home->verbs.store, SHED_ENTRIES);
}

void store_walk_work(struct store_home *home)
{
    struct list done;

    list_init(&done);
    pthread_mutex_lock(&home->lock);
    while (!home->ends) {
        bool goes_on = false;

        store_open_follow(home);
        goes_on |= walk_some(home, &done);
        goes_on |= shed_some(home);
        if (goes_on) {
            pthread_mutex_unlock(&home->lock);
            store_home_send_back(&done);
            make_way(home);
            pthread_mutex_lock(&home->lock);
        } else {
            store_home_wait(home, list_is_empty(&home->queue) ? REST_US : STORE_HOME_WORKERS_US);
        }
    }
    while (!list_is_empty(&home->queue)) {
        struct list *first = list_first(&home->queue);

        list_remove(first);
        list_append(&done, first);
    }
    pthread_mutex_unlock(&home->lock);
    store_home_refuse(&done, ERR_CLOSED, "the shard is no more in the configuration");
    store_home_send_back(&done);
}
