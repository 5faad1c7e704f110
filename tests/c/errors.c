/* Version, error numbers, their sentences and close codes. */

#include "wsframe.h"

#include "check.h"

/* Numbers are part of the ABI, so they are written down here once more. */
static const struct {
    ptrdiff_t error;
    int number;
    int close_code;
} errors[] = {
    {WSFRAME_ERROR_ARGUMENT, -1, 0},      {WSFRAME_ERROR_STATE, -2, 0},        {WSFRAME_ERROR_SPACE, -3, 0},
    {WSFRAME_ERROR_MEMORY, -4, 1011},     {WSFRAME_ERROR_INTERNAL, -5, 1011},  {WSFRAME_ERROR_IO, -6, 0},
    {WSFRAME_ERROR_HANDSHAKE, -32, 0},    {WSFRAME_ERROR_PROTOCOL, -33, 1002}, {WSFRAME_ERROR_UTF8, -34, 1007},
    {WSFRAME_ERROR_TOO_BIG, -35, 1009},   {WSFRAME_ERROR_POLICY, -36, 1008},
};

static int is_error(ptrdiff_t number) {
    for (size_t i = 0; i < COUNT(errors); i++)
        if (errors[i].number == number)
            return 1;
    return 0;
}

static void header_and_library_have_one_version(void) {
    about("version");
    CHECK_EQ(wsframe_version(), WSFRAME_VERSION);
}

static void each_error_has_its_number_sentence_and_close_code(void) {
    for (size_t i = 0; i < COUNT(errors); i++) {
        about("error %d", errors[i].number);
        CHECK_EQ(errors[i].error, errors[i].number);
        CHECK_EQ(wsframe_close_code(errors[i].error), errors[i].close_code);
        CHECK(strlen(wsframe_strerror(errors[i].error)) > 0);
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(wsframe_strerror(errors[i].error), wsframe_strerror(errors[j].error)) != 0);
    }
}

static void check_no_error(ptrdiff_t number) {
    about("number %td", number);
    CHECK_EQ(wsframe_close_code(number), 0);
    /* One sentence for every count, another one for every unknown number, neither that of an error. */
    CHECK(strcmp(wsframe_strerror(number), wsframe_strerror(number < 0 ? PTRDIFF_MIN : 0)) == 0);
    for (size_t i = 0; i < COUNT(errors); i++)
        CHECK(strcmp(wsframe_strerror(number), wsframe_strerror(errors[i].error)) != 0);
}

static void every_other_number_has_a_sentence_too(void) {
    for (ptrdiff_t number = -300; number <= 300; number++)
        if (!is_error(number))
            check_no_error(number);
    check_no_error(PTRDIFF_MIN);
    check_no_error(PTRDIFF_MAX);
    /* As wide as the parameter: these are -1 and -33 if the upper half is lost. */
    if (sizeof(ptrdiff_t) > 4) {
        check_no_error((ptrdiff_t)INT64_C(0x00000000FFFFFFFF));
        check_no_error((ptrdiff_t)INT64_C(0x00000000FFFFFFDF));
    }
    CHECK(strcmp(wsframe_strerror(0), wsframe_strerror(PTRDIFF_MIN)) != 0);
}

int main(void) {
    header_and_library_have_one_version();
    each_error_has_its_number_sentence_and_close_code();
    every_other_number_has_a_sentence_too();
    return passed();
}
