/* From twemproxy's nutcracker.yml to an equivalent sheaf.ini: the same clients find the same keys
 * on the same servers.  What has no equal, or behaves otherwise, is said in comments. */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "config/problem.h"
#include "proxy/base/err.h"

/* Nothing is written unless all of the file is understood; what is not is in the problems. */
enum err import_twemproxy(const char *file, FILE *out, struct problems *problems) MUST_CHECK;
enum err import_twemproxy_text(const char *name, const char *text, size_t len, FILE *out,
                               struct problems *problems) MUST_CHECK;
