/* See follow.h. */
#include "health/follow.h"

enum { ENOUGH = 3 };

bool follow_judge(struct follow *f, const struct follow_sight *sight)
{
    if (f->epoch != sight->epoch || f->receiver_pid != sight->receiver_pid || !sight->is_alone)
        *f = (struct follow){ .epoch = sight->epoch, .receiver_pid = sight->receiver_pid };
    if (sight->receiver_pid == 0 || !sight->is_alone)
        return false;
    if (sight->is_new && f->run < ENOUGH)
        f->run++;
    if (f->run == ENOUGH && sight->moves_along)
        f->is_concluded = true;
    return f->is_concluded;
}
