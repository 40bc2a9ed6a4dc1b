/* Which shape of tile is faster here: no table of processors or engines can tell, so the first products take turns,
 * by the one shape and by the other, until enough has been measured (gemm_tile_panels is 0 so long). Products of floats
 * and of block integers are measured apart; what is known first decides for both, and for attention, since it is the
 * same property: registers that are more, or longer.
 */
#ifndef KERNELS_TRIAL_H
#define KERNELS_TRIAL_H

typedef enum { TRIAL_FLOATS, TRIAL_INTEGERS, TRIAL_KINDS } trial_kind;

/* Whether the next product's tiles are two panels wide. */
int trial_two_panels(trial_kind kind);
/* What tiles of the calling thread took, so many multiplications by one panel or two. */
void trial_count(trial_kind kind, int two, double seconds, double multiplications);
void trial_forget(void);

#endif
