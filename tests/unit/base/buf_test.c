#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void assert_content(const struct dm_buf *buf, const char *text)
{
    assert_true(dm_slice_equal(dm_buf_slice(buf), dm_slice_str(text)));
}

static void a_zeroed_buffer_is_empty(void **state)
{
    (void)state;
    struct dm_buf buf = {0};
    assert_int_equal(dm_buf_size(&buf), 0);
    assert_null(dm_buf_head(&buf));
    assert_null(dm_buf_slice(&buf).data);
    assert_true(dm_buf_append(&buf, NULL, 0));
    assert_int_equal(dm_buf_size(&buf), 0);
    dm_buf_finish(&buf);
    dm_buf_finish(&buf);
}

static void bytes_come_out_as_they_went_in(void **state)
{
    (void)state;
    struct dm_buf buf = {0};
    assert_true(dm_buf_append(&buf, "hello ", 6));
    assert_true(dm_buf_append(&buf, "world", 5));
    assert_content(&buf, "hello world");
    dm_buf_consume(&buf, 6);
    assert_content(&buf, "world");
    assert_memory_equal(dm_buf_head(&buf), "world", 5);
    dm_buf_consume(&buf, 5);
    assert_content(&buf, "");
    dm_buf_finish(&buf);
}

static void reserved_room_becomes_content_by_commit(void **state)
{
    (void)state;
    struct dm_buf buf = {0};
    uint8_t *room = dm_buf_reserve(&buf, 1000);
    assert_non_null(room);
    memset(room, 'x', 1000);
    assert_int_equal(dm_buf_size(&buf), 0);
    dm_buf_commit(&buf, 3);
    assert_content(&buf, "xxx");
    dm_buf_finish(&buf);
}

/* A queue of pieces of every size, longer and shorter, against a counter. */
static void a_queue_of_bytes_keeps_its_order_through_every_move(void **state)
{
    (void)state;
    struct dm_buf buf = {0};
    uint32_t written = 0;
    uint32_t read = 0;
    uint32_t random = 1;
    for (unsigned i = 0; i < 20000; i++) {
        random = random * 1103515245 + 12345;
        size_t size = random >> 16 & 0x1ff;
        if ((random >> 30) % 2 == 0 || dm_buf_size(&buf) > 5000) {
            size = size < dm_buf_size(&buf) ? size : dm_buf_size(&buf);
            for (size_t k = 0; k < size; k++) {
                assert_int_equal(dm_buf_head(&buf)[k], (uint8_t)(read++ * 7));
            }
            dm_buf_consume(&buf, size);
        } else {
            uint8_t *room = dm_buf_reserve(&buf, size);
            assert_non_null(room);
            for (size_t k = 0; k < size; k++) {
                room[k] = (uint8_t)(written++ * 7);
            }
            dm_buf_commit(&buf, size);
        }
        assert_int_equal(dm_buf_size(&buf), written - read);
    }
    assert_in_range(buf.capacity, 5000, 32768);
    dm_buf_finish(&buf);
}

static void content_moves_intact_to_a_place_that_overlaps_its_old_one(void **state)
{
    (void)state;
    struct dm_buf buf = {0};
    uint8_t *room = dm_buf_reserve(&buf, 150);
    assert_non_null(room);
    for (uint8_t i = 0; i < 150; i++) {
        room[i] = i;
    }
    dm_buf_commit(&buf, 150);
    dm_buf_consume(&buf, 50);
    size_t capacity = buf.capacity;
    assert_non_null(dm_buf_reserve(&buf, capacity - 100));
    assert_int_equal(buf.capacity, capacity);
    assert_ptr_equal(dm_buf_head(&buf), buf.data);
    for (uint8_t i = 0; i < 100; i++) {
        assert_int_equal(dm_buf_head(&buf)[i], i + 50);
    }
    dm_buf_finish(&buf);
}

/* Counted, not timed: how often the content moves. */
static void a_long_queue_of_small_pieces_is_seldom_moved(void **state)
{
    (void)state;
    enum { LONG = 100000, PIECE = 10, PIECES = 100000 };
    struct dm_buf buf = {0};
    assert_non_null(dm_buf_reserve(&buf, LONG));
    dm_buf_commit(&buf, LONG);
    memset(dm_buf_head(&buf), 0, LONG);
    dm_buf_consume(&buf, PIECE);
    unsigned moves = 0;
    for (unsigned i = 0; i < PIECES; i++) {
        const uint8_t *head = dm_buf_head(&buf);
        assert_true(dm_buf_append(&buf, "0123456789", PIECE));
        moves += dm_buf_head(&buf) != head;
        dm_buf_consume(&buf, PIECE);
    }
    assert_in_range(moves, 1, PIECES * PIECE / LONG + 3);
    dm_buf_finish(&buf);
}

static void a_size_that_no_memory_holds_is_refused_and_nothing_changes(void **state)
{
    (void)state;
    struct dm_buf buf = {0};
    assert_true(dm_buf_append(&buf, "kept", 4));
    assert_null(dm_buf_reserve(&buf, SIZE_MAX));
    assert_null(dm_buf_reserve(&buf, SIZE_MAX - 4));
    assert_content(&buf, "kept");
    dm_buf_finish(&buf);
}

static void a_reset_keeps_little_and_frees_much(void **state)
{
    (void)state;
    struct dm_buf buf = {0};
    assert_true(dm_buf_append(&buf, "abc", 3));
    const uint8_t *data = buf.data;
    dm_buf_reset(&buf, 4096);
    assert_int_equal(dm_buf_size(&buf), 0);
    assert_ptr_equal(buf.data, data);
    assert_non_null(dm_buf_reserve(&buf, 10000));
    dm_buf_reset(&buf, 4096);
    assert_null(buf.data);
    assert_int_equal(buf.capacity, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zeroed_buffer_is_empty),
        cmocka_unit_test(bytes_come_out_as_they_went_in),
        cmocka_unit_test(reserved_room_becomes_content_by_commit),
        cmocka_unit_test(a_queue_of_bytes_keeps_its_order_through_every_move),
        cmocka_unit_test(content_moves_intact_to_a_place_that_overlaps_its_old_one),
        cmocka_unit_test(a_long_queue_of_small_pieces_is_seldom_moved),
        cmocka_unit_test(a_size_that_no_memory_holds_is_refused_and_nothing_changes),
        cmocka_unit_test(a_reset_keeps_little_and_frees_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
