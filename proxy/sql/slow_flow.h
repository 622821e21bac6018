/* Statements that were slow, for people: part of sql_flow.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

struct sql_session;
struct sql_upstream;

enum { SQL_HEARD_BYTES = 200 };

/* The beginning of the first statement of an exchange, as an upstream was asked it. */
struct sql_heard {
    uint8_t text[SQL_HEARD_BYTES];
    uint8_t len;
    bool listens; /* nothing was heard yet */
    bool is_call; /* it is a function call */
};

/* An exchange begins at an upstream that owes nothing. */
void sql_slow_listen(struct sql_upstream *u);
void sql_slow_hear(struct sql_upstream *u, struct slice text);
void sql_slow_hear_call(struct sql_upstream *u);
/* The exchange is answered, and another may follow. */
void sql_slow_answered(struct sql_session *s, struct sql_upstream *u, uint64_t took_us);
