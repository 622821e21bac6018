/* What our own login can't prove goes to a deputy. */
#include "proxy/sql/pg_login.h"
#include "proxy/wire/pgwire_write.h"
#include "tests/unit/check.h"

static struct pg_login_settings settings;
static struct pg_login login;
static struct buf said, out; /* said: what the server says next */

static enum err feed(void)
{
    size_t used;
    enum err err = pg_login_feed(&login, buf_all(&said), &used, &out);

    buf_skip(&said, used);
    return err;
}

static void begin(bool must_bind)
{
    settings = (struct pg_login_settings){ .user = bytes("app"),
                                           .password = bytes("pencil"),
                                           .is_private = true,
                                           .must_bind = must_bind,
                                           .has_deputy = true };
    buf_clear(&said);
    pg_login_begin(&login, &settings, &out);
    buf_clear(&out);
}

static void begin_with_deputy(void)
{
    begin(false);
    pg_put_auth(&said, 7, bytes(""));
    CHECK_INT(feed(), ERR_AGAIN);
    CHECK_INT(out.len, 0);
    CHECK_BYTES(buf_all(&login.for_deputy), bytes("R\0\0\0\x08\0\0\0\7"));
    buf_clear(&login.for_deputy);
}

static void check_refused(enum err err, const char *why)
{
    CHECK_INT(feed(), err);
    CHECK_TEXT(login.why, why);
    CHECK_INT(login.for_deputy.len, 0);
    CHECK_INT(out.len, 0);
    pg_login_fini(&login);
}

static void what_a_deputy_can_prove_goes_to_him(void)
{
    begin_with_deputy();
    pg_put_auth(&said, 8, bytes("more"));
    CHECK_INT(feed(), ERR_AGAIN);
    CHECK_BYTES(buf_all(&login.for_deputy), bytes("R\0\0\0\x0c\0\0\0\x08more"));
    pg_put_auth_ok(&said);
    pg_put_parameter_status(&said, bytes("TimeZone"), bytes("UTC"));
    pg_put_ready(&said, PG_STATUS_IDLE);
    CHECK_INT(feed(), ERR_NONE);
    CHECK_BYTES(buf_all(&login.parameters), bytes("TimeZone\0UTC\0"));
    CHECK_INT(out.len, 0);
    pg_login_fini(&login);
}

static void the_servers_refusal_is_told(void)
{
    begin_with_deputy();
    pg_put_error_text(&said, "FATAL", "28000", "no ticket");
    check_refused(ERR_LOGIN, "no ticket");
}

static void nothing_but_gssapi_goes_to_him(void)
{
    static const char *const mechanism = "SCRAM-SHA-256";
    const char *why = "the server sent a second request for authentication out of turn";

    begin_with_deputy();
    pg_put_auth_cleartext(&said);
    check_refused(ERR_PROTOCOL, why);
    begin_with_deputy();
    pg_put_auth_sasl(&said, &mechanism, 1);
    check_refused(ERR_PROTOCOL, why);
    begin(false);
    pg_put_auth(&said, 8, bytes("before it was begun"));
    check_refused(ERR_UNSUPPORTED,
                  "the server asks for authentication by GSSAPI, which is not supported");
    begin(true);
    pg_put_auth(&said, 7, bytes(""));
    check_refused(ERR_TLS, "channel binding is demanded, and the server asks for something else");
}

int main(void)
{
    RUN(what_a_deputy_can_prove_goes_to_him);
    RUN(the_servers_refusal_is_told);
    RUN(nothing_but_gssapi_goes_to_him);
    buf_fini(&said);
    buf_fini(&out);
    return check_report();
}
