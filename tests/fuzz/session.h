#ifndef TESTS_FUZZ_SESSION_H
#define TESTS_FUZZ_SESSION_H

#include "wire/session.h"

#include <stddef.h>
#include <stdint.h>

/* What every protocol's target does with its input: a connection to a whole server, fed
 * the input in pieces whose sizes the input decides; then time passes, and the client hangs
 * up, or the server drains. `hello`: what the client sends first. */
void fuzz_session(struct dm_session *(*create)(const struct dm_session_limits *limits),
                  struct dm_slice hello, const uint8_t *data, size_t size);

/* The same answers must come however the bytes were cut. Calls are answered with their own
 * payload at once. For protocols whose output does not depend on reads. */
void fuzz_pieces(struct dm_session *(*create)(const struct dm_session_limits *limits),
                 const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
