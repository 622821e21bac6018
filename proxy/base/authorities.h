/* Where this system keeps the certificates of the authorities that it trusts: libpq 15 wants a
 * file, and knows of none. */
#pragma once

/* Valid for ever. */
const char *authorities_file(void);
