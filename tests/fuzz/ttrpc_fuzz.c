/* What a ttrpc client may send. */
#include "fuzz/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_session(dm_ttrpc_session, dm_slice(NULL, 0), data, size);
    fuzz_pieces(dm_ttrpc_session, data, size);
    return 0;
}
