/*
 * server_private.h — what server.c and server_thread.c share
 *
 * server.c opens, drains and closes on the owner's thread; server_thread.c is a loop thread's life.
 * They meet in the flags and under the lock below.
 */
#pragma once

#include "http/refuser.h"
#include "http/server.h"
#include <pthread.h>

struct server_thread_private {
    pthread_t pthread;
    bool is_started;
    bool can_be_woken; /* guarded by the server's lock */
    bool is_draining;
    bool is_accepting;
    int listen_fd; /* -1 once h2o owns it */
    struct refuser refuser;
    h2o_socket_t *listener; /* NULL: not yet, or not any more */
    h2o_accept_ctx_t accept;
    h2o_multithread_receiver_t wake;
    int connections; /* of this thread */
    size_t beat;
    uint64_t loop_ms; /* h2o_now when the clocks were read */
    int64_t accept_at_ms, tick_at_ms, sweep_at_ms, drain_until_ms;
};

struct server {
    struct server_options options;
    h2o_globalconf_t config;
    struct route_table *routes;    /* owned */
    struct cors *cors;             /* owned */
    struct http_metrics *metrics;  /* owned */
    struct server_thread *threads; /* owned; options.threads of them */
    struct server_thread_private *privates;
    atomic_int connections;
    atomic_bool is_draining;
    atomic_bool has_left_overs; /* requests outlived the drain: their memory stays */
    struct server *next_left_over;

    pthread_mutex_t lock; /* guards what follows, and each thread's can_be_woken */
    pthread_cond_t start_done;
    int started_count;
    struct error start_error;
};

/* The body of a loop thread; arg is its struct server_thread. Reports its start, runs until the
 * drain is done. */
void *server_on_thread(void *arg);
