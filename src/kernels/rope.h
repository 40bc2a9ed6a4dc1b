/* Rotary positions: pairs of values turned by angles that belong to their row.
 *
 * A table's row is made for one head of a row: for every four values the cosines c0 c0 c1 c1, then the sines
 * -s0 s0 -s1 s1, so that y = x c + (x with its pairs swapped) s. All heads turn alike.
 */
#ifndef KERNELS_ROPE_H
#define KERNELS_ROPE_H

/* One row of a table for a place in a grid, table [2 head_width]: of each half of a head the pair i turns by
 * place * base^(-4 i / head_width), the first half by the column, the second by the row. head_width: a multiple of 4 */
void rope_row(float *table, int head_width, float base, int column, int row);

/* Turns x, `rows` rows of heads * head_width floats, `stride` apart, in place; backwards: by the opposite angles, which
 * is also what a gradient takes. Row i has row places[i] % period of table [period, 2 head_width]; places [rows], not
 * negative, or NULL: i. */
void rope_turn(float *x, int stride, int rows, int heads, int head_width, const float *table, const int *places,
               int period, int backwards);

#endif
