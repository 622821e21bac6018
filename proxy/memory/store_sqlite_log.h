/* How SQLite's write-ahead log is written: a transaction's frames in a few large pieces, where
 * SQLite writes each of them in two, a head of 24 bytes and a page.  What a transaction writes is
 * with the kernel before its COMMIT returns, as ever, and what goes wrong with it COMMIT tells. */
#pragma once

/* The name to open files by, sqlite3_open_v2()'s last parameter. */
const char *store_sqlite_log_name(void);
