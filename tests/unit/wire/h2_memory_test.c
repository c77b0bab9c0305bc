#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "wire/h2_memory.h"

enum { MANY = 1000 };

static void *get(const nghttp2_mem *m, size_t size)
{
    void *block = m->malloc(size, m->mem_user_data);
    assert_non_null(block);
    memset(block, 0xA5, size); /* all of it is ours */
    return block;
}

static void a_small_block_is_kept_for_the_next_one(void **state)
{
    (void)state;
    struct dm_h2_memory memory = {0};
    nghttp2_mem m = dm_h2_memory_functions(&memory);
    void *first = get(&m, 100);
    size_t bytes = memory.bytes;
    assert_true(bytes >= 100);
    m.free(first, m.mem_user_data);
    assert_int_equal(memory.bytes, bytes);
    assert_true(memory.kept_bytes >= 100);
    uint8_t *zeroed = m.calloc(11, 10, m.mem_user_data);
    assert_ptr_equal(zeroed, first);
    assert_int_equal(memory.kept_bytes, 0);
    for (size_t i = 0; i < 110; i++) {
        assert_int_equal(zeroed[i], 0);
    }
    void *other = get(&m, 300);
    assert_true(memory.bytes >= bytes + 300);
    m.free(zeroed, m.mem_user_data);
    m.free(other, m.mem_user_data);
    m.free(NULL, m.mem_user_data);
    assert_null(m.calloc(SIZE_MAX, 2, m.mem_user_data));
    dm_h2_memory_finish(&memory);
    assert_int_equal(memory.bytes, 0);
}

static void what_is_kept_is_bounded_and_counted(void **state)
{
    (void)state;
    static void *blocks[MANY];
    struct dm_h2_memory memory = {0};
    nghttp2_mem m = dm_h2_memory_functions(&memory);
    for (size_t size = 0; size < MANY; size++) {
        blocks[size] = get(&m, size);
    }
    for (size_t size = 0; size < MANY; size++) {
        blocks[size] = m.realloc(blocks[size], size + 40, m.mem_user_data);
        memset(blocks[size], 0x5A, size + 40);
    }
    assert_true(memory.bytes >= (size_t)MANY * MANY / 2);
    for (size_t size = 0; size < MANY; size++) {
        m.free(blocks[size], m.mem_user_data);
        assert_true(memory.kept_bytes <= DM_H2_MEMORY_KEPT);
    }
    assert_true(memory.kept_bytes > DM_H2_MEMORY_KEPT / 2);
    assert_in_range(memory.bytes, memory.kept_bytes, 2 * (size_t)DM_H2_MEMORY_KEPT);
    dm_h2_memory_finish(&memory);
    assert_int_equal(memory.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_block_is_kept_for_the_next_one),
        cmocka_unit_test(what_is_kept_is_bounded_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
