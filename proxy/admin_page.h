/* The page at "/": one HTML file without anything from elsewhere, put into the binary. */
#pragma once

#include "proxy/base/slice.h"

struct slice admin_page(void);
