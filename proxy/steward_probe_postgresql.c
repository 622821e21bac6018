/* See steward_probe.h: PostgreSQL servers are asked for their role, position and cluster, on a
 * connection that is kept (health/probe_postgresql.h).  A name is looked up before each connection
 * by the process's own resolver: libpq would block on it. */
#include <stdio.h>
#include <stdlib.h>

#include "health/probe_postgresql.h"
#include "proxy/base/mem.h"
#include "proxy/steward_addresses.h"
#include "proxy/steward_probe.h"

struct postgresql_probe {
    struct steward_probe_site site;
    struct probe_postgresql *kept; /* NULL: not connected */
};

static void *postgresql_new(const struct steward_probe_site *site)
{
    struct postgresql_probe *p = mem_new(sizeof(*p));

    p->site = *site;
    return p;
}

static void postgresql_free(void **state)
{
    struct postgresql_probe *p = *state;

    *state = NULL;
    probe_postgresql_close(&p->kept);
    free(p);
}

/* The connection is made anew: who it logs in as may have changed with the pool. */
static void postgresql_continue_from(void *state, void *was)
{
    (void)state;
    (void)was;
}

static enum probe_postgresql_tls tls_of(const struct tls_settings *t)
{
    switch (t->need) {
    case TLS_NEED_OFF:
        return PROBE_POSTGRESQL_TLS_OFF;
    case TLS_NEED_ALLOW:
        return PROBE_POSTGRESQL_TLS_PREFER;
    case TLS_NEED_REQUIRE:
        break;
    }
    return t->verify ? PROBE_POSTGRESQL_TLS_VERIFY : PROBE_POSTGRESQL_TLS_REQUIRE;
}

static struct probe_postgresql_settings settings_of(const struct postgresql_probe *p,
                                                    const struct steward_addresses *a)
{
    const struct endpoint_settings *e = p->site.endpoint;
    const struct tls_settings *t = &e->tls;
    struct sql_login login = sql_probe_login(e);

    return (struct probe_postgresql_settings){
        .addresses = a->list,
        .address_count = a->count,
        .port = e->address.path != NULL ? (uint16_t)e->socket_port : e->address.port,
        .user = login.user,
        .password = login.password,
        .database = login.database,
        .tls = tls_of(t),
        .tls_name = t->server_name != NULL ? t->server_name : e->address.host,
        .ca_file = t->ca_file,
        .cert_file = t->cert_file,
        .key_file = t->key_file,
        .tls_1_3_only = t->min_version == TLS_VERSION_1_3,
        .cancel_fd = p->site.cancel_fd,
    };
}

static void postgresql_ask(void *state, uint64_t deadline_us, struct probe_outcome *outcome)
{
    struct postgresql_probe *p = state;
    struct steward_addresses addresses = { 0 };
    struct probe_postgresql_settings settings;
    const char *why = "";
    enum err err =
        steward_addresses_find(p->site.resolver, p->site.endpoint, deadline_us, &addresses, &why);

    if (err != ERR_NONE && p->kept == NULL) {
        *outcome = (struct probe_outcome){ .reason = reason_of_err(err, true),
                                           .standing = outcome->standing };
        snprintf(outcome->text, sizeof(outcome->text), "%s", why);
        return;
    }
    settings = settings_of(p, &addresses);
    probe_postgresql_check(&p->kept, &settings, deadline_us, outcome);
}

extern const struct steward_probe steward_probe_postgresql;
const struct steward_probe steward_probe_postgresql = {
    .protocol = "postgresql",
    .new = postgresql_new,
    .ask = postgresql_ask,
    .continue_from = postgresql_continue_from,
    .free = postgresql_free,
};
