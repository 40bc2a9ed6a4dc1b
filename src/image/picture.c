/* What the readers of all formats say of a file: its size, and why it is refused. */
#include "base/error.h"
#include "formats.h"
#include "mudpt.h"

int picture_size(picture *p, uint32_t width, uint32_t height) {
    if (width == 0 || height == 0)
        return fail(MUDPT_IMAGE, "%s of %u x %u pixels: there is nothing to see; fetch or save it again", p->kind,
                    (unsigned)width, (unsigned)height);
    if (width > MUDPT_MAX_IMAGE_SIDE || height > MUDPT_MAX_IMAGE_SIDE ||
        (uint64_t)width * height > MUDPT_MAX_IMAGE_PIXELS)
        return fail(MUDPT_IMAGE,
                    "%s of %u x %u pixels is too large: at most %d a side and %d in all; shrink the picture", p->kind,
                    (unsigned)width, (unsigned)height, MUDPT_MAX_IMAGE_SIDE, MUDPT_MAX_IMAGE_PIXELS);
    p->width = (int)width;
    p->height = (int)height;
    return MUDPT_OK;
}

int picture_cut_off(const picture *p) {
    return fail(MUDPT_IMAGE,
                "%s that is cut off: the file ends after %zu bytes, before the picture does; fetch or save it again",
                p->kind, p->bytes);
}

int picture_damaged(const picture *p, const char *what) {
    return fail(MUDPT_IMAGE, "damaged %s: %s; fetch or save it again", p->kind, what);
}

int picture_unsupported(const picture *p, const char *what) {
    return fail(MUDPT_IMAGE, "%s %s, which is not decoded here; save it as an ordinary JPEG or PNG", p->kind, what);
}

int picture_memory(const picture *p, size_t bytes) {
    return fail(MUDPT_MEMORY, "out of memory: a %s of %d x %d pixels needs %zu bytes more; shrink the picture", p->kind,
                p->width, p->height, bytes);
}
