#include "json/scan.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/utf8.h"

/* One function for each thing of the grammar. Nothing is allocated and nothing is
 * copied: a token is a slice of the text. */

enum { SURROGATE_HIGH = 0xD800, SURROGATE_LOW = 0xDC00, SURROGATE_END = 0xE000 };

static bool wrong(struct dm_json_scan *scan, const uint8_t *at, const char *fault)
{
    scan->at = at;
    scan->fault = fault;
    return false;
}

bool dm_json_too_deep(struct dm_json_scan *scan)
{
    scan->too_deep = true;
    return wrong(scan, scan->at, "more than 100 lists and objects within each other");
}

void dm_json_scan_init(struct dm_json_scan *scan, struct dm_slice text)
{
    static const uint8_t nothing[1];
    const uint8_t *begin = text.data == NULL ? nothing : text.data;
    *scan = (struct dm_json_scan){.begin = begin, .at = begin, .end = begin + text.size};
    dm_json_space(scan);
}

void dm_json_space(struct dm_json_scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\t' || *scan->at == '\r')) {
        scan->at++;
    }
}

uint8_t dm_json_peek(const struct dm_json_scan *scan)
{
    return scan->at < scan->end ? *scan->at : 0;
}

bool dm_json_take(struct dm_json_scan *scan, uint8_t byte)
{
    if (scan->at == scan->end || *scan->at != byte) {
        return false;
    }
    scan->at++;
    dm_json_space(scan);
    return true;
}

bool dm_json_word(struct dm_json_scan *scan, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0) {
        return false;
    }
    scan->at += size;
    return true;
}

/* ---- strings ---------------------------------------------------------------------- */

/* The four digits of \uXXXX at `at`; -1 when they are none. */
static int32_t hex4(const uint8_t *at, const uint8_t *end)
{
    int32_t value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i];
        int32_t digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* Bytes of the escape at `at`, a backslash, and the character it stands for; 0 when it
 * is none. */
static size_t escape(const uint8_t *at, const uint8_t *end, uint32_t *point, const char **fault)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    *fault = "there is no such escape in JSON";
    if (end - at < 2) {
        return 0;
    }
    if (at[1] != 'u') {
        const char *letter = at[1] == 0 ? NULL : strchr(letters, at[1]);
        *point = letter == NULL ? 0 : (uint8_t)meant[letter - letters];
        return letter == NULL ? 0 : 2;
    }
    int32_t first = hex4(at + 2, end);
    if (first < 0) {
        *fault = "\\u needs four hexadecimal digits";
        return 0;
    }
    *point = (uint32_t)first;
    if (first < SURROGATE_HIGH || first >= SURROGATE_END) {
        return 6;
    }
    bool pair = first < SURROGATE_LOW && end - at >= 12 && at[6] == '\\' && at[7] == 'u';
    int32_t second = pair ? hex4(at + 8, end) : -1;
    if (second < SURROGATE_LOW || second >= SURROGATE_END) {
        *fault = "half of a surrogate pair is no character";
        return 0;
    }
    *point = 0x10000U + ((*point - SURROGATE_HIGH) << 10) + ((uint32_t)second - SURROGATE_LOW);
    return 12;
}

bool dm_json_string(struct dm_json_scan *scan, struct dm_json_string *string)
{
    DM_ASSERT(dm_json_peek(scan) == '"');
    const uint8_t *first = scan->at + 1, *at = first;
    string->escaped = false;
    while (at < scan->end && *at != '"') {
        uint32_t point;
        const char *fault = "not UTF-8";
        size_t size;
        if (*at == '\\') {
            string->escaped = true;
            size = escape(at, scan->end, &point, &fault);
        } else if (*at < 0x20) {
            return wrong(scan, at, "a control character in a string must be escaped");
        } else {
            size = *at < 0x80 ? 1 : dm_utf8_read(at, scan->end, &point);
        }
        if (size == 0) {
            return wrong(scan, at, fault);
        }
        at += size;
    }
    if (at == scan->end) {
        return wrong(scan, at, "the text ends within a string");
    }
    string->raw = dm_slice(first, (size_t)(at - first));
    scan->at = at + 1;
    return true;
}

size_t dm_json_unescape(const struct dm_json_string *string, uint8_t *to)
{
    const uint8_t *at = string->raw.data, *end = at + string->raw.size;
    uint8_t *first = to;
    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        uint32_t point;
        const char *fault;
        size_t size = escape(at, end, &point, &fault);
        DM_ASSERT(size != 0);
        at += size;
        to += dm_utf8_write(to, point);
    }
    return (size_t)(to - first);
}

/* ---- numbers and whole values ------------------------------------------------------ */

static bool digits(struct dm_json_scan *scan)
{
    const uint8_t *first = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') {
        scan->at++;
    }
    return scan->at != first;
}

static bool take_one(struct dm_json_scan *scan, const char *of)
{
    uint8_t byte = dm_json_peek(scan);
    if (byte == 0 || strchr(of, byte) == NULL) {
        return false;
    }
    scan->at++;
    return true;
}

bool dm_json_number(struct dm_json_scan *scan, struct dm_slice *number)
{
    const uint8_t *first = scan->at;
    (void)take_one(scan, "-");
    const uint8_t *whole = scan->at;
    if (!digits(scan)) {
        return wrong(scan, scan->at, "a value is expected here");
    }
    if (*whole == '0' && scan->at - whole > 1) {
        return wrong(scan, whole, "a number may not begin with a zero");
    }
    if (take_one(scan, ".") && !digits(scan)) {
        return wrong(scan, scan->at, "digits are expected after the point");
    }
    if (take_one(scan, "eE")) {
        (void)take_one(scan, "+-");
        if (!digits(scan)) {
            return wrong(scan, scan->at, "digits are expected in the exponent");
        }
    }
    *number = dm_slice(first, (size_t)(scan->at - first));
    return true;
}

/* A value that is neither a list nor an object. */
static bool skip_scalar(struct dm_json_scan *scan)
{
    struct dm_json_string string;
    struct dm_slice number;
    switch (dm_json_peek(scan)) {
    case '"':
        return dm_json_string(scan, &string);
    case 't':
        return dm_json_word(scan, "true") || wrong(scan, scan->at, "a value is expected here");
    case 'f':
        return dm_json_word(scan, "false") || wrong(scan, scan->at, "a value is expected here");
    case 'n':
        return dm_json_word(scan, "null") || wrong(scan, scan->at, "a value is expected here");
    default:
        return dm_json_number(scan, &number);
    }
}

static bool skip_name(struct dm_json_scan *scan)
{
    struct dm_json_string name;
    if (dm_json_peek(scan) != '"') {
        return wrong(scan, scan->at, "a name in quotes is expected here");
    }
    if (!dm_json_string(scan, &name)) {
        return false;
    }
    dm_json_space(scan);
    return dm_json_take(scan, ':') || wrong(scan, scan->at, "':' is expected after a name");
}

/* The lists and objects that are open, innermost last. */
struct nest {
    uint8_t closer[DM_JSON_DEPTH_MAX]; /* ']' or '}' */
    int depth;
};

/* Behind a value: ends what ends with it. *more: another value comes, in the innermost. */
static bool skip_behind(struct dm_json_scan *scan, struct nest *nest, bool *more)
{
    for (*more = false; nest->depth > 0 && !*more;) {
        uint8_t closer = nest->closer[nest->depth - 1];
        dm_json_space(scan);
        if (dm_json_take(scan, ',')) {
            *more = true;
        } else if (dm_json_take(scan, closer)) {
            nest->depth--;
        } else {
            return wrong(scan, scan->at,
                         closer == ']' ? "',' or ']' is expected here"
                                       : "',' or '}' is expected here");
        }
    }
    return !*more || nest->closer[nest->depth - 1] == ']' || skip_name(scan);
}

/* Without recursion: how deep a client nests costs bytes here, not frames of the stack. */
bool dm_json_skip(struct dm_json_scan *scan, int depth)
{
    struct nest nest = {.depth = 0};
    bool more = true;
    DM_ASSERT(depth <= DM_JSON_DEPTH_MAX);
    while (more) {
        uint8_t first = dm_json_peek(scan);
        uint8_t closer = first == '{' ? '}' : ']';
        if (first != '{' && first != '[') {
            if (!skip_scalar(scan)) {
                return false;
            }
        } else if (nest.depth == depth) {
            return dm_json_too_deep(scan);
        } else {
            (void)dm_json_take(scan, first);
            if (!dm_json_take(scan, closer)) {
                nest.closer[nest.depth++] = closer;
                if (closer == '}' && !skip_name(scan)) {
                    return false;
                }
                continue;
            }
        }
        if (!skip_behind(scan, &nest, &more)) {
            return false;
        }
    }
    return true;
}
