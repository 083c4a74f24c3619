#include "check.h"

#include "event/fault.h"

#include <string.h>

TEST(every_code_has_a_text_a_status_and_a_title)
{
    for (int code = 0; code < FAULT_COUNT; code++) {
        int status = fault_status((enum fault_code)code);

        assert_in_range((uintmax_t)status, 400, 503);
        assert_int_not_equal(strlen(fault_text((enum fault_code)code)), 0);
        assert_int_not_equal(strlen(fault_title((enum fault_code)code)), 0);
        for (int other = 0; other < code; other++)
            assert_string_not_equal(fault_text((enum fault_code)code),
                                    fault_text((enum fault_code)other));
    }
    assert_string_equal(fault_text(FAULT_INVALID_JSON), "invalid_json");
    assert_int_equal(fault_status(FAULT_INVALID_JSON), 400);
    assert_int_equal(fault_status(FAULT_CONFLICTING_FIELDS), 422);
    assert_int_equal(fault_status(FAULT_UNAVAILABLE), 503);
}

TEST(a_fault_keeps_its_code_field_and_detail)
{
    struct faults faults = {0};

    fault_add(&faults, FAULT_INVALID_AD_ID, "ad_id", "at most %d", 64);
    assert_int_equal(faults.count, 1);
    assert_int_equal(faults.rows[0].code, FAULT_INVALID_AD_ID);
    assert_string_equal(faults.rows[0].field, "ad_id");
    assert_string_equal(faults.rows[0].detail, "at most 64");
}

TEST(more_faults_than_fit_are_counted_and_the_first_are_kept)
{
    struct faults faults = {0};

    for (int i = 0; i < DECODE_FAULTS_MAX + 3; i++)
        fault_add(&faults, FAULT_INVALID_IP, "ip", "%d", i);
    assert_int_equal(faults.count, DECODE_FAULTS_MAX + 3);
    assert_string_equal(faults.rows[0].detail, "0");
    assert_string_equal(faults.rows[DECODE_FAULTS_MAX - 1].detail, "7");
}

TEST(a_detail_that_is_too_long_is_cut)
{
    struct faults faults = {0};

    fault_add(&faults, FAULT_INVALID_IP, "a_field_name_that_is_far_too_long", "%0300d", 1);
    assert_int_equal(strlen(faults.rows[0].field), sizeof(faults.rows[0].field) - 1);
    assert_int_equal(strlen(faults.rows[0].detail), sizeof(faults.rows[0].detail) - 1);
}

TESTS(RUN(every_code_has_a_text_a_status_and_a_title), RUN(a_fault_keeps_its_code_field_and_detail),
      RUN(more_faults_than_fit_are_counted_and_the_first_are_kept),
      RUN(a_detail_that_is_too_long_is_cut))
