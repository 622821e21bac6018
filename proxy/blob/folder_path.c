/* Keys and paths, see the header.  Pure. */
#include "proxy/blob/folder_path.h"

#include <ctype.h>
#include <stdio.h>

enum { NAME_MARK = '+' };
static const char HEX[] = "0123456789ABCDEF";
static const char BEGINNING[] = "%~";

/* A path in the making; it always fits, since the keys are limited. */
struct writer {
    char *at;
    size_t len;
};

static void put(struct writer *w, char c)
{
    w->at[w->len++] = c;
}

/* How a byte of a segment is written: as itself or escaped. */
static bool is_escaped(struct slice segment, size_t at, size_t piece)
{
    uint8_t c = segment.at[at];

    return c == '%' || c < 0x20 || c == 0x7f || (c == '.' && at == piece) ||
           (c == NAME_MARK && at + 1 == segment.len);
}

/* Where the piece that begins at `piece` ends: where the name is full, but not inside of a UTF-8
 * character, which some file systems would refuse. */
static size_t piece_end(struct slice segment, size_t piece)
{
    size_t at = piece, len = 0, end;

    while (at < segment.len) {
        len += is_escaped(segment, at, piece) ? 3 : 1;
        if (len > FOLDER_NAME_BYTES)
            break;
        at++;
    }
    if (at == segment.len)
        return at;
    for (end = at; at - end < 4 && (segment.at[end] & 0xc0) == 0x80;)
        end--;
    return at - end < 4 ? end : at;
}

static void put_segment(struct writer *w, struct slice segment)
{
    size_t piece = 0, end;

    if (segment.len == 0)
        put(w, '%');
    for (; piece < segment.len; piece = end) {
        end = piece_end(segment, piece);
        for (size_t at = piece; at < end; at++) {
            uint8_t c = segment.at[at];

            if (!is_escaped(segment, at, piece)) {
                put(w, (char)c);
                continue;
            }
            put(w, '%');
            put(w, HEX[c >> 4]);
            put(w, HEX[c & 15]);
        }
        if (end < segment.len) {
            put(w, BEGINNING[0]);
            put(w, BEGINNING[1]);
            put(w, '/');
        }
    }
}

static enum folder_outcome check(struct slice key)
{
    if (key.len > FOLDER_KEY_BYTES)
        return FOLDER_KEY_TOO_LONG;
    return key.len > 0 && memchr(key.at, 0, key.len) != NULL ? FOLDER_KEY_REFUSED : FOLDER_OK;
}

/* Writes the directories of a key and returns what is left: its last segment. */
static struct slice put_directories(struct writer *w, struct slice key)
{
    for (;;) {
        const uint8_t *slash = key.len == 0 ? NULL : memchr(key.at, '/', key.len);

        if (slash == NULL)
            return key;
        put_segment(w, slice_of(key.at, (size_t)(slash - key.at)));
        put(w, NAME_MARK);
        put(w, '/');
        key = slice_from(key, (size_t)(slash - key.at) + 1);
    }
}

enum folder_outcome folder_path_of_key(struct slice key, char path[FOLDER_PATH_BYTES], size_t *len)
{
    struct writer w = { path, 0 };
    enum folder_outcome outcome = key.len == 0 ? FOLDER_KEY_REFUSED : check(key);

    if (outcome != FOLDER_OK)
        return outcome;
    put_segment(&w, put_directories(&w, key));
    path[w.len] = '\0';
    *len = w.len;
    return FOLDER_OK;
}

enum folder_outcome folder_path_of_prefix(struct slice prefix, char path[FOLDER_PATH_BYTES],
                                          size_t *len, size_t *used)
{
    struct writer w = { path, 0 };
    enum folder_outcome outcome = check(prefix);

    if (outcome != FOLDER_OK)
        return outcome;
    *used = prefix.len - put_directories(&w, prefix).len;
    path[w.len] = '\0';
    *len = w.len;
    return FOLDER_OK;
}

static int digit(char c)
{
    const char *found = c == '\0' ? NULL : strchr(HEX, c);

    return found == NULL ? -1 : (int)(found - HEX);
}

static bool read_bytes(const char *name, size_t end, uint8_t *out, size_t *len)
{
    size_t used = 0;

    for (size_t at = 0; at < end; at++) {
        uint8_t c = (uint8_t)name[at];

        if (c == '%') {
            int high = at + 2 < end ? digit(name[at + 1]) : -1;
            int low = high < 0 ? -1 : digit(name[at + 2]);

            if (low < 0 || (high | low) == 0)
                return false;
            c = (uint8_t)(high * 16 + low);
            at += 2;
        }
        out[used++] = c;
    }
    *len = used;
    return true;
}

bool folder_name_read(const char *name, enum folder_name_kind *kind, uint8_t *out, size_t *len)
{
    size_t end = strlen(name);

    *kind = FOLDER_NAME_FILE;
    if (end > 0 && name[end - 1] == NAME_MARK) {
        *kind = FOLDER_NAME_DIRECTORY;
        end--;
    } else if (end > 2 && memcmp(name + end - 2, BEGINNING, 2) == 0) {
        *kind = FOLDER_NAME_BEGINNING;
        end -= 2;
    }
    if (end == 0 || name[0] == '.')
        return false;
    if (end == 1 && name[0] == '%') {
        *len = 0;
        return *kind != FOLDER_NAME_BEGINNING;
    }
    return read_bytes(name, end, out, len);
}

bool folder_path_to_key(const char *path, uint8_t key[FOLDER_KEY_BYTES], size_t *len)
{
    char again[FOLDER_PATH_BYTES], name[256];
    uint8_t bytes[256];
    size_t used = 0, more, wrote;
    enum folder_name_kind kind = FOLDER_NAME_DIRECTORY;

    for (const char *at = path; at != NULL;) {
        const char *slash = strchr(at, '/');
        size_t name_len = slash == NULL ? strlen(at) : (size_t)(slash - at);

        if (name_len >= sizeof(name))
            return false;
        memcpy(name, at, name_len);
        name[name_len] = '\0';
        if (!folder_name_read(name, &kind, bytes, &more))
            return false;
        if ((kind == FOLDER_NAME_FILE) != (slash == NULL) || used + more + 1 > FOLDER_KEY_BYTES + 1)
            return false;
        if (more > 0)
            memcpy(key + used, bytes, more); /* the sum is checked above */
        used += more;
        if (kind == FOLDER_NAME_DIRECTORY) {
            if (used == FOLDER_KEY_BYTES)
                return false;
            key[used++] = '/';
        }
        at = slash == NULL ? NULL : slash + 1;
    }
    *len = used;
    return folder_path_of_key(slice_of(key, used), again, &wrote) == FOLDER_OK &&
           strcmp(path, again) == 0;
}

bool folder_bucket_is_valid(struct slice bucket)
{
    if (bucket.len == 0 || bucket.len > FOLDER_BUCKET_BYTES || !isalnum(bucket.at[0]))
        return false;
    for (size_t i = 0; i < bucket.len; i++) {
        uint8_t c = bucket.at[i];

        if (c >= 0x80 || (!isalnum(c) && c != '-' && c != '.' && c != '_'))
            return false;
    }
    return true;
}

/* ---- the mail server's names ---- */

static int stalwart_digit(uint8_t c)
{
    static const char ALPHABET[] = "abcdefghijklmnopqrstuvwxyz792013";
    const char *found = c == '\0' ? NULL : strchr(ALPHABET, c);

    return found == NULL ? -1 : (int)(found - ALPHABET);
}

bool folder_stalwart_read(struct slice name, uint8_t *out, size_t most, size_t *len)
{
    unsigned held = 0, bits = 0;
    size_t used = 0;

    for (size_t i = 0; i < name.len; i++) {
        int value = stalwart_digit(name.at[i]);

        if (value < 0)
            return false;
        held = held << 5 | (unsigned)value;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            if (used < most)
                out[used] = (uint8_t)(held >> bits);
            used++;
        }
        held &= (1U << bits) - 1;
    }
    *len = used < most ? used : most;
    return name.len > 0 && bits < 5 && held == 0; /* else there is a shorter way, or another */
}

enum folder_outcome folder_stalwart_path(struct slice key, unsigned depth,
                                         char path[FOLDER_PATH_BYTES], size_t *len)
{
    uint8_t first[FOLDER_STALWART_DEPTH];
    size_t used, wrote = 0;

    if (key.len > 255)
        return FOLDER_KEY_TOO_LONG;
    if (depth > FOLDER_STALWART_DEPTH || !folder_stalwart_read(key, first, depth, &used))
        return FOLDER_KEY_REFUSED;
    for (size_t i = 0; i < used; i++)
        wrote += (size_t)snprintf(path + wrote, FOLDER_PATH_BYTES - wrote, "%x/", first[i]);
    memcpy(path + wrote, key.at, key.len);
    path[wrote + key.len] = '\0';
    *len = wrote + key.len;
    return FOLDER_OK;
}
