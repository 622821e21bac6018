/* What preset_flow.c offers to the others: ALTER ROLE and ALTER DATABASE ... SET. */
#pragma once

#include "proxy/sql/sql_flow.h"

/* This text, which is asked now, has such statements. */
void sql_presets_note(struct sql_session *s, struct slice text);
/* They may be done by now.  What is noted stays for what is still under way. */
void sql_presets_changed(struct sql_session *s);
void sql_presets_forget(struct sql_session *s);
void sql_presets_tick(struct sql_side *side, uint64_t now_us);
void sql_presets_free(struct sql_side *side);
