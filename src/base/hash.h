#ifndef DM_BASE_HASH_H
#define DM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* A 64-bit hash of bytes, for tables in memory and for remembered request ids
 * (those are on disk, so it must stay the same for ever). The multiply-and-fold
 * idea of wyhash (Wang Yi). Not for secrets. */
uint64_t dm_hash(const void *data, size_t size, uint64_t seed);

/* CRC-32C (Castagnoli, reflected, initial and final xor 0xffffffff); `crc` is 0
 * or the result for the bytes before. Uses the processor's instruction where
 * there is one. */
uint32_t dm_crc32c(uint32_t crc, const void *data, size_t size);

/* The same by table, for processors without the instruction. */
uint32_t dm_crc32c_by_table(uint32_t crc, const void *data, size_t size);

#endif
