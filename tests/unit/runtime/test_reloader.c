#include "check.h"

#include "base/auto.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/process_options.h"
#include "runtime/reloader.h"
#include "runtime/service.h"
#include "temp_dir.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEADLINE_MS = 5000 };

struct settings {
    struct process_settings process;
    int64_t limit;
    int64_t port;
    char *name;
};

static const struct option_row rows[] = {
    PROCESS_ROWS(process),
    RELOADABLE(INT, "T_LIMIT", FIELD(limit), 1, 0, 100, "reloadable"),
    OPTION_INT("T_PORT", FIELD(port), 1, 1, 100, "not reloadable"),
    OPTION_STRING("T_NAME", FIELD(name), NULL, "not reloadable"),
    OPTION_END,
};

/* A process with its files, its log and its reloader. */
struct fixture {
    struct temp_dir dir;
    char limit[TEMP_PATH_SIZE], port[TEMP_PATH_SIZE], level[TEMP_PATH_SIZE], log[TEMP_PATH_SIZE];
    struct settings settings;
    struct service *service;
    struct reloader *reloader;
    atomic_int limit_seen;
};

static void put(const char *path, const char *text)
{
    temp_file_write(path, text, strlen(text));
}

static bool on_apply(void *ctx, void *fresh, struct error *err)
{
    struct fixture *fixture = ctx;
    const struct settings *settings = fresh;

    if (settings->limit == 13)
        return error_set(err, ERROR_INVALID, "T_LIMIT: 13 does not go with the rest");
    atomic_store(&fixture->limit_seen, (int)settings->limit);
    return true;
}

static void open_fixture(struct fixture *self, struct error *err)
{
    memset(self, 0, sizeof(*self));
    self->dir = temp_dir_new();
    put(temp_dir_path(&self->dir, "limit", self->limit), "2");
    put(temp_dir_path(&self->dir, "port", self->port), "80");
    put(temp_dir_path(&self->dir, "level", self->level), "info");
    setenv("LOG_LEVEL_FILE", self->level, 1); /* a file: the environment is not written any more */
    setenv("T_LIMIT_FILE", self->limit, 1);
    setenv("T_PORT_FILE", self->port, 1);
    setenv("LOG_FILE", temp_dir_path(&self->dir, "log", self->log), 1);
    assert_ok(config_load(rows, &self->settings, err));
    assert_ok(process_open("test", &self->settings.process, err));
    self->service = service_open("test", err);
    assert_ok(self->service != NULL);
    self->reloader = reloader_open(
        &(struct reload_options){
            .service = self->service,
            .rows = rows,
            .settings = &self->settings,
            .settings_size = sizeof(self->settings),
            .process_offset = offsetof(struct settings, process),
            .apply = on_apply,
            .ctx = self,
        },
        err);
    assert_ok(self->reloader != NULL);
}

static void close_fixture(struct fixture *self)
{
    reloader_close(&self->reloader);
    service_close(&self->service);
    log_close();
    config_free(rows, &self->settings);
    temp_dir_remove(&self->dir);
}

static void await_log(const struct fixture *self, const char *text)
{
    const int64_t until_ms = clock_now_ms() + DEADLINE_MS;
    bool is_there = false;

    while (!is_there && clock_now_ms() < until_ms) {
        AUTO(auto_free) char *log = temp_file_read(self->log);

        is_there = log != NULL && strstr(log, text) != NULL;
        clock_sleep_ms(is_there ? 0 : 5);
    }
    if (!is_there)
        fail_msg("the log does not say %s", text);
}

TEST(takes_up_what_a_file_says_now)
{
    AUTO(close_fixture) struct fixture fixture;

    open_fixture(&fixture, err);
    put(fixture.limit, "7");
    assert_int_equal(kill(getpid(), SIGHUP), 0);

    await_log(&fixture, "\"service\":\"test\",\"event\":\"settings_reloaded\",\"need_restart\":0}");
    assert_int_equal(7, atomic_load(&fixture.limit_seen));
    assert_int_equal(2, fixture.settings.limit); /* who has the old one keeps it */
}

TEST(changes_nothing_when_one_value_is_wrong)
{
    AUTO(close_fixture) struct fixture fixture;

    open_fixture(&fixture, err);
    put(fixture.limit, "7");
    put(fixture.level, "loud");
    assert_int_equal(kill(getpid(), SIGHUP), 0);

    await_log(&fixture, "reload_failed");
    await_log(&fixture, "LOG_LEVEL");
    assert_int_equal(0, atomic_load(&fixture.limit_seen));
}

TEST(changes_nothing_when_the_owner_refuses)
{
    AUTO(close_fixture) struct fixture fixture;

    open_fixture(&fixture, err);
    put(fixture.limit, "13");
    put(fixture.level, "debug");
    assert_int_equal(kill(getpid(), SIGHUP), 0);

    await_log(&fixture, "13 does not go with the rest");
    assert_false(log_is_on(LOG_DEBUG));
}

TEST(tells_which_rows_need_a_restart)
{
    AUTO(close_fixture) struct fixture fixture;

    open_fixture(&fixture, err);
    put(fixture.port, "81");
    put(fixture.level, "debug");
    assert_int_equal(kill(getpid(), SIGHUP), 0);

    await_log(&fixture, "\"event\":\"settings_reloaded\",\"need_restart\":1}");
    await_log(&fixture, "\"event\":\"setting_needs_restart\",\"name\":\"T_PORT\"");
    assert_true(log_is_on(LOG_DEBUG));
}

TEST(goes_on_in_a_new_log_when_the_old_one_was_moved_away)
{
    AUTO(close_fixture) struct fixture fixture;
    char moved[TEMP_PATH_SIZE];

    open_fixture(&fixture, err);
    assert_int_equal(rename(fixture.log, temp_dir_path(&fixture.dir, "log.1", moved)), 0);
    assert_int_equal(kill(getpid(), SIGHUP), 0);

    await_log(&fixture, "settings_reloaded");
}

TESTS(RUN(takes_up_what_a_file_says_now), RUN(changes_nothing_when_one_value_is_wrong),
      RUN(changes_nothing_when_the_owner_refuses), RUN(tells_which_rows_need_a_restart),
      RUN(goes_on_in_a_new_log_when_the_old_one_was_moved_away))
