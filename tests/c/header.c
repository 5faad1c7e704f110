/* How records are laid out, and frame headers from and to bytes. */

#include "wsframe.h"

#include <sys/uio.h>

#include "check.h"

enum { MAX_HEADER_LEN = 14 };

#define FIN WSFRAME_OPCODE_FIN
#define MASK WSFRAME_HEADER_MASK
#define ALL_RSV (WSFRAME_OPCODE_RSV1 | WSFRAME_OPCODE_RSV2 | WSFRAME_OPCODE_RSV3)

#define KEY "\x37\xfa\x21\x3d"
#define NO_KEY "\0\0\0\0"

/* Headers that are right, and what they say. */
static const struct {
    const char *about, *bytes;
    size_t len;
    uint64_t payload_len;
    int opcode, flags;
    const char *key;
} headers[] = {
    {"RFC 6455 5.7: text", BYTES("\x81\x05"), 5, WSFRAME_OPCODE_TEXT, FIN, NO_KEY},
    {"RFC 6455 5.7: masked text", BYTES("\x81\x85" KEY), 5, WSFRAME_OPCODE_TEXT, FIN | MASK, KEY},
    {"RFC 6455 5.7: first fragment", BYTES("\x01\x03"), 3, WSFRAME_OPCODE_TEXT, 0, NO_KEY},
    {"RFC 6455 5.7: last fragment", BYTES("\x80\x02"), 2, WSFRAME_OPCODE_CONTINUATION, FIN, NO_KEY},
    {"RFC 6455 5.7: ping", BYTES("\x89\x05"), 5, WSFRAME_OPCODE_PING, FIN, NO_KEY},
    {"RFC 6455 5.7: masked pong", BYTES("\x8a\x85" KEY), 5, WSFRAME_OPCODE_PONG, FIN | MASK, KEY},
    {"RFC 6455 5.7: 256 bytes", BYTES("\x82\x7E\x01\x00"), 256, WSFRAME_OPCODE_BINARY, FIN, NO_KEY},
    {"RFC 6455 5.7: 64 KiB", BYTES("\x82\x7F\0\0\0\0\0\x01\0\0"), 65536, WSFRAME_OPCODE_BINARY, FIN, NO_KEY},

    {"empty", BYTES("\x81\x00"), 0, WSFRAME_OPCODE_TEXT, FIN, NO_KEY},
    {"longest 7-bit length", BYTES("\x81\x7D"), 125, WSFRAME_OPCODE_TEXT, FIN, NO_KEY},
    {"shortest 16-bit length", BYTES("\x81\x7E\x00\x7E"), 126, WSFRAME_OPCODE_TEXT, FIN, NO_KEY},
    {"127, which is no 64-bit length", BYTES("\x81\x7E\x00\x7F"), 127, WSFRAME_OPCODE_TEXT, FIN, NO_KEY},
    {"longest 16-bit length", BYTES("\x81\x7E\xFF\xFF"), 65535, WSFRAME_OPCODE_TEXT, FIN, NO_KEY},
    {"shortest 64-bit length", BYTES("\x81\x7F\0\0\0\0\0\x01\0\0"), 65536, WSFRAME_OPCODE_TEXT, FIN, NO_KEY},
    {"longest 64-bit length", BYTES("\x81\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), INT64_MAX, WSFRAME_OPCODE_TEXT, FIN,
     NO_KEY},

    {"masked, empty", BYTES("\x81\x80" KEY), 0, WSFRAME_OPCODE_TEXT, FIN | MASK, KEY},
    {"masked, longest 7-bit length", BYTES("\x81\xFD" KEY), 125, WSFRAME_OPCODE_TEXT, FIN | MASK, KEY},
    {"masked, shortest 16-bit length", BYTES("\x81\xFE\x00\x7E" KEY), 126, WSFRAME_OPCODE_TEXT, FIN | MASK, KEY},
    {"masked, longest 16-bit length", BYTES("\x81\xFE\xFF\xFF" KEY), 65535, WSFRAME_OPCODE_TEXT, FIN | MASK, KEY},
    {"masked, shortest 64-bit length", BYTES("\x81\xFF\0\0\0\0\0\x01\0\0" KEY), 65536, WSFRAME_OPCODE_TEXT, FIN | MASK,
     KEY},
    {"masked, longest 64-bit length", BYTES("\x81\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF" KEY), INT64_MAX,
     WSFRAME_OPCODE_TEXT, FIN | MASK, KEY},
    {"masked with a key of zeroes", BYTES("\x81\x85" NO_KEY), 5, WSFRAME_OPCODE_TEXT, FIN | MASK, NO_KEY},

    {"longest control frame", BYTES("\x88\x7D"), 125, WSFRAME_OPCODE_CLOSE, FIN, NO_KEY},
    {"RSV1", BYTES("\xC2\x00"), 0, WSFRAME_OPCODE_BINARY, FIN | WSFRAME_OPCODE_RSV1, NO_KEY},
    {"RSV2", BYTES("\xA2\x00"), 0, WSFRAME_OPCODE_BINARY, FIN | WSFRAME_OPCODE_RSV2, NO_KEY},
    {"RSV3", BYTES("\x92\x00"), 0, WSFRAME_OPCODE_BINARY, FIN | WSFRAME_OPCODE_RSV3, NO_KEY},
    {"every bit, control", BYTES("\xFA\xFD" KEY), 125, WSFRAME_OPCODE_PONG, FIN | ALL_RSV | MASK, KEY},
};

/* Headers that are wrong; the last byte of each is the one that shows it, at the latest. */
static const struct {
    const char *about, *bytes;
    size_t len;
} refused[] = {
    {"reserved opcode 3", BYTES("\x83")},
    {"reserved opcode 7", BYTES("\x87")},
    {"reserved opcode 11", BYTES("\x8B")},
    {"reserved opcode 15", BYTES("\x8F")},
    {"close without FIN", BYTES("\x08")},
    {"ping without FIN", BYTES("\x09")},
    {"pong without FIN", BYTES("\x0A")},
    {"close of 126 bytes", BYTES("\x88\x7E")},
    {"masked ping with a 64-bit length", BYTES("\x89\xFF")},
    {"0 in 16 bits", BYTES("\x82\x7E\x00\x00")},
    {"125 in 16 bits", BYTES("\x82\x7E\x00\x7D")},
    {"masked, 125 in 16 bits", BYTES("\x82\xFE\x00\x7D")},
    {"0 in 64 bits", BYTES("\x82\x7F\0\0\0\0\0\0\0\0")},
    {"125 in 64 bits", BYTES("\x82\x7F\0\0\0\0\0\0\0\x7D")},
    {"65535 in 64 bits", BYTES("\x82\x7F\0\0\0\0\0\0\xFF\xFF")},
    {"masked, 65535 in 64 bits", BYTES("\x82\xFF\0\0\0\0\0\0\xFF\xFF")},
    {"2^63", BYTES("\x82\x7F\x80\0\0\0\0\0\0\0")},
    {"masked, 2^64-1", BYTES("\x82\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")},
};

static void records_have_the_same_layout_everywhere(void) {
    about("wsframe_header");
    CHECK_EQ(sizeof(wsframe_header), 16);
    CHECK_EQ(offsetof(wsframe_header, payload_len), 0);
    CHECK_EQ(offsetof(wsframe_header, opcode), 8);
    CHECK_EQ(offsetof(wsframe_header, flags), 9);
    CHECK_EQ(offsetof(wsframe_header, header_len), 10);
    CHECK_EQ(offsetof(wsframe_header, reserved), 11);
    CHECK_EQ(offsetof(wsframe_header, mask_key), 12);

    about("wsframe_event");
    CHECK_EQ(sizeof(wsframe_event), 32);
    CHECK_EQ(offsetof(wsframe_event, connection), 0);
    CHECK_EQ(offsetof(wsframe_event, offset), 8);
    CHECK_EQ(offsetof(wsframe_event, len), 16);
    CHECK_EQ(offsetof(wsframe_event, close_code), 24);
    CHECK_EQ(offsetof(wsframe_event, kind), 26);
    CHECK_EQ(offsetof(wsframe_event, flags), 27);
    CHECK_EQ(offsetof(wsframe_event, error), 28);

    about("records with pointers");
    CHECK_EQ(sizeof(wsframe_batch), 4 * sizeof(void *) + 8);
    CHECK_EQ(sizeof(wsframe_output), 2 * sizeof(void *) + 8);
    CHECK_EQ(sizeof(wsframe_field), 4 * sizeof(void *));
    CHECK_EQ(sizeof(wsframe_hub_config), 24);
    CHECK_EQ(sizeof(wsframe_stats), 136);
    CHECK_EQ(sizeof(wsframe_part), sizeof(struct iovec));
    CHECK_EQ(offsetof(wsframe_part, data), offsetof(struct iovec, iov_base));
    CHECK_EQ(offsetof(wsframe_part, len), offsetof(struct iovec, iov_len));

    about("constants, which are those of the wire");
    CHECK_EQ(WSFRAME_OPCODE_CONTINUATION, 0);
    CHECK_EQ(WSFRAME_OPCODE_TEXT, 1);
    CHECK_EQ(WSFRAME_OPCODE_BINARY, 2);
    CHECK_EQ(WSFRAME_OPCODE_CLOSE, 8);
    CHECK_EQ(WSFRAME_OPCODE_PING, 9);
    CHECK_EQ(WSFRAME_OPCODE_PONG, 10);
    CHECK_EQ(WSFRAME_OPCODE_FIN, 0x80);
    CHECK_EQ(WSFRAME_OPCODE_RSV1, 0x40);
    CHECK_EQ(WSFRAME_OPCODE_RSV2, 0x20);
    CHECK_EQ(WSFRAME_OPCODE_RSV3, 0x10);
    CHECK_EQ(WSFRAME_HEADER_MASK, 0x01);

    about("kinds of events, which are opcodes where they are frames");
    CHECK_EQ(WSFRAME_EVENT_TEXT, WSFRAME_OPCODE_TEXT);
    CHECK_EQ(WSFRAME_EVENT_BINARY, WSFRAME_OPCODE_BINARY);
    CHECK_EQ(WSFRAME_EVENT_CLOSE, WSFRAME_OPCODE_CLOSE);
    CHECK_EQ(WSFRAME_EVENT_PING, WSFRAME_OPCODE_PING);
    CHECK_EQ(WSFRAME_EVENT_PONG, WSFRAME_OPCODE_PONG);
}

/* Parses the len bytes at bytes, which end where the memory ends; on anything but success *header is untouched. */
static ptrdiff_t parse(const void *bytes, size_t len, wsframe_header *header) {
    unsigned char *in = copy(bytes, len);
    memset(header, CANARY, sizeof *header);
    ptrdiff_t used = wsframe_header_parse(in, len, header);
    if (used <= 0)
        CHECK_UNTOUCHED(header, sizeof *header);
    if (len > 0)
        CHECK_BYTES(in, bytes, len);
    free(in);
    return used;
}

static void headers_are_parsed(void) {
    wsframe_header header;
    for (size_t i = 0; i < COUNT(headers); i++) {
        for (size_t len = 0; len < headers[i].len; len++) {
            about("%s, only %zu bytes of it", headers[i].about, len);
            CHECK_EQ(parse(headers[i].bytes, len, &header), 0);
        }
        for (size_t more = 0; more < 20; more++) {
            about("%s, %zu bytes behind it", headers[i].about, more);
            unsigned char in[MAX_HEADER_LEN + 20];
            memset(in, 0xFF, sizeof in);
            memcpy(in, headers[i].bytes, headers[i].len);
            CHECK_EQ(parse(in, headers[i].len + more, &header), headers[i].len);
            CHECK_EQ(header.payload_len, headers[i].payload_len);
            CHECK_EQ(header.opcode, headers[i].opcode);
            CHECK_EQ(header.flags, headers[i].flags);
            CHECK_EQ(header.header_len, headers[i].len);
            CHECK_EQ(header.reserved, 0);
            CHECK_BYTES(header.mask_key, headers[i].key, sizeof header.mask_key);
        }
    }
}

static void wrong_headers_are_refused(void) {
    wsframe_header header;
    for (size_t i = 0; i < COUNT(refused); i++) {
        for (size_t more = 0; more < 20; more++) {
            about("%s, %zu bytes behind it", refused[i].about, more);
            unsigned char in[MAX_HEADER_LEN + 20] = {0};
            memcpy(in, refused[i].bytes, refused[i].len);
            CHECK_EQ(parse(in, refused[i].len + more, &header), WSFRAME_ERROR_PROTOCOL);
        }
        for (size_t len = 0; len < refused[i].len; len++) {
            about("%s, only %zu bytes of it", refused[i].about, len);
            ptrdiff_t used = parse(refused[i].bytes, len, &header);
            CHECK(used == 0 || used == WSFRAME_ERROR_PROTOCOL);
        }
    }
}

/* All 65,536 ways to begin, against the rules of RFC 6455 section 5.2 written down plainly. */
static void every_start_is_judged(void) {
    wsframe_header header;
    for (unsigned first = 0; first <= 255; first++) {
        for (unsigned second = 0; second <= 255; second++) {
            about("%02X %02X", first, second);
            unsigned fin = first & 0x80, opcode = first & 0x0F, masked = second & 0x80, len = second & 0x7F;
            unsigned char in[MAX_HEADER_LEN] = {(unsigned char)first, (unsigned char)second};
            unsigned char *behind = in + 2;
            uint64_t payload_len = len;
            if (len == 126) {
                memcpy(behind, "\x12\x34", 2);
                payload_len = 0x1234;
                behind += 2;
            } else if (len == 127) {
                memcpy(behind, "\0\0\0\x12\x34\x56\x78\x9A", 8);
                payload_len = UINT64_C(0x123456789A);
                behind += 8;
            }
            if (masked) {
                memcpy(behind, KEY, 4);
                behind += 4;
            }

            int control = opcode >= 8;
            int reserved = control ? opcode > 10 : opcode > 2;
            if (reserved || (control && (!fin || payload_len > 125))) {
                CHECK_EQ(parse(in, sizeof in, &header), WSFRAME_ERROR_PROTOCOL);
                continue;
            }
            CHECK_EQ(parse(in, sizeof in, &header), behind - in);
            CHECK_EQ(header.payload_len, payload_len);
            CHECK_EQ(header.opcode, opcode);
            CHECK_EQ(header.flags, (first & 0xF0) | (masked ? MASK : 0));
            CHECK_EQ(header.header_len, behind - in);
            CHECK_EQ(header.reserved, 0);
            CHECK_BYTES(header.mask_key, masked ? KEY : NO_KEY, sizeof header.mask_key);
        }
    }
}

/* Builds into exactly out_cap bytes and gives them back; nothing behind what was written is touched. */
static unsigned char *build(const wsframe_header *header, size_t out_cap, ptrdiff_t expected) {
    unsigned char *out = blank(out_cap);
    wsframe_header before = *header;
    CHECK_EQ(wsframe_header_build(header, out, out_cap), expected);
    size_t written = expected < 0 ? 0 : (size_t)expected;
    CHECK_UNTOUCHED(out + written, out_cap - written);
    CHECK_BYTES(header, &before, sizeof before);
    return out;
}

static void headers_are_built(void) {
    for (size_t i = 0; i < COUNT(headers); i++) {
        wsframe_header header = {0};
        header.payload_len = headers[i].payload_len;
        header.opcode = (uint8_t)headers[i].opcode;
        header.flags = (uint8_t)headers[i].flags;
        memcpy(header.mask_key, headers[i].key, sizeof header.mask_key);
        for (size_t cap = 0; cap < 20; cap++) {
            about("%s, out_cap %zu", headers[i].about, cap);
            ptrdiff_t expected = cap < headers[i].len ? WSFRAME_ERROR_SPACE : (ptrdiff_t)headers[i].len;
            unsigned char *out = build(&header, cap, expected);
            if (expected > 0)
                CHECK_BYTES(out, headers[i].bytes, headers[i].len);
            free(out);
        }
        about("%s, out NULL, out_cap 0", headers[i].about);
        CHECK_EQ(wsframe_header_build(&header, NULL, 0), WSFRAME_ERROR_SPACE);
    }
}

static void what_is_parsed_can_be_built_again(void) {
    for (size_t i = 0; i < COUNT(headers); i++) {
        about("%s", headers[i].about);
        wsframe_header header;
        CHECK_EQ(parse(headers[i].bytes, headers[i].len, &header), headers[i].len);
        unsigned char *out = build(&header, headers[i].len, (ptrdiff_t)headers[i].len);
        CHECK_BYTES(out, headers[i].bytes, headers[i].len);
        free(out);
    }
}

static void fields_without_a_meaning_are_ignored(void) {
    about("header_len, and mask_key without WSFRAME_HEADER_MASK");
    wsframe_header header = {0};
    header.opcode = WSFRAME_OPCODE_TEXT;
    header.header_len = 255;
    memset(header.mask_key, 255, sizeof header.mask_key);
    unsigned char *out = build(&header, MAX_HEADER_LEN, 2);
    CHECK_BYTES(out, "\x01\x00", 2);
    free(out);
}

/* Every opcode with every set of flags: built as the first byte says, or refused. */
static void every_opcode_and_flag_is_judged(void) {
    for (unsigned opcode = 0; opcode <= 255; opcode++) {
        for (unsigned flags = 0; flags <= 255; flags++) {
            about("opcode %u, flags %02X", opcode, flags);
            wsframe_header header = {0};
            header.opcode = (uint8_t)opcode;
            header.flags = (uint8_t)flags;
            int data = opcode <= 2, control = opcode >= 8 && opcode <= 10 && (flags & FIN);
            if ((!data && !control) || (flags & 0x0E)) {
                free(build(&header, MAX_HEADER_LEN, WSFRAME_ERROR_ARGUMENT));
                continue;
            }
            unsigned char *out = build(&header, MAX_HEADER_LEN, flags & MASK ? 6 : 2);
            CHECK_EQ(out[0], (flags & 0xF0) | opcode);
            CHECK_EQ(out[1], flags & MASK ? 0x80 : 0);
            free(out);
        }
    }
}

static void wrong_records_are_refused(void) {
    static const struct {
        const char *about;
        wsframe_header header;
    } cases[] = {
        {"payload_len 2^63", {UINT64_C(1) << 63, WSFRAME_OPCODE_BINARY, FIN, 0, 0, {0}}},
        {"payload_len 2^64-1", {UINT64_MAX, WSFRAME_OPCODE_BINARY, FIN, 0, 0, {0}}},
        {"close of 126 bytes", {126, WSFRAME_OPCODE_CLOSE, FIN, 0, 0, {0}}},
        {"ping of 65536 bytes", {65536, WSFRAME_OPCODE_PING, FIN, 0, 0, {0}}},
        {"pong of 2^63-1 bytes", {INT64_MAX, WSFRAME_OPCODE_PONG, FIN, 0, 0, {0}}},
        {"reserved 1", {0, WSFRAME_OPCODE_TEXT, FIN, 0, 1, {0}}},
        {"reserved 255", {0, WSFRAME_OPCODE_TEXT, FIN, 0, 255, {0}}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        about("%s", cases[i].about);
        free(build(&cases[i].header, MAX_HEADER_LEN, WSFRAME_ERROR_ARGUMENT));
    }
}

static void wrong_arguments_are_refused(void) {
    wsframe_header header;
    unsigned char out[MAX_HEADER_LEN];
    memset(&header, CANARY, sizeof header);
    memset(out, CANARY, sizeof out);

    about("in NULL, in_len 0");
    CHECK_EQ(wsframe_header_parse(NULL, 0, &header), 0);
    about("in NULL");
    CHECK_EQ(wsframe_header_parse(NULL, 1, &header), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_header_parse(NULL, SIZE_MAX, &header), WSFRAME_ERROR_ARGUMENT);
    about("in_len that nothing in memory has");
    CHECK_EQ(wsframe_header_parse("\x81\x05", (size_t)PTRDIFF_MAX + 1, &header), WSFRAME_ERROR_ARGUMENT);
    CHECK_UNTOUCHED(&header, sizeof header);
    about("header NULL");
    CHECK_EQ(wsframe_header_parse("\x81\x05", 2, NULL), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_header_parse("\x81\x05", 1, NULL), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_header_parse(NULL, 0, NULL), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_header_build(NULL, out, sizeof out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_header_build(NULL, NULL, 0), WSFRAME_ERROR_ARGUMENT);

    memset(&header, 0, sizeof header);
    about("out NULL");
    CHECK_EQ(wsframe_header_build(&header, NULL, 1), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_header_build(&header, NULL, MAX_HEADER_LEN), WSFRAME_ERROR_ARGUMENT);
    about("out_cap that nothing in memory has");
    CHECK_EQ(wsframe_header_build(&header, out, SIZE_MAX), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_header_build(&header, out, (size_t)PTRDIFF_MAX + 1), WSFRAME_ERROR_ARGUMENT);
    CHECK_UNTOUCHED(out, sizeof out);
}

int main(void) {
    records_have_the_same_layout_everywhere();
    headers_are_parsed();
    wrong_headers_are_refused();
    every_start_is_judged();
    headers_are_built();
    what_is_parsed_can_be_built_again();
    fields_without_a_meaning_are_ignored();
    every_opcode_and_flag_is_judged();
    wrong_records_are_refused();
    wrong_arguments_are_refused();
    return passed();
}
