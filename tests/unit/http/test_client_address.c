#include "check.h"

#include "event/visitor.h"
#include "http/client_address.h"
#include "ip_text.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static struct event_ip ip_of(const char *text)
{
    struct event_ip ip = {.size = 0};

    assert_true(ip_parse(text, strlen(text), &ip));
    return ip;
}

static struct trusted_proxies proxies_of(const char *text, struct error *err)
{
    struct trusted_proxies proxies = {.count = 0};

    assert_ok(trusted_proxies_parse(text, &proxies, err));
    return proxies;
}

static void assert_ip(const char *expected, struct event_ip ip)
{
    char text[IP_TEXT_SIZE];

    assert_string_equal(expected, ip_text(&ip, text));
}

TEST(knows_the_networks_of_the_list)
{
    const struct trusted_proxies proxies =
        proxies_of("10.0.0.0/8, 192.0.2.7,2001:db8::/33 ,172.16.0.0/12", err);
    static const struct {
        const char *ip;
        bool is_trusted;
    } rows[] = {
        {"10.1.2.3", true},       {"11.0.0.0", false},        {"192.0.2.7", true},
        {"192.0.2.8", false},     {"2001:db8:7fff::1", true}, {"2001:db8:8000::1", false},
        {"172.31.255.255", true}, {"172.32.0.0", false},      {"::1", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct event_ip ip = ip_of(rows[i].ip);

        assert_int_equal(rows[i].is_trusted, trusted_proxies_has(&proxies, &ip));
    }
}

TEST(refuses_a_list_with_an_entry_that_is_no_network)
{
    static const char *const rows[] = {"proxy",       "10.0.0.0/33", "10.0.0.0/",
                                       "10.0.0.0/-1", "10.0.0/8",    "::1/129",
                                       "10.0.0.0/08", "10.0.0.0/8x", "10.0.0.0 /8"};
    struct trusted_proxies proxies;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_fails(ERROR_INVALID, trusted_proxies_parse(rows[i], &proxies, err));
}

TEST(takes_the_rightmost_hop_that_is_not_trusted)
{
    const struct trusted_proxies proxies = proxies_of("10.0.0.0/8,2001:db8::/32", err);
    static const struct {
        const char *peer, *forwarded, *client;
    } rows[] = {
        {"203.0.113.9", "198.51.100.1", "203.0.113.9"}, /* the peer is a stranger */
        {"10.0.0.1", "", "10.0.0.1"},                   /* no header */
        {"10.0.0.1", "198.51.100.1", "198.51.100.1"},
        {"10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"}, /* never the leftmost */
        {"10.0.0.1", "6.6.6.6,198.51.100.1 ,10.9.9.9", "198.51.100.1"},
        {"10.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"}, /* all trusted */
        {"10.0.0.1", "198.51.100.1, junk", "10.0.0.1"}, /* junk stops the walk */
        {"10.0.0.1", "junk, 10.2.2.2", "10.2.2.2"},
        {"10.0.0.1", "198.51.100.1,", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.1:8080", "198.51.100.1"},
        {"10.0.0.1", "[2001:db9::1]:443", "2001:db9::1"},
        {"10.0.0.1", "2001:db9::1", "2001:db9::1"},
        {"2001:db8::5", "::ffff:198.51.100.1", "198.51.100.1"},
        {"10.0.0.1", "[2001:db9::1", "10.0.0.1"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct event_ip peer = ip_of(rows[i].peer);

        assert_ip(rows[i].client, client_address_find(&proxies, &peer, rows[i].forwarded,
                                                      strlen(rows[i].forwarded)));
    }
}

TEST(reads_the_address_of_a_socket)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xC0000201)};
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    struct sockaddr other = {.sa_family = AF_UNIX};

    assert_int_equal(1, inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.sin6_addr));
    assert_int_equal(1, inet_pton(AF_INET6, "2001:db8::1", &ipv6.sin6_addr));

    assert_ip("192.0.2.1", client_address_of_socket((struct sockaddr *)&ipv4, sizeof(ipv4)));
    assert_ip("192.0.2.1", client_address_of_socket((struct sockaddr *)&mapped, sizeof(mapped)));
    assert_ip("2001:db8::1", client_address_of_socket((struct sockaddr *)&ipv6, sizeof(ipv6)));
    assert_int_equal(0, client_address_of_socket(&other, sizeof(other)).size);
    assert_int_equal(0, client_address_of_socket((struct sockaddr *)&ipv6, sizeof(ipv4)).size);
}

TESTS(RUN(knows_the_networks_of_the_list), RUN(refuses_a_list_with_an_entry_that_is_no_network),
      RUN(takes_the_rightmost_hop_that_is_not_trusted), RUN(reads_the_address_of_a_socket))
