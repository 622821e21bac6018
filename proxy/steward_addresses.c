/* See steward_addresses.h. */
#include "proxy/steward_addresses.h"

static void add(struct steward_addresses *a, const struct resolve_address *address)
{
    bool is_v6 = address->at.any.sa_family == AF_INET6;
    const void *at =
        is_v6 ? (const void *)&address->at.v6.sin6_addr : (const void *)&address->at.v4.sin_addr;

    if (inet_ntop(address->at.any.sa_family, at, a->text[a->count], INET6_ADDRSTRLEN) == NULL)
        return;
    a->list[a->count] = a->text[a->count];
    a->count++;
}

enum err steward_addresses_find(struct resolver *resolver, const struct endpoint_settings *e,
                                uint64_t deadline_us, struct steward_addresses *a, const char **why)
{
    struct resolve_list found;

    a->count = 0;
    if (e->address.path != NULL) {
        a->list[a->count++] = e->address.path;
        return ERR_NONE;
    }
    TRY(resolve_wait(resolver, e->address.host, e->address.port, deadline_us, &found, why));
    for (size_t i = 0; i < found.count; i++)
        add(a, &found.item[i]);
    return ERR_NONE;
}
