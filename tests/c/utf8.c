/* UTF-8 as RFC 3629 defines it, whole and cut inside a character. */

#include "wsframe.h"

#include "check.h"

/* RFC 3629 section 4. A third and fourth byte are always 80..BF. */
static const struct {
    unsigned char first_low, first_high, second_low, second_high;
    size_t len;
} forms[] = {
    {0x00, 0x7F, 0x00, 0x00, 1}, {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
    {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
    {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

/* The length of the character that text starts with, 0 if it is cut short by len, or the error. */
static ptrdiff_t character(const unsigned char *text, size_t len) {
    for (size_t i = 0; i < COUNT(forms); i++) {
        if (text[0] < forms[i].first_low || text[0] > forms[i].first_high)
            continue;
        for (size_t at = 1; at < forms[i].len; at++) {
            if (at == len)
                return 0;
            unsigned char low = at == 1 ? forms[i].second_low : 0x80, high = at == 1 ? forms[i].second_high : 0xBF;
            if (text[at] < low || text[at] > high)
                return WSFRAME_ERROR_UTF8;
        }
        return (ptrdiff_t)forms[i].len;
    }
    return WSFRAME_ERROR_UTF8;
}

static ptrdiff_t naive(const unsigned char *text, size_t len) {
    size_t whole = 0;
    while (whole < len) {
        ptrdiff_t next = character(text + whole, len - whole);
        if (next < 0)
            return next;
        if (next == 0)
            break;
        whole += (size_t)next;
    }
    return (ptrdiff_t)whole;
}

/* The text ends where the memory ends. */
static ptrdiff_t check_text(const void *text, size_t len) {
    unsigned char *in = copy(text, len);
    ptrdiff_t whole = wsframe_utf8_check(in, len);
    free(in);
    return whole;
}

static void examples_are_judged(void) {
    static const struct {
        const char *about, *text;
        size_t len;
        ptrdiff_t expected;
    } cases[] = {
        {"Hello", BYTES("Hello"), 5},
        {"a NUL, which is a character", BYTES("a\0b"), 3},
        {"2, 3 and 4 bytes", BYTES("\xC2\xA2\xE2\x82\xAC\xF0\x90\x8D\x88"), 9},
        {"U+FEFF, U+FFFE and U+FFFF", BYTES("\xEF\xBB\xBF\xEF\xBF\xBE\xEF\xBF\xBF"), 9},
        {"U+10FFFF, the last one", BYTES("\xF4\x8F\xBF\xBF"), 4},
        {"euro, 2 of 3 bytes", BYTES("1 \xE2\x82"), 2},
        {"U+10348, 3 of 4 bytes", BYTES("\xF0\x90\x8D"), 0},
        {"a continuation byte alone", BYTES("a\x80"), WSFRAME_ERROR_UTF8},
        {"an over-long slash", BYTES("\xC0\xAF"), WSFRAME_ERROR_UTF8},
        {"the start of an over-long euro", BYTES("\xF0\x82"), WSFRAME_ERROR_UTF8},
        {"a surrogate", BYTES("\xED\xA0\x80"), WSFRAME_ERROR_UTF8},
        {"the start of a surrogate", BYTES("\xED\xA0"), WSFRAME_ERROR_UTF8},
        {"U+110000", BYTES("\xF4\x90\x80\x80"), WSFRAME_ERROR_UTF8},
        {"the start of U+110000", BYTES("\xF4\x90"), WSFRAME_ERROR_UTF8},
        {"a character cut short by another", BYTES("\xE2\x82" "a"), WSFRAME_ERROR_UTF8},
        {"a byte that is never used", BYTES("\xFF"), WSFRAME_ERROR_UTF8},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        about("%s", cases[i].about);
        CHECK_EQ(naive((const unsigned char *)cases[i].text, cases[i].len), cases[i].expected);
        CHECK_EQ(check_text(cases[i].text, cases[i].len), cases[i].expected);
    }
}

/* A byte from each range that the rules tell apart, at both of its ends: together they reach every branch. */
static const unsigned char kinds[] = {
    0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0,
    0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
};

static void every_combination_is_like_naive(void) {
    /* Alone, and behind text that is long enough for the fast path. */
    enum { LEN = 4, BEHIND = 100 };
    unsigned char text[BEHIND + LEN];
    memset(text, 'a', sizeof text);
    unsigned char *tail = text + BEHIND;
    for (size_t a = 0; a < COUNT(kinds); a++)
        for (size_t b = 0; b < COUNT(kinds); b++)
            for (size_t c = 0; c < COUNT(kinds); c++)
                for (size_t d = 0; d < COUNT(kinds); d++) {
                    tail[0] = kinds[a], tail[1] = kinds[b], tail[2] = kinds[c], tail[3] = kinds[d];
                    about("%02X %02X %02X %02X", tail[0], tail[1], tail[2], tail[3]);
                    ptrdiff_t expected = naive(tail, LEN);
                    CHECK_EQ(wsframe_utf8_check(tail, LEN), expected);
                    CHECK_EQ(wsframe_utf8_check(text, sizeof text), expected < 0 ? expected : BEHIND + expected);
                }
}

/* Every place to cut a text of all lengths of characters, near and far from its start. */
static void a_cut_text_is_counted_up_to_the_last_whole_character(void) {
    static const char text[] = "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xF0\x90\x8D\x88 plain \xE2\x82\xAC";
    for (size_t times = 1; times <= 20; times += 19) {
        size_t len = times * (sizeof text - 1);
        unsigned char *repeated = blank(len);
        for (size_t i = 0; i < times; i++)
            memcpy(repeated + i * (sizeof text - 1), text, sizeof text - 1);
        for (size_t cut = 0; cut <= len; cut++) {
            about("%zu of %zu bytes", cut, len);
            ptrdiff_t whole = check_text(repeated, cut);
            CHECK_EQ(whole, naive(repeated, cut));
            CHECK(cut - (size_t)whole <= 3);
        }
        CHECK_EQ(check_text(repeated, len), len);
        free(repeated);
    }
}

static void one_wrong_byte_is_found_anywhere(void) {
    enum { LEN = 300 };
    unsigned char text[LEN];
    memset(text, 'a', LEN);
    for (size_t at = 0; at < LEN; at++) {
        about("a wrong byte at %zu", at);
        text[at] = 0xFF;
        CHECK_EQ(check_text(text, LEN), WSFRAME_ERROR_UTF8);
        text[at] = 'a';
    }
    CHECK_EQ(check_text(text, LEN), LEN);
}

static void wrong_arguments_are_refused(void) {
    about("in NULL");
    CHECK_EQ(wsframe_utf8_check(NULL, 0), 0);
    CHECK_EQ(wsframe_utf8_check(NULL, 1), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_utf8_check(NULL, SIZE_MAX), WSFRAME_ERROR_ARGUMENT);
    about("len that nothing in memory has");
    CHECK_EQ(wsframe_utf8_check("a", SIZE_MAX), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_utf8_check("a", (size_t)PTRDIFF_MAX + 1), WSFRAME_ERROR_ARGUMENT);
}

int main(void) {
    examples_are_judged();
    every_combination_is_like_naive();
    a_cut_text_is_counted_up_to_the_last_whole_character();
    one_wrong_byte_is_found_anywhere();
    wrong_arguments_are_refused();
    return passed();
}
