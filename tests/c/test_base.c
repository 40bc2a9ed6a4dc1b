/* What stands in for the C library where the module is downloaded, beside the C library: texts and short series. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/format.h"
#include "base/rng.h"
#include "base/series.h"
#include "check.h"

static char ours[256], theirs[256];
static rng numbers;

#define SAME(room, ...)                                                                                                \
    do {                                                                                                               \
        memset(ours, 'x', sizeof ours);                                                                                \
        memset(theirs, 'x', sizeof theirs);                                                                            \
        int own = format_text(ours, room, __VA_ARGS__), right = snprintf(theirs, room, __VA_ARGS__);                   \
        CHECK(own == right && !memcmp(ours, theirs, sizeof ours), "\"%.99s\" (%d), expected \"%.99s\" (%d)", ours,     \
              own, theirs, right);                                                                                     \
    } while (0)

static void check_texts(void) {
    SAME(256, "plain, 100 %% of it");
    SAME(256, "%d, %d, %d, %d", 0, 7, INT32_MIN, INT32_MAX);
    SAME(256, "%u %zu %lld %lld %llu", UINT32_MAX, SIZE_MAX, (long long)INT64_MIN, (long long)INT64_MAX,
         (unsigned long long)UINT64_MAX);
    SAME(256, "%08x%08x %02x %x|%3u", 0xbeefu, 0u, 0xau, 0xdeadbeefu, 5u);
    SAME(256, "%s|%.4s|%.40s|%c|", "caf\xc3\xa9", "longer", "short", '!');
    char *volatile small = "does not fit";
    for (size_t room = 0; room < 16; room++) SAME(room, "%s", small);
}

static void check_reals(void) {
    const double values[] = {0,        1,        -1,      0.1,    1.5,      -0.0001,   0.00001, 123456,
                             1234567,  999999.5, 99999.9, 1e5,    1e6,      100001,    120000,  3.4e38,
                             -3.4e38,  1e-45,    1e300,   5e-324, 65504,    65520,     0.001,   2.5e-10,
                             20.00001, 1.0 / 3,  1e22,    1e23,   INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) SAME(256, "holds %g; expected", values[i]);
    rng_seed(&numbers, 1, 0);
    for (int i = 0; i < 20000; i++) {
        /* What a float may hold, of every size. */
        float value = ldexpf((float)rng_uniform(&numbers) - 0.5f, (int)(rng_uniform(&numbers) * 250) - 125);
        SAME(256, "%g", (double)value);
    }
}

static void near(const char *what, double x, double got, double right, double allowed) {
    CHECK(fabs(got - right) <= allowed, "%s(%.17g) is %.17g, expected %.17g", what, x, got, right);
}

static void check_series(void) {
    const double pi = 3.14159265358979323846;
    rng_seed(&numbers, 2, 0);
    for (int i = 0; i < 20000; i++) {
        double u = rng_uniform(&numbers), x = 2 * u - 1,
               wide = ldexp(u + 1e-9, (int)(rng_uniform(&numbers) * 200) - 100);
        near("sine", 3 * x, series_sine(3 * x), sin(pi * 3 * x), 2e-15);
        near("log", wide, series_log(wide), log(wide), 1e-15 * fabs(log(wide)));
        near("log", 1 - u, series_log(1 - u), log(1 - u), 1e-15 * fabs(log(1 - u)));
        near("exp", x, series_exp(x), exp(x), 2e-15 * exp(x));
    }
    near("log", 1, series_log(1), 0, 0);
    near("log", 1 - ldexp(1, -53), series_log(1 - ldexp(1, -53)), -ldexp(1, -53), 1e-31);
    near("log", ldexp(1, -53), series_log(ldexp(1, -53)), -53 * log(2), 1e-14);
    for (int k = -6; k <= 6; k++)
        near("sine", k / 2.0, series_sine(k / 2.0), k % 2 ? (k % 4 + 4) % 4 == 1 ? 1 : -1 : 0, 3e-16);
}

int main(void) {
    check_texts();
    check_reals();
    check_series();
    return check_report();
}
