/* Unmasking in place and into another buffer, against the formula of RFC 6455 section 5.3. */

#include "wsframe.h"

#include "check.h"

static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};

/* j = (offset + i) MOD 4; transformed[i] = original[i] XOR key[j]. size_t wraps at a multiple of 4, so it may wrap. */
static unsigned char *naive(const unsigned char *data, size_t len, size_t offset) {
    unsigned char *transformed = blank(len);
    for (size_t i = 0; i < len; i++)
        transformed[i] = data[i] ^ key[(offset + i) % 4];
    return transformed;
}

/* Both functions, on data that begins at this alignment and ends where the memory ends. */
static void check_like_naive(const unsigned char *data, size_t len, size_t offset, size_t alignment) {
    unsigned char *expected = naive(data, len, offset);

    unsigned char *in_place = blank(alignment + len);
    memcpy(in_place + alignment, data, len);
    CHECK_EQ(wsframe_unmask(in_place + alignment, len, key, offset, in_place + alignment), len);
    CHECK_BYTES(in_place + alignment, expected, len);
    CHECK_UNTOUCHED(in_place, alignment);

    /* The input of the copy at that alignment too, its output at another one. */
    size_t out_alignment = alignment * 7 % 16;
    unsigned char *in = blank(alignment + len), *out = blank(out_alignment + len);
    memcpy(in + alignment, data, len);
    CHECK_EQ(wsframe_unmask(in + alignment, len, key, offset, out + out_alignment), len);
    CHECK_BYTES(out + out_alignment, expected, len);
    CHECK_UNTOUCHED(out, out_alignment);
    CHECK_BYTES(in + alignment, data, len);

    free(expected);
    free(in_place);
    free(in);
    free(out);
}

static void the_example_of_the_rfc_is_unmasked(void) {
    about("RFC 6455 5.7: a masked Hello");
    unsigned char payload[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58}, out[5];
    CHECK_EQ(wsframe_unmask(payload, 5, key, 0, out), 5);
    CHECK_BYTES(out, "Hello", 5);
    CHECK_EQ(wsframe_unmask(payload, 5, key, 0, payload), 5);
    CHECK_BYTES(payload, "Hello", 5);
    CHECK_EQ(wsframe_unmask(payload, 5, key, 0, payload), 5);
    CHECK_BYTES(payload, "\x7f\x9f\x4d\x51\x58", 5);
}

static void every_length_offset_and_alignment_is_like_naive(void) {
    unsigned char *data = numbered(300);
    for (size_t len = 0; len <= 300; len++)
        for (size_t offset = 0; offset < 4; offset++)
            for (size_t alignment = 0; alignment < 16; alignment++) {
                about("len %zu, offset %zu, alignment %zu", len, offset, alignment);
                check_like_naive(data, len, offset, alignment);
            }
    free(data);
}

static void large_lengths_and_offsets_are_like_naive(void) {
    static const size_t lens[] = {65535, 65536, 1000003}, offsets[] = {0, 125, 65537, SIZE_MAX - 1, SIZE_MAX};
    unsigned char *data = numbered(1000003);
    for (size_t l = 0; l < COUNT(lens); l++)
        for (size_t o = 0; o < COUNT(offsets); o++) {
            about("len %zu, offset %zu", lens[l], offsets[o]);
            check_like_naive(data, lens[l], offsets[o], o);
        }
    free(data);
}

static void bytes_behind_the_data_stay_untouched(void) {
    for (size_t len = 0; len <= 100; len++) {
        about("len %zu", len);
        unsigned char *data = blank(len + 64), *out = blank(len + 64);
        CHECK_EQ(wsframe_unmask(data, len, key, 0, out), len);
        CHECK_UNTOUCHED(out + len, 64);
        CHECK_EQ(wsframe_unmask(data, len, key, 0, data), len);
        CHECK_UNTOUCHED(data + len, 64);
        free(data);
        free(out);
    }
}

static void in_two_pieces_is_like_whole(void) {
    enum { LEN = 200 };
    unsigned char *data = numbered(LEN), *expected = naive(data, LEN, 0);
    for (size_t cut = 0; cut <= LEN; cut++) {
        about("cut at %zu", cut);
        unsigned char *pieces = copy(data, LEN);
        CHECK_EQ(wsframe_unmask(pieces, cut, key, 0, pieces), cut);
        CHECK_EQ(wsframe_unmask(pieces + cut, LEN - cut, key, cut, pieces + cut), LEN - cut);
        CHECK_BYTES(pieces, expected, LEN);
        free(pieces);
    }
    free(data);
    free(expected);
}

static void overlap_is_refused(void) {
    enum { LEN = 40 };
    unsigned char *buffer = blank(3 * LEN);
    for (size_t at = 0; at <= 2 * LEN; at++) {
        about("input at %d, output at %zu, both of %d bytes", LEN, at, LEN);
        /* Beside it, or just there: in place. */
        ptrdiff_t expected = at % LEN == 0 ? LEN : WSFRAME_ERROR_ARGUMENT;
        CHECK_EQ(wsframe_unmask(buffer + LEN, LEN, key, 0, buffer + at), expected);
        if (expected < 0)
            CHECK_UNTOUCHED(buffer, 3 * LEN);
        else
            memset(buffer, CANARY, 3 * LEN);
    }
    free(buffer);
}

static void wrong_arguments_are_refused(void) {
    unsigned char data[8], out[8];
    memset(data, CANARY, sizeof data);
    memset(out, CANARY, sizeof out);

    about("no bytes");
    CHECK_EQ(wsframe_unmask(NULL, 0, key, 0, NULL), 0);
    CHECK_EQ(wsframe_unmask(NULL, 0, key, 0, NULL), 0);
    CHECK_EQ(wsframe_unmask(data, 0, key, 0, NULL), 0);
    CHECK_EQ(wsframe_unmask(NULL, 0, key, 0, out), 0);
    about("data, in or out NULL");
    CHECK_EQ(wsframe_unmask(NULL, 8, key, 0, NULL), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_unmask(NULL, 8, key, 0, out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_unmask(data, 8, key, 0, NULL), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_unmask(NULL, 8, key, 0, NULL), WSFRAME_ERROR_ARGUMENT);
    about("key NULL");
    CHECK_EQ(wsframe_unmask(data, 8, NULL, 0, data), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_unmask(data, 0, NULL, 0, data), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_unmask(NULL, 0, NULL, 0, NULL), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_unmask(data, 8, NULL, 0, out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_unmask(NULL, 0, NULL, 0, NULL), WSFRAME_ERROR_ARGUMENT);
    about("len that nothing in memory has");
    CHECK_EQ(wsframe_unmask(data, SIZE_MAX, key, 0, data), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_unmask(data, (size_t)PTRDIFF_MAX + 1, key, 0, data), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_unmask(data, SIZE_MAX, key, 0, out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_unmask(data, (size_t)PTRDIFF_MAX + 1, key, 0, out), WSFRAME_ERROR_ARGUMENT);
    CHECK_UNTOUCHED(data, sizeof data);
    CHECK_UNTOUCHED(out, sizeof out);
}

int main(void) {
    the_example_of_the_rfc_is_unmasked();
    every_length_offset_and_alignment_is_like_naive();
    large_lengths_and_offsets_are_like_naive();
    bytes_behind_the_data_stay_untouched();
    in_two_pieces_is_like_whole();
    overlap_is_refused();
    wrong_arguments_are_refused();
    return passed();
}
