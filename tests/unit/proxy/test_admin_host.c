/* Headers as browsers and tools send them. */
#include "proxy/admin_host.h"

#include <unistd.h>

#include "tests/unit/check.h"

static void addresses_localhost_and_the_configured_name_are_ours(void)
{
    static const char *const OURS[] = { "127.0.0.1",      "127.0.0.1:9070", "10.1.2.3:80",
                                        "[::1]",          "[::1]:9070",     "localhost",
                                        "LocalHost:9070", "admin.example",  "Admin.Example:9070" };

    for (size_t i = 0; i < sizeof(OURS) / sizeof(OURS[0]); i++)
        if (!admin_host_is_ours(OURS[i], "admin.example")) {
            printf("%s\n", OURS[i]);
            check_failures_here++;
        }
    CHECK(admin_host_is_ours(NULL, NULL)); /* HTTP/1.0: no browser */
}

static void the_machines_own_name_is_ours(void)
{
    char name[256] = "";

    CHECK_INT(gethostname(name, sizeof(name) - 1), 0);
    CHECK(admin_host_is_ours(name, NULL));
}

static void names_that_a_stranger_can_own_are_not(void)
{
    static const char *const FOREIGN[] = { "evil.example",
                                           "evil.example:9070",
                                           "localhost.evil.example",
                                           "127.0.0.1.evil.example",
                                           "admin.example.evil",
                                           "",
                                           ":9070",
                                           "[::1].evil.example:1",
                                           "[",
                                           "127.0.0.1@evil.example" };

    for (size_t i = 0; i < sizeof(FOREIGN) / sizeof(FOREIGN[0]); i++)
        if (admin_host_is_ours(FOREIGN[i], "admin.example")) {
            printf("%s\n", FOREIGN[i]);
            check_failures_here++;
        }
    CHECK(!admin_host_is_ours("admin.example", NULL));
}

static void a_page_of_another_origin_is_known_by_it(void)
{
    CHECK(admin_host_is_origin(NULL, "127.0.0.1:9070")); /* no browser */
    CHECK(admin_host_is_origin("http://127.0.0.1:9070", "127.0.0.1:9070"));
    CHECK(admin_host_is_origin("http://LOCALHOST", "localhost"));
    CHECK(!admin_host_is_origin("http://127.0.0.1:9071", "127.0.0.1:9070"));
    CHECK(!admin_host_is_origin("https://127.0.0.1:9070", "127.0.0.1:9070"));
    CHECK(!admin_host_is_origin("http://evil.example", "127.0.0.1:9070"));
    CHECK(!admin_host_is_origin("null", "127.0.0.1:9070"));
    CHECK(!admin_host_is_origin("", "127.0.0.1:9070"));
    CHECK(!admin_host_is_origin("http://127.0.0.1:9070", NULL));
}

int main(void)
{
    RUN(addresses_localhost_and_the_configured_name_are_ours);
    RUN(the_machines_own_name_is_ours);
    RUN(names_that_a_stranger_can_own_are_not);
    RUN(a_page_of_another_origin_is_known_by_it);
    return check_report();
}
