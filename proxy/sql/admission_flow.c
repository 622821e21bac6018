/* Who may come in, and how he proves it: the rule that fits his address, database and name, the
 * secret that is known of him, and what TLS or the system vouch for. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "config/hba.h"
#include "proxy/base/mem.h"
#include "proxy/sql/sql_flow.h"

/* ---- secrets ---- */

/* Keys of a password in clear, which cost a millisecond to derive. */
struct sql_kept_keys {
    struct sql_kept_keys *next;
    char *user, *secret; /* owned */
    struct scram_keys keys;
};

static uint8_t process_secret[32];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_process_secret(void)
{
    if (getrandom(process_secret, sizeof(process_secret), 0) != sizeof(process_secret))
        abort(); /* without it, what is said to unknown users could be told from what others hear */
}

static void kept_free(struct sql_kept_keys *kept)
{
    scram_keys_wipe(&kept->keys);
    free(kept->user);
    free(kept->secret);
    free(kept);
}

void sql_kept_keys_forget(struct sql_side *side)
{
    while (side->kept_keys != NULL) {
        struct sql_kept_keys *kept = side->kept_keys;

        side->kept_keys = kept->next;
        kept_free(kept);
    }
}

static struct scram_keys *kept_keys(struct sql_side *side, const struct sql_user *user)
{
    struct sql_kept_keys *kept;

    for (kept = side->kept_keys; kept != NULL; kept = kept->next)
        if (strcmp(kept->user, user->name) == 0 && strcmp(kept->secret, user->secret) == 0)
            return &kept->keys;
    kept = mem_new(sizeof(*kept));
    kept->user = mem_text(user->name);
    kept->secret = mem_text(user->secret);
    kept->next = side->kept_keys;
    side->kept_keys = kept;
    return &kept->keys;
}

/* Are there secrets of md5 only?  Then a user who does not exist is asked as these are. */
static bool has_only_md5(const struct sql_pool *pool)
{
    for (uint32_t i = 0; i < pool->user_count; i++)
        if (pool->users[i].secret != NULL &&
            sql_secret_kind(pool->users[i].secret) != SQL_SECRET_MD5)
            return false;
    return true;
}

/* ---- who vouches ---- */

static bool is_allowed(const struct sql_pool *pool, const struct hba_rule *rule, const char *name,
                       const char *user)
{
    const char *map = rule == NULL ? NULL : rule->map;

    return map == NULL ? strcmp(name, user) == 0
                       : ident_allows(pool->ident, map, slice_text(name), slice_text(user));
}

static bool is_vouched_by_certificate(const struct sql_session *s, const struct sql_pool *pool,
                                      const struct hba_rule *rule, const char *user)
{
    const struct tls_stream *tls = s->base.conn.tls;
    char name[256];

    return tls != NULL && tls_peer_is_verified(tls) &&
           tls_peer_name(tls, name, sizeof(name)) == ERR_NONE && is_allowed(pool, rule, name, user);
}

static bool is_vouched_by_system(const struct sql_session *s, const struct sql_pool *pool,
                                 const struct hba_rule *rule, const char *user)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    struct passwd entry, *found = NULL;
    char room[4096];

    if (getsockopt(s->base.conn.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
        getpwuid_r(peer.uid, &entry, room, sizeof(room), &found) != 0 || found == NULL)
        return false;
    return is_allowed(pool, rule, found->pw_name, user);
}

/* ---- the method ---- */

static enum pg_admit_method method_of_pool(const struct sql_pool *pool)
{
    static const enum pg_admit_method METHODS[] = {
        [SQL_AUTH_SCRAM] = PG_ADMIT_SCRAM,       [SQL_AUTH_MD5] = PG_ADMIT_MD5,
        [SQL_AUTH_PASSWORD] = PG_ADMIT_PASSWORD, [SQL_AUTH_CERT] = PG_ADMIT_CERT,
        [SQL_AUTH_PEER] = PG_ADMIT_PEER,         [SQL_AUTH_TRUST] = PG_ADMIT_TRUST,
    };

    return METHODS[pool->auth];
}

static enum pg_admit_method method_of_rule(const struct hba_rule *rule)
{
    static const enum pg_admit_method METHODS[] = {
        [HBA_TRUST] = PG_ADMIT_TRUST,       [HBA_REJECT] = PG_ADMIT_REJECT,
        [HBA_PASSWORD] = PG_ADMIT_PASSWORD, [HBA_MD5] = PG_ADMIT_MD5,
        [HBA_SCRAM] = PG_ADMIT_SCRAM,       [HBA_CERT] = PG_ADMIT_CERT,
        [HBA_PEER] = PG_ADMIT_PEER,
    };

    return rule == NULL ? PG_ADMIT_NO_RULE : METHODS[rule->method];
}

/* A password in clear over the net would be anybody's. */
static bool may_ask_clear(const struct sql_session *s, const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;

    if (s->base.conn.tls != NULL || peer->ss_family == AF_UNIX ||
        sql_side_of(s)->settings->base.insecure_listen)
        return true;
    if (peer->ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    return peer->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static void set_secret(struct sql_session *s, const char *user, struct pg_admit_settings *out)
{
    struct sql_side *side = sql_side_of(s);
    const struct sql_user *known = sql_pool_user(side->settings, user);

    if (known == NULL || known->secret == NULL)
        return;
    out->secret = slice_text(known->secret);
    if (sql_secret_kind(known->secret) == SQL_SECRET_PASSWORD)
        out->kept = kept_keys(side, known);
}

/* What TLS and the system say of him. */
static void set_vouchers(struct sql_session *s, const struct hba_rule *rule, const char *user,
                         struct pg_admit_settings *out)
{
    const struct sql_pool *pool = sql_side_of(s)->settings;

    out->is_tls = s->base.conn.tls != NULL;
    out->has_cert = out->is_tls && tls_peer_is_verified(s->base.conn.tls);
    if (rule != NULL && rule->client_cert == HBA_CLIENT_CERT_VALID)
        out->cert = PG_ADMIT_CERT_VALID;
    if (rule != NULL && rule->client_cert == HBA_CLIENT_CERT_OF_USER)
        out->cert = PG_ADMIT_CERT_OF_USER;
    out->is_vouched = out->method == PG_ADMIT_PEER ? is_vouched_by_system(s, pool, rule, user)
                                                   : is_vouched_by_certificate(s, pool, rule, user);
}

bool sql_admission_settings(struct sql_session *s, struct sql_admission *a)
{
    const struct sql_pool *pool = sql_side_of(s)->settings;
    struct sockaddr_storage peer = { .ss_family = AF_UNIX };
    socklen_t len = sizeof(peer);
    const struct hba_rule *rule = NULL;
    size_t hash_len = 0;

    pthread_once(&once, make_process_secret);
    if (getpeername(s->base.conn.fd, (struct sockaddr *)&peer, &len) != 0)
        peer.ss_family = AF_UNIX;
    a->settings = (struct pg_admit_settings){
        .method = method_of_pool(pool),
        .user = slice_text(a->user),
        .database = slice_text(a->database),
        .process_secret = slice_of(process_secret, sizeof(process_secret)),
        .mock_md5 = has_only_md5(pool),
        .is_replication = a->is_replication,
    };
    if (pool->hba != NULL) {
        struct hba_visit visit = { .is_tls = s->base.conn.tls != NULL,
                                   .is_replication = a->is_replication,
                                   .address = (const struct sockaddr *)&peer,
                                   .database = slice_text(a->database),
                                   .user = slice_text(a->user) };

        rule = hba_match(pool->hba, &visit);
        a->settings.method = method_of_rule(rule);
    }
    if (a->settings.method == PG_ADMIT_PASSWORD && !may_ask_clear(s, &peer)) {
        sql_session_fatal(s, "28000",
                          "a password in clear may be said over TLS only: connect with "
                          "sslmode=require");
        return false;
    }
    set_secret(s, a->user, &a->settings);
    set_vouchers(s, rule, a->user, &a->settings);
    if (s->base.conn.tls != NULL &&
        tls_server_end_point(s->base.conn.tls, a->endpoint_hash, &hash_len) == ERR_NONE)
        a->settings.endpoint = slice_of(a->endpoint_hash, hash_len);
    if (peer.ss_family != AF_UNIX) {
        session_address(&s->base, a->host, sizeof(a->host));
        *strrchr(a->host, ':') = '\0';
        a->settings.host = a->host;
    }
    return true;
}
