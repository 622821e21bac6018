/* A server may send anything to its probe: it comes to an end, tells a reason, and takes nothing
 * for good that is not.  The bytes come from a socket, as libpq wants them; the first says what
 * stands before them: nothing, a login that went well, or that and the beginning of an answer. */
#include <libpq-fe.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <pthread.h>

#include "health/probe_postgresql.h"
#include "proxy/base/clock.h"
#include "proxy/base/slice.h"

enum { PORT = 5432, FOLDER_BYTES = 32, TEN_SECONDS_US = 10000000 };

static const char LOGIN[] = "R\0\0\0\x08\0\0\0\0Z\0\0\0\5I";
static const char COLUMNS[] = "T\0\0\0\x3f\0\3"
                              "a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
                              "b\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
                              "c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";

static char folder[FOLDER_BYTES] = "/tmp/sheaf-fuzz-XXXXXX", path[FOLDER_BYTES + 20];
static int listener;
static struct slice input;
static sem_t served;

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void say(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        at += n;
        len -= (size_t)n;
    }
}

static void *serve(void *arg)
{
    char ignored[4096];

    (void)arg;
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (input.at[0] % 3 > 0)
            say(fd, LOGIN, sizeof(LOGIN) - 1);
        if (input.at[0] % 3 > 1)
            say(fd, COLUMNS, sizeof(COLUMNS) - 1);
        say(fd, input.at + 1, input.len - 1);
        shutdown(fd, SHUT_WR);
        while (recv(fd, ignored, sizeof(ignored), 0) > 0)
            ;
        close(fd);
        sem_post(&served);
    }
    return NULL;
}

static void clean(void)
{
    unlink(path);
    rmdir(folder);
}

static void start(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    pthread_t thread;

    require(mkdtemp(folder) != NULL);
    snprintf(path, sizeof(path), "%s/.s.PGSQL.%d", folder, PORT);
    atexit(clean);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    require(bind(listener, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(listener, 4) == 0);
    require(sem_init(&served, 0, 0) == 0);
    require(pthread_create(&thread, NULL, serve, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    const char *const addresses[] = { folder };
    struct probe_postgresql_settings settings = {
        .addresses = addresses, .address_count = 1, .port = PORT, .user = "u", .password = "p"
    };
    struct probe_postgresql *kept = NULL;
    struct probe_outcome outcome = { 0 };

    if (len == 0)
        return 0;
    if (listener == 0)
        start();
    input = slice_of(at, len);
    probe_postgresql_check(&kept, &settings, clock_now_us() + TEN_SECONDS_US, &outcome);
    require((kept != NULL) == outcome.connection_is_good);
    require(outcome.connection_is_good == (outcome.reason == HEALTH_FINE));
    require(outcome.reason < HEALTH_REASONS && outcome.reason != HEALTH_RESPONSE_TIMEOUT);
    require(memchr(outcome.text, '\0', sizeof(outcome.text)) != NULL);
    require((outcome.standing.measured_us != 0) == outcome.connection_is_good);
    probe_postgresql_close(&kept);
    sem_wait(&served);
    return 0;
}
