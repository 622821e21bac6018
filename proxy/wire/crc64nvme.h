/* CRC-64/NVME, S3's x-amz-checksum-crc64nvme; by carry-less multiplication where the processor has
 * it (15 GB/s and more), by tables elsewhere (2 GB/s).  ISA-L has it from 2.31 only. */
#pragma once

#include "proxy/base/slice.h"

/* Goes on from an earlier value; 0 at first. */
uint64_t crc64nvme_of(uint64_t before, struct slice bytes);
/* The same by tables alone. */
uint64_t crc64nvme_by_tables(uint64_t before, struct slice bytes);
