/* The JSON transcoder behind a pipe, for json_property.py. A line of input is
 *
 *   <message's full name> <in|out> <the text or the bytes, in hexadecimal>
 *
 * and its answer "OK <hexadecimal>" or "<CODE> <message>". */

#include "base/buf.h"
#include "base/code.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static size_t from_hex(const char *hex, uint8_t *to)
{
    size_t size = 0;
    for (; hex[0] > ' ' && hex[1] > ' '; hex += 2) {
        to[size++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
    }
    return size;
}

static void answer(char *line)
{
    char type[128], direction[8];
    int at = 0;
    if (sscanf(line, "%127s %7s %n", type, direction, &at) != 2) {
        (void)fprintf(stderr, "not a line of this tool's: %s", line);
        exit(2);
    }
    /* exactly as many bytes as there are: a read past them is seen by the sanitizer */
    const char *hex = line + at;
    size_t hex_size = strcspn(hex, " \n");
    uint8_t *input = malloc(hex_size / 2 + 1);
    struct dm_slice bytes = dm_slice(input, from_hex(hex, input));
    uint8_t *exact = malloc(bytes.size);
    if (bytes.size != 0) {
        memcpy(exact, input, bytes.size);
    }
    bytes.data = bytes.size == 0 ? NULL : exact;

    struct dm_buf out = {0};
    struct dm_error error;
    enum dm_code code = strcmp(direction, "in") == 0 ? dm_json_to_proto(type, bytes, &out, &error)
                                                     : dm_proto_to_json(type, bytes, &out, &error);
    if (code == DM_OK) {
        printf("OK ");
        for (size_t i = 0; i < dm_buf_size(&out); i++) {
            printf("%02x", dm_buf_head(&out)[i]);
        }
        printf("\n");
    } else {
        printf("%s %s\n", dm_code_name((int)code), error.message);
    }
    dm_buf_finish(&out);
    free(exact);
    free(input);
}

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) > 0) {
        answer(line);
    }
    free(line);
    return 0;
}
