/*
 * ck_pr_test.c - each ck_pr operation does what plain arithmetic does
 *
 * Built twice: with the port, and with CK's own header, which must pass as well.
 * Every operation of every type runs over pairs of values from the edges of the
 * type, in the middle of a guarded array, so that a wrong width shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ck_pr.h>

/* The values; each type takes as many bits of them as it has. */
static const uint64_t values[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000,
    0xffff, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX, (uint64_t)INT64_MIN,
    UINT64_MAX, 0x0123456789abcdef};

enum { VALUES = sizeof values / sizeof values[0] };

/* Calls body for each a and b, of a type, with *target and its neighbours. */
#define FOR_PAIRS(type, body)                                                  \
    for (unsigned i = 0; i < VALUES * VALUES; i++) {                           \
        const type a = (type)values[i / VALUES];                               \
        const type b = (type)values[i % VALUES];                               \
        type around[3] = {a, a, a};                                            \
        type *target = &around[1];                                             \
                                                                               \
        (void)b;                                                               \
        body;                                                                  \
        assert_true(around[0] == a && around[2] == a);                         \
    }

#define TEST_ACCESS(suffix, type, load, store)                                 \
    static void access_##suffix##_works(void **state)                          \
    {                                                                          \
        (void)state;                                                           \
        FOR_PAIRS(type, {                                                      \
            assert_true(load(target) == a);                                    \
            store(target, b);                                                  \
            assert_true(*target == b);                                         \
            assert_true(load(target) == b);                                    \
        })                                                                     \
        FOR_PAIRS(type, {                                                      \
            assert_true((type)ck_pr_fas_##suffix(target, b) == a);             \
            assert_true(*target == b);                                         \
        })                                                                     \
        FOR_PAIRS(type, {                                                      \
            type seen;                                                         \
            type other = (type)(b ^ 1);                                        \
            bool same = a == b;                                                \
            assert_true(                                                       \
                ck_pr_cas_##suffix##_value(target, b, other, &seen) == same);  \
            assert_true(seen == a);                                            \
            assert_true(*target == (same ? other : a));                        \
        })                                                                     \
        FOR_PAIRS(type, {                                                      \
            type other = (type)(b ^ 1);                                        \
            bool same = a == b;                                                \
            assert_true(ck_pr_cas_##suffix(target, b, other) == same);         \
            assert_true(*target == (same ? other : a));                        \
        })                                                                     \
    }

/* Signed overflow wraps in an atomic: the expectation counts in unsigned. */
#define TEST_BINARY(verb, operator, suffix, type)                              \
    FOR_PAIRS(type, {                                                          \
        ck_pr_##verb##_##suffix(target, b);                                    \
        assert_true(*target == (type)((uintmax_t)a operator(uintmax_t) b));    \
    })

#define TEST_UNARY(verb, expected, suffix, type)                               \
    FOR_PAIRS(type, {                                                          \
        const type want = (type)(expected);                                    \
        ck_pr_##verb##_##suffix(target);                                       \
        assert_true(*target == want);                                          \
    })

#define TEST_COUNT(verb, expected, suffix, type)                               \
    TEST_UNARY(verb, expected, suffix, type)                                   \
    FOR_PAIRS(type, {                                                          \
        bool zero = ck_pr_##verb##_##suffix##_is_zero(target);                 \
        assert_true(*target == (type)(expected));                              \
        assert_true(zero == (*target == 0));                                   \
    })                                                                         \
    FOR_PAIRS(type, {                                                          \
        bool zero;                                                             \
        ck_pr_##verb##_##suffix##_zero(target, &zero);                         \
        assert_true(*target == (type)(expected));                              \
        assert_true(zero == (*target == 0));                                   \
    })

#define TEST_ARITHMETIC(suffix, type)                                          \
    static void arithmetic_##suffix##_is_plain(void **state)                   \
    {                                                                          \
        (void)state;                                                           \
        TEST_BINARY(add, +, suffix, type)                                      \
        TEST_BINARY(sub, -, suffix, type)                                      \
        TEST_BINARY(and, &, suffix, type)                                      \
        TEST_BINARY(or, |, suffix, type)                                       \
        TEST_BINARY(xor, ^, suffix, type)                                      \
        TEST_COUNT(inc, (uintmax_t)a + 1, suffix, type)                        \
        TEST_COUNT(dec, (uintmax_t)a - 1, suffix, type)                        \
        TEST_UNARY(neg, 0 - (uintmax_t)a, suffix, type)                        \
        TEST_UNARY(not, ~(uintmax_t)a, suffix, type)                           \
        FOR_PAIRS(type, {                                                      \
            assert_true(ck_pr_faa_##suffix(target, b) == a);                   \
            assert_true(*target == (type)((uintmax_t)a + (uintmax_t)b));       \
        })                                                                     \
    }

#define FOR_BITS(type, body)                                                   \
    FOR_PAIRS(type, {                                                          \
        for (unsigned bit = 0; bit < sizeof(type) * 8; bit++) {                \
            const type mask = (type)((uintmax_t)1 << bit);                     \
            const bool was = (*target & mask) != 0;                            \
            body                                                               \
        }                                                                      \
    })

#define TEST_BITS(suffix, type)                                                \
    static void bits_##suffix##_give_what_was(void **state)                    \
    {                                                                          \
        (void)state;                                                           \
        FOR_BITS(type, {                                                       \
            type old = *target;                                                \
            assert_true(ck_pr_bts_##suffix(target, bit) == was);               \
            assert_true(*target == (type)(old | mask));                        \
        })                                                                     \
        FOR_BITS(type, {                                                       \
            type old = *target;                                                \
            assert_true(ck_pr_btr_##suffix(target, bit) == was);               \
            assert_true(*target == (type)(old & (type)~mask));                 \
        })                                                                     \
        FOR_BITS(type, {                                                       \
            type old = *target;                                                \
            assert_true(ck_pr_btc_##suffix(target, bit) == was);               \
            assert_true(*target == (type)(old ^ mask));                        \
        })                                                                     \
    }

TEST_ACCESS(char, char, ck_pr_load_char, ck_pr_store_char)
TEST_ACCESS(int, int, ck_pr_load_int, ck_pr_store_int)
TEST_ACCESS(uint, unsigned int, ck_pr_load_uint, ck_pr_store_uint)
TEST_ACCESS(64, uint64_t, ck_pr_load_64, ck_pr_store_64)
TEST_ACCESS(32, uint32_t, ck_pr_load_32, ck_pr_store_32)
TEST_ACCESS(16, uint16_t, ck_pr_load_16, ck_pr_store_16)
TEST_ACCESS(8, uint8_t, ck_pr_load_8, ck_pr_store_8)

TEST_ARITHMETIC(char, char)
TEST_ARITHMETIC(int, int)
TEST_ARITHMETIC(uint, unsigned int)
TEST_ARITHMETIC(64, uint64_t)
TEST_ARITHMETIC(32, uint32_t)
TEST_ARITHMETIC(16, uint16_t)
TEST_ARITHMETIC(8, uint8_t)
TEST_ARITHMETIC(ptr, uintptr_t)

TEST_BITS(int, int)
TEST_BITS(uint, unsigned int)
TEST_BITS(64, uint64_t)
TEST_BITS(32, uint32_t)
TEST_BITS(16, uint16_t)
TEST_BITS(ptr, uintptr_t)

static void
access_ptr_works(void **state)
{
    static int a, b;
    int *target = &a;
    int *seen = NULL;

    (void)state;
    assert_ptr_equal(ck_pr_load_ptr(&target), &a);
    ck_pr_store_ptr(&target, &b);
    assert_ptr_equal(target, &b);
    ck_pr_store_ptr_unsafe(&target, &a);
    assert_ptr_equal(target, &a);
    assert_ptr_equal(ck_pr_fas_ptr(&target, &b), &a);
    assert_ptr_equal(target, &b);
    assert_false(ck_pr_cas_ptr(&target, &a, NULL));
    assert_false(ck_pr_cas_ptr_value(&target, &a, NULL, &seen));
    assert_ptr_equal(seen, &b);
    assert_ptr_equal(target, &b);
    assert_true(ck_pr_cas_ptr(&target, &b, &a));
    assert_true(ck_pr_cas_ptr_value(&target, &a, NULL, &seen));
    assert_ptr_equal(seen, &a);
    assert_null(target);
}

/* Small whole numbers, which a double holds exactly. */
static void
double_loads_stores_swaps_and_computes(void **state)
{
    double target = 1;
    double seen = 0;

    (void)state;
    assert_true(ck_pr_load_double(&target) == 1);
    ck_pr_store_double(&target, 2);
    assert_true(ck_pr_fas_double(&target, 3) == 2);
    assert_false(ck_pr_cas_double(&target, 2, 4));
    assert_false(ck_pr_cas_double_value(&target, 2, 4, &seen));
    assert_true(seen == 3 && target == 3);
    assert_true(ck_pr_cas_double(&target, 3, 4));
    assert_true(ck_pr_cas_double_value(&target, 4, 5, &seen));
    assert_true(seen == 4 && target == 5);
    ck_pr_add_double(&target, 10);
    ck_pr_sub_double(&target, 2);
    assert_true(target == 13);
    ck_pr_inc_double(&target);
    ck_pr_dec_double(&target);
    ck_pr_neg_double(&target);
    assert_true(target == -13);
    assert_true(ck_pr_faa_double(&target, 1) == -13);
    assert_true(target == -12);
}

/*
 * Sixteen bytes. Either half alone must make the exchange fail.
 */
static void
pair_exchanges_only_if_both_halves_agree(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t target[2] CK_CC_ALIGN(16) = {5, 7};
        uint64_t compare[2] = {5 + i % 2, 7 + i / 2};
        uint64_t set[2] = {11, 13};
        uint64_t seen[2] = {0, 0};
        bool same = i == 0;

        assert_true(ck_pr_cas_64_2_value(target, compare, set, seen) == same);
        assert_true(seen[0] == 5 && seen[1] == 7);
        assert_true(target[0] == (same ? 11 : 5));
        assert_true(target[1] == (same ? 13 : 7));

        target[0] = 5;
        target[1] = 7;
        assert_true(ck_pr_cas_ptr_2(target, compare, set) == same);
        assert_true(target[0] == (same ? 11 : 5));
        assert_true(target[1] == (same ? 13 : 7));

        ck_pr_load_ptr_2(target, seen);
        assert_true(seen[0] == target[0] && seen[1] == target[1]);
    }
}

#define TEST_MANY(suffix, type, count)                                         \
    static void many_##suffix##_##count##_exchange_together(void **state)      \
    {                                                                          \
        (void)state;                                                           \
        for (unsigned i = 0; i <= (count); i++) {                              \
            type target[count] CK_CC_ALIGN(16), compare[count], set[count];    \
            type seen[count];                                                  \
            bool same = i == (count);                                          \
                                                                               \
            for (unsigned k = 0; k < (count); k++) {                           \
                target[k] = (type)(k + 1);                                     \
                compare[k] = (type)(k + 1 + (k == i));                         \
                set[k] = (type)(k + 50);                                       \
            }                                                                  \
            assert_true(ck_pr_cas_##suffix##_##count##_value(                  \
                            target, compare, set, seen) == same);              \
            for (unsigned k = 0; k < (count); k++) {                           \
                assert_true(seen[k] == (type)(k + 1));                         \
                assert_true(target[k] == (type)(same ? k + 50 : k + 1));       \
                target[k] = (type)(k + 1);                                     \
            }                                                                  \
            assert_true(                                                       \
                ck_pr_cas_##suffix##_##count(target, compare, set) == same);   \
            for (unsigned k = 0; k < (count); k++) {                           \
                assert_true(target[k] == (type)(same ? k + 50 : k + 1));       \
            }                                                                  \
        }                                                                      \
    }

TEST_MANY(double, double, 2)
TEST_MANY(char, char, 16)
TEST_MANY(int, int, 4)
TEST_MANY(uint, unsigned int, 4)
TEST_MANY(32, uint32_t, 4)
TEST_MANY(16, uint16_t, 8)
TEST_MANY(8, uint8_t, 16)

/* What they order is ck_race_test's matter; here, that each is there. */
static void
fences_stall_and_prefetch_change_nothing(void **state)
{
    int word = 42;

    (void)state;
    ck_pr_barrier();
    ck_pr_stall();
    ck_pr_rfo(&word);
    ck_pr_fence_load();
    ck_pr_fence_load_depends();
    ck_pr_fence_load_store();
    ck_pr_fence_load_atomic();
    ck_pr_fence_store();
    ck_pr_fence_store_load();
    ck_pr_fence_store_atomic();
    ck_pr_fence_atomic();
    ck_pr_fence_atomic_load();
    ck_pr_fence_atomic_store();
    ck_pr_fence_memory();
    ck_pr_fence_acquire();
    ck_pr_fence_release();
    ck_pr_fence_acqrel();
    ck_pr_fence_lock();
    ck_pr_fence_unlock();
    ck_pr_fence_strict_load();
    ck_pr_fence_strict_load_depends();
    ck_pr_fence_strict_load_store();
    ck_pr_fence_strict_load_atomic();
    ck_pr_fence_strict_store();
    ck_pr_fence_strict_store_load();
    ck_pr_fence_strict_store_atomic();
    ck_pr_fence_strict_atomic();
    ck_pr_fence_strict_atomic_load();
    ck_pr_fence_strict_atomic_store();
    ck_pr_fence_strict_memory();
    ck_pr_fence_strict_acquire();
    ck_pr_fence_strict_release();
    ck_pr_fence_strict_acqrel();
    ck_pr_fence_strict_lock();
    ck_pr_fence_strict_unlock();
    assert_int_equal(word, 42);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_char_works),
        cmocka_unit_test(access_int_works),
        cmocka_unit_test(access_uint_works),
        cmocka_unit_test(access_64_works),
        cmocka_unit_test(access_32_works),
        cmocka_unit_test(access_16_works),
        cmocka_unit_test(access_8_works),
        cmocka_unit_test(access_ptr_works),
        cmocka_unit_test(double_loads_stores_swaps_and_computes),
        cmocka_unit_test(arithmetic_char_is_plain),
        cmocka_unit_test(arithmetic_int_is_plain),
        cmocka_unit_test(arithmetic_uint_is_plain),
        cmocka_unit_test(arithmetic_64_is_plain),
        cmocka_unit_test(arithmetic_32_is_plain),
        cmocka_unit_test(arithmetic_16_is_plain),
        cmocka_unit_test(arithmetic_8_is_plain),
        cmocka_unit_test(arithmetic_ptr_is_plain),
        cmocka_unit_test(bits_int_give_what_was),
        cmocka_unit_test(bits_uint_give_what_was),
        cmocka_unit_test(bits_64_give_what_was),
        cmocka_unit_test(bits_32_give_what_was),
        cmocka_unit_test(bits_16_give_what_was),
        cmocka_unit_test(bits_ptr_give_what_was),
        cmocka_unit_test(pair_exchanges_only_if_both_halves_agree),
        cmocka_unit_test(many_double_2_exchange_together),
        cmocka_unit_test(many_char_16_exchange_together),
        cmocka_unit_test(many_int_4_exchange_together),
        cmocka_unit_test(many_uint_4_exchange_together),
        cmocka_unit_test(many_32_4_exchange_together),
        cmocka_unit_test(many_16_8_exchange_together),
        cmocka_unit_test(many_8_16_exchange_together),
        cmocka_unit_test(fences_stall_and_prefetch_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
