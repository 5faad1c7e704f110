/* What the test programs share: checks that are counted; the first that fails says what it saw and ends the program. */

#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) check((condition) ? 1 : 0, __FILE__, __LINE__, #condition)
#define CHECK_EQ(actual, expected) \
    check_eq((intmax_t)(actual), (intmax_t)(expected), __FILE__, __LINE__, #actual, #expected)
#define CHECK_BYTES(actual, expected, len) check_bytes(actual, expected, len, __FILE__, __LINE__, #actual)
#define CHECK_UNTOUCHED(data, len) check_untouched(data, len, __FILE__, __LINE__, #data)

/* A string literal of bytes and how many they are, without the NUL. */
#define BYTES(literal) literal, sizeof(literal) - 1

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What an output buffer is filled with, to see which bytes were written. */
enum { CANARY = 0xCA };

static unsigned long check_count;
static char check_case[200];

/* Says what the next checks are about; a failing one prints it. */
static inline void about(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(check_case, sizeof check_case, format, values);
    va_end(values);
}

static inline void check_failed(const char *file, int line, const char *format, ...) {
    va_list values;
    va_start(values, format);
    fprintf(stderr, "%s:%d: %s: ", file, line, check_case);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    exit(EXIT_FAILURE);
}

static inline void check(int holds, const char *file, int line, const char *condition) {
    check_count++;
    if (!holds)
        check_failed(file, line, "%s does not hold", condition);
}

static inline void check_eq(intmax_t actual, intmax_t expected, const char *file, int line, const char *expression,
                            const char *expectation) {
    check_count++;
    if (actual != expected)
        check_failed(file, line, "%s is %" PRIdMAX ", but %s is %" PRIdMAX, expression, actual, expectation, expected);
}

static inline void check_bytes(const void *actual, const void *expected, size_t len, const char *file, int line,
                               const char *expression) {
    const unsigned char *a = actual, *e = expected;
    check_count++;
    for (size_t i = 0; i < len; i++)
        if (a[i] != e[i])
            check_failed(file, line, "byte %zu of %s is %02X, not %02X", i, expression, a[i], e[i]);
}

static inline void check_untouched(const void *data, size_t len, const char *file, int line, const char *expression) {
    const unsigned char *bytes = data;
    check_count++;
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != CANARY)
            check_failed(file, line, "byte %zu of %s was overwritten with %02X", i, expression, bytes[i]);
}

/* Exactly len bytes of canary: memory checkers see the first byte read or written behind them. */
static inline unsigned char *blank(size_t len) {
    unsigned char *bytes = malloc(len);
    if (bytes == NULL && len > 0)
        check_failed(__FILE__, __LINE__, "no memory for %zu bytes", len);
    if (len > 0)
        memset(bytes, CANARY, len);
    return bytes;
}

/* A copy of the len bytes at data that likewise ends where they end. */
static inline unsigned char *copy(const void *data, size_t len) {
    unsigned char *bytes = blank(len);
    if (len > 0)
        memcpy(bytes, data, len);
    return bytes;
}

/* len bytes that differ from their neighbours, in a way that does not repeat every 2, 4, 8 ... bytes. */
static inline unsigned char *numbered(size_t len) {
    unsigned char *bytes = blank(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    return bytes;
}

/* What main() returns. tests/c_api.rs reads the count: a program that checks nothing has not passed. */
static inline int passed(void) {
    printf("%lu checks\n", check_count);
    return EXIT_SUCCESS;
}

#endif
