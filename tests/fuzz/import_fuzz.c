/* Files given to `dormouse import`. The first byte: the format, or a guess. */
#include "base/assert.h"
#include "cli/source.h"
#include "client/message.h"
#include "fuzz/session.h"

#include <sys/mman.h>
#include <unistd.h>

static int file_of(const uint8_t *data, size_t size)
{
    int fd = memfd_create("import", MFD_CLOEXEC);
    DM_ASSERT(fd >= 0);
    ssize_t written = write(fd, data, size);
    DM_ASSERT(written == (ssize_t)size);
    off_t start = lseek(fd, 0, SEEK_SET);
    DM_ASSERT(start == 0);
    return fd;
}

static void request_of(const struct dm_row *row)
{
    const struct dm_row_defaults defaults = {
        .account_id = dormouse_text("acme"), .run = dormouse_text("1"), .expired_active = true};
    struct dm_row_request request;
    const char *wrong = dm_row_request(row, &defaults, 1800000000000, &request);
    DM_ASSERT(wrong == NULL || *wrong != '\0');
    if (wrong == NULL) {
        struct dm_buf bytes = {0};
        enum dm_code code = dm_message_check(&dm_set_status_message, &request.set, NULL);
        DM_ASSERT(code == DM_OK);
        bool good = dm_message_encode(&bytes, &dm_set_status_message, &request.set);
        DM_ASSERT(good);
        dm_buf_finish(&bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct dm_source source;
    struct dm_row row = {0};
    int fd = file_of(data + 1, size - 1);
    dm_source_init(&source, fd, (enum dm_format)(data[0] % 3));
    for (size_t rows = 0;; rows++) {
        enum dm_source_result result = dm_source_next(&source, &row, true);
        if (result == DM_SOURCE_ROW) {
            request_of(&row);
        } else if (result != DM_SOURCE_BAD) {
            DM_ASSERT(result == DM_SOURCE_END || result == DM_SOURCE_FAILED);
            break;
        }
        DM_ASSERT(rows < size); /* each takes a byte at least */
    }
    dm_row_finish(&row);
    dm_source_finish(&source);
    (void)close(fd);
    return 0;
}
