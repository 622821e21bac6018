/* All options of the configuration: the one place where they are named, bounded and described. */
#pragma once

#include "config/option.h"

/* Of struct proxy_settings, struct memory_pool; and behind the "?" of URLs, of struct
 * endpoint_settings and struct listener_settings. */
extern const struct option tables_proxy[], tables_memory[], tables_shard_url[], tables_listen_url[];

/* Chapters of tables_memory begin with an option of these names; for printing only.  NULL: none. */
const char *tables_chapter(const char *option_name);
