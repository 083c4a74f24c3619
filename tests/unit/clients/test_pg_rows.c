#include "base/auto.h"
#include "check.h"
#include "clients/pg.h"

#include <string.h>

/* A result of one column, as the server would send it. */
static PGresult *rows_of(const char *const *texts, int count)
{
    PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc column = {.name = (char[]){"id"}, .typlen = -1, .atttypmod = -1};

    assert_non_null(rows);
    assert_int_equal(PQsetResultAttrs(rows, 1, &column), 1);
    for (int i = 0; i < count; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%s", texts[i]);
        assert_int_equal(PQsetvalue(rows, i, 0, text, (int)strlen(text)), 1);
    }
    return rows;
}

TEST(each_row_is_found_and_nothing_beside_them)
{
    static const char *const texts[] = {"B", "a", "aa", "b", "\xc3\xa4"};
    static const char *const others[] = {"", "A", "C", "ab", "c", "\xc3\xa5"};
    enum { TEXTS = sizeof(texts) / sizeof(texts[0]), OTHERS = sizeof(others) / sizeof(others[0]) };

    for (int count = 0; count <= TEXTS; count++) {
        AUTO(pg_result_clear) PGresult *rows = rows_of(texts, count);

        for (int i = 0; i < TEXTS; i++)
            assert_int_equal(pg_rows_have(rows, texts[i]), i < count);
        for (int i = 0; i < OTHERS; i++)
            assert_false(pg_rows_have(rows, others[i]));
    }
}

TESTS(RUN(each_row_is_found_and_nothing_beside_them))
