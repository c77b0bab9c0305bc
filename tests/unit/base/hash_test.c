#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/hash.h"

static char own_path[4096 + 8];

/* "123456789": the check value of CRC-32/ISCSI in the catalogue of parametrised CRC
 * algorithms. The others: RFC 3720, appendix B.4. */
static void crc32c_gives_the_published_values(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(dm_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(dm_crc32c(0, "", 0), 0);
    assert_int_equal(dm_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(dm_crc32c(0, bytes, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++) {
        bytes[i] = i;
    }
    assert_int_equal(dm_crc32c(0, bytes, 32), 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)(31 - i);
    }
    assert_int_equal(dm_crc32c(0, bytes, 32), 0x113fdb5c);
}

static void crc32c_by_table_and_by_instruction_agree(void **state)
{
    (void)state;
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * i * 31 + i);
    }
    assert_int_equal(dm_crc32c_by_table(0, "123456789", 9), 0xe3069283);
    for (size_t from = 0; from < 9; from++) {
        for (size_t size = 0; size + from <= sizeof bytes; size++) {
            uint32_t before = (uint32_t)(size * 0x9e3779b9U);
            assert_int_equal(dm_crc32c(before, bytes + from, size),
                             dm_crc32c_by_table(before, bytes + from, size));
        }
    }
}

static void crc32c_may_be_taken_in_pieces(void **state)
{
    (void)state;
    static const char text[] = "the bot never talks over a human";
    uint32_t whole = dm_crc32c(0, text, sizeof text);
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        uint32_t crc = dm_crc32c(0, text, cut);
        assert_int_equal(dm_crc32c(crc, text + cut, sizeof text - cut), whole);
    }
}

/* These values are on disk in journals: whoever changes them breaks what was kept. */
static void the_hash_stays_the_same_for_ever(void **state)
{
    (void)state;
    assert_true(dm_hash("", 0, 0) == 0xc9041db2bfc7b690U);
    assert_true(dm_hash("a", 1, 1) == 0x7832e98add81f74eU);
    assert_true(dm_hash("abc", 3, 2) == 0x79005b16a502754bU);
    assert_true(dm_hash("abcd", 4, 0) == 0xb2eb818966ef73ccU);
    assert_true(dm_hash("abcdefgh", 8, 1) == 0xf1da10d2ea704ec3U);
    assert_true(dm_hash("abcdefghi", 9, 2) == 0x3eda8aa849431319U);
    assert_true(dm_hash("abcdefghijklmnop", 16, 0) == 0xdd93a9e0091525b9U);
    assert_true(dm_hash("abcdefghijklmnopq", 17, 1) == 0x26f8e2f4d42fe9d6U);
    assert_true(dm_hash("abcdefghijklmnopqrstuvwxyz0123456", 33, 2) == 0xbd1026573cc083c8U);
    assert_true(dm_hash("abcdefghijklmnopqrstuvwxyz0123456789", 36, 0) == 0x1ccf01516c651ceeU);
}

static void every_byte_and_the_size_and_the_seed_decide(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 70; size++) {
        uint8_t bytes[71] = {0};
        uint64_t plain = dm_hash(bytes, size, 1);
        assert_true(dm_hash(bytes, size + 1, 1) != plain);
        assert_true(dm_hash(bytes, size - 1, 1) != plain);
        assert_true(dm_hash(bytes, size, 2) != plain);
        for (size_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_true(dm_hash(bytes, size, 1) != plain);
            bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        bytes[size] = 9;
        assert_true(dm_hash(bytes, size, 1) == plain);
    }
}

static void check_siphash(const uint8_t *bytes, size_t size, const char *expected)
{
    static const struct dm_hash_key key = {.low = 0x0706050403020100U, .high = 0x0f0e0d0c0b0a0908U};
    uint8_t found[16];
    char text[33];
    struct dm_wide_hash hash = dm_siphash(key, bytes, size);
    dm_store_le64(found, hash.low);
    dm_store_le64(found + 8, hash.high);
    for (size_t i = 0; i < sizeof found; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", found[i]);
    }
    assert_string_equal(text, expected);
}

/* As OpenSSL computes them: `openssl mac -macopt hexkey:000102... -macopt size:16
 * -macopt c-rounds:1 -macopt d-rounds:3 SIPHASH` over the bytes 0, 1, 2, ... */
static void siphash_gives_what_others_compute(void **state)
{
    (void)state;
    uint8_t bytes[33];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    check_siphash(bytes, 0, "e77ebcb22788a5befd62db6add303001");
    check_siphash(bytes, 1, "fc6f370460d3eda85e0573cc2b2ff063");
    check_siphash(bytes, 3, "6bc5ccfa1edcf79f4823187712ebd743");
    check_siphash(bytes, 4, "0c784e71ac2b285a9f8e92e78fbf2c25");
    check_siphash(bytes, 7, "1084b923f2aae0c3a62f2ec80848ab77");
    check_siphash(bytes, 8, "aa12fee1d5e3dab4724f16ab35f9c799");
    check_siphash(bytes, 9, "81ddb8042cf33994f4720e0094137c42");
    check_siphash(bytes, 15, "c17e5505b2bd526c2921cdec1e7e0109");
    check_siphash(bytes, 16, "d0a8d95715518eebb513b0f83d9e1793");
    check_siphash(bytes, 24, "9e4bf837bcfd92cace09d2061a84d04a");
    check_siphash(bytes, 33, "c5f57bae1320fcf4b4e868e71d56c66b");
}

static void the_keyed_hash_is_the_first_half_of_the_wide_one(void **state)
{
    (void)state;
    uint8_t bytes[70] = {0};
    for (size_t size = 0; size < sizeof bytes; size++) {
        struct dm_wide_hash wide = dm_keyed_hash_wide(bytes, size);
        assert_true(wide.low == dm_keyed_hash(bytes, size));
        assert_true(wide.low != dm_keyed_hash(bytes, size + 1));
        assert_true(wide.high != wide.low);
    }
}

/* What a process hashes with, another one does not: a child that runs this program anew. */
static void no_two_processes_share_a_key(void **state)
{
    (void)state;
    uint64_t mine = dm_keyed_hash("a", 1), its = 0;
    FILE *other = popen(own_path, "r");
    assert_non_null(other);
    assert_int_equal(fread(&its, sizeof its, 1, other), 1);
    assert_int_equal(pclose(other), 0);
    assert_true(its != mine);
}

/* 65,536 numbered keys in 65,536 places: at random, 1/e of the places stay empty. */
static void low_and_high_bits_spread_numbered_keys_evenly(void **state)
{
    (void)state;
    static uint8_t low[65536], high[65536];
    for (uint32_t i = 0; i < 65536; i++) {
        char key[24];
        int size = snprintf(key, sizeof key, "contact-%u", i);
        uint64_t hash = dm_hash(key, (size_t)size, 0);
        low[hash & 0xffff] = 1;
        high[hash >> 48] = 1;
    }
    unsigned low_empty = 0;
    unsigned high_empty = 0;
    for (uint32_t i = 0; i < 65536; i++) {
        low_empty += low[i] == 0;
        high_empty += high[i] == 0;
    }
    assert_in_range(low_empty, 23600, 24620);
    assert_in_range(high_empty, 23600, 24620);
}

int main(int argc, char **argv)
{
    if (argc > 1) { /* the child of no_two_processes_share_a_key */
        uint64_t mine = dm_keyed_hash("a", 1);
        return fwrite(&mine, sizeof mine, 1, stdout) == 1 ? 0 : 1;
    }
    (void)snprintf(own_path, sizeof own_path, "%s hash", argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_published_values),
        cmocka_unit_test(crc32c_by_table_and_by_instruction_agree),
        cmocka_unit_test(crc32c_may_be_taken_in_pieces),
        cmocka_unit_test(the_hash_stays_the_same_for_ever),
        cmocka_unit_test(every_byte_and_the_size_and_the_seed_decide),
        cmocka_unit_test(siphash_gives_what_others_compute),
        cmocka_unit_test(the_keyed_hash_is_the_first_half_of_the_wide_one),
        cmocka_unit_test(no_two_processes_share_a_key),
        cmocka_unit_test(low_and_high_bits_spread_numbered_keys_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
