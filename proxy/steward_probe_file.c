/* See steward_probe.h: folders are looked at (health/probe_folder.h). */
#include <stdlib.h>

#include "health/probe_folder.h"
#include "proxy/base/mem.h"
#include "proxy/steward_probe.h"

struct file_probe {
    struct steward_probe_site site;
    struct probe_folder *probe;
};

static void *file_new(const struct steward_probe_site *site)
{
    struct file_probe *p = mem_new(sizeof(*p));

    p->site = *site;
    p->probe = probe_folder_new(site->endpoint->store.folder);
    return p;
}

static void file_free(void **state)
{
    struct file_probe *p = *state;

    *state = NULL;
    probe_folder_free(&p->probe);
    free(p);
}

/* The same endpoint is the same folder: a look that hangs is not begun again. */
static void file_continue_from(void *state, void *was)
{
    struct file_probe *p = state, *old = was;
    struct probe_folder *probe = p->probe;

    p->probe = old->probe;
    old->probe = probe;
}

static void file_ask(void *state, uint64_t deadline_us, struct probe_outcome *outcome)
{
    struct file_probe *p = state;

    probe_folder_check(p->probe, p->site.cancel_fd, deadline_us, outcome);
}

extern const struct steward_probe steward_probe_file;
const struct steward_probe steward_probe_file = {
    .protocol = "file",
    .new = file_new,
    .ask = file_ask,
    .continue_from = file_continue_from,
    .free = file_free,
};
