/* See admin_host.h. */
#include "proxy/admin_host.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "proxy/io/resolve.h"

/* Without port and brackets; false: it is no host, or too long to be one. */
static bool cut_host(const char *host, char *name, size_t size)
{
    bool in_brackets = host[0] == '[';
    const char *end = in_brackets ? strchr(host, ']') : strrchr(host, ':');
    size_t len;

    if (in_brackets && (end == NULL || (end[1] != '\0' && end[1] != ':')))
        return false;
    host += in_brackets;
    len = end != NULL ? (size_t)(end - host) : strlen(host);
    if (len >= size)
        return false;
    memcpy(name, host, len);
    name[len] = '\0';
    return true;
}

bool admin_host_is_ours(const char *host, const char *configured)
{
    char name[256], machine[256] = "";
    struct resolve_address address;

    if (host == NULL)
        return true;
    if (!cut_host(host, name, sizeof(name)))
        return false;
    if (gethostname(machine, sizeof(machine) - 1) != 0)
        machine[0] = '\0';
    return strcasecmp(name, "localhost") == 0 || resolve_literal(name, 0, &address) ||
           (configured != NULL && strcasecmp(name, configured) == 0) ||
           (machine[0] != '\0' && strcasecmp(name, machine) == 0);
}

bool admin_host_is_origin(const char *origin, const char *host)
{
    static const char SCHEME[] = "http://";

    if (origin == NULL)
        return true;
    return host != NULL && strncasecmp(origin, SCHEME, strlen(SCHEME)) == 0 &&
           strcasecmp(origin + strlen(SCHEME), host) == 0;
}
