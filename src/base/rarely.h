/* For files that are compiled for speed, as the module is downloaded. RARELY in front of a function: it takes no time
 * worth mentioning, so it is compiled for size. ONCE: it does much for a call, so there is no use in copies of it where
 * it is called; nor is it compiled for size where its caller is. */
#ifndef BASE_RARELY_H
#define BASE_RARELY_H

#ifdef __clang__
#define RARELY __attribute__((minsize))
#else
#define RARELY
#endif

#define ONCE __attribute__((noinline))

#endif
