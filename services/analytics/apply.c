#include "apply.h"

#include "changes.h"
#include "fold.h"

/* The data's path, top to bottom; the definitions follow in this order. */
static void add_buckets(const struct fold *fold, enum bucket_size size, struct changes *changes);
static void add_totals(const struct fold *fold, struct changes *changes);
static void set_lasts(const struct fold *fold, struct changes *changes);
static void add_visitors(const struct fold *fold, enum bucket_visitors_unit unit,
                         struct changes *changes);

void apply_fold(struct fold *fold, struct changes *changes)
{
    fold_sort(fold);
    add_buckets(fold, BUCKET_SECOND, changes);
    add_buckets(fold, BUCKET_MINUTE, changes);
    add_buckets(fold, BUCKET_QUARTER, changes);
    add_buckets(fold, BUCKET_DAY, changes);
    add_totals(fold, changes);
    set_lasts(fold, changes);
    add_visitors(fold, BUCKET_VISITORS_MINUTE, changes);
    add_visitors(fold, BUCKET_VISITORS_HOUR, changes);
    add_visitors(fold, BUCKET_VISITORS_DAY, changes);
}

/* Two seconds of one series are neighbours in a bucket when they have the same place. */
static bool is_same_bucket(const struct tally_item *one, const struct tally_item *other,
                           enum bucket_size size)
{
    int64_t block[2];
    int64_t field[2];

    if (one->a != other->a)
        return false;
    bucket_place(size, (int64_t)one->b, &block[0], &field[0]);
    bucket_place(size, (int64_t)other->b, &block[1], &field[1]);
    return block[0] == block[1] && field[0] == field[1];
}

static void add_buckets(const struct fold *fold, enum bucket_size size, struct changes *changes)
{
    const struct tally *counts = fold_counts(fold);
    size_t next = 0;

    for (size_t i = 0; i < counts->count; i = next) {
        const struct tally_item *first = &counts->items[i];
        char series[SERIES_MAX];
        uint64_t amount = 0;

        for (next = i; next < counts->count && is_same_bucket(first, &counts->items[next], size);
             next++)
            amount += counts->items[next].value;
        series_format(fold_type(first->a), fold_reason(first->a), series);
        changes_add_bucket(changes, fold_ad_id(fold, fold_ad(first->a)), series, size,
                           (int64_t)first->b, (int64_t)amount);
    }
}

static void add_totals(const struct fold *fold, struct changes *changes)
{
    const struct tally *counts = fold_counts(fold);
    size_t next = 0;

    for (size_t i = 0; i < counts->count; i = next) {
        uint64_t key = counts->items[i].a;
        char series[SERIES_MAX];
        uint64_t amount = 0;

        for (next = i; next < counts->count && counts->items[next].a == key; next++)
            amount += counts->items[next].value;
        series_format(fold_type(key), fold_reason(key), series);
        changes_add_total(changes, fold_ad_id(fold, fold_ad(key)), series, (int64_t)amount);
    }
}

static void set_lasts(const struct fold *fold, struct changes *changes)
{
    const struct tally *lasts = fold_lasts(fold);

    for (size_t i = 0; i < lasts->count; i++)
        changes_set_last(changes, fold_ad_id(fold, (uint32_t)lasts->items[i].a),
                         (int64_t)lasts->items[i].b, lasts->items[i].value);
}

/* The visitor of several minutes of an hour is named several times: a HyperLogLog does not mind. */
static void add_visitors(const struct fold *fold, enum bucket_visitors_unit unit,
                         struct changes *changes)
{
    const struct tally *visitors = fold_visitors(fold);
    int64_t minutes = bucket_visitors_unit_s(unit) / 60;
    size_t next = 0;

    for (size_t i = 0; i < visitors->count; i = next) {
        uint64_t names[CHANGES_VISITORS_MAX];
        uint32_t ad = fold_visitor_ad(visitors->items[i].a);
        int64_t number = fold_visitor_minute(visitors->items[i].a) / minutes;
        size_t count = 0;

        for (next = i; next < visitors->count && count < CHANGES_VISITORS_MAX; next++) {
            const struct tally_item *item = &visitors->items[next];

            if (fold_visitor_ad(item->a) != ad || fold_visitor_minute(item->a) / minutes != number)
                break;
            names[count++] = item->b;
        }
        changes_add_visitors(changes, fold_ad_id(fold, ad), unit, number, names, count);
    }
}
