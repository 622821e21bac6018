/* See own_flow.h. */
#include "proxy/sql/own_flow.h"

size_t sql_own_input(struct sql_upstream *u, struct slice in, sql_own_frame_f *show, void *owner,
                     const char *why)
{
    size_t at = 0;
    struct pg_frame f;

    while (at < in.len) {
        struct slice rest = slice_from(in, at);
        enum err err = pg_frame_read(rest, &f);

        if (err == ERR_PROTOCOL || (err == ERR_NONE && f.bytes > SQL_WHOLE_BYTES)) {
            upstream_fail(&u->base, ERR_PROTOCOL, why);
            return in.len;
        }
        if (err != ERR_NONE || !pg_frame_is_whole(rest, f))
            break;
        at += f.bytes;
        if (!show(u, owner, f, pg_frame_body(rest, f)))
            return in.len;
    }
    return at;
}
