#include "base/limits.h"
#include "loop/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)
#define START (5000 * MS)

static struct patience_timer *due(const struct patience *p, uint64_t after_ms)
{
    return patience_due(p, PATIENCE_HEAD, START + after_ms * MS);
}

static void a_timer_is_due_at_its_limit_and_not_before(void **state)
{
    (void)state;
    static const struct {
        enum patience_kind kind;
        uint64_t limit_ms;
    } cases[] = {{PATIENCE_SILENT, DM_HEAD_MS},
                 {PATIENCE_HEAD, DM_HEAD_MS},
                 {PATIENCE_BODY, DM_BODY_WINDOW_MS},
                 {PATIENCE_WRITE, DM_WRITE_WINDOW_MS}};
    struct patience p;
    struct patience_timer timer;
    patience_init(&p);
    patience_timer_init(&timer);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t end_ns = START + cases[i].limit_ms * MS;
        assert_int_equal(patience_next_ns(&p, cases[i].kind), 0);
        patience_start(&p, cases[i].kind, &timer, START);
        assert_int_equal(patience_next_ns(&p, cases[i].kind), end_ns);
        assert_null(patience_due(&p, cases[i].kind, end_ns - 1));
        assert_ptr_equal(patience_due(&p, cases[i].kind, end_ns), &timer);
    }
    patience_stop(&timer);
    assert_false(patience_runs(&timer));
}

static void they_are_due_in_the_order_of_their_starts(void **state)
{
    (void)state;
    struct patience p;
    struct patience_timer timers[3];
    patience_init(&p);
    for (uint64_t i = 0; i < 3; i++) {
        patience_timer_init(&timers[i]);
        patience_start(&p, PATIENCE_HEAD, &timers[i], START + i * MS);
    }
    patience_start(&p, PATIENCE_HEAD, &timers[0], START + 3 * MS); /* anew: it is last now */
    patience_stop(&timers[1]);
    patience_stop(&timers[1]); /* no effect */
    assert_null(due(&p, DM_HEAD_MS + 1));
    assert_ptr_equal(due(&p, DM_HEAD_MS + 2), &timers[2]);
    patience_stop(&timers[2]);
    assert_null(due(&p, DM_HEAD_MS + 2));
    assert_ptr_equal(due(&p, DM_HEAD_MS + 3), &timers[0]);
    assert_true(patience_runs(&timers[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_is_due_at_its_limit_and_not_before),
        cmocka_unit_test(they_are_due_in_the_order_of_their_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
