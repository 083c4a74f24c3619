/* What becomes of a number that has no row, by what its lane has told. */
#include "check.h"

#include "audit.h"

#include <string.h>

enum { MINUTE = 600 * AUDIT_MINUTE_MS };

static const struct audit_lane lane = {.gateway_id = "01890000-0000-7000-8000-000000000001",
                                       .settled_below = 100};

/* Two minutes from MINUTE on. */
static void open_audit(struct audit *audit)
{
    assert_true(audit_init(audit, MINUTE, MINUTE + 2 * AUDIT_MINUTE_MS));
}

static void judge(struct audit *audit, const struct audit_lane *of, struct audit_range *ranges,
                  size_t count, uint64_t first, uint64_t last)
{
    const struct audit_gap gap = {.first = first, .last = last, .at_ms = MINUTE + 1};

    audit_judge_gap(audit, of, ranges, count, &gap);
}

static void assert_part(const struct audit *audit, size_t index, enum audit_class class,
                        uint64_t first, uint64_t last)
{
    assert_true(index < audit->finding_count);
    assert_string_equal(audit_class_names[audit->findings[index].class], audit_class_names[class]);
    assert_int_equal(audit->findings[index].first, first);
    assert_int_equal(audit->findings[index].last, last);
}

TEST(a_number_below_settled_that_nothing_explains_is_lost)
{
    struct audit audit;

    open_audit(&audit);
    judge(&audit, &lane, NULL, 0, 40, 42);
    audit_close(&audit);

    assert_int_equal(audit.finding_count, 1);
    assert_part(&audit, 0, AUDIT_LOST, 40, 42);
    assert_int_equal(audit.total.missing[AUDIT_LOST], 3);
    assert_false(audit_is_balanced(&audit));
    audit_free(&audit);
}

TEST(a_spooled_number_is_pending_with_its_events_once)
{
    struct audit_range spooled = {
        .fate = AUDIT_SPOOLED, .first = 10, .last = 20, .events_missing = 7};
    struct audit audit;

    open_audit(&audit);
    judge(&audit, &lane, &spooled, 1, 10, 12);
    judge(&audit, &lane, &spooled, 1, 15, 20);
    audit_close(&audit);

    assert_part(&audit, 0, AUDIT_PENDING, 10, 12);
    assert_part(&audit, 1, AUDIT_PENDING, 15, 20);
    assert_int_equal(audit.total.pending, 7);
    assert_int_equal(audit.total.accepted, 7);
    assert_true(audit_is_balanced(&audit));
    audit_free(&audit);
}

TEST(an_abandoned_number_was_not_promised)
{
    struct audit_range abandoned = {.fate = AUDIT_ABANDONED, .first = 5, .last = 5};
    struct audit audit;

    open_audit(&audit);
    judge(&audit, &lane, &abandoned, 1, 5, 5);
    audit_close(&audit);

    assert_part(&audit, 0, AUDIT_UNPROMISED, 5, 5);
    assert_true(audit_is_balanced(&audit));
    audit_free(&audit);
}

TEST(above_settled_a_number_is_pending_while_its_lane_is_heard_of)
{
    struct audit_lane heard = lane;
    struct audit audit;

    heard.is_heard = true;
    open_audit(&audit);
    judge(&audit, &heard, NULL, 0, 100, 101);
    judge(&audit, &lane, NULL, 0, 100, 101);
    audit_close(&audit);

    assert_part(&audit, 0, AUDIT_PENDING, 100, 101);
    assert_part(&audit, 1, AUDIT_UNPROVEN, 100, 101);
    assert_true(audit_is_balanced(&audit)); /* nothing shows that anything is lost */
    audit_free(&audit);
}

TEST(one_gap_is_split_by_all_that_is_known_of_it)
{
    struct audit_range ranges[] = {
        {.fate = AUDIT_SPOOLED, .first = 92, .last = 94, .events_missing = 3},
        {.fate = AUDIT_ABANDONED, .first = 95, .last = 95},
        {.fate = AUDIT_ABANDONED, .first = 98, .last = 98}};
    struct audit audit;

    open_audit(&audit);
    judge(&audit, &lane, ranges, 3, 90, 103);
    audit_close(&audit);

    assert_int_equal(audit.finding_count, 7);
    assert_part(&audit, 0, AUDIT_LOST, 90, 91);
    assert_part(&audit, 1, AUDIT_PENDING, 92, 94);
    assert_part(&audit, 2, AUDIT_UNPROMISED, 95, 95);
    assert_part(&audit, 3, AUDIT_LOST, 96, 97);
    assert_part(&audit, 4, AUDIT_UNPROMISED, 98, 98);
    assert_part(&audit, 5, AUDIT_LOST, 99, 99);
    assert_part(&audit, 6, AUDIT_UNPROVEN, 100, 103);
    audit_free(&audit);
}

TEST(a_number_told_as_both_is_pending)
{
    struct audit_range ranges[] = {
        {.fate = AUDIT_ABANDONED, .first = 7, .last = 7},
        {.fate = AUDIT_SPOOLED, .first = 7, .last = 7, .events_missing = 1}};
    struct audit audit;

    open_audit(&audit);
    judge(&audit, &lane, ranges, 2, 7, 7);

    assert_part(&audit, 0, AUDIT_PENDING, 7, 7);
    audit_free(&audit);
}

TEST(the_events_of_a_lost_number_are_told_with_it)
{
    struct audit audit;

    open_audit(&audit);
    judge(&audit, &lane, NULL, 0, 40, 40);
    audit_add_difference(&audit, &lane, MINUTE + AUDIT_MINUTE_MS, 12);
    audit_close(&audit);

    assert_int_equal(audit.findings[0].events, 12);
    assert_int_equal(audit.minutes[0].lost, 12);
    assert_int_equal(audit.minutes[0].accepted, 12);
    assert_int_equal(audit.finding_count, 1);
    audit_free(&audit);
}

TEST(a_sum_that_is_wrong_without_a_missing_number_is_a_finding_of_its_own)
{
    struct audit audit;

    open_audit(&audit);
    audit_add_difference(&audit, &lane, MINUTE, 0);
    assert_int_equal(audit.finding_count, 0);
    audit_add_difference(&audit, &lane, MINUTE, -2);
    audit_close(&audit);

    assert_part(&audit, 0, AUDIT_UNEQUAL, 0, 0);
    assert_false(audit_is_balanced(&audit));
    audit_free(&audit);
}

TEST(a_minute_balances_when_every_event_is_somewhere)
{
    const struct audit_minute sums = {
        .accepted = 10, .unpromised = 2, .stored = 8, .duplicates = 3, .dead = 1, .batches = 4};
    struct audit_minute wrong = sums;

    assert_true(audit_minute_is_balanced(&sums));
    wrong.stored--;
    assert_false(audit_minute_is_balanced(&wrong));
}

TEST(one_minute_does_not_make_up_for_another)
{
    const struct audit_minute more = {.accepted = 1};
    const struct audit_minute less = {.stored = 1};
    struct audit audit;

    open_audit(&audit);
    audit_add_stored(&audit, MINUTE, &more);
    audit_add_stored(&audit, MINUTE + AUDIT_MINUTE_MS, &less);
    audit_close(&audit);

    assert_true(audit_minute_is_balanced(&audit.total));
    assert_false(audit_is_balanced(&audit));
    audit_free(&audit);
}

TEST(what_does_not_fit_makes_the_audit_incomplete_and_not_balanced)
{
    struct audit_range abandoned = {.fate = AUDIT_ABANDONED, .first = 1, .last = 50};
    struct audit audit;

    open_audit(&audit);
    for (int i = 0; i <= AUDIT_FINDINGS_MAX; i++)
        judge(&audit, &lane, &abandoned, 1, 5, 5);
    audit_close(&audit);

    assert_int_equal(audit.finding_count, AUDIT_FINDINGS_MAX);
    assert_int_equal(audit.total.missing[AUDIT_UNPROMISED], AUDIT_FINDINGS_MAX + 1);
    assert_false(audit_is_balanced(&audit));
    audit_free(&audit);
}

TEST(a_span_below_a_minute_has_one)
{
    struct audit audit;

    assert_true(audit_init(&audit, MINUTE, MINUTE + 1));
    judge(&audit, &lane, NULL, 0, 1, 1);

    assert_int_equal(audit.minutes[0].missing[AUDIT_LOST], 1);
    audit_free(&audit);
}

TESTS(RUN(a_number_below_settled_that_nothing_explains_is_lost),
      RUN(a_spooled_number_is_pending_with_its_events_once),
      RUN(an_abandoned_number_was_not_promised),
      RUN(above_settled_a_number_is_pending_while_its_lane_is_heard_of),
      RUN(one_gap_is_split_by_all_that_is_known_of_it), RUN(a_number_told_as_both_is_pending),
      RUN(the_events_of_a_lost_number_are_told_with_it),
      RUN(a_sum_that_is_wrong_without_a_missing_number_is_a_finding_of_its_own),
      RUN(a_minute_balances_when_every_event_is_somewhere),
      RUN(one_minute_does_not_make_up_for_another),
      RUN(what_does_not_fit_makes_the_audit_incomplete_and_not_balanced),
      RUN(a_span_below_a_minute_has_one))
