/* What an HTTP/2 client may send after a good preface. */
#include "fuzz/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    fuzz_session(dm_h2_session, dm_slice(preface, sizeof preface - 1), data, size);
    return 0;
}
