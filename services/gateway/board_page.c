#include "board.h"

#include <stdlib.h>
#include <string.h>

static int compare_places(int64_t left_clicks, const char *left_id, int64_t right_clicks,
                          const char *right_id)
{
    if (left_clicks != right_clicks)
        return left_clicks > right_clicks ? -1 : 1;
    return strcmp(left_id, right_id);
}

static int compare_rows(const void *left, const void *right)
{
    const struct board_row *a = left;
    const struct board_row *b = right;

    return compare_places(a->numbers.clicks, a->id, b->numbers.clicks, b->id);
}

void board_sort(struct board_row *rows, size_t count)
{
    if (count > 1)
        qsort(rows, count, sizeof(*rows), compare_rows);
}

void board_find_page(const struct board_row *rows, size_t count, const struct board_cursor *after,
                     size_t limit, struct board_page *out)
{
    size_t low = 0;
    size_t high = after->is_set ? count : 0;

    while (low < high) { /* low ends as the first row that stands behind the cursor */
        size_t middle = low + (high - low) / 2;

        if (compare_places(rows[middle].numbers.clicks, rows[middle].id, after->clicks,
                           after->id) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    out->rows = rows + low;
    out->left = count - low;
    out->count = out->left < limit ? out->left : limit;
    out->row_count = count;
}
