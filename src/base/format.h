/* What the library's texts need of printf, which weighs five times as much where the module is downloaded. */
#ifndef BASE_FORMAT_H
#define BASE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* As snprintf: %d %lld %u %zu %llu %x %c %s %g; a width, which a 0 may lead, of %u and %x; a precision of %s. %g has
 * six digits, of which the last is now and then the other of two that are as near. Returns the length that the text has
 * where there is room for all of it. */
int format_text(char *room, size_t bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));
int format_list(char *room, size_t bytes, const char *format, va_list values);

#endif
