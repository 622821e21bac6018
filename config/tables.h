/* All options of the configuration: the one place where they are named, bounded and described. */
#pragma once

#include "config/option.h"

/* Of struct proxy_settings, struct memory_pool; and behind the "?" of URLs, of struct
 * endpoint_settings and struct listener_settings. */
extern const struct option tables_proxy[], tables_memory[], tables_shard_url[], tables_listen_url[];
/* The same of struct sql_pool, and of the lines of users and databases. */
extern const struct option tables_sql[], tables_server_url[], tables_sql_listen_url[],
    tables_sql_user[], tables_sql_database[];

/* Of struct key_class. */
extern const struct option tables_class[];

/* The same of struct blob_pool. */
extern const struct option tables_blob[], tables_blob_url[];

/* The chapter that begins with this option; for printing only.  NULL: none does. */
const char *tables_chapter(const struct option *table, const char *option_name);
