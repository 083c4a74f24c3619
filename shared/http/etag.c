#include "http/etag.h"

#include "http/respond.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ETAG_SIZE = 20 }; /* quotes and 16 digits */

/* If-None-Match: * or a list of tags; a weak one matches too (RFC 9110, 13.1.2). */
static bool has_match(const char *list, size_t size, const char *etag)
{
    size_t etag_size = strlen(etag);

    if (size == 1 && list[0] == '*')
        return true;
    return memmem(list, size, etag, etag_size) != NULL; /* the quotes delimit it */
}

bool etag_respond_unchanged(h2o_req_t *req, uint64_t version)
{
    ssize_t at = h2o_find_header(&req->headers, H2O_TOKEN_IF_NONE_MATCH, -1);
    char *etag = h2o_mem_alloc_pool(&req->pool, ETAG_SIZE);

    (void)snprintf(etag, ETAG_SIZE, "\"%016" PRIx64 "\"", version);
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ETAG, NULL, etag, strlen(etag));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL,
                   H2O_STRLIT("no-cache"));
    if (at == -1 ||
        !has_match(req->headers.entries[at].value.base, req->headers.entries[at].value.len, etag))
        return false;
    respond_empty(req, 304);
    return true;
}
