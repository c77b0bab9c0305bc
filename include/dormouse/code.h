#ifndef DORMOUSE_CODE_H
#define DORMOUSE_CODE_H

#ifdef __cplusplus
extern "C" {
#endif

/* How a call ended: google.rpc.Code, as the server sent it or as the client found. */
enum dormouse_code {
    DORMOUSE_OK = 0,
    DORMOUSE_CANCELLED = 1, /* the client was closed */
    DORMOUSE_UNKNOWN = 2,
    DORMOUSE_INVALID_ARGUMENT = 3,
    DORMOUSE_DEADLINE_EXCEEDED = 4, /* no answer in time; a mutation may have been done */
    DORMOUSE_NOT_FOUND = 5,
    DORMOUSE_ALREADY_EXISTS = 6,
    DORMOUSE_PERMISSION_DENIED = 7,
    DORMOUSE_RESOURCE_EXHAUSTED = 8, /* a limit, of the server or of this client */
    DORMOUSE_FAILED_PRECONDITION = 9,
    DORMOUSE_ABORTED = 10, /* if_revision did not hold */
    DORMOUSE_OUT_OF_RANGE = 11,
    DORMOUSE_UNIMPLEMENTED = 12,
    DORMOUSE_INTERNAL = 13,
    DORMOUSE_UNAVAILABLE = 14, /* the connection broke; a mutation may have been done */
    DORMOUSE_DATA_LOSS = 15,
    DORMOUSE_UNAUTHENTICATED = 16
};

/* "NOT_FOUND" for DORMOUSE_NOT_FOUND; "UNKNOWN" for what is no code. Static storage. */
const char *dormouse_code_name(int code);

#ifdef __cplusplus
}
#endif

#endif
