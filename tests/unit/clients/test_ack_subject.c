#include "check.h"
#include "clients/ack_subject.h"

#include <string.h>

static void assert_parts(const struct ack_subject *ack)
{
    assert_int_equal(ack->consumer_size, 3);
    assert_memory_equal(ack->consumer, "con", 3);
    assert_int_equal(ack->stream_seq, UINT64_C(1795257308025000));
    assert_int_equal(ack->consumer_seq, 7);
    assert_int_equal(ack->at_ms, INT64_C(1795257308025));
    assert_int_equal(ack->pending, 9);
}

TEST(reads_the_short_form)
{
    struct ack_subject ack;

    assert_true(
        ack_subject_parse("$JS.ACK.ADS_0.con.1.1795257308025000.7.1795257308025999999.9", &ack));
    assert_parts(&ack);
}

TEST(reads_the_long_forms_with_and_without_their_last_token)
{
    struct ack_subject ack;

    assert_true(ack_subject_parse(
        "$JS.ACK.hub.hash.ADS_0.con.1.1795257308025000.7.1795257308025999999.9", &ack));
    assert_parts(&ack);
    assert_true(ack_subject_parse(
        "$JS.ACK._.hash.ADS_0.con.1.1795257308025000.7.1795257308025999999.9.r4nd", &ack));
    assert_parts(&ack);
}

TEST(the_largest_sequence_passes_and_the_next_does_not)
{
    struct ack_subject ack;

    assert_true(ack_subject_parse("$JS.ACK.S.c.1.18446744073709551615.1.1.0", &ack));
    assert_int_equal(ack.stream_seq, UINT64_MAX);
    assert_false(ack_subject_parse("$JS.ACK.S.c.1.18446744073709551616.1.1.0", &ack));
    assert_false(ack_subject_parse("$JS.ACK.S.c.1.99999999999999999999.1.1.0", &ack));
}

TEST(refuses_everything_else)
{
    static const char *const texts[] = {
        "",
        "_INBOX.abc.1",
        "$JS.ACK.",
        "$JS.ACK.S.c.1.2.3.4",
        "$JS.ACK.S.c.1.2.3.4.5.6",
        "$JS.ACK.S.c.1.x.3.4.5",
        "$JS.ACK.S.c.1..3.4.5",
        "$JS.ACK.S.c.1.-2.3.4.5",
        "$JS.ACK.a.b.c.d.e.f.g.h.i.j.k.l.m",
        "$KV.ACK.S.c.1.2.3.4.5",
    };
    struct ack_subject ack;

    assert_false(ack_subject_parse(NULL, &ack));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (ack_subject_parse(texts[i], &ack))
            fail_msg("taken: %s", texts[i]);
    }
}

TESTS(RUN(reads_the_short_form), RUN(reads_the_long_forms_with_and_without_their_last_token),
      RUN(the_largest_sequence_passes_and_the_next_does_not), RUN(refuses_everything_else))
