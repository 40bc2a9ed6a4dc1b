#include "live.h"

#include <stddef.h>

#include "mudpt.h"
#include "error.h"

static live *first;

void live_add(live *handle, live_kind kind) {
    *handle = (live){.next = first, .kind = kind};
    first = handle;
}

void live_remove(live *handle) {
    live **at = &first;
    while (*at && *at != handle) at = &(*at)->next;
    if (*at) *at = handle->next;
}

int live_is(const void *handle, live_kind kind) {
    const live *h = first;
    while (h && (const void *)h != handle) h = h->next;
    return h && h->kind == kind;
}

int live_check(const void *handle, live_kind kind) {
    static const char *const names[] = {"model", "classifier", "trainer"};
    if (live_is(handle, kind)) return MUDPT_OK;
    return fail(MUDPT_STATE, "there is no such %s, or it has been freed; make another", names[kind]);
}
