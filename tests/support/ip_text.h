/*
 * ip_text.h — an address as a test can compare it: its shortest text, "" for an unknown one
 */
#pragma once

#include "event/event.h"

#include <arpa/inet.h>

enum { IP_TEXT_SIZE = INET6_ADDRSTRLEN };

static inline const char *ip_text(const struct event_ip *ip, char out[IP_TEXT_SIZE])
{
    out[0] = '\0';
    if (ip->size != 0)
        (void)inet_ntop(ip->size == 4 ? AF_INET : AF_INET6, ip->bytes, out, IP_TEXT_SIZE);
    return out;
}
