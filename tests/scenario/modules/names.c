/* A library to be preloaded: host names are what the file $TEST_NAMES says, lines of a name and an
 * address; others are asked of the system. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int getaddrinfo_f(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    getaddrinfo_f *system = (getaddrinfo_f *)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *path = getenv("TEST_NAMES");
    FILE *file = path != NULL && host != NULL ? fopen(path, "r") : NULL;
    char name[256], address[64];

    while (file != NULL && fscanf(file, "%255s %63s", name, address) == 2) {
        if (strcmp(name, host) == 0) {
            host = address;
            break;
        }
    }
    if (file != NULL)
        fclose(file);
    return system(host, service, hints, found);
}
