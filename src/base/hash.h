#ifndef DM_BASE_HASH_H
#define DM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* A 64-bit hash of bytes that is the same everywhere and for ever: remembered request ids (on
 * disk), page tokens. The multiply-and-fold idea of wyhash (Wang Yi). Anybody can make two texts
 * with the same hash. So no table in memory uses it, and it never decides alone whether two
 * texts are the same. */
uint64_t dm_hash(const void *data, size_t size, uint64_t seed);

/* SipHash-1-3 with 128 bits of output (Aumasson and Bernstein, "SipHash: a fast short-input
 * PRF", 2012; 128 bits as in their reference code): without the key nobody can tell its outputs
 * from random ones, or choose texts that share one. */
struct dm_hash_key {
    uint64_t low, high;
};
struct dm_wide_hash {
    uint64_t low, high;
};
struct dm_wide_hash dm_siphash(struct dm_hash_key key, const void *data, size_t size);

/* The same with this process's key, 128 bits of getrandom that never leave it: for every
 * table whose keys somebody else chooses. dm_keyed_hash is the wide one's `low`, for half
 * the cost. */
struct dm_wide_hash dm_keyed_hash_wide(const void *data, size_t size);
uint64_t dm_keyed_hash(const void *data, size_t size);

/* CRC-32C (Castagnoli, reflected, initial and final xor 0xffffffff); `crc` is 0
 * or the result for the bytes before. Uses the processor's instruction where
 * there is one. */
uint32_t dm_crc32c(uint32_t crc, const void *data, size_t size);

/* The same by table, for processors without the instruction. */
uint32_t dm_crc32c_by_table(uint32_t crc, const void *data, size_t size);

#endif
