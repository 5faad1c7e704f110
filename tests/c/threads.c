/* Every function from several threads at once: rule 8 of the header. */

#include "wsframe.h"

#include <pthread.h>

#include "check.h"

enum { THREADS = 8, ROUNDS = 10000, LEN = 1000, HEADER_LEN = 8 };

/* What one thread works with. Each has something else: if they shared state they would see each other's answers. */
struct work {
    char key[24];
    unsigned char accept[28]; /* the answer to key, from before there were threads */
    unsigned char seed;
};

/* The shared checks count in one variable, so a thread returns what went wrong instead. */
#define EXPECT(condition) \
    if (!(condition))     \
    return #condition

static const char *use_every_function(const struct work *work) {
    const unsigned char key[4] = {work->seed, 0xfa, 0x21, 0x3d};
    unsigned char payload[LEN], frame[HEADER_LEN + LEN], out[LEN], accept[28];
    memset(payload, 'a' + work->seed, LEN);

    EXPECT(wsframe_version() == WSFRAME_VERSION);
    EXPECT(wsframe_close_code(WSFRAME_ERROR_UTF8) == 1007);
    EXPECT(strcmp(wsframe_strerror(WSFRAME_ERROR_UTF8), wsframe_strerror(WSFRAME_ERROR_SPACE)) != 0);
    EXPECT(wsframe_accept_key(work->key, sizeof work->key, accept, sizeof accept) == sizeof accept);
    EXPECT(memcmp(accept, work->accept, sizeof accept) == 0);

    wsframe_header sent = {0}, received;
    sent.payload_len = LEN;
    sent.opcode = WSFRAME_OPCODE_TEXT;
    sent.flags = WSFRAME_HEADER_FIN | WSFRAME_HEADER_MASK;
    memcpy(sent.mask_key, key, sizeof key);
    EXPECT(wsframe_header_build(&sent, frame, sizeof frame) == HEADER_LEN);
    EXPECT(wsframe_unmask_copy(payload, LEN, key, 0, frame + HEADER_LEN) == LEN);
    EXPECT(wsframe_header_parse(frame, sizeof frame, &received) == HEADER_LEN);
    EXPECT(received.payload_len == LEN);
    EXPECT(memcmp(received.mask_key, key, sizeof key) == 0);
    EXPECT(memcmp(frame + HEADER_LEN, payload, LEN) != 0);
    EXPECT(wsframe_unmask(frame + HEADER_LEN, LEN, received.mask_key, 0) == LEN);
    EXPECT(memcmp(frame + HEADER_LEN, payload, LEN) == 0);
    EXPECT(wsframe_utf8_check(frame + HEADER_LEN, LEN) == LEN);

    EXPECT(wsframe_frame_size(LEN - 4) == LEN);
    EXPECT(wsframe_frame_build(0x81, payload, LEN - 4, out, LEN) == LEN);
    EXPECT(memcmp(out + 4, payload, LEN - 4) == 0);
    return "";
}

static void *run(void *work) {
    const char *failed = "";
    for (int round = 0; round < ROUNDS && *failed == '\0'; round++)
        failed = use_every_function(work);
    return (void *)failed;
}

int main(void) {
    pthread_t threads[THREADS];
    struct work works[THREADS];
    for (unsigned char i = 0; i < THREADS; i++) {
        about("the answer for thread %d", i);
        works[i].seed = i;
        memcpy(works[i].key, "dGhlIHNhbXBsZSBub25jZQ==", sizeof works[i].key);
        works[i].key[0] = (char)('A' + i);
        CHECK_EQ(wsframe_accept_key(works[i].key, sizeof works[i].key, works[i].accept, sizeof works[i].accept), 28);
    }
    for (int i = 0; i < THREADS; i++) {
        about("thread %d", i);
        CHECK_EQ(pthread_create(&threads[i], NULL, run, &works[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        CHECK_EQ(pthread_join(threads[i], &failed), 0);
        about("thread %d: %s", i, (const char *)failed);
        CHECK(*(const char *)failed == '\0');
    }
    return passed();
}
