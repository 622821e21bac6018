/* Tells the service manager how the process stands, as systemd has it (sd_notify(3)): lines such as
 * "READY=1".  Nothing happens where $NOTIFY_SOCKET names nobody who listens. */
#pragma once

void notify(const char *state);
