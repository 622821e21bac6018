/* Keys of stores that have `credentials = metadata`: got anew before they end, by a thread that may
 * block and runs only while there is such a store. */
#pragma once

#include "proxy/core/assembly.h"

struct keys_service;

struct keys_service *keys_service_new(void);
void keys_service_free(struct keys_service **where);
/* At the start and with each reload; in the steward's thread, as the others. */
void keys_service_follow(struct keys_service *k, struct assembly *assembly);
