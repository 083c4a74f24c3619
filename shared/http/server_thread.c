#include "http/server_private.h"

#include "http/connections.h"
#include "http/http_metrics.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/service.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum {
    TURN_MAX_MS = 100, /* a loop with nothing to do turns this often, for beats and drains */
    DRAIN_TURN_MAX_MS = 10,
    TICK_MS = 100,         /* what need not be done every turn */
    SWEEP_MS = 1000,       /* how often slow requests are looked for */
    ACCEPTS_PER_TURN = 64, /* then those that are open have their turn */
};

/* A loop thread's life, in this order. */
static bool start(struct server_thread *thread, struct error *err);
static void open_listener(struct server_thread *thread);
static void turn(struct server_thread *thread);
static void on_accept(h2o_socket_t *listener, const char *problem);
static void on_connection_closed(void *arg);
static void drain(struct server_thread *thread);
static bool is_finished(struct server_thread *thread);
static void stop(struct server_thread *thread);

static void report_start(struct server *self, const struct error *result)
{
    pthread_mutex_lock(&self->lock);
    self->started_count++;
    if (result->kind != ERROR_NONE)
        self->start_error = *result;
    pthread_cond_signal(&self->start_done);
    pthread_mutex_unlock(&self->lock);
}

void *server_on_thread(void *arg)
{
    struct server_thread *thread = arg;
    struct server *server = thread->server;
    struct error result = {ERROR_NONE, ""};
    char name[16];

    snprintf(name, sizeof(name), "http-%d", thread->index);
    pthread_setname_np(pthread_self(), name);
    if (!start(thread, &result)) {
        stop(thread);
        report_start(server, &result);
        return NULL;
    }
    open_listener(thread);
    report_start(server, &result);
    while (!is_finished(thread))
        turn(thread);
    if (server->options.on_thread_stop != NULL)
        server->options.on_thread_stop(server->options.ctx, thread);
    stop(thread);
    return NULL;
}

/* Waking a loop is all that a message is for: none is ever sent. */
static void on_wake(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    (void)receiver;
    assert(h2o_linklist_is_empty(messages));
}

static void set_can_be_woken(struct server_thread *thread, bool can_be_woken)
{
    pthread_mutex_lock(&thread->server->lock);
    thread->private->can_be_woken = can_be_woken;
    pthread_mutex_unlock(&thread->server->lock);
}

static void read_clocks(struct server_thread *thread)
{
    thread->private->loop_ms = h2o_now(thread->h2o.loop);
    thread->now_ms = clock_now_ms();
    thread->at_ms = clock_at_ms();
}

void server_thread_refresh(struct server_thread *thread)
{
    if (thread->private->loop_ms != h2o_now(thread->h2o.loop))
        read_clocks(thread);
}

static bool start(struct server_thread *thread, struct error *err)
{
    const struct server_options *options = &thread->server->options;
    struct server_thread_private *mine = thread->private;

    h2o_context_init(&thread->h2o, h2o_evloop_create(), &thread->server->config);
    h2o_multithread_register_receiver(thread->h2o.queue, &mine->wake, on_wake);
    set_can_be_woken(thread, true);
    read_clocks(thread);
    if (options->service != NULL)
        mine->beat = service_add_beat(options->service, "http");
    return options->on_thread_start == NULL || options->on_thread_start(options->ctx, thread, err);
}

static void open_listener(struct server_thread *thread)
{
    struct server_thread_private *mine = thread->private;

    mine->accept.ctx = &thread->h2o;
    mine->accept.hosts = thread->server->config.hosts;
    mine->listener =
        h2o_evloop_socket_create(thread->h2o.loop, mine->listen_fd, H2O_SOCKET_FLAG_DONT_READ);
    mine->listen_fd = -1;
    mine->listener->data = thread;
    mine->is_accepting = true;
    h2o_socket_read_start(mine->listener, on_accept);
}

static void tick(struct server_thread *thread)
{
    struct server *server = thread->server;
    struct server_thread_private *mine = thread->private;

    mine->tick_at_ms = thread->now_ms + TICK_MS;
    if (server->options.service != NULL)
        service_beat(server->options.service, mine->beat, thread->now_ms);
    if (thread->index == 0)
        http_metrics_set_connections(server->metrics, server_connections(server),
                                     server->options.connections_max);
    if (!mine->is_accepting && mine->listener != NULL && thread->now_ms >= mine->accept_at_ms) {
        mine->is_accepting = true;
        h2o_socket_read_start(mine->listener, on_accept);
    }
    if (thread->now_ms >= mine->sweep_at_ms) {
        mine->sweep_at_ms = thread->now_ms + SWEEP_MS;
        connections_end_slow(&thread->h2o, thread->at_ms - server->options.request_timeout_ms);
    }
}

/* One turn of the loop: sleep until something happens, handle it, then the owner's moment. */
static void turn(struct server_thread *thread)
{
    const struct server_options *options = &thread->server->options;
    struct server_thread_private *mine = thread->private;
    const int wait_ms = mine->is_draining ? DRAIN_TURN_MAX_MS : TURN_MAX_MS;

    if (h2o_evloop_run(thread->h2o.loop, wait_ms) != 0 && errno != EINTR) {
        log_error("http_loop_failed", "thread=%d errno=%d", thread->index, errno);
        clock_sleep_ms(TICK_MS); /* it cannot even sleep: do not fill the log */
    }
    read_clocks(thread);
    if (thread->now_ms >= mine->tick_at_ms)
        tick(thread);
    if (options->on_turn != NULL)
        options->on_turn(options->ctx, thread);
    if (!mine->is_draining &&
        atomic_load_explicit(&thread->server->is_draining, memory_order_acquire))
        drain(thread);
}

static void pause_accepting(struct server_thread *thread)
{
    struct server_thread_private *mine = thread->private;

    if (!mine->is_accepting)
        return;
    mine->is_accepting = false;
    mine->accept_at_ms = thread->now_ms + TICK_MS;
    h2o_socket_read_stop(mine->listener);
}

/* errno says why; without the pause a failure that lasts would turn the loop at full speed. */
static bool end_accepting(struct server_thread *thread)
{
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        pause_accepting(thread);
    return false;
}

static bool refuse_one(struct server_thread *thread)
{
    struct server_thread_private *mine = thread->private;

    if (!refuser_turn_away(&mine->refuser, h2o_socket_get_fd(mine->listener)))
        return end_accepting(thread);
    http_metrics_refused(thread->server->metrics);
    return true;
}

/* False: the kernel has no more for us now. */
static bool accept_one(struct server_thread *thread)
{
    struct server *server = thread->server;
    h2o_socket_t *socket = NULL;
    bool has_room = atomic_fetch_add_explicit(&server->connections, 1, memory_order_relaxed) <
                    server->options.connections_max;

    if (has_room)
        socket = h2o_evloop_socket_accept(thread->private->listener);
    if (socket == NULL) {
        atomic_fetch_sub_explicit(&server->connections, 1, memory_order_relaxed);
        return has_room && errno != EMFILE && errno != ENFILE ? end_accepting(thread)
                                                              : refuse_one(thread);
    }
    thread->private->connections++;
    socket->on_close.cb = on_connection_closed;
    socket->on_close.data = thread;
    h2o_accept(&thread->private->accept, socket);
    return true;
}

static void on_accept(h2o_socket_t *listener, const char *problem)
{
    struct server_thread *thread = listener->data;

    if (problem != NULL)
        return;
    for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(thread); i++)
        continue;
}

static void on_connection_closed(void *arg)
{
    struct server_thread *thread = arg;

    thread->private->connections--;
    atomic_fetch_sub_explicit(&thread->server->connections, 1, memory_order_relaxed);
}

/* What the kernel has accepted for us already is served; closing the listener would reset it. */
static void drain(struct server_thread *thread)
{
    struct server_thread_private *mine = thread->private;

    mine->is_draining = true;
    mine->drain_until_ms = thread->now_ms + thread->server->options.drain_ms;
    while (accept_one(thread))
        continue;
    h2o_socket_close(mine->listener);
    mine->listener = NULL;
    /* The next answers say Connection: close. h2o_context_request_shutdown would also start
     * HTTP/2's farewell, whose timer outlives the context. */
    thread->h2o.shutdown_requested = 1;
    connections_end_idle(&thread->h2o);
}

static bool is_finished(struct server_thread *thread)
{
    const struct server_options *options = &thread->server->options;
    const struct server_thread_private *mine = thread->private;

    if (!mine->is_draining)
        return false;
    if (mine->connections == 0 &&
        (options->on_idle == NULL || options->on_idle(options->ctx, thread)))
        return true;
    return thread->now_ms >= mine->drain_until_ms;
}

/* A request that is still open refers to the context: then both stay until the process ends. */
static void stop(struct server_thread *thread)
{
    struct server_thread_private *mine = thread->private;
    h2o_loop_t *loop = thread->h2o.loop;

    if (thread->server->options.service != NULL)
        service_end_beat(thread->server->options.service, mine->beat);
    if (mine->listen_fd >= 0)
        close(mine->listen_fd);
    mine->listen_fd = -1;
    if (mine->connections > 0) {
        log_warn("http_drain_incomplete", "thread=%d connections=%d", thread->index,
                 mine->connections);
        atomic_store(&thread->server->has_left_overs, true);
        connections_end_all(&thread->h2o);
        return;
    }
    set_can_be_woken(thread, false);
    h2o_multithread_unregister_receiver(thread->h2o.queue, &mine->wake);
    h2o_context_dispose(&thread->h2o);
    h2o_evloop_destroy(loop);
}
