/* See admin_page.h.  The build makes admin_page.def, the bytes as numbers, from admin_page.html. */
#include "proxy/admin_page.h"

static const unsigned char PAGE[] = {
#include "admin_page.def"
};

struct slice admin_page(void)
{
    return slice_of(PAGE, sizeof(PAGE));
}
