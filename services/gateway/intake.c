#include "intake.h"

#include "admission.h"
#include "catalogue.h"
#include "gateway.h"
#include "http/client_address.h"
#include "settings.h"

#include <string.h>

enum { MS_PER_DAY = 86400000 };

static struct event_ip peer_address(h2o_req_t *req)
{
    struct sockaddr_storage address;
    socklen_t size = req->conn->callbacks->get_peername(req->conn, (struct sockaddr *)&address);

    return client_address_of_socket((const struct sockaddr *)&address, size);
}

/* All lines of a header as one, in their order, as HTTP means them; len 0: there is none. */
static h2o_iovec_t join_lines(h2o_req_t *req, const char *name, size_t size)
{
    const h2o_headers_t *headers = &req->headers;
    h2o_iovec_t all = {NULL, 0};

    for (ssize_t i = -1; (i = h2o_find_header_by_str(headers, name, size, i)) != -1;) {
        h2o_iovec_t line = headers->entries[i].value;

        all = all.base == NULL ? line
                               : h2o_concat(&req->pool, all, h2o_iovec_init(H2O_STRLIT(",")), line);
    }
    return all;
}

struct event_ip intake_client_address(h2o_req_t *req)
{
    const struct trusted_proxies *proxies = &gateway_thread_of(req)->settings->proxies;
    struct event_ip peer = peer_address(req);
    h2o_iovec_t forwarded;

    if (proxies->count == 0)
        return peer;
    forwarded = join_lines(req, H2O_STRLIT("x-forwarded-for"));
    return client_address_find(proxies, &peer, forwarded.base, forwarded.len);
}

void intake_context(h2o_req_t *req, enum event_type type, struct decode_context *out)
{
    h2o_iovec_t key = join_lines(req, H2O_STRLIT("idempotency-key"));

    *out = (struct decode_context){
        .received_at_ms = server_thread_of(req)->at_ms,
        .type = type,
        .trust_ip = gateway_thread_of(req)->settings->trust_body_ip ||
                    (admission_grants(req) & ROUTE_SERVER) != 0,
        .peer_ip = intake_client_address(req),
        .idempotency_key = key.base,
        .idempotency_key_size = key.len,
    };
}

/* The day's salt; a new catalogue may bring another one, so the turn that takes it forgets this. */
static const uint8_t *salt_of(struct gateway_thread *self, int64_t at_ms)
{
    int64_t day = at_ms / MS_PER_DAY;

    if (self->salt_day != day) {
        catalogue_salt(self->catalogue, day, self->salt);
        self->salt_day = day;
    }
    return self->salt;
}

bool intake_admit(h2o_req_t *req, struct event *event, enum fault_code *out_code)
{
    struct gateway_thread *self = gateway_thread_of(req);
    ssize_t agent = h2o_find_header(&req->headers, H2O_TOKEN_USER_AGENT, -1);
    h2o_iovec_t user_agent = {NULL, 0};
    const struct ad *ad;

    if (catalogue_is_known(self->catalogue)) {
        ad = catalogue_find(self->catalogue, event->ad_id, event->ad_id_size);
        if (ad == NULL || ad->is_archived) {
            *out_code = FAULT_UNKNOWN_AD;
            return false;
        }
    } else {
        event->flags |= EVENT_AD_UNRESOLVED;
    }
    if (agent != -1)
        user_agent = req->headers.entries[agent].value;
    /* The whole address tells visitors apart; only then is it cut for storage. */
    event->visitor = visitor_hash(salt_of(self, event->received_at_ms), &event->ip, user_agent.base,
                                  user_agent.len);
    event->ip = ip_for_storage(&event->ip, self->settings->ip_keep);
    return true;
}

enum fault_code intake_refusal(enum error_kind kind)
{
    switch (kind) {
    case ERROR_LIMIT:
        return FAULT_OVERLOADED;
    case ERROR_UNAVAILABLE:
    case ERROR_UNCERTAIN:
        return FAULT_UNAVAILABLE;
    case ERROR_NONE:
    case ERROR_INVALID:
    case ERROR_INTERNAL:
        return FAULT_INTERNAL;
    }
    return FAULT_INTERNAL;
}
