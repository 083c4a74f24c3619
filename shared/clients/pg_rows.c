#include "clients/pg.h"

#include <string.h>

bool pg_rows_have(const PGresult *sorted, const char *text)
{
    int low = 0;
    int high = PQntuples(sorted);

    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(text, PQgetvalue(sorted, middle, 0));

        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}
