/* One `user` line: who may come in, and what they may do.
 *
 *     NAME PASSWORD [WORD...]     words with spaces between them
 *
 * PASSWORD is its text, #SHA256 (64 hex digits), or nopass.  The further words:
 *
 *     password=...                another password
 *     prefix=app:                 keys must begin so; may repeat
 *     allow=@read,get             only these commands
 *     deny=flushall,config|set    not these
 *     admin                       dangerous administration
 *
 * ${NAME} in any word is taken as it is, spaces and all. */
#pragma once

#include "config/snapshot.h"
#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"

/* Everything is in the arena.  `why` never shows a password. */
enum err user_parse(const char *line, struct arena *arena, struct user_settings *out,
                    struct buf *why) MUST_CHECK;
/* The user `default` with one password. */
enum err user_parse_password(const char *password, struct arena *arena, struct user_settings *out,
                             struct buf *why) MUST_CHECK;
/* Whether both may do the same: all but the passwords themselves. */
bool user_may_the_same(const struct user_settings *a, const struct user_settings *b);
/* The line again; passwords are *** unless `secrets`. */
void user_print(const struct user_settings *user, bool secrets, struct buf *out);
