#ifndef DM_RPC_REQUEST_H
#define DM_RPC_REQUEST_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* A call as its protocol tells of it. */
struct dm_rpc_request {
    uint64_t id; /* the caller's, unique among the sink's open calls */
    struct dm_slice service, method, payload;
    bool json;          /* payload and answers in ProtoJSON */
    int64_t timeout_ns; /* 0: none */
    bool open;          /* more input follows */
    bool awaiting;      /* `open`, and no message has come yet: the first is an input */
    bool unary_only;  /* the protocol cannot carry a stream back: such methods are UNIMPLEMENTED */
    bool stream_only; /* likewise the other way */
    bool get;         /* methods without side effects only */
};

#endif
