#include "format.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    char *room;
    size_t bytes, length;
} sink;

static void put(sink *s, char c) {
    if (s->length + 1 < s->bytes) s->room[s->length] = c;
    s->length++;
}

static void put_text(sink *s, const char *text, int most) {
    while (*text && most-- != 0) put(s, *text++);
}

static void put_number(sink *s, uint64_t value, unsigned base, int width, char pad) {
    char digits[20];
    int count = 0;
    do digits[count++] = "0123456789abcdef"[value % base];
    while (value /= base);
    for (; width > count; width--) put(s, pad);
    while (count) put(s, digits[--count]);
}

static void put_signed(sink *s, int64_t value) {
    if (value < 0) put(s, '-');
    put_number(s, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, 0, ' ');
}

/* %g: six digits, without zeros at the end. */
static void put_real(sink *s, double value) {
    if (value < 0) put(s, '-');
    value = fabs(value);
    if (!(value <= 1.7976931348623157e308)) {
        put_text(s, value != value ? "nan" : "inf", -1);
        return;
    }
    int exponent = 0, digits = 1;
    if (value > 0) {
        while (value >= 1e6) value /= 10, exponent++;
        while (value < 1e5) value *= 10, exponent--;
    }
    uint32_t six = (uint32_t)nearbyint(value);
    if (six == 1000000) six /= 10, exponent++;
    exponent += six ? 5 : 0;
    for (uint32_t rest = six, unit = 100000; rest %= unit; unit /= 10) digits++;
    bool scientific = exponent < -4 || exponent > 5;
    int before = scientific ? 1 : exponent + 1; /* digits before the point */
    uint32_t unit = 100000;
    if (before < 1) put_text(s, "0.0000", 2 - before);
    for (int i = 0; i < digits || i < before; i++, unit /= 10) {
        if (i > 0 && i == before) put(s, '.');
        put(s, (char)('0' + six / unit % 10));
    }
    if (!scientific) return;
    put(s, 'e');
    put(s, exponent < 0 ? '-' : '+');
    put_number(s, (uint64_t)(exponent < 0 ? -exponent : exponent), 10, 2, '0');
}

int format_list(char *room, size_t bytes, const char *format, va_list values) {
    sink s = {room, bytes, 0};
    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            put(&s, *f);
            continue;
        }
        char pad = *++f == '0' ? '0' : ' ';
        int width = 0, most = -1, longs = 0;
        for (; *f >= '0' && *f <= '9'; f++) width = 10 * width + *f - '0';
        if (*f == '.')
            for (most = 0, f++; *f >= '0' && *f <= '9'; f++) most = 10 * most + *f - '0';
        for (; *f == 'l' || *f == 'z'; f++) longs++; /* size_t is as long as long */
        bool wide = longs * sizeof(long) >= sizeof(int64_t);
        switch (*f) {
        case 'd': put_signed(&s, wide ? va_arg(values, long long) : va_arg(values, int)); break;
        case 'u':
        case 'x':
            put_number(&s, wide ? va_arg(values, unsigned long long) : va_arg(values, unsigned), *f == 'x' ? 16 : 10,
                       width, pad);
            break;
        case 'c': put(&s, (char)va_arg(values, int)); break;
        case 's': put_text(&s, va_arg(values, const char *), most); break;
        case 'g': put_real(&s, va_arg(values, double)); break;
        default: put(&s, *f);
        }
    }
    if (bytes) room[s.length < bytes ? s.length : bytes - 1] = 0;
    return (int)s.length;
}

int format_text(char *room, size_t bytes, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int length = format_list(room, bytes, format, values);
    va_end(values);
    return length;
}
