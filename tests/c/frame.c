/* Whole frames: building them, and what a client sends back through the parser. */

#include "wsframe.h"

#include "check.h"

#define FIN WSFRAME_OPCODE_FIN

enum { MAX_HEADER_LEN = 14 };

/* Builds into exactly out_cap bytes and gives them back; nothing behind what was written is touched. */
static unsigned char *build(unsigned first_byte, const unsigned char *payload, size_t payload_len, size_t out_cap,
                            ptrdiff_t expected) {
    unsigned char *out = blank(out_cap);
    CHECK_EQ(wsframe_frame_build(first_byte, payload, payload_len, out, out_cap), expected);
    size_t written = expected < 0 ? 0 : (size_t)expected;
    CHECK_UNTOUCHED(out + written, out_cap - written);
    return out;
}

static void the_examples_of_the_rfc_are_built(void) {
    static const struct {
        const char *about;
        unsigned first_byte;
        const char *payload;
        size_t payload_len;
        const char *frame;
        size_t len;
    } cases[] = {
        {"text", FIN | WSFRAME_OPCODE_TEXT, BYTES("Hello"), BYTES("\x81\x05Hello")},
        {"first fragment", WSFRAME_OPCODE_TEXT, BYTES("Hel"), BYTES("\x01\x03Hel")},
        {"last fragment", FIN | WSFRAME_OPCODE_CONTINUATION, BYTES("lo"), BYTES("\x80\x02lo")},
        {"ping", FIN | WSFRAME_OPCODE_PING, BYTES("Hello"), BYTES("\x89\x05Hello")},
        {"pong", FIN | WSFRAME_OPCODE_PONG, BYTES("Hello"), BYTES("\x8a\x05Hello")},
        {"close with 1002", FIN | WSFRAME_OPCODE_CLOSE, BYTES("\x03\xEA"), BYTES("\x88\x02\x03\xEA")},
        {"empty", FIN | WSFRAME_OPCODE_TEXT, NULL, 0, BYTES("\x81\x00")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned char *payload = copy(cases[i].payload, cases[i].payload_len);
        for (size_t cap = 0; cap < 20; cap++) {
            about("RFC 6455 5.7: %s, out_cap %zu", cases[i].about, cap);
            ptrdiff_t expected = cap < cases[i].len ? WSFRAME_ERROR_SPACE : (ptrdiff_t)cases[i].len;
            unsigned char *out = build(cases[i].first_byte, payload, cases[i].payload_len, cap, expected);
            if (expected > 0)
                CHECK_BYTES(out, cases[i].frame, cases[i].len);
            free(out);
        }
        about("RFC 6455 5.7: %s, out NULL, out_cap 0", cases[i].about);
        CHECK_EQ(wsframe_frame_build(cases[i].first_byte, payload, cases[i].payload_len, NULL, 0), WSFRAME_ERROR_SPACE);
        free(payload);
    }
}

/* The borders of the three forms of the length, with the header that each must get. */
static const struct {
    size_t payload_len;
    const char *header;
    size_t header_len;
} borders[] = {
    {0, BYTES("\x82\x00")},
    {1, BYTES("\x82\x01")},
    {124, BYTES("\x82\x7C")},
    {125, BYTES("\x82\x7D")},
    {126, BYTES("\x82\x7E\x00\x7E")},
    {127, BYTES("\x82\x7E\x00\x7F")},
    {128, BYTES("\x82\x7E\x00\x80")},
    {256, BYTES("\x82\x7E\x01\x00")},
    {65535, BYTES("\x82\x7E\xFF\xFF")},
    {65536, BYTES("\x82\x7F\0\0\0\0\0\x01\0\0")},
    {4000000, BYTES("\x82\x7F\0\0\0\0\0\x3D\x09\x00")},
};

static void every_form_of_the_length_is_built(void) {
    for (size_t i = 0; i < COUNT(borders); i++) {
        about("%zu bytes", borders[i].payload_len);
        size_t payload_len = borders[i].payload_len, header_len = borders[i].header_len;
        size_t size = header_len + payload_len;
        CHECK(header_len <= WSFRAME_FRAME_OVERHEAD);

        unsigned char *payload = numbered(payload_len);
        for (size_t more = 0; more < 2; more++) {
            unsigned char *out = build(FIN | WSFRAME_OPCODE_BINARY, payload, payload_len, size + more, (ptrdiff_t)size);
            CHECK_BYTES(out, borders[i].header, header_len);
            CHECK_BYTES(out + header_len, payload, payload_len);
            free(out);
        }
        free(build(FIN | WSFRAME_OPCODE_BINARY, payload, payload_len, size - 1, WSFRAME_ERROR_SPACE));
        free(payload);
    }
}

/* A client's frame, as README and header tell to build it, comes through the parser as it was. */
static void what_a_client_builds_is_parsed_again(void) {
    static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
    for (size_t i = 0; i < COUNT(borders); i++) {
        about("%zu bytes from a client", borders[i].payload_len);
        size_t payload_len = borders[i].payload_len, header_len = borders[i].header_len + sizeof key;
        unsigned char *payload = numbered(payload_len), *frame = blank(header_len + payload_len);

        wsframe_header sent = {0}, received;
        sent.payload_len = payload_len;
        sent.opcode = WSFRAME_OPCODE_BINARY;
        sent.flags = FIN | WSFRAME_HEADER_MASK;
        memcpy(sent.mask_key, key, sizeof key);
        CHECK_EQ(wsframe_header_build(&sent, frame, header_len), header_len);
        CHECK_EQ(wsframe_unmask(payload, payload_len, key, 0, frame + header_len), payload_len);

        CHECK_EQ(wsframe_header_parse(frame, header_len + payload_len, &received), header_len);
        sent.header_len = (uint8_t)header_len;
        CHECK_BYTES(&received, &sent, sizeof sent);
        CHECK_EQ(wsframe_unmask(frame + header_len, payload_len, received.mask_key, 0, frame + header_len), payload_len);
        CHECK_BYTES(frame + header_len, payload, payload_len);
        free(payload);
        free(frame);
    }
}

static void every_first_byte_is_judged(void) {
    for (unsigned first_byte = 0; first_byte < 1024; first_byte++) {
        about("first_byte %03X", first_byte);
        unsigned opcode = first_byte & 0x0F;
        int data = opcode <= 2, control = opcode >= 8 && opcode <= 10 && (first_byte & FIN);
        int allowed = first_byte <= 255 && (data || control);
        unsigned char *out =
            build(first_byte, (const unsigned char *)"Hello", 5, 7, allowed ? 7 : WSFRAME_ERROR_ARGUMENT);
        if (allowed) {
            CHECK_EQ(out[0], first_byte);
            CHECK_BYTES(out + 1, "\x05Hello", 6);
        }
        free(out);
    }
    about("first_byte 2^32-1");
    free(build(UINT32_MAX, NULL, 0, MAX_HEADER_LEN, WSFRAME_ERROR_ARGUMENT));
    about("first_byte 0x81 with a bit above");
    free(build(UINT32_C(0x80000081), NULL, 0, MAX_HEADER_LEN, WSFRAME_ERROR_ARGUMENT));
}

static void control_frames_carry_at_most_125_bytes(void) {
    static const unsigned opcodes[] = {WSFRAME_OPCODE_CLOSE, WSFRAME_OPCODE_PING, WSFRAME_OPCODE_PONG};
    unsigned char *payload = numbered(65536);
    for (size_t i = 0; i < COUNT(opcodes); i++) {
        about("opcode %u", opcodes[i]);
        free(build(FIN | opcodes[i], payload, 125, 127, 127));
        free(build(FIN | opcodes[i], payload, 126, 130, WSFRAME_ERROR_ARGUMENT));
        free(build(FIN | opcodes[i], payload, 65536, 65546, WSFRAME_ERROR_ARGUMENT));
    }
    free(payload);
}

/* The payload slides over the output: only where both touch without sharing a byte is it taken. */
static void overlap_is_refused(void) {
    enum { PAYLOAD_LEN = 20, SIZE = PAYLOAD_LEN + 2 };
    unsigned char *buffer = blank(PAYLOAD_LEN + SIZE + PAYLOAD_LEN), *out = buffer + PAYLOAD_LEN;
    for (size_t at = 0; at <= PAYLOAD_LEN + SIZE; at++) {
        about("payload at %zu, output at %d", at, PAYLOAD_LEN);
        ptrdiff_t expected = at == 0 || at == PAYLOAD_LEN + SIZE ? SIZE : WSFRAME_ERROR_ARGUMENT;
        CHECK_EQ(wsframe_frame_build(0x82, buffer + at, PAYLOAD_LEN, out, SIZE), expected);
        if (expected < 0)
            CHECK_UNTOUCHED(buffer, PAYLOAD_LEN + SIZE + PAYLOAD_LEN);
        else
            memset(out, CANARY, SIZE);
    }
    free(buffer);
}

static void wrong_arguments_are_refused(void) {
    unsigned char payload[8] = {0}, out[16];
    memset(out, CANARY, sizeof out);

    about("payload NULL");
    CHECK_EQ(wsframe_frame_build(0x82, NULL, 1, out, sizeof out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frame_build(0x82, NULL, 8, out, sizeof out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frame_build(0x82, NULL, SIZE_MAX, out, sizeof out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frame_build(0x82, NULL, 1, NULL, 0), WSFRAME_ERROR_ARGUMENT);
    about("out NULL");
    CHECK_EQ(wsframe_frame_build(0x82, payload, 8, NULL, 10), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frame_build(0x82, NULL, 0, NULL, 2), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frame_build(0x82, NULL, 0, NULL, 0), WSFRAME_ERROR_SPACE);
    about("lengths that nothing in memory has");
    CHECK_EQ(wsframe_frame_build(0x82, payload, SIZE_MAX, out, sizeof out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frame_build(0x82, payload, (size_t)PTRDIFF_MAX + 1, out, sizeof out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frame_build(0x82, payload, 8, out, SIZE_MAX), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frame_build(0x82, payload, 8, out, (size_t)PTRDIFF_MAX + 1), WSFRAME_ERROR_ARGUMENT);
    CHECK_UNTOUCHED(out, sizeof out);

    about("an empty payload, at an address or at none");
    free(build(0x82, payload, 0, 2, 2));
    free(build(0x82, NULL, 0, 2, 2));
}

/* Builds with exactly as much memory as is said, and returns what it returned. */
static ptrdiff_t build_many(uint32_t first_byte, const void *payloads, const size_t *lens, size_t count, size_t cap,
                            const void *expected) {
    size_t in_len = 0;
    for (size_t i = 0; i < count; i++)
        in_len += lens[i];
    unsigned char *in = copy(payloads, in_len), *out = blank(cap);
    size_t *own_lens = (size_t *)(void *)copy(lens, count * sizeof *lens);
    ptrdiff_t len = wsframe_frames_build(first_byte, in, own_lens, count, out, cap);
    CHECK_UNTOUCHED(out + (len > 0 ? len : 0), cap - (size_t)(len > 0 ? len : 0));
    if (len > 0)
        CHECK_BYTES(out, expected, (size_t)len);
    free(in);
    free(out);
    free(own_lens);
    return len;
}

static void many_frames_are_built_with_one_call(void) {
    enum { LONG = 65536, COUNT_OF_MANY = 7 };
    unsigned char *payload = numbered(3 * LONG), *expected = blank(4 * LONG);
    const size_t lens[COUNT_OF_MANY] = {0, 1, 125, 126, LONG - 1, LONG, 0};
    size_t at = 0, len = 0;
    for (size_t i = 0; i < COUNT_OF_MANY; i++) {
        len += (size_t)wsframe_frame_build(0x82, payload + at, lens[i], expected + len, 4 * LONG - len);
        at += lens[i];
    }
    for (size_t more = 0; more < 3; more++) {
        about("room for %zu bytes more", more);
        CHECK_EQ(build_many(0x82, payload, lens, COUNT_OF_MANY, len + more, expected), len);
    }
    for (size_t less = 1; less < 20; less++) {
        about("%zu bytes too little room", less);
        CHECK_EQ(build_many(0x82, payload, lens, COUNT_OF_MANY, len - less, expected), WSFRAME_ERROR_SPACE);
    }
    about("none");
    CHECK_EQ(wsframe_frames_build(0x81, NULL, NULL, 0, NULL, 0), 0);
    CHECK_EQ(wsframe_frames_build(0x81, NULL, lens, 0, expected, 0), 0);
    CHECK_EQ(wsframe_frames_build(0x81, NULL, lens, 1, expected, 2), 2);
    about("one of them cannot be built");
    const size_t controls[] = {1, 125, 126};
    len = (size_t)wsframe_frame_build(0x89, payload, 1, expected, 3);
    len += (size_t)wsframe_frame_build(0x89, payload + 1, 125, expected + len, 127);
    CHECK_EQ(build_many(0x89, payload, controls, 2, 130, expected), len);
    CHECK_EQ(build_many(0x89, payload, controls, 3, 400, ""), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(build_many(0x09, payload, controls, 1, 400, ""), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(build_many(0x83, payload, controls, 1, 400, ""), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(build_many(0x181, payload, controls, 1, 400, ""), WSFRAME_ERROR_ARGUMENT);

    unsigned char out[64];
    memset(out, CANARY, sizeof out);
    const size_t wraps[] = {1, SIZE_MAX}, is_long[] = {(size_t)PTRDIFF_MAX, 1}, ten = 10;
    about("lengths that nothing in memory has");
    CHECK_EQ(wsframe_frames_build(0x82, payload, wraps, 2, out, sizeof out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frames_build(0x82, payload, wraps + 1, 1, out, sizeof out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frames_build(0x82, payload, is_long, 2, out, sizeof out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frames_build(0x82, payload, &ten, SIZE_MAX, out, sizeof out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frames_build(0x82, payload, &ten, SIZE_MAX / sizeof ten, out, sizeof out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frames_build(0x82, payload, &ten, SIZE_MAX / sizeof ten + 2, out, sizeof out),
             WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frames_build(0x82, payload, &ten, 1, out, SIZE_MAX), WSFRAME_ERROR_ARGUMENT);
    about("NULL");
    CHECK_EQ(wsframe_frames_build(0x82, NULL, &ten, 1, out, sizeof out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frames_build(0x82, payload, NULL, 1, out, sizeof out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frames_build(0x82, payload, &ten, 1, NULL, sizeof out), WSFRAME_ERROR_ARGUMENT);
    about("payloads that overlap the output");
    CHECK_EQ(wsframe_frames_build(0x82, out, &ten, 1, out + 9, sizeof out - 9), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frames_build(0x82, out + 11, &ten, 1, out, 12), WSFRAME_ERROR_ARGUMENT);
    about("lengths that overlap the output");
    size_t both[8] = {10};
    unsigned char *bytes = (unsigned char *)both;
    CHECK_EQ(wsframe_frames_build(0x82, payload, both, 1, bytes, sizeof both), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_frames_build(0x82, payload, both, 1, bytes + sizeof *both - 1, 20), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(both[0], 10);
    CHECK_EQ(wsframe_frames_build(0x82, payload, both, 1, bytes + sizeof *both, 12), 12);
    CHECK_UNTOUCHED(out, sizeof out);
    free(payload);
    free(expected);
}

int main(void) {
    the_examples_of_the_rfc_are_built();
    every_form_of_the_length_is_built();
    what_a_client_builds_is_parsed_again();
    every_first_byte_is_judged();
    control_frames_carry_at_most_125_bytes();
    overlap_is_refused();
    wrong_arguments_are_refused();
    many_frames_are_built_with_one_call();
    return passed();
}
