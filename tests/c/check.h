/* Checks for small test programs: CHECK and CHECK_CLOSE count and go on, check_report ends main.
 *
 *   int main(void) { CHECK(1 + 1 == 2, "sum is %d", 1 + 1); return check_report(); }
 */
#ifndef CHECK_H
#define CHECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int checks_passed, checks_failed;

/* condition, then what to print when it does not hold */
#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (condition) {                                                                                               \
            checks_passed++;                                                                                           \
        } else if (++checks_failed <= 50) {                                                                            \
            printf("FAIL %s:%d: ", __FILE__, __LINE__);                                                                \
            printf(__VA_ARGS__);                                                                                       \
            printf("\n");                                                                                              \
        }                                                                                                              \
    } while (0)

/* |got - want| <= tolerance; NaN fails. Then what to print beside the numbers. */
#define CHECK_CLOSE(got, want, tolerance, ...)                                                                         \
    do {                                                                                                               \
        double check_got = (got), check_want = (want), check_tolerance = (tolerance);                                  \
        int check_ok = fabs(check_got - check_want) <= check_tolerance;                                                \
        CHECK(check_ok, __VA_ARGS__);                                                                                  \
        if (!check_ok && checks_failed <= 50)                                                                          \
            printf("     got %.9g, expected %.9g within %.3g\n", check_got, check_want, check_tolerance);              \
    } while (0)

/* Under sanitizers, what runs the same lines on memory of the same sizes once more, with other numbers, is
 * left to the build without them, unless MUDPT_LONG is set (./run soak sanitizers). */
static inline int is_short(void) {
#ifdef MUDPT_SANITIZED
    return !getenv("MUDPT_LONG");
#else
    return 0;
#endif
}

/* Prints the last line; main's return value. */
static inline int check_report(void) {
    printf("%d passed, %d failed\n", checks_passed, checks_failed);
    return checks_failed ? 1 : 0;
}

#endif
