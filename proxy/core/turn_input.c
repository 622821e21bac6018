/* See turn_input.h.  Between the reads and their last result flows are called, which may close or
 * pause whom a later result is for: it knows what it makes of it then. */
#include "proxy/core/turn_input.h"

#include "proxy/base/mem.h"
#include "proxy/core/session.h"
#include "proxy/core/upstream.h"
#include "proxy/core/worker.h"

enum { PIECES_BYTES = RING_MOST * TURN_PIECE_BYTES };

static bool add(struct worker *w, struct session *s, struct upstream *u)
{
    struct turn_input *input = &w->input;

    if (w->ring.fd < 0)
        return false;
    input->item[input->count++] = (struct turn_read){ .session = s, .upstream = u };
    if (input->count == RING_MOST)
        turn_input(w);
    return true;
}

bool turn_input_has_session(struct worker *w, struct session *s)
{
    worker_hears(w, s->conn.fd);
    return add(w, s, NULL);
}

bool turn_input_has_upstream(struct worker *w, struct upstream *u)
{
    worker_hears(w, u->conn.fd);
    return add(w, NULL, u);
}

static void need_pieces(struct turn_input *input)
{
    if (input->pieces == NULL)
        input->pieces = mem_map(PIECES_BYTES);
    input->in_use = true;
}

static uint8_t *piece_of(struct worker *w, uint32_t number)
{
    return w->input.pieces + (size_t)number * TURN_PIECE_BYTES;
}

static void gather(struct worker *w, struct turn_read *read)
{
    bool together = read->session != NULL ? session_reads_pieces(read->session)
                                          : upstream_reads_pieces(read->upstream);
    int fd = read->session != NULL ? read->session->conn.fd : read->upstream->conn.fd;

    read->number = RING_MOST;
    if (together)
        read->number = ring_receive(&w->ring, fd, piece_of(w, w->ring.count), TURN_PIECE_BYTES);
}

static void tell(struct worker *w, const struct turn_read *read)
{
    size_t got = 0;
    enum err err;

    if (read->number == RING_MOST) {
        if (read->session != NULL)
            session_read(read->session);
        else
            upstream_read(read->upstream);
        return;
    }
    err = conn_was_read(ring_result(&w->ring, read->number), &got);
    if (read->session != NULL)
        session_was_read(read->session, err, slice_of(piece_of(w, read->number), got));
    else
        upstream_was_read(read->upstream, err, slice_of(piece_of(w, read->number), got));
}

void turn_input(struct worker *w)
{
    struct turn_input *input = &w->input;
    uint32_t count = input->count;

    input->item[0].number = RING_MOST;
    if (count > 1) { /* one alone is read as well without */
        need_pieces(input);
        for (uint32_t i = 0; i < count; i++)
            gather(w, &input->item[i]);
        ring_submit(&w->ring);
    }
    for (uint32_t i = 0; i < count; i++)
        tell(w, &input->item[i]);
    input->count = 0;
}

void turn_input_trim(struct worker *w)
{
    struct turn_input *input = &w->input;

    if (!input->in_use)
        turn_input_fini(w);
    input->in_use = input->count > 0;
}

void turn_input_fini(struct worker *w)
{
    if (w->input.pieces != NULL)
        mem_unmap(w->input.pieces, PIECES_BYTES);
    w->input.pieces = NULL;
}
