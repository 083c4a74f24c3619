#include "check.h"
#include "clients/pg_private.h"

TEST(each_class_asks_for_its_own_answer)
{
    static const struct {
        const char *sqlstate;
        bool has_constraint;
        enum error_kind kind;
    } rows[] = {
        {"22003", false, ERROR_INVALID},     {"21000", false, ERROR_INVALID},
        {"23505", true, ERROR_INVALID},      {"23502", false, ERROR_INVALID},
        {"23514", true, ERROR_INVALID},      {"23514", false, ERROR_INTERNAL},
        {"25006", false, ERROR_INTERNAL},    {"25P02", false, ERROR_UNAVAILABLE},
        {"28P01", false, ERROR_INTERNAL},    {"3D000", false, ERROR_INTERNAL},
        {"42P01", false, ERROR_INTERNAL},    {"40001", false, ERROR_UNAVAILABLE},
        {"40P01", false, ERROR_UNAVAILABLE}, {"53100", false, ERROR_UNAVAILABLE},
        {"55P03", false, ERROR_UNAVAILABLE}, {"57014", false, ERROR_UNAVAILABLE},
        {"57P01", false, ERROR_UNAVAILABLE}, {"08006", false, ERROR_UNAVAILABLE},
        {"XX000", false, ERROR_UNAVAILABLE}, {"", false, ERROR_UNAVAILABLE},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(pg_error_kind(rows[i].sqlstate, rows[i].has_constraint), rows[i].kind);
}

TEST(only_what_the_connection_cannot_survive_ends_it)
{
    assert_true(pg_error_ends_connection("57P01"));
    assert_true(pg_error_ends_connection("08006"));
    assert_true(pg_error_ends_connection("26000"));
    assert_true(pg_error_ends_connection("0A000"));
    assert_true(pg_error_ends_connection("25006"));
    assert_false(pg_error_ends_connection("57014"));
    assert_false(pg_error_ends_connection("23505"));
    assert_false(pg_error_ends_connection(""));
}

TESTS(RUN(each_class_asks_for_its_own_answer), RUN(only_what_the_connection_cannot_survive_ends_it))
