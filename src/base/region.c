#include "base/region.h"

#include "base/assert.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

bool dm_region_init(struct dm_region *region, size_t size)
{
    DM_ASSERT(size != 0);
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        *region = (struct dm_region){0};
        return false;
    }
    *region = (struct dm_region){.base = base, .size = size};
    return true;
}

void dm_region_prefer_huge(struct dm_region *region)
{
    (void)madvise(region->base, region->size, MADV_HUGEPAGE);
}

void dm_region_release(struct dm_region *region, size_t offset, size_t size)
{
    DM_ASSERT(offset <= region->size && size <= region->size - offset);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t from = (offset + page - 1) / page * page;
    size_t to = (offset + size) / page * page;
    if (from < to) {
        (void)madvise((uint8_t *)region->base + from, to - from, MADV_DONTNEED);
    }
}

void dm_region_finish(struct dm_region *region)
{
    if (region->base != NULL) {
        (void)munmap(region->base, region->size);
    }
    *region = (struct dm_region){0};
}
