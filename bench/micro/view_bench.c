/* The view's costs: overlay put, get, freeze and sort; LMDB load, get, step and sorted
 * sweeps of random keys. JSON lines on stdout.
 *
 *   view_bench [folder] [contacts] [sweep]
 *
 * `folder` is made and emptied again (default "view_bench.tmp"). */
#include "base/bytes.h"
#include "base/clock.h"
#include "core/ident.h"
#include "core/record.h"
#include "view/applier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { SWEEPS = 4, SNOOZED_OF_10 = 3 };

struct bench {
    struct dm_clock clock;
    uint32_t contacts, sweep;
    uint64_t random, revision;
};

static uint64_t random_next(struct bench *bench)
{
    bench->random += 0x9e3779b97f4a7c15ULL;
    uint64_t z = bench->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static void die(const char *what)
{
    fprintf(stderr, "view_bench: %s\n", what);
    exit(1);
}

static uint64_t now_ns(const struct bench *bench)
{
    return dm_clock_monotonic_ns(&bench->clock);
}

static void report(const struct bench *bench, const char *what, uint64_t count, uint64_t took_ns)
{
    printf("{\"bench\":\"%s\",\"contacts\":%u,\"count\":%llu,\"ns_each\":%.1f,"
           "\"per_second\":%.0f}\n",
           what, bench->contacts, (unsigned long long)count, (double)took_ns / (double)count,
           (double)count * 1e9 / (double)took_ns);
    fflush(stdout);
}

/* Ids of 20 characters, of 100 accounts. */
static void key_make(struct dm_key *key, uint32_t contact)
{
    char id[32];
    int size = snprintf(id, sizeof id, "contact-%012u", contact);
    dm_key_make(key, 1 + contact % 100, dm_slice(id, (size_t)size));
}

static struct dm_slice record_make(struct bench *bench, uint8_t *out)
{
    struct dm_record record = {0};
    uint64_t random = random_next(bench);
    bool snoozed = random % 10 < SNOOZED_OF_10;
    record.status = snoozed ? DM_STATUS_SNOOZED : DM_STATUS_ACTIVE;
    record.reason = DM_REASON_SET;
    record.fence = record.revision = ++bench->revision;
    record.until_ms = snoozed ? 1700000000000LL + (int64_t)(random >> 32) : 0;
    record.actor.size = 8;
    memcpy(record.actor.bytes, "agent-17", 8);
    return dm_slice(out, dm_record_encode(&record, out));
}

static void put_one(struct bench *bench, struct dm_overlay *overlay, uint32_t contact)
{
    uint8_t bytes[DM_RECORD_SIZE_MAX];
    struct dm_key key;
    key_make(&key, contact);
    struct dm_slice value = record_make(bench, bytes);
    if (!dm_overlay_put(overlay, dm_key_hashed(dm_key_slice(&key)), value, bench->revision)) {
        die("the overlay is full");
    }
}

/* What making keys and records costs is measured apart and taken off. */
static uint64_t put_overhead_ns(struct bench *bench, uint32_t count)
{
    uint8_t bytes[DM_RECORD_SIZE_MAX];
    struct dm_key key;
    uint64_t began = now_ns(bench);
    for (uint32_t i = 0; i < count; i++) {
        key_make(&key, (uint32_t)(random_next(bench) % bench->contacts));
        record_make(bench, bytes);
        __asm__ volatile("" : : "r"(bytes), "r"(&key) : "memory");
    }
    return now_ns(bench) - began;
}

static uint64_t key_overhead_ns(struct bench *bench, uint32_t count)
{
    struct dm_key key;
    uint64_t began = now_ns(bench);
    for (uint32_t i = 0; i < count; i++) {
        key_make(&key, (uint32_t)(random_next(bench) % bench->contacts));
        __asm__ volatile("" : : "r"(&key) : "memory");
    }
    return now_ns(bench) - began;
}

static void bench_overlay_get(struct bench *bench, const struct dm_overlay *overlay)
{
    uint64_t overhead = key_overhead_ns(bench, bench->contacts);
    uint64_t began = now_ns(bench), found = 0;
    for (uint32_t i = 0; i < bench->contacts; i++) {
        struct dm_key key;
        struct dm_slice value;
        key_make(&key, (uint32_t)(random_next(bench) % bench->contacts));
        found += dm_overlay_get(overlay, dm_key_hashed(dm_key_slice(&key)), &value, NULL);
    }
    uint64_t took = now_ns(bench) - began;
    if (found != bench->contacts) {
        die("the overlay lost something");
    }
    report(bench, "overlay_get_random", bench->contacts, took - overhead);
}

static void bench_overlay(struct bench *bench)
{
    struct dm_overlay *overlay = dm_overlay_create(bench->contacts);
    if (overlay == NULL) {
        die("no overlay");
    }
    uint64_t overhead = put_overhead_ns(bench, bench->contacts);
    uint64_t began = now_ns(bench);
    for (uint32_t i = 0; i < bench->contacts; i++) {
        /* An odd factor below 2^32 visits every contact once, in a scattered order. */
        put_one(bench, overlay, (uint32_t)((uint64_t)i * 2654435761U % bench->contacts));
    }
    report(bench, "overlay_put_new", bench->contacts, now_ns(bench) - began - overhead);
    began = now_ns(bench);
    for (uint32_t i = 0; i < bench->contacts; i++) {
        put_one(bench, overlay, (uint32_t)(random_next(bench) % bench->contacts));
    }
    report(bench, "overlay_put_again", bench->contacts, now_ns(bench) - began - overhead);
    bench_overlay_get(bench, overlay);
    printf("{\"bench\":\"overlay_memory\",\"contacts\":%u,\"bytes_each\":%.1f}\n",
           dm_overlay_count(overlay),
           (double)dm_overlay_memory(overlay) / dm_overlay_count(overlay));
    struct dm_generation *frozen = dm_overlay_freeze(overlay, 1);
    size_t count;
    began = now_ns(bench);
    free(dm_generation_sorted(frozen, &count));
    report(bench, "overlay_sort", count, now_ns(bench) - began);
    dm_overlay_destroy(overlay);
}

static void apply(struct bench *bench, struct dm_applier *applier, struct dm_overlay *overlay,
                  const char *what)
{
    uint64_t count = dm_overlay_count(overlay);
    uint64_t began = now_ns(bench);
    dm_applier_begin(applier, dm_overlay_freeze(overlay, bench->revision));
    while (dm_applier_work(applier)) {
    }
    uint64_t took = now_ns(bench) - began;
    dm_applier_bury(applier, dm_overlay_drop(overlay), true);
    if (dm_applier_state(applier, NULL) != DM_OK) {
        die("a commit failed");
    }
    report(bench, what, count, took);
}

static void bench_reads(struct bench *bench, struct dm_store *store)
{
    uint32_t count = bench->contacts / 2;
    uint64_t overhead = key_overhead_ns(bench, count);
    uint64_t began = now_ns(bench), found = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct dm_key key;
        struct dm_slice value;
        key_make(&key, (uint32_t)(random_next(bench) % bench->contacts));
        found += dm_store_get(store, DM_TABLE_CONTACTS, dm_key_slice(&key), &value);
        if (i % 64 == 0) {
            dm_store_read_end(store);
        }
    }
    report(bench, "lmdb_get_random", count, now_ns(bench) - began - overhead);
    struct dm_slice key = dm_slice(NULL, 0), value;
    began = now_ns(bench);
    for (found = 0; dm_store_seek(store, DM_TABLE_CONTACTS, key, true, &key, &value);) {
        found++;
    }
    report(bench, "lmdb_step", found, now_ns(bench) - began);
    dm_store_read_end(store);
}

static void bench_store(struct bench *bench, const char *folder)
{
    struct dm_store *store;
    struct dm_error error;
    if (dm_store_open_lmdb(&store, folder, DM_VIEW_MAP_SIZE, &error) != DM_OK) {
        die(error.message);
    }
    struct dm_applier_options options = {.store = store, .manual = true};
    struct dm_applier *applier = dm_applier_create(&options);
    struct dm_overlay *overlay = dm_overlay_create(bench->contacts);
    for (uint32_t i = 0; i < bench->contacts; i++) {
        put_one(bench, overlay, i);
    }
    apply(bench, applier, overlay, "apply_load");
    for (int round = 0; round < SWEEPS; round++) {
        for (uint32_t i = 0; i < bench->sweep; i++) {
            put_one(bench, overlay, (uint32_t)(random_next(bench) % bench->contacts));
        }
        apply(bench, applier, overlay, "apply_sweep_random");
    }
    bench_reads(bench, store);
    struct dm_applier_stats stats;
    dm_applier_stats(applier, &stats);
    printf("{\"bench\":\"view_file\",\"contacts\":%u,\"bytes_each\":%.1f,"
           "\"longest_commit_us\":%llu}\n",
           bench->contacts, (double)dm_store_bytes(store) / bench->contacts,
           (unsigned long long)stats.longest_commit_us);
    dm_applier_destroy(applier);
    dm_overlay_destroy(overlay);
    dm_store_close(store);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "view_bench.tmp";
    struct bench bench = {.clock = dm_clock_system(), .random = 1};
    bench.contacts = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1000000;
    bench.sweep = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 100000;
    if (bench.contacts == 0 || bench.sweep == 0) {
        die("usage: view_bench [folder] [contacts] [sweep]");
    }
    struct utsname system;
    uname(&system);
    printf("{\"bench\":\"view\",\"system\":\"%s %s %s\",\"processors\":%ld}\n", system.sysname,
           system.release, system.machine, sysconf(_SC_NPROCESSORS_ONLN));
    bench_overlay(&bench);
    if (mkdir(folder, 0700) != 0) {
        die("the folder exists already, or cannot be made");
    }
    bench_store(&bench, folder);
    char file[4096];
    snprintf(file, sizeof file, "%s/data.mdb", folder);
    unlink(file);
    snprintf(file, sizeof file, "%s/lock.mdb", folder);
    unlink(file);
    rmdir(folder);
    return 0;
}
