#include "error.h"

#include <pthread.h>
#include <stdarg.h>

#include "mudpt.h"
#include "format.h"

static char last_error[1024];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* tiles of one parallel_for may fail at once */

int fail(int code, const char *format, ...) {
    pthread_mutex_lock(&mutex);
    va_list arguments;
    va_start(arguments, format);
    format_list(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    /* Names come from files: keep the text one line. */
    for (char *c = last_error; *c; c++)
        if ((unsigned char)*c < 32) *c = ' ';
    pthread_mutex_unlock(&mutex);
    return code;
}

int fail_memory(uint64_t bytes, const char *what) {
    return fail(MUDPT_MEMORY,
                "out of memory: %s needs %llu bytes; use a smaller storage type, fewer classes or a smaller batch",
                what, (unsigned long long)bytes);
}

const char *mudpt_last_error(void) {
    return last_error;
}
