#include "ad_set.h"
#include "base/auto.h"
#include "check.h"
#include "record_fixture.h"
#include "visitors.h"

#include <stdio.h>

enum { DAY_MS = 24 * 3600 * 1000 };

static const uint8_t key[TARGET_KEY_SIZE] = {1, 2, 3};
static const uint8_t other_key[TARGET_KEY_SIZE] = {9};
static const uint8_t salt[VISITOR_SALT_SIZE] = {7};

static struct click click_on(const char *time, const char *ip, struct error *err)
{
    struct record record = good_record();
    struct click click;

    record.values[CLICK_TIME] = value_of(time);
    record.values[CLICK_IP] = value_of(ip);
    assert_ok(click_from_record(&record, &click, err));
    return click;
}

static uint64_t visitor(struct visitors *visitors, const char *time, const char *ip,
                        struct error *err)
{
    struct click click = click_on(time, ip, err);

    visitors_apply(visitors, &click);
    return click.event.visitor;
}

TEST(a_person_is_one_visitor_within_a_day_and_a_stranger_on_the_next)
{
    AUTO(visitors_free) struct visitors *visitors = visitors_new(key, IP_STORAGE_FULL);
    uint64_t morning = visitor(visitors, "2026-01-02T01:00:00Z", "192.0.2.1", err);

    assert_int_equal(morning, visitor(visitors, "2026-01-02T23:00:00Z", "192.0.2.1", err));
    assert_int_not_equal(morning, visitor(visitors, "2026-01-03T01:00:00Z", "192.0.2.1", err));
    assert_int_not_equal(morning, visitor(visitors, "2026-01-02T01:00:00Z", "192.0.2.2", err));
}

TEST(the_key_makes_runs_agree)
{
    AUTO(visitors_free) struct visitors *one = visitors_new(key, IP_STORAGE_FULL);
    AUTO(visitors_free) struct visitors *same = visitors_new(key, IP_STORAGE_FULL);
    AUTO(visitors_free) struct visitors *other = visitors_new(other_key, IP_STORAGE_FULL);
    uint64_t expected = visitor(one, "2026-01-02T01:00:00Z", "192.0.2.1", err);

    assert_int_equal(expected, visitor(same, "2026-01-02T01:00:00Z", "192.0.2.1", err));
    assert_int_not_equal(expected, visitor(other, "2026-01-02T01:00:00Z", "192.0.2.1", err));
}

TEST(a_day_that_has_a_salt_takes_the_visitor_of_live_traffic)
{
    AUTO(visitors_free) struct visitors *visitors = visitors_new(key, IP_STORAGE_NONE);
    struct click click = click_on("2026-01-02T01:00:00Z", "192.0.2.1", err);
    uint64_t expected = visitor_hash(salt, &click.event.ip, NULL, 0);

    visitors_add_salt(visitors, click.event.received_at_ms / DAY_MS, salt);
    visitors_apply(visitors, &click);

    assert_int_equal(click.event.visitor, expected);
    assert_int_equal(click.event.ip.size, 0);
}

TEST(without_address_and_agent_nobody_is_known)
{
    AUTO(visitors_free) struct visitors *visitors = visitors_new(key, IP_STORAGE_FULL);

    assert_int_equal(visitor(visitors, "2026-01-02T01:00:00Z", "", err), 0);
}

TEST(a_set_of_ads_knows_each_once)
{
    AUTO(ad_set_free) struct ad_set *ads = ad_set_new();
    char id[16];
    bool is_new = false;

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1000; i++) {
            int size = snprintf(id, sizeof(id), "ad-%d", i);

            assert_true(ad_set_add(ads, id, (size_t)size, &is_new));
            assert_int_equal(is_new, round == 0);
        }
    }
    assert_int_equal(ad_set_count(ads), 1000);
    assert_string_equal(ad_set_get(ads, 999), "ad-999");
}

TESTS(RUN(a_person_is_one_visitor_within_a_day_and_a_stranger_on_the_next),
      RUN(the_key_makes_runs_agree), RUN(a_day_that_has_a_salt_takes_the_visitor_of_live_traffic),
      RUN(without_address_and_agent_nobody_is_known), RUN(a_set_of_ads_knows_each_once))
