/* The library's one error text: what was wrong, what was expected, what to do. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdint.h>

/* Keeps the text for mudpt_last_error and returns code, so that a caller writes `return fail(MUDPT_ARGUMENT, ...)`. */
int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for memory that could not be had. */
int fail_memory(uint64_t bytes, const char *what);

#endif
