/* See steward_probe.h: servers that speak S3 get an unsigned HEAD, on a connection that is kept
 * (health/probe_s3.h). */
#include <stdio.h>
#include <stdlib.h>

#include "health/probe_s3.h"
#include "proxy/base/mem.h"
#include "proxy/steward_addresses.h"
#include "proxy/steward_probe.h"

struct s3_probe {
    struct steward_probe_site site;
    struct probe_s3 *probe; /* NULL: libcurl does not start */
};

static void *s3_new(const struct steward_probe_site *site)
{
    struct s3_probe *p = mem_new(sizeof(*p));

    p->site = *site;
    p->probe = probe_s3_new();
    return p;
}

static void s3_free(void **state)
{
    struct s3_probe *p = *state;

    *state = NULL;
    probe_s3_free(&p->probe);
    free(p);
}

static void s3_continue_from(void *state, void *was)
{
    struct s3_probe *p = state, *old = was;
    struct probe_s3 *probe = p->probe;

    p->probe = old->probe;
    old->probe = probe;
}

static struct probe_s3_settings settings_of(const struct s3_probe *p,
                                            const struct steward_addresses *a)
{
    const struct endpoint_settings *e = p->site.endpoint;
    const struct tls_settings *t = &e->tls;

    return (struct probe_s3_settings){
        .host = e->address.host,
        .port = e->address.port,
        .addresses = a->list,
        .address_count = a->count,
        .unix_path = e->address.path,
        .bucket = e->store.style == BLOB_STYLE_PATH ? e->store.bucket : NULL,
        .tls = t->on,
        .verify = t->verify,
        .tls_name = t->server_name,
        .ca_file = t->ca_file,
        .cert_file = t->cert_file,
        .key_file = t->key_file,
        .tls_1_3_only = t->min_version == TLS_VERSION_1_3,
        .cancel_fd = p->site.cancel_fd,
    };
}

static void s3_ask(void *state, uint64_t deadline_us, struct probe_outcome *outcome)
{
    struct s3_probe *p = state;
    struct steward_addresses addresses;
    struct probe_s3_settings settings;
    const char *why = "libcurl does not start";
    enum err err = ERR_SYSTEM;

    if (p->probe != NULL)
        err = steward_addresses_find(p->site.resolver, p->site.endpoint, deadline_us, &addresses,
                                     &why);
    if (err != ERR_NONE) {
        *outcome = (struct probe_outcome){ .reason = reason_of_err(err, true) };
        snprintf(outcome->text, sizeof(outcome->text), "%s", why);
        return;
    }
    settings = settings_of(p, &addresses);
    probe_s3_check(p->probe, &settings, deadline_us, outcome);
}

extern const struct steward_probe steward_probe_s3;
const struct steward_probe steward_probe_s3 = {
    .protocol = "s3",
    .new = s3_new,
    .ask = s3_ask,
    .continue_from = s3_continue_from,
    .free = s3_free,
};
