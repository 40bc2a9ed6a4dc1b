#include "series.h"

#include <math.h>

static const double PI = 3.141592653589793, LN_2 = 0.6931471805599453, SQRT_HALF = 0.7071067811865476;

double series_sine(double x) {
    double whole = nearbyint(x), y = PI * (x - whole), square = y * y, term = y, sum = y;
    for (int k = 2; k < 24; k += 2) sum += term *= -square / (k * (k + 1));
    return 2 * nearbyint(whole / 2) != whole ? -sum : sum;
}

double series_log(double x) {
    int exponent;
    double m = frexp(x, &exponent);
    if (m < SQRT_HALF) {
        m *= 2;
        exponent--;
    }
    /* log(m) = 2 artanh s */
    double s = (m - 1) / (m + 1), square = s * s, sum = 0;
    for (int k = 21; k > 0; k -= 2) sum = sum * square + 1.0 / k;
    return exponent * LN_2 + 2 * s * sum;
}

double series_exp(double x) {
    double term = 1, sum = 0;
    for (int k = 1; k < 20; k++) sum += term *= x / k;
    return 1 + sum;
}
