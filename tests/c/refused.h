/* REFUSED(call, code): a call of the library that must fail. */
#ifndef REFUSED_H
#define REFUSED_H

#include "check.h"
#include "mudpt.h"
#include <string.h>

/* A refusal has the code and one line of text without a full stop at the end. */
static inline void refused(int line, const char *what, int got, int want) {
    const char *text = mudpt_last_error();
    size_t length = strlen(text);
    CHECK(got == want, "line %d, %s: got code %d (%s), expected %d", line, what, got, text, want);
    CHECK(got >= 0 || (length > 10 && !strchr(text, '\n') && text[length - 1] != '.'),
          "line %d, %s: the text is \"%s\"", line, what, text);
}

#define REFUSED(call, code) refused(__LINE__, #call, call, code)

#endif
