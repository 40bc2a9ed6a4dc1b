/* Functions of math.h for the few numbers that need no speed, by short series: nearly as exact, the same on every
 * platform, and without the tables, which weigh more than a decoder of pictures where the module is downloaded. */
#ifndef BASE_SERIES_H
#define BASE_SERIES_H

double series_sine(double x); /* sin(pi x) for small x */
double series_log(double x);  /* log(x), 0 < x < infinity */
double series_exp(double x);  /* exp(x), -1 <= x <= 1 */

#endif
