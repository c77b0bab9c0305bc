#include "base/limits.h"
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ProtoJSON by its rules, one table for each; json_property.py compares all of it with
 * protobuf's own. A text that is read is shown by writing it again. */

#define CONTACT "dormouse.v1.Contact"
#define CHANGE "dormouse.v1.StatusChange"
#define SET "dormouse.v1.SetStatusRequest"
#define CHECK "dormouse.v1.CheckResponse"
#define BATCH "dormouse.v1.BatchGetContactsRequest"
#define POLICY "dormouse.v1.Policy"
#define RESULT "dormouse.v1.BatchSetStatusResponse.Result"
#define WATCHED "dormouse.v1.WatchResponse"
#define FILES "grpc.reflection.v1.FileDescriptorResponse"
#define NUMBERS "grpc.reflection.v1.ExtensionNumberResponse"

struct spelling {
    const char *type, *json, *canonical;
};

static char *text_of(struct dm_buf *buf)
{
    assert_true(dm_buf_append(buf, "", 1));
    return (char *)dm_buf_head(buf);
}

static void assert_spelling(const struct spelling *s)
{
    struct dm_buf proto = {0}, json = {0};
    struct dm_error error = {0};
    if (dm_json_to_proto(s->type, dm_slice_str(s->json), &proto, &error) != DM_OK) {
        fail_msg("%s\n%s", s->json, error.message);
    }
    if (dm_proto_to_json(s->type, dm_buf_slice(&proto), &json, &error) != DM_OK) {
        fail_msg("%s\n%s", s->json, error.message);
    }
    assert_string_equal(text_of(&json), s->canonical);
    dm_buf_finish(&proto);
    dm_buf_finish(&json);
}

static void assert_refused(const struct spelling *s)
{
    struct dm_buf proto = {0};
    struct dm_error error = {0};
    if (dm_json_to_proto(s->type, dm_slice_str(s->json), &proto, &error) == DM_OK) {
        fail_msg("accepted: %s", s->json);
    }
    assert_string_equal(error.message, s->canonical);
    assert_int_equal(error.code, DM_INVALID_ARGUMENT);
    dm_buf_finish(&proto);
}

#define FOR_EACH(table, assert_one)                                 \
    for (size_t i = 0; i < sizeof(table) / sizeof(table)[0]; i++) { \
        assert_one(&(table)[i]);                                    \
    }

/* ---- by kind ------------------------------------------------------------------------ */

static void integers_are_read_in_all_forms_and_written_in_one(void **state)
{
    (void)state;
    static const struct spelling table[] = {
        {CONTACT, "{\"fence\":\"18446744073709551615\"}", "{\"fence\":\"18446744073709551615\"}"},
        {CONTACT, "{\"fence\":18446744073709551615}", "{\"fence\":\"18446744073709551615\"}"},
        {CONTACT, "{\"fence\":1.8446744073709551615e19}", "{\"fence\":\"18446744073709551615\"}"},
        {CONTACT, "{\"fence\":9007199254740993}", "{\"fence\":\"9007199254740993\"}"},
        {CONTACT, "{\"fence\":\"1e3\"}", "{\"fence\":\"1000\"}"},
        {CONTACT, "{\"fence\":\"\\u0035\"}", "{\"fence\":\"5\"}"},
        {CONTACT, "{\"fence\":-0}", "{}"},
        {CONTACT, "{\"fence\":0e999999999999}", "{}"},
        {CONTACT, "{\"botMessages\":\"4294967295\"}", "{\"botMessages\":4294967295}"},
        {CONTACT, "{\"botMessages\":1.0}", "{\"botMessages\":1}"},
        {CONTACT, "{\"botMessages\":12.30E+1}", "{\"botMessages\":123}"},
        {CONTACT, "{\"botMessages\":500e-2}", "{\"botMessages\":5}"},
        {RESULT, "{\"code\":-2147483648}", "{\"code\":-2147483648}"},
        {RESULT, "{\"code\":2147483647.000}", "{\"code\":2147483647}"},
        {RESULT, "{\"code\":\"-1\"}", "{\"code\":-1}"},
        {NUMBERS, "{\"extensionNumber\":[0,-1,\"2\"]}", "{\"extensionNumber\":[0,-1,2]}"},
    };
    FOR_EACH(table, assert_spelling);
    static const struct spelling wrong[] = {
        {CONTACT, "{\"fence\":-1}", "fence: -1 is below 0, which this field cannot be"},
        {CONTACT, "{\"fence\":18446744073709551616}",
         "fence: 18446744073709551616 is too large for this field"},
        {CONTACT, "{\"fence\":1e20}", "fence: 1e20 is too large for this field"},
        {CONTACT, "{\"fence\":1e999999999999}",
         "fence: 1e999999999999 is too large for this field"},
        {CONTACT, "{\"fence\":1.5}", "fence: 1.5 is not a whole number"},
        {CONTACT, "{\"fence\":1e-1}", "fence: 1e-1 is not a whole number"},
        {CONTACT, "{\"fence\":\"\"}", "fence: \"\" is not a number"},
        {CONTACT, "{\"fence\":\" 1\"}", "fence: \" 1\" is not a number"},
        {CONTACT, "{\"fence\":\"1 \"}", "fence: \"1 \" is not a number"},
        {CONTACT, "{\"fence\":\"0x1\"}", "fence: \"0x1\" is not a number"},
        {CONTACT, "{\"fence\":\"007\"}", "fence: \"007\" is not a number"},
        {CONTACT, "{\"fence\":true}", "fence: true is not a number"},
        {CONTACT, "{\"fence\":[1]}", "fence: a list is not a number"},
        {CONTACT, "{\"botMessages\":4294967296}",
         "botMessages: 4294967296 is too large for this field"},
        {RESULT, "{\"code\":2147483648}", "code: 2147483648 is too large for this field"},
        {RESULT, "{\"code\":-2147483649}", "code: -2147483649 is too large for this field"},
    };
    FOR_EACH(wrong, assert_refused);
}

static void enums_go_by_name(void **state)
{
    (void)state;
    static const struct spelling table[] = {
        {CHANGE, "{\"status\":\"STATUS_SNOOZED\"}", "{\"status\":\"STATUS_SNOOZED\"}"},
        {CHANGE, "{\"status\":2}", "{\"status\":\"STATUS_SNOOZED\"}"},
        {CHANGE, "{\"status\":2.0}", "{\"status\":\"STATUS_SNOOZED\"}"},
        {CHANGE, "{\"status\":\"STATUS_UNSPECIFIED\"}", "{}"},
        {CHANGE, "{\"status\":77}", "{\"status\":77}"},
        {CHANGE, "{\"status\":-1}", "{\"status\":-1}"},
    };
    FOR_EACH(table, assert_spelling);
    static const struct spelling wrong[] = {
        {SET, "{\"change\":{\"status\":\"ASLEEP\"}}",
         "change.status: \"ASLEEP\" is not the name of a dormouse.v1.Status"},
        {CHANGE, "{\"status\":\"status_snoozed\"}",
         "status: \"status_snoozed\" is not the name of a dormouse.v1.Status"},
        {CHANGE, "{\"status\":\"2\"}", "status: \"2\" is not the name of a dormouse.v1.Status"},
        {CHANGE, "{\"status\":2.5}", "status: 2.5 is not a whole number"},
        {CHANGE, "{\"status\":true}", "status: true is not a number"},
        {CHANGE, "{\"status\":4294967298}", "status: 4294967298 is too large for this field"},
    };
    FOR_EACH(wrong, assert_refused);
}

static void texts_keep_every_character(void **state)
{
    (void)state;
    static const struct spelling table[] = {
        {CONTACT, "{\"actor\":\"\\u00e9 \\ud83d\\ude00 \\u0041\"}", "{\"actor\":\"é 😀 A\"}"},
        {CONTACT, "{\"actor\":\"é😀\x7f\"}", "{\"actor\":\"é😀\x7f\"}"},
        {CONTACT, "{\"actor\":\"\\u0000\\u001F\\b\\f\\n\\r\\t\\\"\\\\\\/\"}",
         "{\"actor\":\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\/\"}"},
        {CONTACT, "{\"actor\":\"\"}", "{}"},
        {BATCH, "{\"contactIds\":[\"\",\"a\"]}", "{\"contactIds\":[\"\",\"a\"]}"},
    };
    FOR_EACH(table, assert_spelling);
    static const struct spelling wrong[] = {
        {CONTACT, "{\"actor\":5}", "actor: 5 is not a string"},
        {CONTACT, "{\"actor\":{\"a\":[]}}", "actor: an object is not a string"},
        {CONTACT, "{\"actor\":\"\\ud83d\"}",
         "actor: the JSON is broken at byte 10: half of a surrogate pair is no character"},
        {CONTACT, "{\"actor\":\"\\ude00\"}",
         "actor: the JSON is broken at byte 10: half of a surrogate pair is no character"},
        {CONTACT, "{\"actor\":\"\\ude00\\ude00\"}",
         "actor: the JSON is broken at byte 10: half of a surrogate pair is no character"},
        {CONTACT, "{\"actor\":\"\\ud83d\\ud83d\"}",
         "actor: the JSON is broken at byte 10: half of a surrogate pair is no character"},
        {CONTACT, "{\"actor\":\"\\ud83d\\u0041\"}",
         "actor: the JSON is broken at byte 10: half of a surrogate pair is no character"},
        {CONTACT, "{\"actor\":\"a\nb\"}",
         "actor: the JSON is broken at byte 11: a control character in a string must be escaped"},
        {CONTACT, "{\"actor\":\"\\x41\"}",
         "actor: the JSON is broken at byte 10: there is no such escape in JSON"},
        {CONTACT, "{\"actor\":\"\\u12g4\"}",
         "actor: the JSON is broken at byte 10: \\u needs four hexadecimal digits"},
        {CONTACT, "{\"actor\":\"\xff\"}", "actor: the JSON is broken at byte 10: not UTF-8"},
        {CONTACT, "{\"actor\":\"\xc0\x80\"}", "actor: the JSON is broken at byte 10: not UTF-8"},
        {CONTACT, "{\"actor\":\"\xed\xa0\x80\"}",
         "actor: the JSON is broken at byte 10: not UTF-8"},
        {CONTACT, "{\"actor\":\"\xf4\x90\x80\x80\"}",
         "actor: the JSON is broken at byte 10: not UTF-8"},
        {CONTACT, "{\"actor\":\"\xe2\x82\"}", "actor: the JSON is broken at byte 10: not UTF-8"},
        {CONTACT, "{\"actor\":\"x",
         "actor: the JSON is broken at byte 11: the text ends within a string"},
    };
    FOR_EACH(wrong, assert_refused);
}

static void bytes_are_base64(void **state)
{
    (void)state;
    static const struct spelling table[] = {
        {FILES,
         "{\"fileDescriptorProto\":[\"\",\"+/8=\",\"-_8\",\"\\u002b\\/8=\",\"QUJD\",\"QQ\"]}",
         "{\"fileDescriptorProto\":[\"\",\"+/8=\",\"+/8=\",\"+/8=\",\"QUJD\",\"QQ==\"]}"},
    };
    FOR_EACH(table, assert_spelling);
    static const struct spelling wrong[] = {
        {FILES, "{\"fileDescriptorProto\":[\"QQ==\",\"A\"]}",
         "fileDescriptorProto[1]: \"A\" is not base64"},
        {FILES, "{\"fileDescriptorProto\":[\"QQ=\"]}",
         "fileDescriptorProto[0]: \"QQ=\" is not base64"},
        {FILES, "{\"fileDescriptorProto\":[\"Q===\"]}",
         "fileDescriptorProto[0]: \"Q===\" is not base64"},
        {FILES, "{\"fileDescriptorProto\":[\"QU D\"]}",
         "fileDescriptorProto[0]: \"QU D\" is not base64"},
    };
    FOR_EACH(wrong, assert_refused);
}

static void booleans_are_words(void **state)
{
    (void)state;
    static const struct spelling table[] = {
        {CONTACT, "{\"locked\":true}", "{\"locked\":true}"},
        {CONTACT, "{\"locked\":false}", "{}"},
    };
    FOR_EACH(table, assert_spelling);
    static const struct spelling wrong[] = {
        {CONTACT, "{\"locked\":\"true\"}", "locked: \"true\" is neither true nor false"},
        {CONTACT, "{\"locked\":1}", "locked: 1 is neither true nor false"},
        {CONTACT, "{\"locked\":trueish}",
         "Contact: the JSON is broken at byte 14: ',' or '}' is expected here"},
    };
    FOR_EACH(wrong, assert_refused);
}

static void times_are_rfc_3339(void **state)
{
    (void)state;
#define UNTIL(time) "{\"snoozeUntil\":\"" time "\"}"
    static const struct spelling table[] = {
        {CHANGE, UNTIL("2024-02-29T12:34:56Z"), UNTIL("2024-02-29T12:34:56Z")},
        {CHANGE, UNTIL("2024-02-29T12:34:56.5Z"), UNTIL("2024-02-29T12:34:56.500Z")},
        {CHANGE, UNTIL("2024-02-29T12:34:56.12345Z"), UNTIL("2024-02-29T12:34:56.123450Z")},
        {CHANGE, UNTIL("2024-02-29T12:34:56.000000001Z"), UNTIL("2024-02-29T12:34:56.000000001Z")},
        {CHANGE, UNTIL("2024-03-01T00:30:00+01:00"), UNTIL("2024-02-29T23:30:00Z")},
        {CHANGE, UNTIL("2023-12-31T23:59:59-00:01"), UNTIL("2024-01-01T00:00:59Z")},
        {CHANGE, UNTIL("2000-02-29T00:00:00Z"), UNTIL("2000-02-29T00:00:00Z")},
        {CHANGE, UNTIL("1970-01-01T00:00:00Z"), UNTIL("1970-01-01T00:00:00Z")},
        {CHANGE, UNTIL("1969-12-31T23:59:59.999Z"), UNTIL("1969-12-31T23:59:59.999Z")},
        {CHANGE, UNTIL("0001-01-01T00:00:00Z"), UNTIL("0001-01-01T00:00:00Z")},
        {CHANGE, UNTIL("9999-12-31T23:59:59.999999999Z"), UNTIL("9999-12-31T23:59:59.999999999Z")},
        {"google.protobuf.Timestamp", " \"2024-02-29T12:34:56Z\"\n", "\"2024-02-29T12:34:56Z\""},
    };
    FOR_EACH(table, assert_spelling);
    static const char *const wrong[] = {
        "yesterday",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2024-02-29T24:00:00Z",
        "2024-02-29T00:60:00Z",
        "2024-02-29T00:00:60Z",
        "2024-02-29T00:00:00",
        "2024-02-29T00:00:00.Z",
        "2024-02-29T00:00:00.1234567890Z",
        "2024-02-29T00:00:00+0100",
        "2024-02-29T00:00:00+24:00",
        "2024-02-29T00:00:00ZZ",
        "2024-02-29t00:00:00Z",
        "2024-02-29T00:00:00z",
        "2024-02-29 00:00:00Z",
        "24-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char json[128], message[128];
        (void)snprintf(json, sizeof json, "{\"change\":{\"snoozeUntil\":\"%s\"}}", wrong[i]);
        (void)snprintf(message, sizeof message,
                       "change.snoozeUntil: \"%s\" is not an RFC 3339 time", wrong[i]);
        assert_refused(&(struct spelling){SET, json, message});
    }
    static const struct spelling others[] = {
        {CHANGE, UNTIL("0001-01-01T00:00:00+00:01"),
         "snoozeUntil: \"0001-01-01T00:00:00+00:01\" is outside of the years 1 to 9999"},
        {CHANGE, UNTIL("9999-12-31T23:59:59-00:01"),
         "snoozeUntil: \"9999-12-31T23:59:59-00:01\" is outside of the years 1 to 9999"},
        {CHANGE, "{\"snoozeUntil\":5}", "snoozeUntil: 5 is not a string with an RFC 3339 time"},
        {CHANGE, "{\"snoozeUntil\":{\"seconds\":5}}",
         "snoozeUntil: an object is not a string with an RFC 3339 time"},
    };
    FOR_EACH(others, assert_refused);
#undef UNTIL
}

static void durations_are_seconds(void **state)
{
    (void)state;
#define FOR(time) "{\"snoozeFor\":\"" time "\"}"
    static const struct spelling table[] = {
        {CHANGE, FOR("3.5s"), FOR("3.500s")},
        {CHANGE, FOR("7200s"), FOR("7200s")},
        {CHANGE, FOR("-0.5s"), FOR("-0.500s")},
        {CHANGE, FOR("-3.000001s"), FOR("-3.000001s")},
        {CHANGE, FOR("0s"), FOR("0s")},
        {CHANGE, FOR("-0s"), FOR("0s")},
        {CHANGE, FOR("0.000000001s"), FOR("0.000000001s")},
        {CHANGE, FOR("315576000000.999999999s"), FOR("315576000000.999999999s")},
        {CHANGE, FOR("-315576000000s"), FOR("-315576000000s")},
    };
    FOR_EACH(table, assert_spelling);
    static const struct spelling wrong[] = {
        {CHANGE, FOR("3.5"), "snoozeFor: \"3.5\" is not a duration such as \"3.5s\""},
        {CHANGE, FOR("s"), "snoozeFor: \"s\" is not a duration such as \"3.5s\""},
        {CHANGE, FOR("1.s"), "snoozeFor: \"1.s\" is not a duration such as \"3.5s\""},
        {CHANGE, FOR(".5s"), "snoozeFor: \".5s\" is not a duration such as \"3.5s\""},
        {CHANGE, FOR("+1s"), "snoozeFor: \"+1s\" is not a duration such as \"3.5s\""},
        {CHANGE, FOR("2h"), "snoozeFor: \"2h\" is not a duration such as \"3.5s\""},
        {CHANGE, FOR("0.1234567890s"),
         "snoozeFor: \"0.1234567890s\" is not a duration such as \"3.5s\""},
        {CHANGE, FOR("315576000001s"),
         "snoozeFor: \"315576000001s\" is beyond the 10,000 years of a Duration"},
        {CHANGE, FOR("-99999999999999999999999s"),
         "snoozeFor: \"-99999999999999999999999s\" is beyond the 10,000 years of a Duration"},
        {CHANGE, "{\"snoozeFor\":7200}",
         "snoozeFor: 7200 is not a string with a duration such as \"3.5s\""},
    };
    FOR_EACH(wrong, assert_refused);
#undef FOR
}

/* ---- by place ------------------------------------------------------------------------ */

static void fields_go_by_both_names_and_come_in_order(void **state)
{
    (void)state;
    static const struct spelling table[] = {
        {SET, "{}", "{}"},
        {SET, " \t\r\n{ \"accountId\" : \"a\" , \"contact_id\" : \"b\" } \n",
         "{\"accountId\":\"a\",\"contactId\":\"b\"}"},
        {SET, "{\"contact\\u0049d\":\"b\"}", "{\"contactId\":\"b\"}"},
        {SET, "{\"requestId\":\"r\",\"change\":{\"lock\":true,\"status\":3},\"accountId\":\"a\"}",
         "{\"accountId\":\"a\",\"change\":{\"status\":\"STATUS_INACTIVE\",\"lock\":true},"
         "\"requestId\":\"r\"}"},
        {POLICY, "{\"rules\":[{},{\"on\":3,\"snooze_for\":\"1s\"}],\"onLimit\":{}}",
         "{\"rules\":[{},{\"on\":\"ACTIVITY_MANUAL_MESSAGE\",\"snoozeFor\":\"1s\"}],"
         "\"onLimit\":{}}"},
    };
    FOR_EACH(table, assert_spelling);
    static const struct spelling wrong[] = {
        {SET, "[]", "SetStatusRequest: a list is not an object"},
        {SET, "null", "SetStatusRequest: null is not an object"},
        {SET, "{\"change\":5}", "change: 5 is not an object"},
        {POLICY, "{\"rules\":{}}", "rules: an object is not a list"},
        {POLICY, "{\"rules\":[{},{\"snoozeFor\":\"x\"}]}",
         "rules[1].snoozeFor: \"x\" is not a duration such as \"3.5s\""},
        {SET, "{\"accountId\":\"a\",\"accountId\":\"a\"}", "accountId: comes twice"},
        {SET, "{\"accountId\":\"a\",\"account_id\":\"a\"}", "accountId: comes twice"},
        {SET, "{\"accountId\":null,\"accountId\":\"a\"}", "accountId: comes twice"},
    };
    FOR_EACH(wrong, assert_refused);
}

static void presence_is_kept_where_the_schema_has_it(void **state)
{
    (void)state;
    static const struct spelling table[] = {
        {CHECK, "{\"messagesLeft\":0}", "{\"messagesLeft\":0}"},
        {CHECK, "{\"fence\":0}", "{}"},
        {SET, "{\"ifRevision\":\"0\",\"change\":{\"botId\":\"\"}}",
         "{\"change\":{\"botId\":\"\"},\"ifRevision\":\"0\"}"},
        {WATCHED, "{\"progressSeq\":\"0\"}", "{\"progressSeq\":\"0\"}"},
        {WATCHED, "{\"event\":{}}", "{\"event\":{}}"},
        {SET, "{\"change\":null,\"accountId\":null,\"ifRevision\":null}", "{}"},
        {BATCH, "{\"contactIds\":null}", "{}"},
        {BATCH, "{\"contactIds\":[]}", "{}"},
        {NUMBERS, "{\"extensionNumber\":[ ]}", "{}"},
    };
    FOR_EACH(table, assert_spelling);
    static const struct spelling wrong[] = {
        {BATCH, "{\"contactIds\":[\"a\",null]}", "contactIds[1]: null may not stand in a list"},
    };
    FOR_EACH(wrong, assert_refused);
}

static void a_oneof_has_one_member(void **state)
{
    (void)state;
    static const struct spelling table[] = {
        {CHANGE, "{\"snoozeFor\":\"1s\",\"snoozeUntil\":null}", "{\"snoozeFor\":\"1s\"}"},
        {CHANGE, "{\"snoozeUntil\":null,\"snoozeFor\":\"1s\"}", "{\"snoozeFor\":\"1s\"}"},
    };
    FOR_EACH(table, assert_spelling);
    static const struct spelling wrong[] = {
        {CHANGE, "{\"snoozeFor\":\"1s\",\"snoozeUntil\":\"2024-02-29T00:00:00Z\"}",
         "snoozeUntil: cannot be sent together with another field of the same oneof; send one of "
         "them"},
        {WATCHED, "{\"progressSeq\":0,\"event\":{}}",
         "event: cannot be sent together with another field of the same oneof; send one of them"},
    };
    FOR_EACH(wrong, assert_refused);
}

static void unknown_fields_are_skipped_but_their_syntax_is_not(void **state)
{
    (void)state;
    static const struct spelling table[] = {
        {CONTACT, "{\"x\":1,\"y\":[null,{\"z\":\"\\u0041\"},true,-1.5e3,[],{}],\"locked\":true}",
         "{\"locked\":true}"},
        {CONTACT, "{\"x\":1,\"x\":2}", "{}"},
        {CONTACT, "{\"AccountId\":5,\"\":6}", "{}"},
    };
    FOR_EACH(table, assert_spelling);
    static const struct spelling wrong[] = {
        {CONTACT, "{\"x\":01}",
         "Contact: the JSON is broken at byte 5: a number may not begin with a zero"},
        {CONTACT, "{\"x\":[1,]}",
         "Contact: the JSON is broken at byte 8: a value is expected here"},
        {CONTACT, "{\"x\":{\"y\":1,}}",
         "Contact: the JSON is broken at byte 12: a name in quotes is expected here"},
        {CONTACT, "{\"x\":{\"y\" 1}}",
         "Contact: the JSON is broken at byte 10: ':' is expected after a name"},
        {CONTACT, "{\"x\":{\"y\":1 2}}",
         "Contact: the JSON is broken at byte 12: ',' or '}' is expected here"},
        {CONTACT, "{\"x\":[1 2]}",
         "Contact: the JSON is broken at byte 8: ',' or ']' is expected here"},
        {CONTACT, "{\"x\":NaN}", "Contact: the JSON is broken at byte 5: a value is expected here"},
        {CONTACT, "{\"x\":nul}", "Contact: the JSON is broken at byte 5: a value is expected here"},
        {CONTACT, "{\"x\":tru}", "Contact: the JSON is broken at byte 5: a value is expected here"},
        {CONTACT, "{\"x\":False}",
         "Contact: the JSON is broken at byte 5: a value is expected here"},
        {CONTACT, "{\"x\":\"\\ud83d\"}",
         "Contact: the JSON is broken at byte 6: half of a surrogate pair is no character"},
    };
    FOR_EACH(wrong, assert_refused);
}

static void the_text_is_strict_json(void **state)
{
    (void)state;
    static const struct spelling wrong[] = {
        {CONTACT, "", "Contact: the JSON is broken at byte 0: a value is expected here"},
        {CONTACT, "{", "Contact: the JSON is broken at byte 1: a name in quotes is expected here"},
        {CONTACT, "{}{}", "Contact: the JSON is broken at byte 2: nothing may follow the value"},
        {CONTACT, "{} x", "Contact: the JSON is broken at byte 3: nothing may follow the value"},
        {CONTACT, "\xef\xbb\xbf{}",
         "Contact: the JSON is broken at byte 0: a value is expected here"},
        {CONTACT, "{actor:1}",
         "Contact: the JSON is broken at byte 1: a name in quotes is expected here"},
        {CONTACT, "{\"actor\" \"x\"}",
         "Contact: the JSON is broken at byte 9: ':' is expected after a name"},
        {CONTACT, "{\"actor\":\"x\",}",
         "Contact: the JSON is broken at byte 13: a name in quotes is expected here"},
        {CONTACT, "{\"actor\":\"x\"]",
         "Contact: the JSON is broken at byte 12: ',' or '}' is expected here"},
        {CONTACT, "{\"fence\":01}",
         "fence: the JSON is broken at byte 9: a number may not begin with a zero"},
        {CONTACT, "{\"fence\":1.}",
         "fence: the JSON is broken at byte 11: digits are expected after the point"},
        {CONTACT, "{\"fence\":1e}",
         "fence: the JSON is broken at byte 11: digits are expected in the exponent"},
        {CONTACT, "{\"fence\":+1}",
         "fence: the JSON is broken at byte 9: a value is expected here"},
        {CONTACT, "{\"fence\":}", "fence: the JSON is broken at byte 9: a value is expected here"},
        {BATCH, "{\"contactIds\":[\"a\" \"b\"]}",
         "contactIds: the JSON is broken at byte 19: ',' or ']' is expected here"},
    };
    FOR_EACH(wrong, assert_refused);
}

/* ---- bounds ------------------------------------------------------------------------------ */

/* An unknown field of `depth` lists and objects within each other: `kinds` over and over. */
static void nested(char *json, int depth, const char *kinds)
{
    size_t period = strlen(kinds);
    char *at = json + 5;
    memcpy(json, "{\"x\":", 5);
    for (int i = 0; i < depth; i++) {
        bool object = kinds[(size_t)i % period] == '{';
        memcpy(at, object ? "{\"a\":1,\"b\":" : "[", object ? 11 : 1);
        at += object ? 11 : 1;
    }
    *at++ = '7';
    for (int i = depth - 1; i >= 0; i--) {
        *at++ = kinds[(size_t)i % period] == '{' ? '}' : ']';
    }
    memcpy(at, "}", 2);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *kinds, *told;
    } nests[] = {
        {"[", "Contact: the JSON is too deep at byte 104: more than 100 lists and objects within "
              "each other"},
        {"{", "Contact: the JSON is too deep at byte 1094: more than 100 lists and objects within "
              "each other"},
        {"[{", "Contact: the JSON is too deep at byte 594: more than 100 lists and objects within "
               "each other"},
    };
    enum { DEEP = 300000 };
    char *json = malloc(14 * DEEP);
    assert_non_null(json);
    for (size_t i = 0; i < sizeof nests / sizeof nests[0]; i++) {
        static const int fine[] = {1, 33, 64, 65, DM_JSON_DEPTH_MAX - 1};
        for (size_t f = 0; f < sizeof fine / sizeof fine[0]; f++) {
            nested(json, fine[f], nests[i].kinds);
            assert_spelling(&(struct spelling){CONTACT, json, "{}"});
        }
        nested(json, DM_JSON_DEPTH_MAX, nests[i].kinds);
        assert_refused(&(struct spelling){CONTACT, json, nests[i].told});
        nested(json, DEEP, nests[i].kinds);
        assert_refused(&(struct spelling){CONTACT, json, nests[i].told});
    }
    free(json);
}

/* What is skipped must be JSON all the same, wherever in the nest it ends or breaks. */
static void what_is_skipped_is_checked(void **state)
{
    (void)state;
    static const char *const good[] = {
        "[]",
        "{}",
        "[[],{}]",
        "{\"a\":[],\"b\":{}}",
        "[1,[2,{\"c\":[3]},4],5]",
        " [ 1 , { \"a\" : [ ] } ] ",
        "{\"a\":{\"a\":{\"a\":null}},\"b\":true}",
    };
    static const char *const bad[] = {
        "[",       "{",        "[1",         "[1,",   "[1,]",      "[1 2]", "[1}",
        "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{1:2}", "{\"a\":1]", "[[1]",  "{\"a\":[}",
        "[{]}",    "[,1]",     "{,}",        "]",     "[tru]",     "[1]]",
    };
    char json[128];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        (void)snprintf(json, sizeof json, "{\"x\":%s,\"y\":%s}", good[i], good[i]);
        assert_spelling(&(struct spelling){CONTACT, json, "{}"});
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct dm_buf out = {0};
        struct dm_error error;
        (void)snprintf(json, sizeof json, "{\"x\":%s}", bad[i]);
        assert_int_equal(dm_json_to_proto(CONTACT, dm_slice_str(json), &out, &error),
                         DM_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "the JSON is broken at byte"));
        dm_buf_finish(&out);
    }
}

static void what_is_quoted_is_cut_between_characters(void **state)
{
    (void)state;
    assert_refused(&(struct spelling){
        CHANGE, "{\"status\":\"0123456789012345678901234567890123456789012345éééé\"}",
        "status: \"0123456789012345678901234567890123456789012345... is not the name of a "
        "dormouse.v1.Status"});
}

static void a_text_of_any_length_has_its_length_in_front(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, 200000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *json = malloc(sizes[i] + 64);
        static const char head[] = "{\"change\":{\"actor\":\"";
        size_t size = sizeof head - 1;
        memcpy(json, head, size);
        memset(json + size, 'x', sizes[i]);
        memcpy(json + size + sizes[i], "\"}}", 4);
        if (sizes[i] == 0) {
            assert_spelling(&(struct spelling){SET, json, "{\"change\":{}}"});
        } else {
            assert_spelling(&(struct spelling){SET, json, json});
        }
        free(json);
    }
}

static void a_text_or_an_answer_past_the_limit_is_refused(void **state)
{
    (void)state;
    struct dm_buf out = {0};
    struct dm_error error;
    size_t size = DM_MESSAGE_SIZE_MAX + 1;
    uint8_t *big = calloc(1, size);
    assert_int_equal(dm_json_to_proto(CONTACT, dm_slice(big, size), &out, &error),
                     DM_RESOURCE_EXHAUSTED);

    /* an empty contact is two bytes here and three there, "{},": and a bit too many */
    enum { EMPTY = 0x0A };
    for (size_t i = 0; i + 1 < size; i += 2) {
        big[i] = EMPTY;
        big[i + 1] = 0;
    }
    assert_int_equal(dm_proto_to_json("dormouse.v1.BatchGetContactsResponse",
                                      dm_slice(big, size - 1), &out, &error),
                     DM_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(error.message, "4194304"));
    dm_buf_finish(&out);
    free(big);
}

/* ---- bytes --------------------------------------------------------------------------------- */

#define BYTES(text) text, sizeof(text) - 1

struct encoding {
    const char *type, *json, *bytes;
    size_t size;
};

static void messages_are_written_as_protobuf_has_them(void **state)
{
    (void)state;
    static const struct encoding table[] = {
        {SET, "{\"accountId\":\"a\"}",
         BYTES("\x0a\x01"
               "a")},
        {SET, "{\"change\":{\"status\":1}}", BYTES("\x1a\x02\x08\x01")},
        {RESULT, "{\"code\":-1}", BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
        {NUMBERS, "{\"extensionNumber\":[1,300]}", BYTES("\x12\x03\x01\xac\x02")},
        {CHANGE, "{\"snoozeFor\":\"-1.5s\"}",
         BYTES(
             "\x12\x16\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x80\xb6\xca\x91\xfe\xff\xff"
             "\xff\xff\x01")},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct dm_buf out = {0};
        assert_true(dm_buf_append(&out, "before", 6));
        assert_int_equal(dm_json_to_proto(table[i].type, dm_slice_str(table[i].json), &out, NULL),
                         DM_OK);
        assert_int_equal(dm_buf_size(&out), 6 + table[i].size);
        assert_memory_equal(dm_buf_head(&out) + 6, table[i].bytes, table[i].size);
        dm_buf_finish(&out);
    }
}

static void bytes_in_any_order_are_read(void **state)
{
    (void)state;
    static const struct encoding table[] = {
        {CONTACT, "{\"accountId\":\"a\",\"fence\":\"1\"}",
         BYTES("\x40\x01\x0a\x01"
               "a")},
        /* the last one counts; of a oneof too; elements may stand apart, packed or not */
        {CONTACT, "{\"fence\":\"2\"}", BYTES("\x40\x01\x40\x02")},
        {CONTACT, "{}", BYTES("\x40\x01\x40\x00")},
        {WATCHED, "{\"progressSeq\":\"5\"}", BYTES("\x0a\x00\x10\x05")},
        {WATCHED, "{\"event\":{}}", BYTES("\x10\x05\x0a\x00")},
        {NUMBERS, "{\"baseTypeName\":\"t\",\"extensionNumber\":[1,2,3,-1]}",
         BYTES("\x10\x01\x12\x02\x02\x03\x0a\x01t\x10\xff\xff\xff\xff\x0f\x12\x00")},
        {NUMBERS, "{}", BYTES("\x12\x00")},
        /* unknown fields of each wire type, and known ones of a wrong one */
        {CONTACT, "{\"locked\":true}",
         BYTES(
             "\xf8\x07\x01\xf9\x07\x31\x32\x33\x34\x35\x36\x37\x38\xfa\x07\x01x\xfd\x07\x31\x32\x33"
             "\x34\x08\x05\x42\x00\x50\x01")},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct dm_buf out = {0};
        struct dm_error error = {0};
        if (dm_proto_to_json(table[i].type, dm_slice(table[i].bytes, table[i].size), &out,
                             &error) != DM_OK) {
            fail_msg("%s\n%s", table[i].json, error.message);
        }
        assert_string_equal(text_of(&out), table[i].json);
        dm_buf_finish(&out);
    }
}

static void bytes_that_are_no_message_are_refused(void **state)
{
    (void)state;
    static const struct encoding table[] = {
        {CONTACT, "dormouse.v1.Contact: broken bytes", BYTES("\x0a")},
        {CONTACT, "dormouse.v1.Contact: broken bytes",
         BYTES("\x0a\x05"
               "ab")},
        {CONTACT, "dormouse.v1.Contact: broken bytes", BYTES("\x00\x00")},
        {CONTACT, "dormouse.v1.Contact: broken bytes", BYTES("\x0b\x0c")},
        {CONTACT, "dormouse.v1.Contact: broken bytes", BYTES("\x0d\x01\x02")},
        {CONTACT, "dormouse.v1.Contact: broken bytes",
         BYTES("\x40\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
        {CONTACT, "dormouse.v1.Contact: broken bytes",
         BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
        {CONTACT, "account_id: not UTF-8", BYTES("\x0a\x01\xff")},
        {CONTACT, "google.protobuf.Timestamp: broken bytes", BYTES("\x32\x02\x10\xff")},
        {CONTACT, "google.protobuf.Timestamp: out of range",
         BYTES("\x32\x06\x10\xff\xff\xff\xff\x0f")},
        {CONTACT, "since: a message field is there several times", BYTES("\x32\x00\x32\x00")},
        {NUMBERS, "extension_number: a broken number in a list", BYTES("\x12\x01\x80")},
        {CHANGE, "google.protobuf.Duration: out of range",
         BYTES("\x12\x0d\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct dm_buf out = {0};
        struct dm_error error = {0};
        assert_int_equal(
            dm_proto_to_json(table[i].type, dm_slice(table[i].bytes, table[i].size), &out, &error),
            DM_INTERNAL);
        if (strstr(error.message, table[i].json) == NULL) {
            fail_msg("\"%s\" is not in \"%s\"", table[i].json, error.message);
        }
        dm_buf_finish(&out);
    }
}

static void what_is_shown_has_all_members_and_no_controls(void **state)
{
    (void)state;
    static const struct {
        const char *type, *bytes, *json;
    } table[] = {
        {CHECK, "",
         "{\"decision\":\"DECISION_UNSPECIFIED\",\"status\":\"STATUS_UNSPECIFIED\","
         "\"reason\":\"REASON_UNSPECIFIED\",\"fence\":\"0\"}"},
        {BATCH, "", "{\"accountId\":\"\",\"contactIds\":[]}"},
        {BATCH,
         "\x0A\x05\xC2\x9B"
         "a\xFF\n",
         "{\"accountId\":\"\\u009ba\xEF\xBF\xBD\\n\",\"contactIds\":[]}"},
        {WATCHED, "", "{}"}, /* which member of a oneof is set stays to be seen */
        {RESULT, "\x22\x02\x50\x01", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct dm_buf out = {0};
        struct dm_error error = {0};
        assert_int_equal(
            dm_proto_to_json_shown(table[i].type, dm_slice_str(table[i].bytes), &out, &error),
            DM_OK);
        const char *json = text_of(&out);
        if (table[i].json != NULL) {
            assert_string_equal(json, table[i].json);
        } else {
            assert_non_null(strstr(json, "\"contact\":{\"accountId\":\"\",\"contactId\""));
        }
        dm_buf_finish(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_read_in_all_forms_and_written_in_one),
        cmocka_unit_test(enums_go_by_name),
        cmocka_unit_test(texts_keep_every_character),
        cmocka_unit_test(bytes_are_base64),
        cmocka_unit_test(booleans_are_words),
        cmocka_unit_test(times_are_rfc_3339),
        cmocka_unit_test(durations_are_seconds),
        cmocka_unit_test(fields_go_by_both_names_and_come_in_order),
        cmocka_unit_test(presence_is_kept_where_the_schema_has_it),
        cmocka_unit_test(a_oneof_has_one_member),
        cmocka_unit_test(unknown_fields_are_skipped_but_their_syntax_is_not),
        cmocka_unit_test(the_text_is_strict_json),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(what_is_skipped_is_checked),
        cmocka_unit_test(what_is_quoted_is_cut_between_characters),
        cmocka_unit_test(a_text_of_any_length_has_its_length_in_front),
        cmocka_unit_test(a_text_or_an_answer_past_the_limit_is_refused),
        cmocka_unit_test(messages_are_written_as_protobuf_has_them),
        cmocka_unit_test(bytes_in_any_order_are_read),
        cmocka_unit_test(bytes_that_are_no_message_are_refused),
        cmocka_unit_test(what_is_shown_has_all_members_and_no_controls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
