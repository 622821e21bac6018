/* Keeps what a session has set as Sheaf does, and tells what Sheaf would say to servers of it.
 * Reads lines of words, the first as it is, the others in hexadecimal digits ("-" for none), and
 * answers each with a line (texts in such digits, too):
 *
 *     start N V, set N V, local N V,
 *     reset N, reset_local N, reset_all, savepoint N      an error's name
 *     discard, commit, rollback, release N, to N          "ok"
 *     move K     the messages that make upstream K what the session is: count, bytes
 *     forget K   nothing is known of upstream K any more
 *     probe      the question to a server, with the session's own names
 *     login L    who has logged in to the servers
 *     row B      a DataRow's body of the answer: the pins found, or an error's name
 *     adopt      the answer is done
 *     assign N V the text that sets one value
 *     traits N   what is special about a name: a number, as enum pg_trait */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/sql/pg_pins.h"
#include "proxy/sql/pg_settings_pool.h"
#include "proxy/sql/pg_settings_session.h"

enum { UPSTREAMS = 8, WORDS = 3 };

static struct pg_settings_pool *pool;
static struct pg_settings_session session;
static struct pg_settings_found found;
static const struct pg_settings *upstreams[UPSTREAMS];
static bool is_unknown[UPSTREAMS];

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static struct slice unhex(char *word)
{
    size_t len = word[0] == '-' ? 0 : strlen(word) / 2;

    for (size_t i = 0; i < len; i++)
        word[i] = (char)(digit(word[2 * i]) << 4 | digit(word[2 * i + 1]));
    return slice_of(word, len);
}

static void put_hex(struct slice s)
{
    if (s.len == 0)
        printf("-");
    for (size_t i = 0; i < s.len; i++)
        printf("%02x", s.at[i]);
}

static void tell(enum err err)
{
    static const char *const NAMES[] = {
#define ERR(name, may_retry, text) #name,
        "ok",
#include "proxy/base/err.def"
#undef ERR
    };

    printf("%s\n", NAMES[err]);
}

static void move(size_t k)
{
    struct buf out = { 0 };
    const struct pg_settings *to = pg_settings_session_effective(&session);
    size_t count = is_unknown[k] ? pg_settings_difference_from_unknown(to, &out)
                                 : pg_settings_difference(upstreams[k], to, &out);

    printf("%zu ", count);
    put_hex(buf_all(&out));
    printf("\n");
    buf_fini(&out);
    pg_settings_unref(pool, &upstreams[k]);
    upstreams[k] = pg_settings_ref(to);
    is_unknown[k] = false;
}

static void row(struct slice body)
{
    struct pg_pins_row r;
    enum err err = pg_pins_read_row(body, &r);

    if (err == ERR_NONE && !r.is_setting) {
        printf("%u\n", r.pins);
        return;
    }
    if (err == ERR_NONE)
        err = pg_settings_session_found(pool, &session, &found, r.name, r.value, r.shown);
    tell(err);
}

static void put_text(struct buf *text)
{
    put_hex(buf_all(text));
    printf("\n");
    buf_fini(text);
}

/* True: it was a change. */
static bool change(const char *verb, struct slice name, struct slice value)
{
    if (strcmp(verb, "start") == 0)
        tell(pg_settings_session_start(pool, &session, name, value));
    else if (strcmp(verb, "set") == 0)
        tell(pg_settings_session_set(pool, &session, name, value));
    else if (strcmp(verb, "local") == 0)
        tell(pg_settings_session_set_local(pool, &session, name, value));
    else if (strcmp(verb, "reset") == 0)
        tell(pg_settings_session_reset(pool, &session, name));
    else if (strcmp(verb, "reset_local") == 0)
        tell(pg_settings_session_reset_local(pool, &session, name));
    else if (strcmp(verb, "reset_all") == 0)
        tell(pg_settings_session_reset_all(pool, &session));
    else if (strcmp(verb, "savepoint") == 0)
        tell(pg_settings_session_savepoint(pool, &session, name));
    else
        return false;
    return true;
}

static bool end_of_change(const char *verb, struct slice name)
{
    if (strcmp(verb, "discard") == 0)
        pg_settings_session_discard_all(pool, &session);
    else if (strcmp(verb, "commit") == 0)
        pg_settings_session_commit(pool, &session);
    else if (strcmp(verb, "rollback") == 0)
        pg_settings_session_rollback(pool, &session);
    else if (strcmp(verb, "release") == 0)
        pg_settings_session_release(pool, &session, name);
    else if (strcmp(verb, "to") == 0)
        pg_settings_session_rollback_to(pool, &session, name);
    else
        return false;
    tell(ERR_NONE);
    return true;
}

static void ask(const char *verb, struct slice first, struct slice second)
{
    struct buf text = { 0 };
    size_t k = first.len == 1 ? first.at[0] % UPSTREAMS : 0;

    if (strcmp(verb, "move") == 0) {
        move(k);
    } else if (strcmp(verb, "forget") == 0) {
        is_unknown[k] = true;
        tell(ERR_NONE);
    } else if (strcmp(verb, "probe") == 0) {
        pg_pins_put_query(&text, session.current, NULL, 0);
        put_text(&text);
    } else if (strcmp(verb, "row") == 0) {
        row(first);
    } else if (strcmp(verb, "adopt") == 0) {
        (void)!pg_settings_session_adopt(pool, &session, &found);
        tell(ERR_NONE);
    } else if (strcmp(verb, "login") == 0) {
        static char login[64];

        snprintf(login, sizeof(login), "%.*s", (int)first.len, (const char *)first.at);
        found.login = slice_text(login);
        tell(ERR_NONE);
    } else if (strcmp(verb, "assign") == 0) {
        pg_settings_put_assignment(&text, first, second, false);
        put_text(&text);
    } else if (strcmp(verb, "traits") == 0) {
        printf("%u\n", pg_settings_traits(first));
    } else {
        exit(2);
    }
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;

    pool = pg_settings_pool_new(&(struct pg_settings_limits){ 0 });
    while (getline(&line, &room, stdin) > 0) {
        char *rest = line, *words[WORDS];
        struct slice name, value;

        line[strcspn(line, "\n")] = 0;
        for (size_t i = 0; i < WORDS; i++)
            words[i] = rest == NULL ? NULL : strsep(&rest, " ");
        name = words[1] == NULL ? slice_text("") : unhex(words[1]);
        value = words[2] == NULL ? slice_text("") : unhex(words[2]);
        if (!change(words[0], name, value) && !end_of_change(words[0], name))
            ask(words[0], name, value);
        fflush(stdout);
    }
    free(line);
    for (size_t i = 0; i < UPSTREAMS; i++)
        pg_settings_unref(pool, &upstreams[i]);
    pg_settings_session_fini(pool, &session);
    pg_settings_pool_free(&pool);
    return 0;
}
