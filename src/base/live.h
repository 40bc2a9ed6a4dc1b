/* Handles that were given out and not freed: a call with any other is refused instead of obeyed. A handle's memory is
 * kept while others use it, so that its address cannot become another's meanwhile. One thread at a time calls.
 */
#ifndef BASE_LIVE_H
#define BASE_LIVE_H

typedef enum { LIVE_CLIP, LIVE_CLASSIFIER, LIVE_TRAINER } live_kind;

/* The first member of what is a handle. */
typedef struct live {
    struct live *next;
    live_kind kind;
} live;

void live_add(live *handle, live_kind kind);
void live_remove(live *handle);
int live_is(const void *handle, live_kind kind);
/* -> MUDPT_OK, MUDPT_STATE */
int live_check(const void *handle, live_kind kind);

#endif
