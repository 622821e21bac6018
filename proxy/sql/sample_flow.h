/* What sample_flow.c offers to the others: where servers stand, for causal reads. */
#pragma once

#include "proxy/sql/sql_flow.h"

uint64_t sql_dirty_since_us(const struct sql_session *s);
/* It has read at one replica without a pause for long enough to try another; what it needs for that
 * is asked there, and is there soon. */
bool sql_sampler_may_spread(struct sql_session *s);
/* It does, for now: it waits for that, and may well be sent to the same again. */
void sql_sampler_spreads(struct sql_session *s);
/* It may not read there, wherever that stands: of what it has seen elsewhere it is not known by now
 * where that stood. */
bool sql_must_stay(const struct sql_session *s, const struct sql_endpoint *e);
/* May it read there, where it is known to stand, without going back in time? */
bool sql_may_read_from(const struct sql_session *s, const struct sql_endpoint *e,
                       const struct position *at);
/* It waits for the replica that it has read from: until its turn comes it may be known that another
 * would do. */
void sql_sampler_waits(struct sql_session *s);
/* The replica that it has read from can't be asked any more. */
void sql_leave_replica(struct sql_session *s);
void sql_mark_dirty(struct sql_session *s);
/* Commits of a session with these settings, or that sets this, or runs this code (a DO, a script
 * that was not taken apart), may be shown by the primary before they are flushed: see there. */
void sql_sampler_heed_settings(const struct sql_session *s);
void sql_sampler_heed_setting(const struct sql_session *s, const struct setting *set);
void sql_sampler_heed_code(const struct sql_session *s, struct slice text);
void sql_hint_position(struct sql_session *s, struct slice text);
bool sql_sample_covers(struct sql_session *s, uint64_t since_us);
/* Where it stands is asked, if it was not just now: somebody would read there if it stood
 * further. */
void sql_sampler_poke(struct sql_session *s, struct sql_endpoint *e);
void sql_sampler_position(const struct sql_endpoint *e, struct position *position);
void sql_sampler_wait(struct sql_session *s, struct sql_endpoint *e, enum sql_wait wait);
/* The exchange was answered by this upstream. */
size_t sql_sampler_input(struct sql_upstream *u, struct slice in);
void sql_sampler_saw(struct sql_session *s, struct sql_upstream *u);
void sql_sampler_ready(struct sql_upstream *u);
void sql_sampler_lost(struct sql_upstream *u);
void sql_sampler_forget(struct sql_upstream *u); /* it goes */
/* It was taken out: who waits goes on. */
void sql_sampler_leave(struct sql_endpoint *e);
void sql_sampler_tick(struct sql_endpoint *e, uint64_t now_us);
void sql_sampler_free(struct sql_endpoint *e);
