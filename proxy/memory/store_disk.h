/* Does the disk of a store take anything again?  A store of files that failed to write is opened
 * anew only then: closed and not to be opened, it could not be read either. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* So many bytes, synced, in a file "<path>-try" that is gone afterwards. */
bool store_disk_takes(const char *path, uint64_t bytes);
