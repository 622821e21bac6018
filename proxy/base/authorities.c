/* See authorities.h. */
#include "proxy/base/authorities.h"

#include <openssl/x509.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

const char *authorities_file(void)
{
    static const char *const PLACES[] = { "/etc/ssl/certs/ca-certificates.crt",
                                          "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem" };
    /* Nothing sets it once threads run.  NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const char *file = getenv(X509_get_default_cert_file_env());

    if (file != NULL && access(file, R_OK) == 0)
        return file;
    for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++)
        if (access(PLACES[i], R_OK) == 0)
            return PLACES[i];
    return X509_get_default_cert_file();
}
