/* Whole calls without sockets: frames into a session, through rpc and engine, to the bytes
 * of the answers, in one thread, as the loop does it. The journal is in memory and durable
 * at once, the view is LMDB. JSON lines on stdout: nanoseconds
 * of processor time. Every answer is looked at.
 *
 *   call_bench [check|set|commit|all] [calls] [contacts] [depth] [folder]
 *
 * `depth`: calls that come in one read. `folder` is made and emptied again (default
 * "call_bench.tmp"); "memory": the view is in memory, too. What is measured happens in
 * measured_round, for bench/instructions to count. */

#include "base/clock.h"
#include "base/list.h"
#include "engine/engine.h"
#include "rpc/prefetch.h"
#include "rpc/rpc.h"
#include "wire/session.h"
#include "wire/ttrpc_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK_AHEAD = 32,      /* as many as the loop's connections fetch ahead */
    UPKEEP_CALLS = 16384, /* after so many calls the engine has a turn, unmeasured */
    CONTACTS_AN_ACCOUNT = 1000,
    ID_SIZE = 20,
    ACCOUNT_SIZE = 8,
    PAYLOAD_MAX = 256,
};

enum method { CHECK, SET, COMMIT, METHODS };
static const char *const method_words[METHODS] = {"check", "set", "commit"};
static const char *const method_names[METHODS] = {"Check", "SetStatus", "CommitReply"};

struct bench {
    struct dm_clock clock;
    struct dm_journal *journal;
    struct dm_store *store;
    struct dm_engine *engine;
    struct dm_rpc *rpc;
    struct dm_session *session;
    struct dm_sink sink;
    struct dm_buf input;
    uint32_t contacts, depth, stream;
    uint64_t random, request, answered;
    const char *folder;
};

/* Of this thread alone: what else runs on the machine does not count. */
static uint64_t processor_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "call_bench: %s\n", what);
    exit(1);
}

static uint64_t scatter(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/* ---- requests --------------------------------------------------------------------- */

static void put_text(uint8_t **at, uint8_t field, const char *text, size_t size)
{
    *(*at)++ = (uint8_t)(field << 3 | 2);
    *(*at)++ = (uint8_t)size;
    memcpy(*at, text, size);
    *at += size;
}

/* Ids of the load generator's shape: short accounts, contacts in no order. */
static void put_contact(uint8_t **at, char prefix, uint32_t contact)
{
    char account[ACCOUNT_SIZE + 1], id[ID_SIZE + 1];
    (void)snprintf(account, sizeof account, "%c%07u", prefix,
                   (contact / CONTACTS_AN_ACCOUNT) % 10000000);
    (void)snprintf(id, sizeof id, "%010llx%010u",
                   (unsigned long long)(scatter(contact) & 0xffffffffff), contact);
    put_text(at, 1, account, ACCOUNT_SIZE);
    put_text(at, 2, id, ID_SIZE);
}

static void put_request_id(struct bench *bench, uint8_t **at, uint8_t field)
{
    char id[17];
    (void)snprintf(id, sizeof id, "%016llx", (unsigned long long)scatter(++bench->request));
    put_text(at, field, id, 16);
}

/* StatusChange{status = SNOOZED, snooze_for = 20,000 s and some, actor}. Three bytes hold
 * every such number of seconds. */
static void put_snooze(struct bench *bench, uint8_t **at)
{
    uint32_t seconds = 20000 + (uint32_t)(scatter(bench->request + 1) % 1000000);
    const uint8_t change[] = {3 << 3 | 2, 18, 1 << 3, DM_STATUS_SNOOZED, 2 << 3 | 2, 4, 1 << 3};
    memcpy(*at, change, sizeof change);
    *at += sizeof change;
    *(*at)++ = (uint8_t)(seconds | 0x80);
    *(*at)++ = (uint8_t)(seconds >> 7 | 0x80);
    *(*at)++ = (uint8_t)(seconds >> 14 & 0x7f);
    put_text(at, 4, "agent-17", 8);
}

static struct dm_slice payload_of(struct bench *bench, enum method method, uint32_t contact,
                                  uint8_t *to)
{
    uint8_t *at = to;
    /* What is committed was never set: then the fence is 0, and every commit is granted. */
    put_contact(&at, method == COMMIT ? 'c' : 'a', contact);
    if (method == SET) {
        put_snooze(bench, &at);
        put_request_id(bench, &at, 5);
    } else if (method == COMMIT) {
        put_request_id(bench, &at, 4);
    }
    return dm_slice(to, (size_t)(at - to));
}

static void put_frame(struct bench *bench, enum method method, uint32_t contact)
{
    uint8_t payload[PAYLOAD_MAX];
    const struct dm_ttrpc_request request = {
        .service = dm_slice_str("dormouse.v1.BotStatus"),
        .method = dm_slice_str(method_names[method]),
        .payload = payload_of(bench, method, contact, payload),
    };
    bench->stream += 2;
    if (!dm_ttrpc_request_write(&bench->input, bench->stream, DM_TTRPC_REMOTE_CLOSED, &request)) {
        die("no memory");
    }
}

/* ---- the server, without its sockets ------------------------------------------------ */

static struct bench *bench_of(struct dm_sink *sink)
{
    return DM_CONTAINER_OF(sink, struct bench, sink);
}

static void sink_reply(struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    dm_session_reply(bench_of(sink)->session, id, payload);
}

static void sink_fail(struct dm_sink *sink, uint64_t id, enum dm_code code, const char *message)
{
    dm_session_fail(bench_of(sink)->session, id, code, message);
}

static size_t look_ahead(struct bench *bench)
{
    struct dm_slice payloads[LOOK_AHEAD];
    size_t count = dm_session_peek(bench->session, payloads, LOOK_AHEAD);
    if (count > 1) {
        dm_rpc_prefetch(bench->rpc, payloads, count);
    }
    return count == 0 ? SIZE_MAX : count;
}

/* One read's worth of calls, to the bytes that would be written. */
static void serve(struct bench *bench)
{
    struct dm_session_event event;
    dm_session_feed(bench->session, dm_buf_slice(&bench->input));
    size_t ahead = look_ahead(bench);
    while (dm_session_next(bench->session, &event)) {
        if (--ahead == 0) {
            ahead = look_ahead(bench);
        }
        const struct dm_rpc_request request = {
            .id = event.id,
            .service = event.service,
            .method = event.method,
            .payload = event.payload,
            .timeout_ns = event.timeout_ns,
            .unary_only = event.unary && !event.streaming,
            .stream_only = event.streaming && !event.unary,
        };
        dm_rpc_call(bench->rpc, &bench->sink, &request);
    }
    dm_engine_flush(bench->engine);
    (void)dm_rpc_turn(bench->rpc);
    dm_session_flush(bench->session);
}

__attribute__((noinline)) static void measured_round(struct bench *bench)
{
    serve(bench);
    __asm__ volatile("" : : "r"(bench) : "memory"); /* no tail call: it must return here */
}

/* Every answer must be there and be OK. */
static void take_answers(struct bench *bench, uint32_t count)
{
    struct dm_buf *out = &bench->session->out;
    const uint8_t *at = dm_buf_head(out), *end = at + dm_buf_size(out);
    for (; end - at >= DM_TTRPC_HEADER_SIZE && count > 0; count--) {
        struct dm_ttrpc_header header;
        struct dm_ttrpc_response response;
        dm_ttrpc_header_load(at, &header);
        at += DM_TTRPC_HEADER_SIZE;
        if (!dm_ttrpc_response_read(dm_slice(at, header.size), &response)) {
            die("an answer is no response");
        }
        if (response.code != DM_OK || response.payload.size == 0) {
            (void)fprintf(stderr, "code %d: %.*s\n", response.code, (int)response.message.size,
                          response.message.size == 0 ? "" : (const char *)response.message.data);
            die("a call failed");
        }
        at += header.size;
        bench->answered++;
    }
    if (count != 0 || at != end) {
        die("the answers are not as many as the calls");
    }
    dm_buf_reset(out, SIZE_MAX);
    dm_buf_reset(&bench->input, SIZE_MAX);
}

/* The engine's own turn and the applier's work, to the end of both. */
static void upkeep(struct bench *bench)
{
    (void)dm_engine_turn(bench->engine);
    while (dm_engine_apply_work(bench->engine)) {
        (void)dm_engine_turn(bench->engine);
    }
}

/* ---- runs ---------------------------------------------------------------------------- */

static void load(struct bench *bench)
{
    for (uint32_t i = 0; i < bench->contacts;) {
        uint32_t count = 0;
        for (; count < bench->depth && i < bench->contacts; count++) {
            put_frame(bench, SET, i++);
        }
        serve(bench);
        take_answers(bench, count);
        if (i % UPKEEP_CALLS < bench->depth) {
            upkeep(bench);
        }
    }
    upkeep(bench);
}

static uint64_t round_of(struct bench *bench, enum method method, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bench->random = scatter(bench->random);
        put_frame(bench, method, (uint32_t)((bench->random >> 32) * bench->contacts >> 32));
    }
    uint64_t began = processor_ns();
    measured_round(bench);
    uint64_t took = processor_ns() - began;
    take_answers(bench, count);
    return took;
}

static void run(struct bench *bench, enum method method, uint64_t calls)
{
    uint64_t took = 0, since = 0;
    for (uint64_t done = 0; done < calls;) {
        uint64_t left = calls - done;
        uint32_t count = left < bench->depth ? (uint32_t)left : bench->depth;
        took += round_of(bench, method, count);
        done += count;
        since += count;
        if (since >= UPKEEP_CALLS) {
            since = 0;
            upkeep(bench);
        }
    }
    printf("{\"bench\":\"call\",\"method\":\"%s\",\"calls\":%llu,\"contacts\":%u,\"depth\":%u,"
           "\"ns_each\":%.1f,\"per_second\":%.0f}\n",
           method_words[method], (unsigned long long)calls, bench->contacts, bench->depth,
           (double)took / (double)calls, (double)calls * 1e9 / (double)took);
    (void)fflush(stdout);
}

/* ---- life ------------------------------------------------------------------------------ */

static void open_all(struct bench *bench)
{
    static const struct dm_sink_ops ops = {.reply = sink_reply, .fail = sink_fail};
    struct dm_error error;
    bench->journal = dm_journal_open_memory();
    if (strcmp(bench->folder, "memory") == 0) {
        bench->store = dm_store_open_memory();
    } else if (mkdir(bench->folder, 0700) != 0) {
        die("the folder exists already, or cannot be made");
    } else if (dm_store_open_lmdb(&bench->store, bench->folder, DM_VIEW_MAP_SIZE, &error) !=
               DM_OK) {
        die(error.message);
    }
    const struct dm_engine_options options = {
        .order = bench->journal->order,
        .journal = bench->journal,
        .store = bench->store,
        .clock = bench->clock,
        .apply_after_ms = 1,
        .manual_applier = true,
    };
    if (dm_engine_open(&bench->engine, &options, &error) != DM_OK) {
        die(error.message);
    }
    bench->rpc = dm_rpc_create(bench->engine, bench->clock);
    bench->session = dm_ttrpc_session(&(struct dm_session_limits){0});
    if (bench->rpc == NULL || bench->session == NULL) {
        die("no memory");
    }
    dm_sink_init(&bench->sink, &ops, bench->session->protocol);
    bench->stream = UINT32_MAX; /* the first is 1 */
}

static void remove_file(const char *folder, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)unlink(path);
}

static void close_all(struct bench *bench)
{
    dm_session_destroy(bench->session);
    dm_rpc_destroy(bench->rpc);
    dm_engine_close(bench->engine);
    dm_journal_close(bench->journal);
    dm_store_close(bench->store);
    dm_buf_finish(&bench->input);
    if (strcmp(bench->folder, "memory") != 0) {
        remove_file(bench->folder, "data.mdb");
        remove_file(bench->folder, "lock.mdb");
        (void)rmdir(bench->folder);
    }
}

static void print_machine(void)
{
    struct utsname system;
    (void)uname(&system);
    printf("{\"bench\":\"call\",\"system\":\"%s %s %s\",\"processors\":%ld,\"compiler\":\"%s\"}\n",
           system.sysname, system.release, system.machine, sysconf(_SC_NPROCESSORS_ONLN),
           __VERSION__);
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "all";
    uint64_t calls = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    struct bench bench = {
        .clock = dm_clock_system(),
        .random = 1,
        .contacts = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 100000,
        .depth = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 16,
        .folder = argc > 5 ? argv[5] : "call_bench.tmp",
    };
    bool known = strcmp(word, "all") == 0;
    for (int i = 0; i < METHODS; i++) {
        known = known || strcmp(word, method_words[i]) == 0;
    }
    if (!known || calls == 0 || bench.contacts == 0 || bench.depth == 0) {
        die("usage: call_bench [check|set|commit|all] [calls] [contacts] [depth] [folder]");
    }
    print_machine();
    open_all(&bench);
    load(&bench);
    for (int i = 0; i < METHODS; i++) {
        if (strcmp(word, "all") == 0 || strcmp(word, method_words[i]) == 0) {
            run(&bench, (enum method)i, calls);
        }
    }
    close_all(&bench);
    return 0;
}
