/* Pictures as a model reads them: a view at its size, normalised by its mean and standard deviation. */
#include <stdlib.h>

#include "base/error.h"
#include "base/parallel.h"
#include "image/image.h"
#include "weights.h"

static int pixels(const mudpt_clip *clip, const mudpt_image *image, const image_box *box, float *out) {
    int size = clip->config.image;
    uint8_t *rgb = malloc((size_t)size * (size_t)size * 3);
    if (!rgb) return fail_memory((size_t)size * (size_t)size * 3, "a picture at the model's size");
    int code = box ? mudpt_image_crop_view(image, box->top, box->left, box->height, box->width, box->flip, size, rgb)
                   : mudpt_image_test_view(image, &clip->config.transform, size, rgb);
    if (!code) mudpt_normalize(rgb, size, clip->config.mean, clip->config.std, out);
    free(rgb);
    return code;
}

int mudpt_clip_test_pixels(const mudpt_clip *clip, const mudpt_image *image, float *out) {
    if (live_check(clip, LIVE_CLIP)) return MUDPT_STATE;
    return pixels(clip, image, NULL, out);
}

typedef struct {
    const mudpt_clip *clip;
    const void *const *files;
    const size_t *bytes;
    int how;
    float *out;
    int32_t *codes;
} files_job;

static void test_file(void *context, int index, int thread) {
    (void)thread;
    const files_job *job = context;
    size_t side = (size_t)job->clip->config.image;
    mudpt_image *image = NULL;
    int code = mudpt_image_decode(job->files[index], job->bytes[index], job->how, &image);
    if (!code) code = mudpt_clip_test_pixels(job->clip, image, job->out + (size_t)index * 3 * side * side);
    mudpt_image_free(image);
    job->codes[index] = code;
}

void mudpt_clip_test_files(const mudpt_clip *clip, int count, const void *const *files, const size_t *bytes, int how,
                           float *out, int32_t *codes) {
    parallel_for(count, test_file, &(files_job){clip, files, bytes, how, out, codes});
}

int mudpt_clip_crop_pixels(const mudpt_clip *clip, const mudpt_image *image, int top, int left, int height, int width,
                           int flip, float *out) {
    image_box box = {top, left, height, width, flip};
    return pixels(clip, image, &box, out);
}

/* Numbers that tell pictures apart: of their size and some of their bytes. */
static uint64_t digest(const mudpt_image *image) {
    size_t count = (size_t)image->width * (size_t)image->height * 3, step = count / 256 + 1;
    uint64_t x = ((uint64_t)image->width << 32) + (uint64_t)image->height;
    for (size_t i = 0; i < count; i += step) x = (x ^ image->rgb[i]) * 0x100000001b3u; /* FNV-1a's prime */
    return x;
}

int mudpt_clip_random_pixels(const mudpt_clip *clip, const mudpt_image *image, float smallest_crop, uint32_t seed,
                             int view, float *out) {
    if (live_check(clip, LIVE_CLIP)) return MUDPT_STATE;
    if (!(smallest_crop > 0 && smallest_crop <= 1))
        return fail(MUDPT_ARGUMENT, "smallest crop %g; expected a share of the area above 0, at most 1",
                    (double)smallest_crop);
    rng r;
    rng_seed(&r, seed, digest(image) + (uint64_t)view);
    image_box box = image_random_box(image->width, image->height, smallest_crop, &r);
    return pixels(clip, image, &box, out);
}
