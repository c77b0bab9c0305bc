/* The hot messages to and from bytes: by the generated codec (rpc/hot_codec.h), and what nanopb
 * takes for the same. JSON lines on stdout: nanoseconds of processor time.
 *
 *   codec_bench [rounds] */

#include "rpc/convert.h"
#include "rpc/hot_codec.h"
#include "rpc/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DEFAULT_ROUNDS = 1000000 };

struct bench {
    uint64_t rounds;
    struct dm_slice check, set; /* requests */
    uint8_t out[DM_SMALL_MESSAGE];
};

static uint64_t processor_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "codec_bench: %s\n", what);
    exit(1);
}

static void keep(const void *memory)
{
    __asm__ volatile("" : : "r"(memory) : "memory");
}

/* ---- Check -------------------------------------------------------------------------------------
 */

static void check_decode_hot(struct bench *bench, uint64_t i)
{
    dormouse_v1_CheckRequest in = {0};
    (void)i;
    if (dm_check_request_decode(bench->check, &in) != NULL || in.contact_id.size == 0) {
        die("a CheckRequest was not read");
    }
    keep(&in);
}

static void check_decode_nanopb(struct bench *bench, uint64_t i)
{
    dormouse_v1_CheckRequest message = {0};
    pb_istream_t stream = dm_istream(bench->check);
    (void)i;
    if (!pb_decode(&stream, dormouse_v1_CheckRequest_fields, &message) ||
        message.contact_id.size == 0) {
        die("nanopb did not read a CheckRequest");
    }
    keep(&message);
}

static void check_encode_hot(struct bench *bench, uint64_t i)
{
    struct dm_effective state = {
        .status = DM_STATUS_SNOOZED,
        .decision = DM_DECISION_SILENT,
        .decision_reason = DM_REASON_SET,
        .fence = 1 + (i & 63),
        .until_ms = 1700000000123LL,
    };
    const dormouse_v1_CheckResponse message = dm_check_to_proto(&state);
    struct dm_slice bytes = dm_check_response_encode(bench->out, &message);
    keep(bytes.data);
}

static void check_encode_nanopb(struct bench *bench, uint64_t i)
{
    dormouse_v1_CheckResponse message = {
        .decision = (dormouse_v1_Decision)DM_DECISION_SILENT,
        .status = (dormouse_v1_Status)DM_STATUS_SNOOZED,
        .reason = (dormouse_v1_Reason)DM_REASON_SET,
        .fence = 1 + (i & 63),
        .has_valid_until = true,
        .valid_until = {.seconds = 1700000000, .nanos = 123000000},
    };
    struct dm_slice bytes = dm_encode(bench->out, dormouse_v1_CheckResponse_fields, &message);
    keep(bytes.data);
}

/* ---- SetStatus
 * ------------------------------------------------------------------------------------ */

static void set_decode_hot(struct bench *bench, uint64_t i)
{
    dormouse_v1_SetStatusRequest in = {0};
    (void)i;
    if (dm_set_status_request_decode(bench->set, &in) != NULL || !in.has_change) {
        die("a SetStatusRequest was not read");
    }
    keep(&in);
}

static void set_decode_nanopb(struct bench *bench, uint64_t i)
{
    dormouse_v1_SetStatusRequest message = {0};
    pb_istream_t stream = dm_istream(bench->set);
    (void)i;
    if (!pb_decode(&stream, dormouse_v1_SetStatusRequest_fields, &message) ||
        message.request_id.size == 0) {
        die("nanopb did not read a SetStatusRequest");
    }
    keep(&message);
}

static void set_encode_hot(struct bench *bench, uint64_t i)
{
    struct dm_outcome outcome = {
        .contact =
            {
                .account_id = dm_slice_str("a0000017"),
                .contact_id = dm_slice_str("contact-000000012345"),
                .actor = dm_slice_str("agent-17"),
                .status = DM_STATUS_SNOOZED,
                .reason = DM_REASON_SET,
                .mode = DM_MODE_AUTO_PILOT,
                .since_ms = 1700000000123LL,
                .until_ms = 1700003600123LL,
                .fence = 1 + (i & 63),
                .revision = 1 + (i & 63),
                .last_seq = 1000000 + i,
            },
        .changed = true,
    };
    const dormouse_v1_SetStatusResponse message = {
        .has_contact = true,
        .contact = dm_contact_to_proto(&outcome.contact),
        .changed = outcome.changed,
    };
    struct dm_slice bytes = dm_set_status_response_encode(bench->out, &message);
    keep(bytes.data);
}

/* ---- running
 * ------------------------------------------------------------------------------------------ */

static void measure(struct bench *bench, const char *message, const char *way,
                    void (*one)(struct bench *, uint64_t))
{
    uint64_t began = processor_ns();
    for (uint64_t i = 0; i < bench->rounds; i++) {
        one(bench, i);
    }
    printf("{\"bench\":\"codec\",\"message\":\"%s\",\"by\":\"%s\",\"ns_each\":%.1f}\n", message,
           way, (double)(processor_ns() - began) / (double)bench->rounds);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    /* StatusChange{SNOOZED, snooze_for = 3600 s, actor}, then a request_id. */
    static const char check[] = "\x0a\x08"
                                "a0000017\x12\x14"
                                "contact-000000012345";
    static const char set[] = "\x0a\x08"
                              "a0000017\x12\x14"
                              "contact-000000012345\x1a\x11\x08\x02\x12\x03\x08\x90\x1c\x22\x08"
                              "agent-17\x2a\x10"
                              "0123456789abcdef";
    static struct bench bench;
    bench.rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    bench.check = dm_slice(check, sizeof check - 1);
    bench.set = dm_slice(set, sizeof set - 1);
    if (bench.rounds == 0) {
        die("usage: codec_bench [rounds]");
    }
    printf("{\"bench\":\"codec\",\"compiler\":\"%s\",\"rounds\":%llu}\n", __VERSION__,
           (unsigned long long)bench.rounds);
    measure(&bench, "CheckRequest", "hot", check_decode_hot);
    measure(&bench, "CheckRequest", "nanopb", check_decode_nanopb);
    measure(&bench, "CheckResponse", "hot", check_encode_hot);
    measure(&bench, "CheckResponse", "nanopb", check_encode_nanopb);
    measure(&bench, "SetStatusRequest", "hot", set_decode_hot);
    measure(&bench, "SetStatusRequest", "nanopb", set_decode_nanopb);
    measure(&bench, "SetStatusResponse", "hot", set_encode_hot);
    return 0;
}
