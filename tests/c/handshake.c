/* Sec-WebSocket-Key to Sec-WebSocket-Accept. */

#include "wsframe.h"

#include "check.h"

enum { KEY_LEN = 24, ACCEPT_LEN = 28 };

#define RFC_KEY "dGhlIHNhbXBsZSBub25jZQ=="

static void keys_are_answered(void) {
    static const struct {
        const char *about, *key, *accept;
    } cases[] = {
        {"RFC 6455 section 1.3", RFC_KEY, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
        {"a key of zeroes", "AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="},
        {"a key of + and /", "+/+/+/+/+/+/+/+/+/+/+w==", "M0DUs3om0SqzerhOhYSMM7WQuBQ="},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        about("%s", cases[i].about);
        unsigned char *key = copy(cases[i].key, KEY_LEN);
        for (size_t more = 0; more < 3; more++) {
            unsigned char *out = blank(ACCEPT_LEN + more);
            CHECK_EQ(wsframe_accept_key(key, KEY_LEN, out, ACCEPT_LEN + more), ACCEPT_LEN);
            CHECK_BYTES(out, cases[i].accept, ACCEPT_LEN);
            CHECK_UNTOUCHED(out + ACCEPT_LEN, more);
            free(out);
        }
        CHECK_BYTES(key, cases[i].key, KEY_LEN);
        free(key);
    }
}

static void check_key(const void *key, size_t key_len, ptrdiff_t expected) {
    unsigned char *out = blank(ACCEPT_LEN);
    CHECK_EQ(wsframe_accept_key(key, key_len, out, ACCEPT_LEN), expected);
    if (expected < 0)
        CHECK_UNTOUCHED(out, ACCEPT_LEN);
    free(out);
}

static void keys_of_another_length_are_refused(void) {
    for (size_t len = 0; len <= 200; len++) {
        about("%zu times the letter A, which never is 16 bytes", len);
        unsigned char *key = blank(len);
        if (len > 0)
            memset(key, 'A', len);
        check_key(key, len, WSFRAME_ERROR_HANDSHAKE);
        free(key);
    }
    for (size_t len = 0; len < KEY_LEN; len++) {
        about("the first %zu bytes of a key", len);
        unsigned char *key = copy(RFC_KEY, len);
        check_key(key, len, WSFRAME_ERROR_HANDSHAKE);
        free(key);
    }
    about("a key and the NUL behind it");
    check_key(RFC_KEY, KEY_LEN + 1, WSFRAME_ERROR_HANDSHAKE);
    about("no key");
    check_key(NULL, 0, WSFRAME_ERROR_HANDSHAKE);
}

/* Which bytes may stand where in the base64 of 16 bytes (RFC 4648 section 4). At position 21 the lower four bits mean
   nothing, and need not be 0: in RFC 6455 section 4.1 they are not. */
static const char *allowed_at(size_t position) {
    if (position >= 22)
        return "=";
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

static void every_byte_at_every_position_is_judged(void) {
    unsigned char *key = copy(RFC_KEY, KEY_LEN);
    for (size_t position = 0; position < KEY_LEN; position++) {
        for (int byte = 0; byte <= 255; byte++) {
            about("byte %02X at position %zu", byte, position);
            key[position] = (unsigned char)byte;
            int allowed = byte != 0 && strchr(allowed_at(position), byte) != NULL;
            check_key(key, KEY_LEN, allowed ? ACCEPT_LEN : WSFRAME_ERROR_HANDSHAKE);
        }
        key[position] = (unsigned char)RFC_KEY[position];
    }
    free(key);
}

static void small_buffers_stay_untouched(void) {
    for (size_t cap = 0; cap < ACCEPT_LEN; cap++) {
        about("out_cap %zu", cap);
        unsigned char *out = blank(cap);
        CHECK_EQ(wsframe_accept_key(RFC_KEY, KEY_LEN, out, cap), WSFRAME_ERROR_SPACE);
        CHECK_UNTOUCHED(out, cap);
        free(out);
    }
    about("out NULL, out_cap 0");
    CHECK_EQ(wsframe_accept_key(RFC_KEY, KEY_LEN, NULL, 0), WSFRAME_ERROR_SPACE);
}

static void wrong_arguments_are_refused(void) {
    about("key NULL");
    check_key(NULL, 1, WSFRAME_ERROR_ARGUMENT);
    check_key(NULL, KEY_LEN, WSFRAME_ERROR_ARGUMENT);
    check_key(NULL, SIZE_MAX, WSFRAME_ERROR_ARGUMENT);
    about("out NULL");
    CHECK_EQ(wsframe_accept_key(RFC_KEY, KEY_LEN, NULL, 1), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_accept_key(RFC_KEY, KEY_LEN, NULL, ACCEPT_LEN), WSFRAME_ERROR_ARGUMENT);
    about("lengths that nothing in memory has");
    check_key(RFC_KEY, SIZE_MAX, WSFRAME_ERROR_ARGUMENT);
    check_key(RFC_KEY, (size_t)PTRDIFF_MAX + 1, WSFRAME_ERROR_ARGUMENT);
    unsigned char *out = blank(ACCEPT_LEN);
    CHECK_EQ(wsframe_accept_key(RFC_KEY, KEY_LEN, out, SIZE_MAX), WSFRAME_ERROR_ARGUMENT);
    CHECK_UNTOUCHED(out, ACCEPT_LEN);
    free(out);
}

int main(void) {
    keys_are_answered();
    keys_of_another_length_are_refused();
    every_byte_at_every_position_is_judged();
    small_buffers_stay_untouched();
    wrong_arguments_are_refused();
    return passed();
}
