#include "lib/sim_disk.h"

#include "base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SECTOR 512UL
#define PAGE_SECTORS 8UL
#define HANDLES_MAX 256
#define NAME_SIZE 64

struct node {
    struct node *next;
    uint8_t *now, *synced; /* both `capacity` bytes, zero behind the end */
    uint8_t *dirty;        /* one a sector */
    uint64_t size, synced_size, capacity;
    uint64_t dirty_from, dirty_to; /* sectors */
};

struct name {
    char text[NAME_SIZE];
    struct node *node;
};

struct folder {
    struct name *names;
    size_t count, capacity;
};

enum change_kind { CREATED, RENAMED, REMOVED };

struct change {
    enum change_kind kind;
    char from[NAME_SIZE], to[NAME_SIZE];
    struct node *node;
};

struct fault {
    char suffix[NAME_SIZE];
    unsigned left;
};

struct handle {
    struct node *node;
    bool pages; /* writes are of whole ones */
    char name[NAME_SIZE];
};

/* A write on its way. */
struct begun {
    int file; /* -1: none */
    struct dm_slice bytes;
    uint64_t offset;
    uint64_t looks; /* until it has ended */
    int failed;     /* how it ends, if not well */
};

struct dm_sim_disk {
    struct dm_disk port;
    struct node *nodes;
    struct folder now, synced;
    struct change *changes;
    size_t change_count, change_capacity;
    struct handle handles[HANDLES_MAX];
    uint64_t capacity;
    uint64_t stop_at;
    bool stopped;
    struct fault write_fault, sync_fault;
    uint64_t reads;
    uint64_t begins; /* seed of what becomes of begun writes; 0: none is begun */
    uint64_t begin_calls;
    enum dm_sim_refusal refusal;
    struct begun begun;
};

uint64_t dm_test_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15U;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static struct dm_sim_disk *sim_of(struct dm_disk *disk)
{
    return (struct dm_sim_disk *)disk;
}

/* ---- the folder -------------------------------------------------------------- */

static struct name *find_name(const struct folder *folder, const char *text)
{
    for (size_t i = 0; i < folder->count; i++) {
        if (strcmp(folder->names[i].text, text) == 0) {
            return &folder->names[i];
        }
    }
    return NULL;
}

static void copy_text(char to[NAME_SIZE], const char *from)
{
    DM_ASSERT(strlen(from) < NAME_SIZE);
    (void)snprintf(to, NAME_SIZE, "%s", from);
}

static void put_name(struct folder *folder, const char *text, struct node *node)
{
    struct name *name = find_name(folder, text);
    if (name == NULL) {
        if (folder->count == folder->capacity) {
            folder->capacity = folder->capacity == 0 ? 16 : folder->capacity * 2;
            folder->names = dm_xrealloc(folder->names, folder->capacity * sizeof *folder->names);
        }
        name = &folder->names[folder->count++];
        copy_text(name->text, text);
    }
    name->node = node;
}

static void drop_name(struct folder *folder, const char *text)
{
    struct name *name = find_name(folder, text);
    if (name != NULL) {
        folder->count--;
        *name = folder->names[folder->count];
    }
}

static void copy_folder(struct folder *to, const struct folder *from)
{
    to->count = 0;
    for (size_t i = 0; i < from->count; i++) {
        put_name(to, from->names[i].text, from->names[i].node);
    }
}

static void apply_change(struct folder *folder, const struct change *change)
{
    const struct name *from = find_name(folder, change->from);
    switch (change->kind) {
    case CREATED:
        put_name(folder, change->from, change->node);
        break;
    case RENAMED:
        if (from != NULL) {
            struct node *node = from->node;
            drop_name(folder, change->from);
            put_name(folder, change->to, node);
        }
        break;
    case REMOVED:
        drop_name(folder, change->from);
        break;
    }
}

static void change_folder(struct dm_sim_disk *sim, enum change_kind kind, const char *from,
                          const char *to, struct node *node)
{
    if (sim->change_count == sim->change_capacity) {
        sim->change_capacity = sim->change_capacity == 0 ? 16 : sim->change_capacity * 2;
        sim->changes = dm_xrealloc(sim->changes, sim->change_capacity * sizeof *sim->changes);
    }
    struct change *change = &sim->changes[sim->change_count++];
    *change = (struct change){.kind = kind, .node = node};
    copy_text(change->from, from);
    copy_text(change->to, to);
    apply_change(&sim->now, change);
}

/* ---- files -------------------------------------------------------------------- */

static void grow(struct node *node, uint64_t size)
{
    if (size > node->capacity) {
        uint64_t sectors =
            (size + SECTOR * PAGE_SECTORS - 1) / (SECTOR * PAGE_SECTORS) * PAGE_SECTORS;
        uint64_t old = node->capacity;
        node->capacity = sectors * SECTOR;
        node->now = dm_xrealloc(node->now, node->capacity);
        node->synced = dm_xrealloc(node->synced, node->capacity);
        node->dirty = dm_xrealloc(node->dirty, sectors);
        memset(node->now + old, 0, node->capacity - old);
        memset(node->synced + old, 0, node->capacity - old);
        memset(node->dirty + old / SECTOR, 0, sectors - old / SECTOR);
    }
    if (size > node->size) {
        node->size = size;
    }
}

static void mark_dirty(struct node *node, uint64_t from, uint64_t to)
{
    uint64_t first = from / SECTOR;
    uint64_t end = (to + SECTOR - 1) / SECTOR;
    memset(node->dirty + first, 1, end - first);
    if (node->dirty_to == 0 || first < node->dirty_from) {
        node->dirty_from = first;
    }
    if (end > node->dirty_to) {
        node->dirty_to = end;
    }
}

static void keep_sector(struct node *node, uint64_t sector)
{
    memcpy(node->synced + sector * SECTOR, node->now + sector * SECTOR, SECTOR);
}

static void sync_sectors(struct node *node, uint64_t from, uint64_t to)
{
    for (uint64_t sector = from; sector < to; sector++) {
        if (node->dirty[sector] != 0) {
            keep_sector(node, sector);
            node->dirty[sector] = 0;
        }
    }
}

static void sync_node(struct node *node)
{
    sync_sectors(node, node->dirty_from, node->dirty_to);
    node->dirty_from = node->dirty_to = 0;
    node->synced_size = node->size;
}

static void crash_page(struct node *node, uint64_t page, uint64_t mode, uint64_t *random)
{
    uint64_t fate = mode < 2 ? mode : dm_test_random(random) % 3;
    for (uint64_t i = 0; i < PAGE_SECTORS; i++) {
        uint64_t sector = page * PAGE_SECTORS + i;
        bool keep = fate == 1 || (fate == 2 && dm_test_random(random) % 2 == 0);
        if (node->dirty[sector] != 0 && keep) {
            keep_sector(node, sector);
        }
        node->dirty[sector] = 0;
    }
}

/* mode 0: nothing survives, 1: all does, else: it depends */
static void crash_node(struct node *node, uint64_t mode, uint64_t *random)
{
    if (node->dirty_to > 0) {
        uint64_t end = (node->dirty_to + PAGE_SECTORS - 1) / PAGE_SECTORS;
        for (uint64_t page = node->dirty_from / PAGE_SECTORS; page < end; page++) {
            crash_page(node, page, mode, random);
        }
    }
    if (node->synced_size != node->size && dm_test_random(random) % 2 == 0) {
        node->synced_size = node->size;
    }
    node->size = node->synced_size;
    memset(node->synced + node->size, 0, node->capacity - node->size);
    memcpy(node->now, node->synced, node->capacity);
    node->dirty_from = node->dirty_to = 0;
}

static bool named(const struct folder *folder, const struct node *node)
{
    for (size_t i = 0; i < folder->count; i++) {
        if (folder->names[i].node == node) {
            return true;
        }
    }
    return false;
}

static void free_node(struct node *node)
{
    free(node->now);
    free(node->synced);
    free(node->dirty);
    free(node);
}

/* ---- calls --------------------------------------------------------------------- */

/* Counts a changing call; true: the machine is gone before it takes effect. */
static bool gone(struct dm_sim_disk *sim)
{
    if (!sim->stopped && sim->stop_at > 0) {
        sim->stop_at--;
        sim->stopped = sim->stop_at == 0;
    }
    return sim->stopped;
}

static bool has_space(const struct dm_sim_disk *sim, const struct node *node, uint64_t size)
{
    return sim->capacity == 0 || size <= node->size ||
           dm_sim_disk_used(sim) + (size - node->size) <= sim->capacity;
}

static bool hits(struct fault *fault, const char *name)
{
    size_t size = strlen(fault->suffix);
    size_t name_size = strlen(name);
    if (fault->left == 0 || name_size < size ||
        strcmp(name + name_size - size, fault->suffix) != 0) {
        return false;
    }
    fault->left--;
    return fault->left == 0;
}

static struct handle *handle_of(struct dm_sim_disk *sim, int file)
{
    DM_ASSERT(file >= 0 && file < HANDLES_MAX && sim->handles[file].node != NULL);
    return &sim->handles[file];
}

static int sim_open(struct dm_disk *disk, const char *name, bool create)
{
    struct dm_sim_disk *sim = sim_of(disk);
    const struct name *found = find_name(&sim->now, name);
    if (sim->stopped || (found == NULL && create && gone(sim))) {
        return -EIO;
    }
    if (found == NULL && !create) {
        return -ENOENT;
    }
    struct node *node = found != NULL ? found->node : NULL;
    if (node == NULL) {
        node = dm_xcalloc(1, sizeof *node);
        node->next = sim->nodes;
        sim->nodes = node;
        grow(node, 1);
        node->size = 0;
        change_folder(sim, CREATED, name, "", node);
    }
    for (int i = 0; i < HANDLES_MAX; i++) {
        if (sim->handles[i].node == NULL) {
            sim->handles[i].node = node;
            sim->handles[i].pages = false;
            copy_text(sim->handles[i].name, name);
            return i;
        }
    }
    return -EMFILE;
}

static void sim_close(struct dm_disk *disk, int file)
{
    handle_of(sim_of(disk), file)->node = NULL;
}

static int sim_pwrite(struct dm_disk *disk, int file, struct dm_slice bytes, uint64_t offset)
{
    struct dm_sim_disk *sim = sim_of(disk);
    const struct handle *handle = handle_of(sim, file);
    if (sim->stopped || hits(&sim->write_fault, handle->name)) {
        return -EIO;
    }
    uint64_t end = offset + bytes.size;
    DM_ASSERT(!handle->pages || (offset % DM_DISK_PAGE == 0 && end % DM_DISK_PAGE == 0 &&
                                 (uintptr_t)bytes.data % DM_DISK_PAGE == 0));
    if (!has_space(sim, handle->node, end)) {
        return -ENOSPC;
    }
    /* The last write before the end is in the cache, and may survive in parts. */
    bool last = gone(sim);
    grow(handle->node, end);
    if (bytes.size > 0) {
        memcpy(handle->node->now + offset, bytes.data, bytes.size);
        mark_dirty(handle->node, offset, end);
    }
    return last ? -EIO : 0;
}

static int sim_zero(struct dm_disk *disk, int file, uint64_t size, uint64_t offset)
{
    uint8_t *zeros = dm_xcalloc(1, (size_t)size);
    DM_ASSERT(size % DM_DISK_PAGE == 0 && offset % DM_DISK_PAGE == 0);
    int failed = sim_pwrite(disk, file, dm_slice(zeros, (size_t)size), offset);
    free(zeros);
    return failed;
}

static int64_t sim_pread(struct dm_disk *disk, int file, void *to, size_t size, uint64_t offset)
{
    struct dm_sim_disk *sim = sim_of(disk);
    const struct node *node = handle_of(sim, file)->node;
    sim->reads++;
    if (sim->stopped) {
        return -EIO;
    }
    if (offset >= node->size) {
        return 0;
    }
    uint64_t left = node->size - offset;
    size_t got = left < size ? (size_t)left : size;
    memcpy(to, node->now + offset, got);
    return (int64_t)got;
}

static int sim_fdatasync(struct dm_disk *disk, int file)
{
    struct dm_sim_disk *sim = sim_of(disk);
    const struct handle *handle = handle_of(sim, file);
    if (gone(sim) || hits(&sim->sync_fault, handle->name)) {
        return -EIO;
    }
    sync_node(handle->node);
    return 0;
}

/* What was begun is in the cache at once, and may survive from then on. */
static int sim_begin(struct dm_disk *disk, int file, struct dm_slice bytes, uint64_t offset,
                     int event)
{
    (void)event; /* nobody waits for it: there is no thread */
    struct dm_sim_disk *sim = sim_of(disk);
    DM_ASSERT(sim->begun.file < 0 && handle_of(sim, file)->pages);
    sim->begin_calls++;
    if (sim->begins == 0 || sim->refusal == DM_SIM_REFUSES_AT_ONCE ||
        dm_test_random(&sim->begins) % 8 == 0) {
        return -EAGAIN;
    }
    sim->begun = (struct begun){
        .file = file,
        .bytes = bytes,
        .offset = offset,
        .looks = dm_test_random(&sim->begins) % 4,
        .failed = sim_pwrite(disk, file, bytes, offset),
    };
    if (sim->begun.failed == 0 &&
        (sim->refusal == DM_SIM_REFUSES_LATER || dm_test_random(&sim->begins) % 16 == 0)) {
        sim->begun.failed = -EAGAIN;
    }
    return 0;
}

static int sim_finish(struct dm_disk *disk, bool wait)
{
    struct dm_sim_disk *sim = sim_of(disk);
    struct begun begun = sim->begun;
    DM_ASSERT(begun.file >= 0);
    if (begun.looks > 0 && !wait) {
        sim->begun.looks--;
        return -EINPROGRESS;
    }
    sim->begun.file = -1;
    const struct handle *handle = handle_of(sim, begun.file);
    if (begun.failed != 0 || gone(sim) || hits(&sim->sync_fault, handle->name)) {
        return begun.failed != 0 ? begun.failed : -EIO;
    }
    /* Whoever changes the bytes meanwhile would have them half written. */
    DM_ASSERT(memcmp(handle->node->now + begun.offset, begun.bytes.data, begun.bytes.size) == 0);
    sync_sectors(handle->node, begun.offset / SECTOR, (begun.offset + begun.bytes.size) / SECTOR);
    return 0;
}

/* From now on unaligned writes are mistakes of the caller. */
static void sim_expect_pages(struct dm_disk *disk, int file)
{
    handle_of(sim_of(disk), file)->pages = true;
}

static int64_t sim_size(struct dm_disk *disk, int file)
{
    return (int64_t)handle_of(sim_of(disk), file)->node->size;
}

static int sim_allocate(struct dm_disk *disk, int file, uint64_t size)
{
    struct dm_sim_disk *sim = sim_of(disk);
    struct node *node = handle_of(sim, file)->node;
    if (gone(sim)) {
        return -EIO;
    }
    if (!has_space(sim, node, size)) {
        return -ENOSPC;
    }
    grow(node, size);
    return 0;
}

static int sim_rename(struct dm_disk *disk, const char *from, const char *to)
{
    struct dm_sim_disk *sim = sim_of(disk);
    if (gone(sim)) {
        return -EIO;
    }
    if (find_name(&sim->now, from) == NULL) {
        return -ENOENT;
    }
    change_folder(sim, RENAMED, from, to, NULL);
    for (int i = 0; i < HANDLES_MAX; i++) {
        if (sim->handles[i].node != NULL && strcmp(sim->handles[i].name, from) == 0) {
            copy_text(sim->handles[i].name, to);
        }
    }
    return 0;
}

static int sim_remove(struct dm_disk *disk, const char *name)
{
    struct dm_sim_disk *sim = sim_of(disk);
    if (gone(sim)) {
        return -EIO;
    }
    if (find_name(&sim->now, name) == NULL) {
        return -ENOENT;
    }
    change_folder(sim, REMOVED, name, "", NULL);
    return 0;
}

static int sim_sync_folder(struct dm_disk *disk)
{
    struct dm_sim_disk *sim = sim_of(disk);
    if (gone(sim)) {
        return -EIO;
    }
    copy_folder(&sim->synced, &sim->now);
    sim->change_count = 0;
    return 0;
}

static int sim_list(struct dm_disk *disk, void (*each)(void *context, const char *name),
                    void *context)
{
    const struct dm_sim_disk *sim = sim_of(disk);
    if (sim->stopped) {
        return -EIO;
    }
    for (size_t i = 0; i < sim->now.count; i++) {
        each(context, sim->now.names[i].text);
    }
    return 0;
}

static void sim_destroy(struct dm_disk *disk)
{
    struct dm_sim_disk *sim = sim_of(disk);
    while (sim->nodes != NULL) {
        struct node *next = sim->nodes->next;
        free_node(sim->nodes);
        sim->nodes = next;
    }
    free(sim->now.names);
    free(sim->synced.names);
    free(sim->changes);
    free(sim);
}

static const struct dm_disk_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .pwrite = sim_pwrite,
    .pread = sim_pread,
    .zero = sim_zero,
    .expect_pages = sim_expect_pages,
    .fdatasync = sim_fdatasync,
    .begin = sim_begin,
    .finish = sim_finish,
    .size = sim_size,
    .allocate = sim_allocate,
    .rename = sim_rename,
    .remove = sim_remove,
    .sync_folder = sim_sync_folder,
    .list = sim_list,
    .destroy = sim_destroy,
};

struct dm_sim_disk *dm_sim_disk_create(void)
{
    struct dm_sim_disk *sim = dm_xcalloc(1, sizeof *sim);
    sim->port.ops = &sim_ops;
    sim->begun.file = -1;
    return sim;
}

void dm_sim_disk_destroy(struct dm_sim_disk *sim)
{
    sim_destroy(&sim->port);
}

struct dm_disk *dm_sim_disk_port(struct dm_sim_disk *sim)
{
    return &sim->port;
}

/* ---- faults ------------------------------------------------------------------------ */

void dm_sim_disk_crash(struct dm_sim_disk *sim, uint64_t seed)
{
    uint64_t random = seed;
    uint64_t mode = dm_test_random(&random) % 5;
    uint64_t folder_mode = dm_test_random(&random) % 4;
    for (size_t i = 0; i < sim->change_count; i++) {
        if (folder_mode == 1 || (folder_mode > 1 && dm_test_random(&random) % 2 == 0)) {
            apply_change(&sim->synced, &sim->changes[i]);
        }
    }
    copy_folder(&sim->now, &sim->synced);
    sim->change_count = 0;
    struct node **link = &sim->nodes;
    while (*link != NULL) {
        struct node *node = *link;
        if (named(&sim->now, node)) {
            crash_node(node, mode, &random);
            link = &node->next;
        } else {
            *link = node->next;
            free_node(node);
        }
    }
    dm_sim_disk_kill(sim);
}

void dm_sim_disk_kill(struct dm_sim_disk *sim)
{
    memset(sim->handles, 0, sizeof sim->handles);
    sim->begun.file = -1;
    sim->stopped = false;
    sim->stop_at = 0;
    sim->write_fault.left = sim->sync_fault.left = 0;
}

void dm_sim_disk_stop_at(struct dm_sim_disk *sim, uint64_t calls)
{
    sim->stop_at = calls;
}

uint64_t dm_sim_disk_reads(const struct dm_sim_disk *sim)
{
    return sim->reads;
}

void dm_sim_disk_begins(struct dm_sim_disk *sim, uint64_t seed)
{
    sim->begins = seed;
}

void dm_sim_disk_refuse(struct dm_sim_disk *sim, enum dm_sim_refusal refusal)
{
    sim->refusal = refusal;
}

uint64_t dm_sim_disk_begin_calls(const struct dm_sim_disk *sim)
{
    return sim->begin_calls;
}

bool dm_sim_disk_stopped(const struct dm_sim_disk *sim)
{
    return sim->stopped;
}

void dm_sim_disk_set_capacity(struct dm_sim_disk *sim, uint64_t bytes)
{
    sim->capacity = bytes;
}

uint64_t dm_sim_disk_used(const struct dm_sim_disk *sim)
{
    uint64_t used = 0;
    for (size_t i = 0; i < sim->now.count; i++) {
        used += sim->now.names[i].node->size;
    }
    return used;
}

void dm_sim_disk_fail_write(struct dm_sim_disk *sim, const char *suffix, unsigned n)
{
    copy_text(sim->write_fault.suffix, suffix);
    sim->write_fault.left = n;
}

void dm_sim_disk_fail_sync(struct dm_sim_disk *sim, const char *suffix, unsigned n)
{
    copy_text(sim->sync_fault.suffix, suffix);
    sim->sync_fault.left = n;
}

bool dm_sim_disk_flip(struct dm_sim_disk *sim, const char *name, uint64_t offset, unsigned bit)
{
    const struct name *found = find_name(&sim->now, name);
    if (found == NULL || offset >= found->node->size) {
        return false;
    }
    found->node->now[offset] ^= (uint8_t)(1U << bit);
    found->node->synced[offset] = found->node->now[offset];
    return true;
}

bool dm_sim_disk_exists(const struct dm_sim_disk *sim, const char *name)
{
    return find_name(&sim->now, name) != NULL;
}
