#ifndef DM_BASE_CODE_H
#define DM_BASE_CODE_H

/* The result of everything that can fail: google.rpc.Code, so that no layer has to translate.
 * Zero is success. */
enum dm_code {
    DM_OK = 0,
    DM_CANCELLED = 1,
    DM_UNKNOWN = 2,
    DM_INVALID_ARGUMENT = 3,
    DM_DEADLINE_EXCEEDED = 4,
    DM_NOT_FOUND = 5,
    DM_ALREADY_EXISTS = 6,
    DM_PERMISSION_DENIED = 7,
    DM_RESOURCE_EXHAUSTED = 8,
    DM_FAILED_PRECONDITION = 9,
    DM_ABORTED = 10,
    DM_OUT_OF_RANGE = 11,
    DM_UNIMPLEMENTED = 12,
    DM_INTERNAL = 13,
    DM_UNAVAILABLE = 14,
    DM_DATA_LOSS = 15,
    DM_UNAUTHENTICATED = 16,
};

#define DM_CODE_COUNT 17

/* "INVALID_ARGUMENT" for DM_INVALID_ARGUMENT; "UNKNOWN" for a number that is
 * no code. Never NULL; static storage. */
const char *dm_code_name(int code);

/* A failure with its sentence: what was wrong, which limit, what to do. The
 * caller owns the struct (usually on its stack); a function that fails fills
 * it, one that succeeds leaves it alone. */
struct dm_error {
    enum dm_code code;
    char message[248]; /* NUL-terminated, cut if longer */
};

/* Fills *error (ignored when NULL) and returns `code`, so that a failing
 * function can end with `return dm_fail(error, DM_..., "...", ...)`. */
enum dm_code dm_fail(struct dm_error *error, enum dm_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
