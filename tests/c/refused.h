/* REFUSED(call, code): a call of the library that must fail. */
#ifndef REFUSED_H
#define REFUSED_H

#include "check.h"
#include "mudpt.h"
#include <stddef.h>
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

/* A configuration in which one number cannot be. */
typedef struct {
    const char *what;
    size_t offset; /* of an int32_t in the configuration */
    int32_t value;
} wrong_field;

#define FIELD(name, value)                                                                                             \
    { #name " = " #value, offsetof(mudpt_clip_config, name), value }

/* No model is made of it, for this reason. */
static inline void check_wrong(const mudpt_clip_config *right, const wrong_field *wrong, int reason) {
    mudpt_clip_config config = *right;
    mudpt_clip *clip = NULL;
    memcpy((char *)&config + wrong->offset, &wrong->value, sizeof wrong->value);
    int code = mudpt_clip_create(&config, &clip);
    CHECK(code == reason && !clip, "%s: got code %d", wrong->what, code);
    mudpt_clip_free(clip);
}

#endif
