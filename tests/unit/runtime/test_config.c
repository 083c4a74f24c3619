#include "check.h"

#include "base/auto.h"
#include "runtime/config.h"
#include "temp_dir.h"

#include <stdlib.h>
#include <string.h>

struct settings {
    char *url;
    char *optional;
    char *secret;
    char *level;
    int64_t port;
    int64_t offset;
    bool is_on;
};

static const struct option_row options[] = {
    OPTION_STRING("T_URL", FIELD(url), "nats://127.0.0.1:4222", "where it is"),
    OPTION_STRING("T_OPTIONAL", FIELD(optional), NULL, "may be left out"),
    OPTION_SECRET("T_SECRET", FIELD(secret), "what nobody may see"),
    OPTION_CHOICE("T_LEVEL", FIELD(level), "info", "debug|info|warn", "one of three"),
    OPTION_INT("T_HTTP_PORT|T_PORT|T_OLD_PORT", FIELD(port), 8080, 1, 65535, "the port"),
    OPTION_INT("T_OFFSET", FIELD(offset), -5, INT64_MIN, INT64_MAX, "any integer"),
    OPTION_BOOL("T_ON", FIELD(is_on), 1, "whether"),
    OPTION_END,
};

static void settings_free(struct settings *settings)
{
    config_free(options, settings);
}

static void set(const char *name, const char *value)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a test has one thread. */
    assert_int_equal(setenv(name, value, 1), 0);
}

static int forget_all(void **state)
{
    static const char *const names[] = {"T_URL",      "T_OPTIONAL", "T_SECRET",
                                        "T_LEVEL",    "T_PORT",     "T_HTTP_PORT",
                                        "T_OLD_PORT", "T_OFFSET",   "T_ON"};
    char file_name[40];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(file_name, sizeof(file_name), "%s_FILE", names[i]);
        (void)unsetenv(names[i]);  /* NOLINT(concurrency-mt-unsafe): one thread */
        (void)unsetenv(file_name); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    return 0;
}

TEST(unset_variables_take_their_defaults)
{
    AUTO(settings_free) struct settings settings = {0};

    assert_ok(config_load(options, &settings, err));
    assert_string_equal(settings.url, "nats://127.0.0.1:4222");
    assert_null(settings.optional);
    assert_null(settings.secret);
    assert_string_equal(settings.level, "info");
    assert_int_equal(settings.port, 8080);
    assert_int_equal(settings.offset, -5);
    assert_true(settings.is_on);
}

TEST(variables_win_over_defaults)
{
    AUTO(settings_free) struct settings settings = {0};

    set("T_URL", "nats://other");
    set("T_OPTIONAL", " kept as it is ");
    set("T_LEVEL", "warn");
    set("T_HTTP_PORT", "65535");
    set("T_ON", "off");
    assert_ok(config_load(options, &settings, err));
    assert_string_equal(settings.url, "nats://other");
    assert_string_equal(settings.optional, " kept as it is ");
    assert_string_equal(settings.level, "warn");
    assert_int_equal(settings.port, 65535);
    assert_false(settings.is_on);
}

TEST(an_empty_variable_counts_as_unset)
{
    AUTO(settings_free) struct settings settings = {0};

    set("T_HTTP_PORT", "");
    set("T_PORT", "81");
    set("T_URL", "");
    assert_ok(config_load(options, &settings, err));
    assert_int_equal(settings.port, 81);
    assert_string_equal(settings.url, "nats://127.0.0.1:4222");
}

TEST(the_newer_name_wins_over_the_older_ones)
{
    AUTO(settings_free) struct settings settings = {0};

    set("T_OLD_PORT", "1");
    set("T_PORT", "2");
    assert_ok(config_load(options, &settings, err));
    assert_int_equal(settings.port, 2);
    settings_free(&settings);
    set("T_HTTP_PORT", "3");
    assert_ok(config_load(options, &settings, err));
    assert_int_equal(settings.port, 3);
}

TEST(a_file_wins_over_the_variable_and_loses_its_last_line_end)
{
    static const char *const contents[] = {"s3cret", "s3cret\n", "s3cret\r\n"};
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    char path[TEMP_PATH_SIZE];

    set("T_SECRET", "from the variable");
    set("T_SECRET_FILE", temp_dir_path(&dir, "secret", path));
    for (size_t i = 0; i < 3; i++) {
        AUTO(settings_free) struct settings settings = {0};

        temp_file_write(path, contents[i], strlen(contents[i]));
        assert_ok(config_load(options, &settings, err));
        assert_string_equal(settings.secret, "s3cret");
    }
}

TEST(a_file_of_an_older_name_loses_against_the_newer_name)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(settings_free) struct settings settings = {0};
    char path[TEMP_PATH_SIZE];

    set("T_PORT_FILE", temp_dir_path(&dir, "port", path));
    temp_file_write(path, "99\n", 3);
    set("T_HTTP_PORT", "3");
    assert_ok(config_load(options, &settings, err));
    assert_int_equal(settings.port, 3);
}

TEST(a_file_that_cannot_be_a_value_is_refused)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(settings_free) struct settings settings = {0};
    AUTO(auto_free) char *big = calloc(1, CONFIG_VALUE_MAX + 1);
    char path[TEMP_PATH_SIZE];

    set("T_URL_FILE", temp_dir_path(&dir, "url", path));
    assert_fails(ERROR_INVALID, config_load(options, &settings, err));
    assert_non_null(strstr(err->text, "T_URL_FILE"));
    assert_non_null(strstr(err->text, "No such file"));

    temp_file_write(path, "a\0b", 3);
    assert_fails(ERROR_INVALID, config_load(options, &settings, err));
    assert_non_null(strstr(err->text, "NUL"));

    memset(big, 'x', CONFIG_VALUE_MAX + 1);
    temp_file_write(path, big, CONFIG_VALUE_MAX + 1);
    assert_fails(ERROR_INVALID, config_load(options, &settings, err));
    assert_non_null(strstr(err->text, "65536"));
    temp_file_write(path, big, CONFIG_VALUE_MAX);
    assert_ok(config_load(options, &settings, err));
    assert_int_equal(strlen(settings.url), CONFIG_VALUE_MAX);
}

TEST(integers_are_digits_within_their_bounds_and_nothing_else)
{
    static const char *const bad[] = {"0",
                                      "65536",
                                      "-1",
                                      "+80",
                                      " 80",
                                      "80 ",
                                      "80k",
                                      "8e1",
                                      "0x50",
                                      "80.0",
                                      "-",
                                      "",
                                      "99999999999999999999"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        AUTO(settings_free) struct settings settings = {0};

        if (bad[i][0] == '\0')
            continue;
        set("T_HTTP_PORT", bad[i]);
        assert_fails(ERROR_INVALID, config_load(options, &settings, err));
        assert_non_null(strstr(err->text, "T_HTTP_PORT"));
        assert_non_null(strstr(err->text, bad[i]));
        assert_non_null(strstr(err->text, "1 to 65535"));
    }
}

TEST(the_ends_of_the_integers_are_integers)
{
    AUTO(settings_free) struct settings settings = {0};

    set("T_OFFSET", "-9223372036854775808");
    assert_ok(config_load(options, &settings, err));
    assert_true(settings.offset == INT64_MIN);
    set("T_OFFSET", "9223372036854775807");
    settings_free(&settings);
    assert_ok(config_load(options, &settings, err));
    assert_true(settings.offset == INT64_MAX);
    settings_free(&settings);
    set("T_OFFSET", "9223372036854775808");
    assert_fails(ERROR_INVALID, config_load(options, &settings, err));
}

TEST(bools_have_six_spellings)
{
    static const char *const words[] = {"on", "true", "1", "off", "false", "0"};
    static const char *const bad[] = {"yes", "ON", "2", "o", "truetrue"};

    for (size_t i = 0; i < 6; i++) {
        AUTO(settings_free) struct settings settings = {0};

        set("T_ON", words[i]);
        assert_ok(config_load(options, &settings, err));
        assert_int_equal(settings.is_on, i < 3);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        AUTO(settings_free) struct settings settings = {0};

        set("T_ON", bad[i]);
        assert_fails(ERROR_INVALID, config_load(options, &settings, err));
    }
}

TEST(a_choice_is_one_of_its_words_whole)
{
    static const char *const bad[] = {"inf", "infos", "debug|info", "|", "INFO"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        AUTO(settings_free) struct settings settings = {0};

        set("T_LEVEL", bad[i]);
        assert_fails(ERROR_INVALID, config_load(options, &settings, err));
        assert_non_null(strstr(err->text, "debug|info|warn"));
    }
}

TEST(a_long_wrong_value_is_shown_cut)
{
    AUTO(settings_free) struct settings settings = {0};
    char value[1000];

    memset(value, '7', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    set("T_HTTP_PORT", value);
    assert_fails(ERROR_INVALID, config_load(options, &settings, err));
    assert_true(strlen(err->text) < 140);
}

TEST(freeing_leaves_nothing_behind)
{
    struct settings settings = {0};

    set("T_SECRET", "s3cret");
    assert_ok(config_load(options, &settings, err));
    config_free(options, &settings);
    assert_null(settings.url);
    assert_null(settings.secret);
    config_free(options, &settings);
}

#define RUN_CLEAN(name) cmocka_unit_test_setup(name, forget_all)

TESTS(RUN_CLEAN(unset_variables_take_their_defaults), RUN_CLEAN(variables_win_over_defaults),
      RUN_CLEAN(an_empty_variable_counts_as_unset),
      RUN_CLEAN(the_newer_name_wins_over_the_older_ones),
      RUN_CLEAN(a_file_wins_over_the_variable_and_loses_its_last_line_end),
      RUN_CLEAN(a_file_of_an_older_name_loses_against_the_newer_name),
      RUN_CLEAN(a_file_that_cannot_be_a_value_is_refused),
      RUN_CLEAN(integers_are_digits_within_their_bounds_and_nothing_else),
      RUN_CLEAN(the_ends_of_the_integers_are_integers), RUN_CLEAN(bools_have_six_spellings),
      RUN_CLEAN(a_choice_is_one_of_its_words_whole), RUN_CLEAN(a_long_wrong_value_is_shown_cut),
      RUN_CLEAN(freeing_leaves_nothing_behind))
