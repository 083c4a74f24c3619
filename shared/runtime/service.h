/*
 * service.h — how a process lives: signals, readiness, drain
 *
 * States:  STARTING -> READY -> DRAINING. SIGTERM and SIGINT start the drain; SIGHUP is handed to
 *          the reloader (reloader.h). Readiness is proven by the owner: service_ready once every
 *          dependency has answered; liveness by beats: each loop or worker calls service_beat and
 *          /health/live fails when one has not for SERVICE_LIVENESS_MS.
 * Signals: service_open blocks the three in its thread, and so in every thread that is started
 *          later, a library's too; a thread of its own takes them by signalfd. So open the service
 *          before anything that starts threads.
 * Threads: one service a process; everything but open and close may be called from any thread. The
 *          memory of service_pause (how often in a row, what was logged) is each thread's own.
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SERVICE_BEATS_MAX = 128,
    SERVICE_LIVENESS_MS = 15000,
    SERVICE_PAUSE_MIN_MS = 50,    /* about the first wait of service_pause */
    SERVICE_PAUSE_MAX_MS = 1000,  /* and what it grows to */
    SERVICE_REPEAT_LOG_MS = 60000 /* a failure that stays the same is logged again after this */
};

struct service;

/* One dependency's state as /health shows it. */
struct service_component {
    const char *name;  /* "nats" */
    const char *state; /* "up", "down", "degraded", "unknown" */
    char detail[120];  /* empty, or why */
    bool is_critical;  /* while it is down no event can be accepted: /health is a 503 */
};

/* Fills at most max components and returns how many; called on the HTTP thread, must not block. */
typedef size_t (*service_components_fn)(void *ctx, struct service_component *out, size_t max);

struct service *service_open(const char *name, struct error *err);
void service_close(struct service **service);

const char *service_name(const struct service *service);
int64_t service_started_at_ms(const struct service *service);
void service_ready(struct service *service); /* STARTING -> READY, once */
bool service_is_ready(const struct service *service);
bool service_running(const struct service *service); /* false from the first moment of a drain */
void service_stop(struct service *service);          /* what SIGTERM does */

/*
 * For a service that may be cut off anywhere without loss: when the process has not ended max_ms
 * after the start of the drain, it is ended with EXIT_SUCCESS, and the log says so. Call it once;
 * service_close ends it.
 */
MUST_CHECK bool service_limit_drain(struct service *service, int64_t max_ms, struct error *err);

size_t service_add_beat(struct service *service, const char *what); /* what is borrowed */
void service_beat(struct service *service, size_t beat, int64_t now_ms);
void service_end_beat(struct service *service, size_t beat); /* it has ended, and may be silent */
bool service_is_live(const struct service *service, int64_t now_ms, const char **out_stuck);

void service_set_components(struct service *service, service_components_fn fn, void *ctx);
size_t service_components(const struct service *service, struct service_component *out, size_t max);

/* What SIGHUP calls, on the signals' thread: must not block. NULL: nothing. When it returns, the
 * old function is not running any more. */
void service_set_hangup(struct service *service, void (*fn)(void *ctx), void *ctx);

/* Logs a start-up failure and returns EXIT_FAILURE. */
int service_fail(const struct error *err);

/* Logs the failure of a step once per kind and backs off with jitter; wakes early for a stop. */
void service_pause(struct service *service, const struct error *err);
/* A step has succeeded: the next pause is a short one. Free when nothing had failed. */
void service_resume(struct service *service);

/* Waits up to wait_ms, or until a stop: the pause of a loop that has nothing to do. */
void service_wait(struct service *service, int64_t wait_ms);
