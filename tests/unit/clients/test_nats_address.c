#include "base/auto.h"
#include "check.h"
#include "clients/endpoint.h"
#include "clients/nats_address.h"

#include <string.h>

static const char certificate[] = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
static const char key[] = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";

/* What clients read of an endpoint that was made of the parts. */
static struct nats_address through_endpoint(const struct nats_address *address)
{
    AUTO(endpoint_text_free) char *text = nats_address_join(address);
    AUTO(endpoint_free) struct endpoint *endpoint = NULL;
    struct nats_address read;
    struct error err;

    assert_non_null(text);
    endpoint = endpoint_new(text, &err);
    assert_non_null(endpoint);
    assert_true(nats_address_read(endpoint, NULL, &read));
    return read;
}

TEST(urls_alone_are_the_text)
{
    const struct nats_address address = {.urls = "nats://a:1,nats://b:2"};
    AUTO(endpoint_text_free) char *text = nats_address_join(&address);
    AUTO(nats_address_wipe) struct nats_address read = through_endpoint(&address);

    assert_string_equal(text, address.urls);
    assert_string_equal(read.urls, address.urls);
    assert_string_equal(read.ca, "");
    assert_string_equal(read.creds_file, "");
    assert_false(nats_address_wants_tls(&read));
}

TEST(every_part_comes_back)
{
    const struct nats_address address = {.urls = "nats://a:1",
                                         .ca = certificate,
                                         .cert = certificate,
                                         .key = key,
                                         .creds_file = "/run/secrets/nats.creds"};
    AUTO(nats_address_wipe) struct nats_address read = through_endpoint(&address);

    assert_ok(nats_address_check(&address, err));
    assert_string_equal(read.urls, address.urls);
    assert_string_equal(read.ca, certificate);
    assert_string_equal(read.cert, certificate);
    assert_string_equal(read.key, key);
    assert_string_equal(read.creds_file, address.creds_file);
}

TEST(a_part_alone_stands_in_its_place)
{
    const struct nats_address address = {.urls = "nats://a:1", .creds_file = "/creds"};
    AUTO(nats_address_wipe) struct nats_address read = through_endpoint(&address);

    assert_string_equal(read.ca, "");
    assert_string_equal(read.key, "");
    assert_string_equal(read.creds_file, "/creds");
}

TEST(tls_is_wanted_by_scheme_authority_or_certificate)
{
    const struct nats_address wishes[] = {{.urls = "nats://a:1,tls://b:2"},
                                          {.urls = "nats://a:1", .ca = certificate},
                                          {.urls = "nats://a:1", .cert = certificate, .key = key}};

    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        AUTO(nats_address_wipe) struct nats_address read = through_endpoint(&wishes[i]);

        assert_true(nats_address_wants_tls(&read));
    }
}

static void check_refused(const struct nats_address *address, const char *name)
{
    struct error err = {0};

    assert_false(nats_address_check(address, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, name));
}

TEST(what_cannot_work_is_refused_by_name)
{
    check_refused(&(struct nats_address){.urls = "a", .ca = "/etc/ca.pem"}, "NATS_CA_FILE");
    check_refused(&(struct nats_address){.urls = "a", .cert = certificate}, "NATS_KEY");
    check_refused(&(struct nats_address){.urls = "a", .key = key}, "NATS_CERT");
    check_refused(&(struct nats_address){.urls = "a\x1f"}, "NATS_URL");
}

TESTS(RUN(urls_alone_are_the_text), RUN(every_part_comes_back),
      RUN(a_part_alone_stands_in_its_place), RUN(tls_is_wanted_by_scheme_authority_or_certificate),
      RUN(what_cannot_work_is_refused_by_name))
