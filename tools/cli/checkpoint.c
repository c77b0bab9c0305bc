#include "cli/checkpoint.h"

#include "base/assert.h"
#include "cli/when.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NUMBERS_MIN = 1024, FLUSH_SIZE = 64 * 1024, COPY_SIZE = 64 * 1024 };

static const char magic[] = "dormouse import 1 ";

/* ---- numbers ------------------------------------------------------------------------ */

static struct dm_number *slot_of(const struct dm_numbers *numbers, uint64_t key)
{
    size_t mask = numbers->capacity - 1;
    size_t i = (size_t)(key * 0x9e3779b97f4a7c15U >> 20) & mask;
    while (numbers->slots[i].key != 0 && numbers->slots[i].key != key) {
        i = (i + 1) & mask;
    }
    return &numbers->slots[i];
}

static void grow(struct dm_numbers *numbers)
{
    struct dm_numbers larger = {.capacity =
                                    numbers->capacity == 0 ? NUMBERS_MIN : numbers->capacity * 2};
    larger.slots = dm_xcalloc(larger.capacity, sizeof *larger.slots);
    larger.count = numbers->count;
    for (size_t i = 0; i < numbers->capacity; i++) {
        if (numbers->slots[i].key != 0) {
            *slot_of(&larger, numbers->slots[i].key) = numbers->slots[i];
        }
    }
    free(numbers->slots);
    *numbers = larger;
}

/* Always true. */
static bool put(struct dm_numbers *numbers, uint64_t key, uint64_t value)
{
    if ((numbers->count + 1) * 4 > numbers->capacity * 3) {
        grow(numbers);
    }
    struct dm_number *slot = slot_of(numbers, key);
    numbers->count += slot->key == 0;
    *slot = (struct dm_number){.key = key, .value = value};
    return true;
}

static uint64_t get(const struct dm_numbers *numbers, uint64_t key)
{
    return numbers->count == 0 ? 0 : slot_of(numbers, key)->value;
}

static void clear(struct dm_numbers *numbers)
{
    free(numbers->slots);
    *numbers = (struct dm_numbers){0};
}

/* ---- reading ------------------------------------------------------------------------ */

static void head(struct dm_out *out, const struct dm_checkpoint_target *target)
{
    dm_out_str(out, magic);
    dm_out_str(out, "server ");
    dm_out_json(out, dormouse_text(target->server));
    dm_out_str(out, " account ");
    dm_out_json(out, target->account);
    dm_out_str(out, " run ");
}

static bool fail(struct dm_checkpoint *checkpoint, const char *why)
{
    (void)snprintf(checkpoint->why, sizeof checkpoint->why, "%s", why);
    return false;
}

/* The first line: 1: ours, 0: of another run, negative: not ours at all (why is told). */
static int judge_head(struct dm_checkpoint *checkpoint, const char *line,
                      const struct dm_checkpoint_target *target)
{
    struct dm_out wanted = {.colour = false};
    head(&wanted, target);
    size_t common = dm_buf_size(&wanted.buf);
    dm_out_json(&wanted, target->run);
    dm_out_str(&wanted, "\n");
    struct dm_slice all = dm_buf_slice(&wanted.buf);
    DM_ASSERT(all.data != NULL);
    size_t size = strlen(line);
    /* One that died right at the beginning has less of it. */
    bool torn = size < all.size && memcmp(line, all.data, size) == 0;
    int result = -1;
    if (size == all.size && memcmp(line, all.data, size) == 0) {
        result = 1;
    } else if (torn || (size > common && memcmp(line, all.data, common) == 0)) {
        result = 0;
    } else if (strncmp(line, magic, sizeof magic - 1) == 0) {
        (void)snprintf(checkpoint->why, sizeof checkpoint->why,
                       "belongs to another import (%.*s); give --checkpoint another file, or "
                       "remove this one if that import is over",
                       (int)strcspn(line + sizeof magic - 1, "\n"), line + sizeof magic - 1);
    } else {
        (void)fail(checkpoint, "was not written by an import, and is left alone; give --checkpoint "
                               "another file");
    }
    dm_out_finish(&wanted);
    return result;
}

static bool take_word(const char **at, const char *word)
{
    size_t size = strlen(word);
    if (strncmp(*at, word, size) != 0) {
        return false;
    }
    *at += size;
    return true;
}

/* One number behind a blank. */
static bool take_number(const char **at, int base, uint64_t *number)
{
    const char *digits = base == 16 ? "0123456789abcdef" : "0123456789";
    if (**at != ' ' || (*at)[1] == '\0' || strchr(digits, (*at)[1]) == NULL) {
        return false;
    }
    char *end;
    errno = 0;
    *number = strtoull(*at + 1, &end, base);
    *at = end;
    return errno == 0;
}

static bool take_begun(struct dm_checkpoint *checkpoint, const char *line)
{
    const char *at = line;
    if (!take_word(&at, "begun ")) {
        return false;
    }
    size_t size = strcspn(at, " \n");
    if (dm_time_parse((struct dormouse_text){at, size}, &checkpoint->begun_ms) != NULL) {
        return false;
    }
    at += size;
    return take_word(&at, " after") && take_number(&at, 10, &checkpoint->after_seq) &&
           take_word(&at, " key") && take_number(&at, 16, &checkpoint->key.low) &&
           take_number(&at, 16, &checkpoint->key.high) && strcmp(at, "\n") == 0;
}

/* false: garbled, and nothing was taken. */
static bool take_line(struct dm_checkpoint *checkpoint, const char *line)
{
    const char *at = line;
    uint64_t a = 0, b = 0;
    if (strcmp(line, "edited\n") == 0) {
        checkpoint->done = checkpoint->crc = 0;
        clear(&checkpoint->refused);
        return true;
    }
    if (take_word(&at, "own")) {
        bool ok = take_number(&at, 16, &a) && take_number(&at, 10, &b) && a != 0;
        return ok && strcmp(at, "\n") == 0 && put(&checkpoint->own, a, b);
    }
    if (take_word(&at, "done")) {
        bool ok = take_number(&at, 10, &a) && take_number(&at, 16, &b) && strcmp(at, "\n") == 0;
        checkpoint->done = ok ? a : checkpoint->done;
        checkpoint->crc = ok ? (uint32_t)b : checkpoint->crc;
        return ok;
    }
    bool refused = take_word(&at, "refused");
    bool ok = (refused || take_word(&at, "fixed")) && take_number(&at, 10, &a) && a != 0;
    return ok && strcmp(at, "\n") == 0 && put(&checkpoint->refused, a, refused);
}

/* Reads what is there. *good: the bytes that are. false: the file is not ours. */
static bool read_all(struct dm_checkpoint *checkpoint, FILE *file,
                     const struct dm_checkpoint_target *target, off_t *good)
{
    char *line = NULL;
    size_t room = 0;
    *good = 0;
    checkpoint->is_new = true;
    ssize_t size = getline(&line, &room, file);
    int ours = size <= 0 ? 0 : judge_head(checkpoint, line, target);
    off_t at = size <= 0 ? 0 : size;
    if (ours > 0 && (size = getline(&line, &room, file)) > 0 && take_begun(checkpoint, line)) {
        checkpoint->is_new = false;
        do {
            at += size;
            *good = at;
            size = getline(&line, &room, file);
        } while (size > 0 && take_line(checkpoint, line));
    }
    free(line);
    return ours >= 0;
}

/* A look makes no file: one that is not there is as good as an empty one. */
static int open_file(struct dm_checkpoint *checkpoint, const char *path, bool look)
{
    int flags = (look ? O_RDONLY : O_RDWR | O_CREAT) | O_NONBLOCK | O_CLOEXEC;
    int fd = open(path, flags, 0600);
    if (fd < 0) {
        (void)snprintf(checkpoint->why, sizeof checkpoint->why,
                       "%s; give --checkpoint a file that can be written", strerror(errno));
        return -1;
    }
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        (void)fail(checkpoint, "is not a regular file; give --checkpoint another one");
        (void)close(fd);
        return -1;
    }
    if (!look && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)fail(checkpoint, errno == EWOULDBLOCK ? "is in use: another import of this file runs"
                                                    : strerror(errno));
        (void)close(fd);
        return -1;
    }
    return fd;
}

bool dm_checkpoint_open(struct dm_checkpoint *checkpoint, const char *path, bool look,
                        const struct dm_checkpoint_target *target)
{
    *checkpoint = (struct dm_checkpoint){.fd = -1, .is_new = true};
    if (path == NULL || (look && access(path, F_OK) != 0)) {
        return true;
    }
    int fd = open_file(checkpoint, path, look);
    int copy = fd < 0 ? -1 : dup(fd);
    FILE *file = copy < 0 ? NULL : fdopen(copy, "rb");
    if (file == NULL) {
        if (fd >= 0) {
            (void)fail(checkpoint, strerror(errno));
            (void)close(fd);
        }
        return false;
    }
    off_t good = 0;
    bool ok = read_all(checkpoint, file, target, &good);
    (void)fclose(file);
    if (ok && !look && (ftruncate(fd, good) != 0 || lseek(fd, good, SEEK_SET) != good)) {
        ok = fail(checkpoint, strerror(errno));
    }
    if (!ok || look) {
        (void)close(fd);
    } else {
        checkpoint->fd = fd;
        checkpoint->writable = true;
    }
    return ok;
}

void dm_checkpoint_begin(struct dm_checkpoint *checkpoint, uint64_t after_seq, int64_t now_ms,
                         const struct dm_checkpoint_target *target)
{
    struct dm_out *out = &checkpoint->out;
    ssize_t size = getrandom(&checkpoint->key, sizeof checkpoint->key, 0);
    DM_ASSERT(size == (ssize_t)sizeof checkpoint->key);
    checkpoint->after_seq = after_seq;
    checkpoint->begun_ms = now_ms;
    head(out, target);
    dm_out_json(out, target->run);
    dm_out_str(out, "\nbegun ");
    dm_time_print_rfc3339(out, now_ms);
    dm_out_format(out, " after %" PRIu64 " key %016" PRIx64 " %016" PRIx64 "\n", after_seq,
                  checkpoint->key.low, checkpoint->key.high);
    dm_checkpoint_flush(checkpoint);
}

/* ---- writing ------------------------------------------------------------------------ */

void dm_checkpoint_flush(struct dm_checkpoint *checkpoint)
{
    struct dm_buf *buf = &checkpoint->out.buf;
    while (checkpoint->writable && dm_buf_size(buf) > 0) {
        ssize_t size = write(checkpoint->fd, dm_buf_head(buf), dm_buf_size(buf));
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            (void)fail(checkpoint, strerror(errno));
            checkpoint->unwritten = true;
            checkpoint->writable = false;
            break;
        }
        dm_buf_consume(buf, (size_t)size);
    }
    dm_buf_reset(buf, SIZE_MAX);
}

void dm_checkpoint_finish(struct dm_checkpoint *checkpoint)
{
    dm_checkpoint_flush(checkpoint);
    if (checkpoint->fd >= 0) {
        (void)close(checkpoint->fd);
    }
    dm_out_finish(&checkpoint->out);
    clear(&checkpoint->own);
    clear(&checkpoint->refused);
}

static void written(struct dm_checkpoint *checkpoint)
{
    if (!checkpoint->writable || dm_buf_size(&checkpoint->out.buf) >= FLUSH_SIZE) {
        dm_checkpoint_flush(checkpoint);
    }
}

uint64_t dm_checkpoint_contact(const struct dm_checkpoint *checkpoint,
                               struct dormouse_text account_id, struct dormouse_text contact_id)
{
    struct dm_hash_key key = checkpoint->key;
    struct dm_wide_hash account = dm_siphash(key, account_id.data, account_id.size);
    key.low ^= account.low;
    key.high ^= account.high;
    uint64_t hash = dm_siphash(key, contact_id.data, contact_id.size).low;
    return hash == 0 ? 1 : hash;
}

void dm_checkpoint_own(struct dm_checkpoint *checkpoint, uint64_t contact, uint64_t seq)
{
    (void)put(&checkpoint->own, contact, seq);
    dm_out_format(&checkpoint->out, "own %016" PRIx64 " %" PRIu64 "\n", contact, seq);
    written(checkpoint);
}

bool dm_checkpoint_find_own(const struct dm_checkpoint *checkpoint, uint64_t contact, uint64_t *seq)
{
    const struct dm_numbers *own = &checkpoint->own;
    const struct dm_number *slot = own->count == 0 ? NULL : slot_of(own, contact);
    bool found = slot != NULL && slot->key == contact;
    *seq = found ? slot->value : 0;
    return found;
}

void dm_checkpoint_refused(struct dm_checkpoint *checkpoint, uint64_t line, bool refused)
{
    if (dm_checkpoint_was_refused(checkpoint, line) == refused) {
        return;
    }
    (void)put(&checkpoint->refused, line, refused);
    dm_out_format(&checkpoint->out, "%s %" PRIu64 "\n", refused ? "refused" : "fixed", line);
    written(checkpoint);
}

bool dm_checkpoint_was_refused(const struct dm_checkpoint *checkpoint, uint64_t line)
{
    return get(&checkpoint->refused, line) != 0;
}

void dm_checkpoint_done(struct dm_checkpoint *checkpoint, uint64_t offset, uint32_t crc)
{
    checkpoint->done = offset;
    checkpoint->crc = crc;
    dm_out_format(&checkpoint->out, "done %" PRIu64 " %08" PRIx32 "\n", offset, crc);
    written(checkpoint);
}

void dm_checkpoint_edited(struct dm_checkpoint *checkpoint)
{
    checkpoint->done = checkpoint->crc = 0;
    clear(&checkpoint->refused);
    dm_out_str(&checkpoint->out, "edited\n");
    written(checkpoint);
}

bool dm_checkpoint_matches(const struct dm_checkpoint *checkpoint, int fd)
{
    char *piece = dm_xmalloc(COPY_SIZE);
    uint64_t at = 0;
    uint32_t crc = 0;
    while (at < checkpoint->done) {
        uint64_t left = checkpoint->done - at;
        ssize_t size = pread(fd, piece, left < COPY_SIZE ? (size_t)left : COPY_SIZE, (off_t)at);
        if (size <= 0) {
            break;
        }
        crc = dm_crc32c(crc, piece, (size_t)size);
        at += (uint64_t)size;
    }
    free(piece);
    return at == checkpoint->done && crc == checkpoint->crc;
}
