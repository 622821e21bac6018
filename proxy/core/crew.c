/* See crew.h.  The lock is held for the table only; letters run when it is not held. */
#include "proxy/core/crew.h"

#include <pthread.h>
#include <stdlib.h>

#include "proxy/base/mem.h"

struct member {
    struct worker *worker; /* borrowed; NULL: it left */
    struct mailbox *box;   /* borrowed */
};

struct crew_letter {
    struct worker *worker; /* whose thread it runs in */
    crew_letter_f *run;
    void *content;
};

static struct {
    pthread_mutex_t lock;
    struct member *members; /* lock, as all here; by index */
    uint32_t count;
    uint64_t since_us;
    struct mailbox *leader_box; /* NULL: there is none */
    void *leader;
    crew_reload_f *reload;
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

void crew_join(struct worker *w, struct mailbox *box)
{
    pthread_mutex_lock(&shared.lock);
    if (w->index >= shared.count) {
        shared.members = mem_resize(shared.members, (w->index + 1) * sizeof(*shared.members));
        while (shared.count <= w->index)
            shared.members[shared.count++] = (struct member){ 0 };
    }
    shared.members[w->index] = (struct member){ .worker = w, .box = box };
    if (shared.since_us == 0)
        shared.since_us = clock_now_us();
    pthread_mutex_unlock(&shared.lock);
}

void crew_leave(struct worker *w)
{
    pthread_mutex_lock(&shared.lock);
    if (w->index < shared.count && shared.members[w->index].worker == w)
        shared.members[w->index] = (struct member){ 0 };
    pthread_mutex_unlock(&shared.lock);
}

static void open_letter(void *owner, void *content)
{
    struct crew_letter *letter = content;

    (void)owner;
    letter->run(letter->worker, letter->content);
    free(letter);
}

bool crew_send(uint32_t index, crew_letter_f *run, void *content)
{
    struct crew_letter *letter;
    bool is_there;

    pthread_mutex_lock(&shared.lock);
    is_there = index < shared.count && shared.members[index].worker != NULL;
    if (is_there) {
        letter = mem_new(sizeof(*letter));
        *letter = (struct crew_letter){ shared.members[index].worker, run, content };
        mailbox_post(shared.members[index].box, open_letter, letter);
    }
    pthread_mutex_unlock(&shared.lock);
    return is_there;
}

bool crew_send_around(uint32_t from, uint32_t count, uint32_t asker, crew_letter_f *run,
                      void *content)
{
    for (uint32_t i = from; i < count; i++)
        if (i != asker && crew_send(i, run, content))
            return true;
    return crew_send(asker, run, content);
}

/* ---- reload ---- */

struct wish {
    uint32_t index;
    crew_letter_f *run;
    struct crew_reload *reload;
    crew_reload_f *load;
    void *leader;
};

static void grant(void *owner, void *content)
{
    struct wish *wish = content;

    (void)owner;
    wish->reload->done = wish->load(wish->leader, &wish->reload->why);
    if (!crew_send(wish->index, wish->run, wish->reload))
        wish->run(NULL, wish->reload);
    free(wish);
}

void crew_follow(struct mailbox *box, void *leader, crew_reload_f *reload)
{
    pthread_mutex_lock(&shared.lock);
    shared.leader_box = box;
    shared.leader = leader;
    shared.reload = reload;
    pthread_mutex_unlock(&shared.lock);
}

bool crew_ask_reload(uint32_t index, crew_letter_f *run, struct crew_reload *reload)
{
    struct wish *wish;
    bool is_there;

    pthread_mutex_lock(&shared.lock);
    is_there = shared.leader_box != NULL;
    if (is_there) {
        wish = mem_new(sizeof(*wish));
        *wish = (struct wish){ index, run, reload, shared.reload, shared.leader };
        mailbox_post(shared.leader_box, grant, wish);
    }
    pthread_mutex_unlock(&shared.lock);
    return is_there;
}

uint64_t crew_held_bytes(void)
{
    uint64_t sum = 0;

    pthread_mutex_lock(&shared.lock);
    for (uint32_t i = 0; i < shared.count; i++)
        if (shared.members[i].worker != NULL)
            sum += counter_get(&shared.members[i].worker->shared.held_bytes);
    pthread_mutex_unlock(&shared.lock);
    return sum;
}

uint64_t crew_uptime_s(void)
{
    uint64_t since_us;

    pthread_mutex_lock(&shared.lock);
    since_us = shared.since_us;
    pthread_mutex_unlock(&shared.lock);
    return since_us == 0 ? 0 : (clock_now_us() - since_us) / 1000000;
}
