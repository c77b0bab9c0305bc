/* The core's steps, pure: judging a contact, reading and writing its record, one operation
 * of each kind. JSON lines on stdout: nanoseconds of processor time.
 *
 *   core_bench [rounds] */

#include "core/ident.h"
#include "core/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_ROUNDS = 1000000 };
#define NOW_MS 1700000000000LL

struct bench {
    uint64_t rounds;
    const struct dm_policy *policy;
    struct dm_record record;
    struct dm_step step;
    uint8_t bytes[DM_RECORD_SIZE_MAX];
    size_t size;
};

static uint64_t processor_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "core_bench: %s\n", what);
    exit(1);
}

/* The compiler must take it as read and written. */
static void keep(const void *memory)
{
    __asm__ volatile("" : : "r"(memory) : "memory");
}

/* ---- what is measured; each does one thing for the i-th time ------------------------------ */

static void check_id(struct bench *bench, uint64_t i)
{
    static const char id[] = "contact-000000012345";
    struct dm_error error;
    (void)bench, (void)i;
    if (dm_id_check(dm_slice(id, sizeof id - 1), "contact_id", &error) != DM_OK) {
        die("an id was refused");
    }
}

static void make_key(struct bench *bench, uint64_t i)
{
    struct dm_key key;
    (void)bench;
    dm_key_make(&key, (uint32_t)i, dm_slice_str("contact-000000012345"));
    keep(&key);
}

/* What Check does with a record that it has found. */
static void judge(struct bench *bench, uint64_t i)
{
    struct dm_record_head head;
    struct dm_effective state;
    if (!dm_record_head(&head, dm_slice(bench->bytes, bench->size))) {
        die("no record");
    }
    dm_effective_at(&state, &head, 0, bench->policy, NOW_MS + (int64_t)(i & 1023));
    keep(&state);
}

static void encode(struct bench *bench, uint64_t i)
{
    bench->record.revision = i;
    bench->size = dm_record_encode(&bench->record, bench->bytes);
    keep(bench->bytes);
}

static void decode(struct bench *bench, uint64_t i)
{
    struct dm_record record;
    (void)i;
    if (!dm_record_decode(&record, dm_slice(bench->bytes, bench->size))) {
        die("no record");
    }
    keep(&record);
}

static void run_step(struct bench *bench, struct dm_op *op, uint64_t i)
{
    op->now_ms = NOW_MS;
    op->next_seq = i + 1;
    op->request = i * 2654435761U + 1;
    dm_step(&bench->step, &bench->record, bench->policy, op);
    if (bench->step.code != DM_OK) {
        die(bench->step.error.message);
    }
    keep(&bench->step);
}

static void step_set(struct bench *bench, uint64_t i)
{
    struct dm_op op = {.kind = DM_OP_SET_STATUS};
    op.set.change = (struct dm_change){
        .status = DM_STATUS_SNOOZED,
        .has_for = true,
        .for_ms = 3600000 + (int64_t)(i & 1023),
        .actor = dm_slice_str("agent-17"),
    };
    run_step(bench, &op, i);
}

static void step_commit(struct bench *bench, uint64_t i)
{
    struct dm_op op = {.kind = DM_OP_COMMIT_REPLY};
    op.commit.fence = bench->record.fence;
    run_step(bench, &op, i);
}

static void step_activity(struct bench *bench, uint64_t i)
{
    struct dm_op op = {.kind = DM_OP_ACTIVITY};
    op.activity.activity = DM_ACTIVITY_MANUAL_MESSAGE;
    op.activity.actor = dm_slice_str("agent-17");
    run_step(bench, &op, i);
}

/* ---- running ----------------------------------------------------------------------------------
 */

static void measure(struct bench *bench, const char *name, void (*one)(struct bench *, uint64_t))
{
    uint64_t began = processor_ns();
    for (uint64_t i = 0; i < bench->rounds; i++) {
        one(bench, i);
    }
    printf("{\"bench\":\"core\",\"op\":\"%s\",\"answers\":%u,\"ns_each\":%.1f}\n", name,
           bench->record.answers.count, (double)(processor_ns() - began) / (double)bench->rounds);
    (void)fflush(stdout);
}

/* A contact that was set, with `answers` kept answers to request ids. */
static void prepare(struct bench *bench, unsigned answers)
{
    bench->record = (struct dm_record){0};
    for (uint64_t i = 0; i < answers; i++) {
        step_activity(bench, i);
        dm_record_copy(&bench->record,
                       &bench->step.transitions[bench->step.transition_count - 1].record);
    }
    encode(bench, 1);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    bench.rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    if (bench.rounds == 0) {
        die("usage: core_bench [rounds]");
    }
    bench.policy = dm_policy_default();
    printf("{\"bench\":\"core\",\"compiler\":\"%s\",\"rounds\":%llu}\n", __VERSION__,
           (unsigned long long)bench.rounds);
    measure(&bench, "id_check", check_id);
    measure(&bench, "key_make", make_key);
    for (unsigned answers = 1; answers <= DM_ANSWERS_MAX; answers += DM_ANSWERS_MAX - 1) {
        prepare(&bench, answers);
        measure(&bench, "judge", judge);
        measure(&bench, "record_encode", encode);
        measure(&bench, "record_decode", decode);
        measure(&bench, "step_set", step_set);
        measure(&bench, "step_commit", step_commit);
        measure(&bench, "step_activity", step_activity);
    }
    return 0;
}
