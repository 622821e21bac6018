/* Sessions that receive pushes. */
#include "proxy/memory/memory_flow.h"

void memory_subscribe(struct memory_session *s, struct memory_operation *op)
{
    (void)op;
    chain_slice(&s->base.out, &s->base.worker->chunks, slice_text("-ERR not yet\r\n"));
    session_wants_flush(&s->base);
}

size_t memory_subscriber_input(struct memory_upstream *u, struct slice in)
{
    (void)u;
    return in.len;
}

void memory_subscriber_lost(struct memory_upstream *u, const char *why)
{
    (void)u;
    (void)why;
}

void memory_subscriber_end(struct memory_session *s)
{
    (void)s;
}
