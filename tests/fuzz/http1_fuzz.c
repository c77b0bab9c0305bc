/* What an HTTP/1.1 client may send: Connect, gRPC-Web, and anything else. */
#include "fuzz/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_session(dm_http1_session, dm_slice(NULL, 0), data, size);
    fuzz_pieces(dm_http1_session, data, size);
    return 0;
}
