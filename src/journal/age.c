#include "journal/age.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"

/* magic u64, crc u32 (of all after it), version u32, age i64, little-endian */
enum { FILE_SIZE = 24, FILE_VERSION = 1 };
#define FILE_MAGIC 0x3130454741504d44ULL /* "DMPAGE01" */

void dm_age_begin(struct dm_age *age, const struct dm_clock *clock, int64_t before_ms)
{
    *age = (struct dm_age){
        .clock = *clock,
        .before_ms = before_ms,
        .opened_ns = dm_clock_monotonic_ns(clock),
        .kept_ms = before_ms,
    };
}

int64_t dm_age_now(const struct dm_age *age)
{
    uint64_t now_ns = dm_clock_monotonic_ns(&age->clock);
    DM_ASSERT(now_ns >= age->opened_ns && age->before_ms >= 0);
    return age->before_ms + (int64_t)((now_ns - age->opened_ns) / 1000000);
}

int64_t dm_age_read(struct dm_disk *disk)
{
    uint8_t bytes[FILE_SIZE];
    int file = disk->ops->open(disk, "age", false);
    if (file < 0) {
        return 0;
    }
    int64_t got = disk->ops->pread(disk, file, bytes, sizeof bytes, 0);
    disk->ops->close(disk, file);
    if (got != FILE_SIZE || dm_load_le64(bytes) != FILE_MAGIC ||
        dm_load_le32(bytes + 8) != dm_crc32c(0, bytes + 12, FILE_SIZE - 12) ||
        dm_load_le32(bytes + 12) != FILE_VERSION) {
        return 0;
    }
    int64_t age_ms = (int64_t)dm_load_le64(bytes + 16);
    return age_ms < 0 || age_ms > DM_AGE_MS_MAX ? 0 : age_ms;
}

int dm_age_write(struct dm_disk *disk, int64_t age_ms)
{
    uint8_t bytes[FILE_SIZE];
    dm_store_le64(bytes, FILE_MAGIC);
    dm_store_le32(bytes + 12, FILE_VERSION);
    dm_store_le64(bytes + 16, (uint64_t)age_ms);
    dm_store_le32(bytes + 8, dm_crc32c(0, bytes + 12, FILE_SIZE - 12));
    int file = disk->ops->open(disk, "age-new", true);
    if (file < 0) {
        return file;
    }
    int failed = disk->ops->pwrite(disk, file, dm_slice(bytes, sizeof bytes), 0);
    if (failed == 0) {
        failed = disk->ops->fdatasync(disk, file);
    }
    disk->ops->close(disk, file);
    if (failed == 0) {
        failed = disk->ops->rename(disk, "age-new", "age");
    }
    return failed != 0 ? failed : disk->ops->sync_folder(disk);
}
