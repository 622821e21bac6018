/* Who may come in from where, and how he proves who he is: rules in the manner of pg_hba.conf, of
 * which the first that fits holds, and maps in the manner of pg_ident.conf.
 *
 *     # TYPE    DATABASE      USER      ADDRESS                 METHOD         OPTIONS
 *     local     all           all                               peer           map=admins
 *     host      all           all       127.0.0.1/32            trust
 *     hostssl   app,"my db"   app       10.0.0.0 255.0.0.0      scram-sha-256  clientcert=verify-ca
 *     hostssl   all           all       all                     cert
 *
 * As in PostgreSQL: words in quotes are names, whatever they say; "" in quotes is a quote; a line
 * whose last letter is a backslash goes on in the next one; `all` does not cover connections of
 * physical replication, `replication` covers nothing else.  What is not supported (samerole, +ROLE,
 * @FILE, /REGEX, host names, samehost, samenet, other methods) is a problem and names itself. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "config/problem.h"
#include "proxy/base/arena.h"
#include "proxy/base/slice.h"

enum hba_type { HBA_LOCAL, HBA_HOST, HBA_HOSTSSL, HBA_HOSTNOSSL };

enum hba_method {
    HBA_TRUST,
    HBA_REJECT,
    HBA_PASSWORD,
    HBA_MD5,
    HBA_SCRAM,
    HBA_CERT, /* the name of the client's certificate is the user's, or the map says so */
    HBA_PEER, /* likewise the name of the system's user at the other end of a Unix socket */
};

/* What is asked of a client's certificate besides. */
enum hba_client_cert { HBA_CLIENT_CERT_NOTHING, HBA_CLIENT_CERT_VALID, HBA_CLIENT_CERT_OF_USER };

enum hba_word { HBA_NAME, HBA_ALL, HBA_SAMEUSER, HBA_REPLICATION };

struct hba_item {
    enum hba_word word;
    const char *name; /* of HBA_NAME */
};

struct hba_items {
    struct hba_item *list;
    uint32_t count;
};

struct hba_rule {
    struct place place;
    enum hba_type type;
    struct hba_items databases, users;
    int family; /* AF_INET, AF_INET6; AF_UNSPEC: any address */
    uint8_t address[16], mask[16];
    enum hba_method method;
    enum hba_client_cert client_cert;
    const char *map; /* NULL: the names must be the same */
};

struct hba {
    struct hba_rule *rules;
    uint32_t count;
};

/* A connection to be judged. */
struct hba_visit {
    bool is_tls;
    bool is_replication;            /* physical: no database */
    const struct sockaddr *address; /* of a Unix socket: AF_UNIX, or NULL */
    struct slice database, user;
};

/* Everything is in the arena.  `place` tells the file's name, and the order of problems. */
void hba_parse(struct slice text, struct place place, struct arena *arena, struct hba *out,
               struct problems *problems);

/* NULL: none fits, the connection is to be refused. */
const struct hba_rule *hba_match(const struct hba *hba, const struct hba_visit *visit);

const char *hba_method_name(enum hba_method method);

/* A line of pg_ident.conf: MAP SYSTEM-NAME USER.  A system name that begins with a slash is a
 * regular expression (POSIX, extended); \1 in the user's name is what its first group matched. */
struct ident_line {
    struct place place;
    const char *map, *system_name, *user;
};

struct ident {
    struct ident_line *lines;
    uint32_t count;
};

void ident_parse(struct slice text, struct place place, struct arena *arena, struct ident *out,
                 struct problems *problems);

/* Each rule's map must have a line. */
void ident_check_maps(const struct ident *ident, const struct hba *hba, struct problems *problems);

/* Whether who the system or a certificate calls `system_name` may come in as `user`. */
bool ident_allows(const struct ident *ident, const char *map, struct slice system_name,
                  struct slice user);
