/* The words that a configuration may use, gathered from the layers that know them. */
#pragma once

#include "config/load.h"

/* The same table for the whole life of the process. */
const struct config_vocabulary *vocabulary(void);
