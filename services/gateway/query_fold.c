#include "query_fold.h"

enum { QUARTER_S = 900, SECONDS_WINDOW_MAX_S = 900, MINUTES_WINDOW_MAX_S = 3600 };

static void count_frame(struct ad_numbers *numbers, const struct fold_row *row)
{
    if (row->type == EVENT_CLICK && row->reason == EVENT_VALID)
        numbers->clicks += row->count;
    else if (row->type == EVENT_CLICK)
        numbers->invalid[row->reason] += row->count;
    else if (row->reason == EVENT_VALID)
        numbers->events[row->type] += row->count;
}

/* A type or reason that this version does not know is left out, as a series is. */
static bool is_known(const struct fold_row *row)
{
    return row->type > EVENT_UNSPECIFIED && row->type < EVENT_TYPE_COUNT &&
           row->reason >= EVENT_VALID && row->reason < EVENT_REASON_COUNT;
}

void fold_total(struct ad_numbers *numbers, const struct counters_question *question,
                const struct fold_row *row)
{
    if (!is_known(row))
        return;
    if (row->type == EVENT_CLICK)
        numbers->total_clicks += row->count;
    if (question->window_s == 0)
        count_frame(numbers, row);
}

void fold_quarter(struct ad_numbers *numbers, const struct counters_question *question,
                  const struct fold_row *row)
{
    int64_t place = row->at_s / QUARTER_S - question->today.first_quarter;

    if (!is_known(row) || row->at_s > question->end_s)
        return;
    if (row->type == EVENT_CLICK && place >= 0 && place < question->today.count &&
        question->today.hours[place] < COUNTERS_HOURS)
        numbers->hours[question->today.hours[place]] += row->count;
    for (size_t i = 0; i < COUNTERS_WINDOWS; i++) {
        if (row->type == EVENT_CLICK && counters_window_s[i] > MINUTES_WINDOW_MAX_S &&
            row->at_s > question->end_s - counters_window_s[i])
            numbers->windows[i] += row->count;
    }
    if (question->window_s > MINUTES_WINDOW_MAX_S &&
        row->at_s > question->end_s - question->window_s)
        count_frame(numbers, row);
}

/* Windows above a quarter hour take whole minutes: the one that holds the edge begins before it. */
static bool is_inside(int64_t at_s, int64_t end_s, int64_t window_s)
{
    int64_t begins_s = window_s > SECONDS_WINDOW_MAX_S ? at_s - at_s % 60 : at_s;

    return at_s <= end_s && begins_s > end_s - window_s;
}

void fold_second(struct ad_numbers *numbers, const struct counters_question *question,
                 const struct fold_row *row)
{
    if (!is_known(row))
        return;
    for (size_t i = 0; i < COUNTERS_WINDOWS; i++) {
        if (row->type == EVENT_CLICK && counters_window_s[i] <= MINUTES_WINDOW_MAX_S &&
            is_inside(row->at_s, question->end_s, counters_window_s[i]))
            numbers->windows[i] += row->count;
    }
    if (question->window_s > 0 && question->window_s <= MINUTES_WINDOW_MAX_S &&
        is_inside(row->at_s, question->end_s, question->window_s))
        count_frame(numbers, row);
}
