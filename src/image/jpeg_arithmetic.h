/* The arithmetic between a JPEG's coefficients and its pixels, rounded exactly as libjpeg rounds by default.
 *
 * The standard leaves the rounding open. CLIP's Python code reads pictures through libjpeg, and a unit more or less on
 * the pixels moves the losses of a training run by several hundredths before its end; so these functions take the place
 * of stb_image's own. Their signatures are those of its kernels.
 */
#ifndef IMAGE_JPEG_ARITHMETIC_H
#define IMAGE_JPEG_ARITHMETIC_H

#include <stdint.h>

/* out: 8 rows of 8 samples, `stride` bytes from row to row; coefficients in natural order, dequantised. The accurate
 * integer transform: Loeffler, Ligtenberg and Moshovitz 1989, 13 fractional bits, 2 more kept between the passes. */
void jpeg_inverse_dct(uint8_t *out, int stride, short coefficients[64]);

/* One output row [2 width] of a component with half the columns and half the rows (across_down) or half the columns
 * (across): weights 3/4 and 1/4 for the nearer and the farther sample. near [width] is the nearer row, far the
 * other. */
uint8_t *jpeg_double_across_down(uint8_t *out, uint8_t *near, uint8_t *far, int width, int factor);
uint8_t *jpeg_double_across(uint8_t *out, uint8_t *near, uint8_t *far, int width, int factor);

/* out: `count` pixels of `step` bytes, R G B first and 255 where there is a fourth. */
void jpeg_to_rgb(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int count, int step);

#endif
