/* Who is really asking?  A browser sends a stranger's page's requests too; Host and Origin tell. */
#pragma once

#include <stdbool.h>

/* Is this Host header an address literal, localhost, the machine's name or `configured` (NULL:
 * none)?  A page that had its own name resolved to this machine (DNS rebinding) says that name.  No
 * Host at all is no browser's. */
bool admin_host_is_ours(const char *host, const char *configured);
/* Does the Origin header, if there is one (NULL), name the same site as Host? */
bool admin_host_is_origin(const char *origin, const char *host);
