#include "base/auto.h"
#include "check.h"
#include "rejects.h"
#include "source_file.h"
#include "temp_dir.h"

/* What a reading gave, in short. */
struct seen {
    size_t items, bad;
    char last_place[40];
};

static bool on_item(void *ctx, const struct item *item, struct error *err)
{
    struct seen *seen = ctx;

    (void)err;
    seen->items++;
    seen->bad += item->record == NULL;
    snprintf(seen->last_place, sizeof(seen->last_place), "%s", item->place);
    return true;
}

static const char three_lines[] = "{\"ad_id\":\"a\",\"timestamp\":1}\r\n\n  \nnot json\n"
                                  "{\"ad_id\":\"b\",\"timestamp\":2}";

TEST(gives_every_line_with_its_number_and_skips_blank_ones)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    char path[TEMP_PATH_SIZE];
    AUTO(lines_close) struct lines *lines = NULL;
    struct seen seen = {0};

    temp_file_write(temp_dir_path(&dir, "clicks.jsonl", path), three_lines,
                    sizeof(three_lines) - 1);
    lines = lines_open(path, err);
    assert_non_null(lines);
    assert_string_equal(lines_name(lines), "clicks.jsonl");

    assert_ok(lines_read(lines, on_item, &seen, err));

    assert_int_equal(seen.items, 3);
    assert_int_equal(seen.bad, 1);
    assert_string_equal(seen.last_place, "line 5");
}

TEST(reads_what_was_there_when_it_was_opened)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    char path[TEMP_PATH_SIZE];
    AUTO(lines_close) struct lines *lines = NULL;
    struct seen seen = {0};

    temp_file_write(temp_dir_path(&dir, "clicks.jsonl", path), "{}\n{}\n", 6);
    lines = lines_open(path, err);
    assert_non_null(lines);
    temp_file_write(path, "{}\n{}\n{}\n", 9);

    assert_ok(lines_read(lines, on_item, &seen, err));

    assert_int_equal(seen.items, 2);
}

TEST(refuses_a_file_that_is_not_there_or_cannot_be_read_twice)
{
    assert_null(lines_open("/nonexistent/clicks.jsonl", err));
    assert_int_equal(err->kind, ERROR_INVALID);
    assert_null(lines_open("/dev/null", err));
    assert_int_equal(err->kind, ERROR_INVALID);
}

TEST(a_reject_keeps_its_record_as_json_that_can_be_imported_again)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    char path[TEMP_PATH_SIZE];
    AUTO(rejects_close)
    struct rejects *rejects = rejects_open(temp_dir_path(&dir, "rejects", path), err);
    AUTO(auto_free) char *written = NULL;
    struct record record = {0};
    struct item row = {.place = "id 7", .record = &record};
    struct item line = {.place = "line 2", .raw = "{\"a\": 1}", .raw_size = 8};
    struct item junk = {.place = "line 3", .raw = "\"\xff", .raw_size = 2};

    assert_non_null(rejects);
    record.values[CLICK_AD_ID] = (struct record_value){"a\"b", 3};
    assert_ok(rejects_add(rejects, "clicks", &row, "no time", err));
    assert_ok(rejects_add(rejects, "f.jsonl", &line, "no ad", err));
    assert_ok(rejects_add(rejects, "f.jsonl", &junk, "not JSON", err));
    assert_ok(rejects_sync(rejects, err));

    written = temp_file_read(path);
    assert_int_equal(rejects_count(rejects), 3);
    assert_string_equal(
        written,
        "{\"source\":\"clicks\",\"place\":\"id 7\",\"reason\":\"no time\","
        "\"record\":{\"ad_id\":\"a\\\"b\"}}\n"
        "{\"source\":\"f.jsonl\",\"place\":\"line 2\",\"reason\":\"no ad\",\"record\":{\"a\": 1}}\n"
        "{\"source\":\"f.jsonl\",\"place\":\"line 3\",\"reason\":\"not JSON\","
        "\"record\":\"\\\"\xef\xbf\xbd\"}\n");
}

TESTS(RUN(gives_every_line_with_its_number_and_skips_blank_ones),
      RUN(reads_what_was_there_when_it_was_opened),
      RUN(refuses_a_file_that_is_not_there_or_cannot_be_read_twice),
      RUN(a_reject_keeps_its_record_as_json_that_can_be_imported_again))
