/* The generated hot codec beside nanopb. The first byte says which message, and whether it is
 * read by both, or read by nanopb and written by both. */
#include "hot/hot.h"

static void read_by_both(uint8_t choice, struct dm_slice bytes)
{
    size_t which = choice % (hot_decoded_count + 1);
    (void)hot_decodes_alike(which < hot_decoded_count ? &hot_decoded[which] : &hot_every_decoded[0],
                            bytes);
}

static void written_by_both(uint8_t choice, struct dm_slice bytes)
{
    size_t which = choice % (hot_encoded_count + 1);
    (void)hot_encodes_alike(which < hot_encoded_count ? &hot_encoded[which] : &hot_every_encoded[0],
                            bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct dm_slice bytes = dm_slice(data + 1, size - 1);
    if ((data[0] & 0x80) != 0) {
        written_by_both(data[0] & 0x7F, bytes);
    } else {
        read_by_both(data[0], bytes);
    }
    return 0;
}
