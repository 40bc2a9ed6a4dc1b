/* One pool of threads and one way to use it: parallel_for over tiles that do not depend on the number of threads.
 *
 * Tiles are claimed one by one, so a busy core does not hold up the rest; which thread runs a tile must not influence
 * its result. Not re-entrant: a body must not call parallel_for.
 */
#ifndef BASE_PARALLEL_H
#define BASE_PARALLEL_H

#include <stddef.h>

/* thread: 0 ... parallel_threads()-1, for scratch memory. */
typedef void (*parallel_body)(void *context, int index, int thread);

/* Sets the number of threads, the caller's included. -> MUDPT_OK, MUDPT_ARGUMENT, or MUDPT_MEMORY when threads cannot
 * be started (then as many run as before). */
int parallel_start(int threads);
int parallel_threads(void);

/* Runs body for index 0 ... count-1; returns when all are done. */
void parallel_for(int count, parallel_body body, void *context);

/* Makes parallel_scratch(t) hold at least `bytes` for every thread; keeps what is larger. -> MUDPT_OK, MUDPT_MEMORY */
int parallel_reserve(size_t bytes);
void *parallel_scratch(int thread);  /* aligned to 64 */
size_t parallel_scratch_bytes(void); /* of each thread */

#endif
