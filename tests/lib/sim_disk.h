#ifndef DM_TESTS_LIB_SIM_DISK_H
#define DM_TESTS_LIB_SIM_DISK_H

#include "journal/disk.h"

/* A disk in memory that behaves as badly as a real one may: what was not synced is
 * lost, kept or torn at a power cut, space ends, writes and syncs fail. All of it is
 * decided by seeds. One thread at a time. */
struct dm_sim_disk;

struct dm_sim_disk *dm_sim_disk_create(void);
void dm_sim_disk_destroy(struct dm_sim_disk *sim);
struct dm_disk *dm_sim_disk_port(struct dm_sim_disk *sim);

/* The power is cut: of each page (4 KiB) not synced, all, some sectors (512 bytes) or
 * nothing survives; so does a random subset of the creations, renames and removals
 * since the folder's last sync. Handles are void; the disk is usable again. */
void dm_sim_disk_crash(struct dm_sim_disk *sim, uint64_t seed);

/* The process is gone, the machine is not: all that was written is there, synced or
 * not (and a later power cut may still take it). Handles are void. */
void dm_sim_disk_kill(struct dm_sim_disk *sim);

/* From the n-th changing call on (1: the next), every call fails with EIO, as if the
 * machine were gone; until the crash or kill. 0: not. */
void dm_sim_disk_stop_at(struct dm_sim_disk *sim, uint64_t calls);
bool dm_sim_disk_stopped(const struct dm_sim_disk *sim);

/* From now on writes can be begun, most of them; they take a while, and some are given
 * back. 0: none (so at first). */
void dm_sim_disk_begins(struct dm_sim_disk *sim, uint64_t seed);
/* All that is begun is refused, at once or (`later`) when it has ended. */
enum dm_sim_refusal { DM_SIM_REFUSES_NONE, DM_SIM_REFUSES_AT_ONCE, DM_SIM_REFUSES_LATER };
void dm_sim_disk_refuse(struct dm_sim_disk *sim, enum dm_sim_refusal refusal);
/* Calls of begin until now. */
uint64_t dm_sim_disk_begin_calls(const struct dm_sim_disk *sim);

/* Calls of pread until now. */
uint64_t dm_sim_disk_reads(const struct dm_sim_disk *sim);

/* Bytes of all files together; 0: no limit. Past it, ENOSPC. */
void dm_sim_disk_set_capacity(struct dm_sim_disk *sim, uint64_t bytes);
uint64_t dm_sim_disk_used(const struct dm_sim_disk *sim);

/* The n-th write or sync (1: the next) of a file whose name ends with `suffix` fails,
 * once, with EIO. */
void dm_sim_disk_fail_write(struct dm_sim_disk *sim, const char *suffix, unsigned n);
void dm_sim_disk_fail_sync(struct dm_sim_disk *sim, const char *suffix, unsigned n);

/* Damages one bit, on disk. false: no such file, or shorter. */
bool dm_sim_disk_flip(struct dm_sim_disk *sim, const char *name, uint64_t offset, unsigned bit);
bool dm_sim_disk_exists(const struct dm_sim_disk *sim, const char *name);

/* A random number generator for tests (splitmix64 by Sebastiano Vigna). */
uint64_t dm_test_random(uint64_t *state);

#endif
