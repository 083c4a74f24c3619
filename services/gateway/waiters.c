#include "waiters.h"

#include "http/respond.h"

#include <string.h>

void waiters_init(struct waiters *waiters)
{
    h2o_linklist_init_anchor(&waiters->list);
}

static void on_dispose(void *memory)
{
    struct waiter *waiter = memory;

    if (h2o_linklist_is_linked(&waiter->link))
        h2o_linklist_unlink(&waiter->link);
}

void waiters_add(struct waiters *waiters, h2o_req_t *req, int shape, const void *spec,
                 size_t spec_size)
{
    struct waiter *waiter = h2o_mem_alloc_shared(&req->pool, sizeof(*waiter), on_dispose);
    void *copy = h2o_mem_alloc_pool(&req->pool, spec_size);

    *waiter = (struct waiter){.req = req, .shape = shape};
    waiter->spec = memcpy(copy, spec, spec_size);
    h2o_linklist_insert(&waiters->list, &waiter->link); /* at the end */
}

struct waiter *waiters_take(struct waiters *waiters)
{
    h2o_linklist_t *first = waiters->list.next;

    if (h2o_linklist_is_empty(&waiters->list))
        return NULL;
    h2o_linklist_unlink(first);
    return H2O_STRUCT_FROM_MEMBER(struct waiter, link, first);
}

bool waiters_is_empty(const struct waiters *waiters)
{
    return waiters->list.next == &waiters->list;
}

h2o_iovec_t waiters_share(const struct text *text)
{
    h2o_iovec_t body = h2o_iovec_init(h2o_mem_alloc_shared(NULL, text->size, NULL), text->size);

    memcpy(body.base, text->bytes, text->size);
    return body;
}

void waiters_respond(h2o_req_t *req, h2o_iovec_t body)
{
    h2o_mem_link_shared(&req->pool, body.base);
    respond_json(req, 200, body);
}
