#include "check.h"
#include "clients/bus_errors.h"

#include <stdio.h>

static bool is_news(const char *subject)
{
    char why[160];

    snprintf(why, sizeof(why), "Permissions Violation for Publish to \"%s\"", subject);
    return bus_errors_is_news(why);
}

TEST(each_kind_of_subject_is_told_once)
{
    assert_true(is_news("$JS.API.CONSUMER.DELETE.ADS_0.reader_1"));
    assert_false(is_news("$JS.API.CONSUMER.DELETE.ADS_0.reader_2"));
    assert_false(is_news("$JS.API.CONSUMER.DELETE.ADS_1.reader_3"));
    assert_true(is_news("$JS.API.STREAM.INFO.ADS_0"));
    assert_false(is_news("$JS.API.STREAM.INFO.ADS_1"));
    assert_true(bus_errors_is_news("Not Permitted"));
    assert_false(bus_errors_is_news("Not Permitted"));
}

TEST(discovery_is_one_kind_and_hides_no_other)
{
    assert_true(is_news("$SRV.PING"));
    assert_false(is_news("$SRV.PING.adledger-test.0197a1b2"));
    assert_false(is_news("$SRV.STATS"));
    assert_true(is_news("ads.events.0"));
    assert_false(is_news("$SRV.INFO"));
}

TEST(more_kinds_than_are_known_are_told_again_and_cost_nothing_else)
{
    char subject[32];

    for (int i = 0; i <= BUS_ERRORS_KINDS_MAX; i++) {
        snprintf(subject, sizeof(subject), "many.%d.0", i);
        assert_true(is_news(subject));
    }
    assert_true(is_news("many.0.1"));
    assert_false(is_news("many.16.1"));
}

TESTS(RUN(each_kind_of_subject_is_told_once), RUN(discovery_is_one_kind_and_hides_no_other),
      RUN(more_kinds_than_are_known_are_told_again_and_cost_nothing_else))
