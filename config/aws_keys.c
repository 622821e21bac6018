/* See aws_keys.h.  Lines, as AWS's tools take them: "name = value", names of any case; a line that
 * begins with '#' or ';' says nothing, and an indented one belongs to the value before it, which is
 * none of ours. */
#include "config/aws_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/mem.h"

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.at[0]))
        s = slice_from(s, 1);
    while (s.len > 0 && is_blank(s.at[s.len - 1]))
        s.len--;
    return s;
}

static bool is_name(struct slice s, const char *name)
{
    return s.len == strlen(name) && strncasecmp((const char *)s.at, name, s.len) == 0;
}

/* They go into heads of requests: letters that can be seen, and no others. */
static enum err take(const char *name, struct slice value, char *out, size_t most, struct buf *why)
{
    if (value.len > most) {
        buf_format(why, "%s has more than %zu bytes", name, most);
        return ERR_RANGE;
    }
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] > ' ' && value.at[i] < 0x7f)
            continue;
        buf_format(why, "%s has a byte in it that no key has", name);
        return ERR_SYNTAX;
    }
    memcpy(out, value.at, value.len);
    out[value.len] = '\0';
    return ERR_NONE;
}

static enum err take_line(struct slice line, struct aws_keys *keys, struct buf *why)
{
    const uint8_t *equals = memchr(line.at, '=', line.len);
    struct slice name, value;

    if (equals == NULL)
        return ERR_NONE;
    name = trim(slice_of(line.at, (size_t)(equals - line.at)));
    value = trim(slice_from(line, (size_t)(equals - line.at) + 1));
    if (is_name(name, "aws_access_key_id"))
        return take("aws_access_key_id", value, keys->id, AWS_KEYS_ID_MOST, why);
    if (is_name(name, "aws_secret_access_key"))
        return take("aws_secret_access_key", value, keys->secret, AWS_KEYS_SECRET_MOST, why);
    if (is_name(name, "aws_session_token"))
        return take("aws_session_token", value, keys->token, AWS_KEYS_TOKEN_MOST, why);
    return ERR_NONE;
}

static bool is_default(struct slice head)
{
    head = slice_from(head, 1);
    if (head.len > 0 && head.at[head.len - 1] == ']')
        head.len--;
    return slice_is_text(trim(head), "default");
}

static struct slice next_line(struct slice *rest)
{
    const uint8_t *end = memchr(rest->at, '\n', rest->len);
    size_t len = end != NULL ? (size_t)(end - rest->at) : rest->len;
    struct slice line = slice_of(rest->at, len);

    *rest = slice_from(*rest, len + (end != NULL));
    return line;
}

static enum err parse(struct slice text, struct aws_keys *keys, struct buf *why)
{
    bool is_ours = true;

    while (text.len > 0) {
        struct slice line = next_line(&text);

        if (line.len == 0 || is_blank(line.at[0]) || line.at[0] == '#' || line.at[0] == ';')
            continue;
        line = trim(line);
        if (line.at[0] == '[')
            is_ours = is_default(line);
        else if (is_ours)
            TRY(take_line(line, keys, why));
    }
    if (keys->id[0] != '\0' && keys->secret[0] != '\0')
        return ERR_NONE;
    buf_format(why, "there is no %s in the profile \"default\"",
               keys->id[0] == '\0' ? "aws_access_key_id" : "aws_secret_access_key");
    return ERR_NOT_FOUND;
}

enum err aws_keys_parse(struct slice text, struct aws_keys *out, struct buf *why)
{
    struct aws_keys keys = { 0 };
    enum err err = parse(text, &keys, why);

    if (err == ERR_NONE)
        *out = keys;
    explicit_bzero(&keys, sizeof(keys));
    return err;
}

enum err aws_keys_of_texts(struct slice id, struct slice secret, struct slice token,
                           struct aws_keys *out, struct buf *why)
{
    struct aws_keys keys = { 0 };
    enum err err = ERR_NONE;

    if (id.len == 0 || secret.len == 0) {
        buf_format(why, "it has no %s", id.len == 0 ? "AccessKeyId" : "SecretAccessKey");
        return ERR_NOT_FOUND;
    }
    err = take("AccessKeyId", id, keys.id, AWS_KEYS_ID_MOST, why);
    if (err == ERR_NONE)
        err = take("SecretAccessKey", secret, keys.secret, AWS_KEYS_SECRET_MOST, why);
    if (err == ERR_NONE && token.len > 0)
        err = take("the token", token, keys.token, AWS_KEYS_TOKEN_MOST, why);
    if (err == ERR_NONE)
        *out = keys;
    explicit_bzero(&keys, sizeof(keys));
    return err;
}

static enum err read_all(int fd, uint8_t *at, size_t *len, struct buf *why)
{
    struct stat stat;

    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        buf_text(why, "it is no file");
        return ERR_SYSTEM;
    }
    for (*len = 0; *len <= AWS_KEYS_FILE_MOST;) {
        ssize_t got = read(fd, at + *len, AWS_KEYS_FILE_MOST + 1 - *len);

        if (got < 0) {
            buf_text(why,
                     strerror(errno)); /* NOLINT(concurrency-mt-unsafe): texts of glibc's own */
            return ERR_SYSTEM;
        }
        if (got == 0)
            return ERR_NONE;
        *len += (size_t)got;
    }
    buf_format(why, "it has more than %d bytes", AWS_KEYS_FILE_MOST);
    return ERR_RANGE;
}

enum err aws_keys_read(const char *file, struct aws_keys *out, struct buf *why)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    uint8_t *text;
    size_t len = 0;
    enum err err;

    if (fd < 0) {
        buf_text(why, strerror(errno)); /* NOLINT(concurrency-mt-unsafe): texts of glibc's own */
        return ERR_SYSTEM;
    }
    text = mem_new(AWS_KEYS_FILE_MOST + 1);
    err = read_all(fd, text, &len, why);
    close(fd);
    if (err == ERR_NONE)
        err = aws_keys_parse(slice_of(text, len), out, why);
    explicit_bzero(text, len);
    free(text);
    return err;
}

static enum err take_variable(const char *name, bool is_needed, char *out, size_t most,
                              struct buf *why)
{
    /* Nothing sets it once threads run.  NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const char *value = getenv(name);

    if (value != NULL && value[0] != '\0')
        return take(name, slice_text(value), out, most, why);
    if (!is_needed)
        return ERR_NONE;
    buf_format(why, "environment variable \"%s\" is not set", name);
    return ERR_NOT_FOUND;
}

enum err aws_keys_of_environment(struct aws_keys *out, struct buf *why)
{
    struct aws_keys keys = { 0 };
    enum err err = take_variable("AWS_ACCESS_KEY_ID", true, keys.id, AWS_KEYS_ID_MOST, why);

    if (err == ERR_NONE)
        err = take_variable("AWS_SECRET_ACCESS_KEY", true, keys.secret, AWS_KEYS_SECRET_MOST, why);
    if (err == ERR_NONE)
        err = take_variable("AWS_SESSION_TOKEN", false, keys.token, AWS_KEYS_TOKEN_MOST, why);
    if (err == ERR_NONE)
        *out = keys;
    explicit_bzero(&keys, sizeof(keys));
    return err;
}
