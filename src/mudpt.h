/* mudpt: CLIP and prompt tuning of CLIP, as a small C library.
 *
 * What it is for: classify pictures by class names with a frozen CLIP, and teach it those classes from a few pictures
 * each by training prompt tokens (zero-shot, IVLP, MuDPT, ...).
 * What it refuses to do: it reads no files, opens no sockets, prints nothing, never exits or aborts.
 *
 *   mudpt_clip_create -> mudpt_clip_tensor_begin / _bytes / _end for every tensor -> mudpt_clip_finish
 *   mudpt_classifier_create -> mudpt_classifier_init -> mudpt_classifier_logits
 *   mudpt_trainer_create -> mudpt_trainer_add ... -> mudpt_trainer_step until MUDPT_DONE
 *
 * Every function that can fail returns one of the codes below; mudpt_last_error() then says what was wrong, what was
 * expected and what to do. Where a function fails, its handles stay valid and its outputs are left as they were, except
 * where its comment says otherwise. Calls must not overlap: one thread at a time uses the library, which itself works
 * on as many threads as mudpt_set_threads allows. A handle of a model, classifier or trainer that was freed, or is
 * none, is MUDPT_STATE, or 0 where a function has no code; what is freed while others use it goes with the last of
 * them. A classifier has one trainer at a time, and while a step is under way (MUDPT_MORE) it does nothing else.
 *
 * Shapes: N classes, e embedding width, d_t / d_v text / vision width, n prompt tokens, J layers that get prompts. All
 * arrays are dense and row-major.
 */
#ifndef MUDPT_H
#define MUDPT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MUDPT_OK = 0,
    MUDPT_DONE = 1,        /* the training run is complete: there is no further step */
    MUDPT_SKIP = 2,        /* this tensor is not needed: its bytes need not be sent */
    MUDPT_MORE = 3,        /* a part of a step is done: go on with the next */
    MUDPT_ARGUMENT = -1,   /* a value outside its range; the text lists what is valid */
    MUDPT_MEMORY = -2,     /* out of memory; the text says how many bytes were wanted */
    MUDPT_MODEL = -3,      /* weights that are missing, foreign, misshapen or not finite */
    MUDPT_IMAGE = -4,      /* a picture that cannot be decoded, or is too large */
    MUDPT_NOT_FINITE = -5, /* NaN or infinity appeared; the text says where. In training the last good parameters are
                              kept */
    MUDPT_STATE = -6       /* called in the wrong order */
};

/* Storage types of weights, and element types of tensors that are sent. */
enum {
    MUDPT_F32 = 0,
    MUDPT_F16 = 1,
    MUDPT_I8 = 2,
    MUDPT_BF16 = 3, /* only sent, never stored */
    MUDPT_I16 = 4   /* integers of 15 bits; like MUDPT_I8's with a scale per output channel */
};

/* The nonlinearity of a tower's blocks (kernels/activation.h). */
enum { MUDPT_QUICK_GELU = 0, MUDPT_GELU = 1, MUDPT_GELU_TANH = 2 };

/* Which rows that leave a tower's last block become its feature. */
enum {
    MUDPT_POOL_TOKEN = 0,     /* one: of a picture CLS, of a sentence its last token, end of text */
    MUDPT_POOL_MEAN = 1,      /* pictures: the mean of all patches */
    MUDPT_POOL_ATTENTION = 2, /* pictures: what a learned probe's attention takes from CLS and patches, then an MLP */
    MUDPT_POOL_LAST = 3       /* sentences: the context's last row, whatever stands there */
};

/* Arithmetic of the products with the blocks' matrices. */
enum {
    MUDPT_HIGH = 0, /* f32 */
    MUDPT_FAST = 1, /* block integers of 12 to 16 bits (kernels/integer.h), less than TF32's error; all else is f32 */
    MUDPT_INT8 = 2  /* the same of 8 bits, forward alone; in builds that have it (kernels/gemm.h), unknown in others */
};

/* What is sent of a model's text side. */
enum {
    MUDPT_TEXT_WHOLE = 0,
    MUDPT_TEXT_ROWS = 1, /* all but the token embedding, whose rows are given one by one as sentences need them */
    MUDPT_TEXT_NONE = 2  /* no matrix of the text tower: classifiers must be given their text features */
};

/* What a picture is resized to, before a square in its middle is taken. */
enum {
    MUDPT_FIT_SHORTEST = 0, /* its shorter side to a length */
    MUDPT_FIT_LONGEST = 1,  /* its longer side to a length */
    MUDPT_FIT_EXACT = 2,    /* to a height and a width, whatever its shape */
    MUDPT_FIT_NONE = 3      /* not resized */
};

/* Filters, which are PIL's. */
enum { MUDPT_BICUBIC = 0, MUDPT_BILINEAR = 1, MUDPT_LANCZOS = 2, MUDPT_BOX = 3, MUDPT_HAMMING = 4, MUDPT_NEAREST = 5 };

/* Limits that no input can overrun. */
enum {
    MUDPT_MAX_THREADS = 64,
    MUDPT_MAX_IMAGE_SIDE = 32768,     /* pixels a side of a picture */
    MUDPT_MAX_IMAGE_PIXELS = 1 << 27, /* pixels in all of a picture, 384 MiB decoded */
    MUDPT_MAX_CLASSES = 100000,
    MUDPT_MAX_BATCH = 4096,
    MUDPT_MAX_PROMPTS = 1024, /* prompt tokens of a layer */
    MUDPT_MAX_WIDTH = 8192,
    MUDPT_MAX_LAYERS = 128,
    MUDPT_MAX_TENSOR_VALUES = 1 << 29, /* but for the token embedding: 2 GiB as f32, whose bytes 32 bits count */
    MUDPT_MAX_IMAGE_FILE = 1 << 30     /* bytes of a picture file */
};

const char *mudpt_version(void);

/* The text of the last failure, one line of UTF-8 without a full stop at the end; "" when nothing has failed yet. */
const char *mudpt_last_error(void);

/* Threads that the library may use, 1 ... MUDPT_MAX_THREADS; results do not depend on it. */
int mudpt_set_threads(int threads);

/* How many times as fast as f32 the products of MUDPT_FAST, or MUDPT_INT8 where that is built in, are here, on one
 * thread: gain [1], measured in some 20 ms (MUDPT_INT8, whose products are compared, too: 100 ms and more). */
int mudpt_fast_gain(float *gain);

/* 1 where the kernels' multiply-add rounds once, 0 where it rounds the product, too. The latter gives the same bits
 * everywhere; the former is the relaxed variant's on engines that fuse. */
int mudpt_fused(void);

/* WebAssembly: from now on the host's device is asked first for large products and whole towers; pictures go through a
 * tower in groups of about `rows` rows. 0: no device, as at the start. Models that are finished later use it. */
void mudpt_use_device(int rows);

/* Work done so far: FLOP (multiply-adds times 2) of matrix products and of attention, bytes of weights that products
 * have read. */
void mudpt_work(double counts[3]);

/* Memory for the caller's data; NULL and MUDPT_MEMORY's text on failure. mudpt_free(NULL) does nothing. */
void *mudpt_alloc(size_t bytes);
void mudpt_free(void *memory);

/* ------------------------------------------------------------------------------------------------ model */

typedef struct mudpt_clip mudpt_clip;

/* How a picture becomes the square that a model looks at; all 0: CLIP's own way. It is resized, then a square of the
 * model's size in its middle is taken; where that reaches beyond the picture, it has the colour `fill`. */
typedef struct {
    int32_t fit;           /* MUDPT_FIT_... */
    int32_t height, width; /* of what `fit` makes, height also of an edge; 0: the model's size */
    int32_t filter;        /* MUDPT_BICUBIC ..., all as in PIL: antialiased */
    int32_t crop_down;     /* half a pixel in the square's place is rounded: 0 to the even number, 1 down */
    int32_t fill[3];       /* red, green, blue, 0 ... 255 */
} mudpt_transform;

/* One tower: a stack of pre-LN transformer blocks, and how a feature is made of what leaves it. */
typedef struct {
    int32_t width, layers, heads, mlp; /* widths are multiples of 8, a head's width is one of 4 */
    int32_t activation;                /* MUDPT_QUICK_GELU ... */
    float epsilon;                     /* of every LayerNorm; 0: 1e-5 */
    int32_t layer_scale;               /* 1: a vector scales what attention and MLP add */
    int32_t pooling;                   /* MUDPT_POOL_... */
    int32_t no_projection;             /* 1: the feature is as wide as the tower, which `embed` must be */
    int32_t projection_bias;           /* 1: a vector is added behind the projection */
} mudpt_tower;

/* A model of CLIP's family, and how it is kept. What is 0 is as in OpenAI's CLIP: pictures are CLS and patches with
 * learned positions and a LayerNorm in front, sentences see what stands before them. */
typedef struct {
    int32_t image, patch; /* pixels; what is left over right and below where patch does not divide image is not seen */
    mudpt_tower vision, text;
    int32_t embed;           /* width of the joint space */
    int32_t context, vocab;  /* rows of the text tower; ids */
    int32_t patch_bias;      /* 1: the patch embedding has a bias */
    int32_t no_class;        /* 1: there is no CLS */
    int32_t no_pre_norm;     /* 1: no LayerNorm before the image tower's first block */
    int32_t norm_after_pool; /* MUDPT_POOL_MEAN: 1 the last LayerNorm is of the mean, 0 of the rows */
    float
        rope; /* 0, or the base of rotary positions in the image tower, besides the learned ones: pairs (2i, 2i + 1) of
                   a head's first half turn with the column, of its second half with the row, both from 1 on */
    int32_t pool_heads, pool_mlp, pool_activation; /* MUDPT_POOL_ATTENTION, else 0 */
    int32_t no_mask;                               /* 1: a sentence's rows all see each other */
    int32_t pad;               /* no_mask or MUDPT_POOL_LAST: sentences are filled up with this id to `context` rows */
    int32_t no_start;          /* 1: no start of text in front of sentences */
    int32_t logit_bias;        /* 1: the model has one, which sigmoid scores need */
    int32_t storage;           /* MUDPT_F32, _F16, _I8 or _I16: how matrices are kept; -1: as they are sent */
    float mean[3], std[3];     /* of the pixels, on the scale 0 ... 1 */
    int32_t text_side;         /* MUDPT_TEXT_WHOLE, _ROWS or _NONE */
    int32_t precision;         /* MUDPT_HIGH, _FAST or _INT8; fast keeps the blocks' matrices as MUDPT_I16, or as _I8
                               where storage says or they are sent so; int8 as _I8, _I16 alone where they are sent so
                               and where most of _I8's error begins */
    mudpt_transform transform; /* of pictures, but for those that are augmented */
} mudpt_clip_config;

int mudpt_clip_create(const mudpt_clip_config *config, mudpt_clip **out);

/* 1 if the tensor of this name is a weight that must be sent, 0 if it is one that is not needed, -1 if it is none. */
int mudpt_clip_wants(const mudpt_clip *clip, const char *name);
/* Announces a tensor by its name in Hugging Face's, OpenAI's or open_clip's layout; shape [dims], dims 0 ... 4, dtype
 * MUDPT_F32 ... _I16, or another number for a type that no weight can have. Returns MUDPT_OK (send its bytes),
 * MUDPT_SKIP (not a weight that is needed), or MUDPT_MODEL for a wrong shape or type. The scales of a matrix X [out,
 * in] of integers are a tensor X_scale F32 [out]; what its columns are to be multiplied by, too, may be X_column F32
 * [in], for matrices of a tower's blocks, the same for all parts of one matrix. */
int mudpt_clip_tensor_begin(mudpt_clip *clip, const char *name, int dtype, const int32_t *shape, int dims);
/* The next bytes (little endian) of the announced tensor, data [bytes], in pieces of any size. */
int mudpt_clip_tensor_bytes(mudpt_clip *clip, const void *data, size_t bytes);
int mudpt_clip_tensor_end(mudpt_clip *clip);
/* Checks that every weight has arrived; only then can the model be used. */
int mudpt_clip_finish(mudpt_clip *clip);
/* MUDPT_TEXT_ROWS: one row, data [d_t] of type dtype, of the token embedding, before the first sentence or phrase that
 * has its id, 0 ... vocab-1. */
int mudpt_clip_token(mudpt_clip *clip, int id, int dtype, const void *data);
/* Whether the row of an id, any number, is there: 1 or 0. */
int mudpt_clip_has_token(const mudpt_clip *clip, int id);
/* How far a vector [d_t] is from every row of the token embedding, by Euclid: out [vocab], infinity for rows that have
 * not been sent. MUDPT_STATE for a model without its text side. */
int mudpt_clip_token_distances(const mudpt_clip *clip, const float *vector, float *out);
void mudpt_clip_free(mudpt_clip *clip); /* no classifier can be made from it any more */

/* 16 hexadecimal digits that tell models apart, whatever the names and storage of their weights. */
const char *mudpt_clip_fingerprint(const mudpt_clip *clip);
/* Some values of every weight as it was sent, each with how far another storage type of the same weight can be off: out
 * [count], in pairs, NaN for what was not sent. Returns count; out may be NULL. */
int mudpt_clip_samples(const mudpt_clip *clip, float *out);
size_t mudpt_clip_weight_bytes(const mudpt_clip *clip);
float mudpt_clip_logit_scale(const mudpt_clip *clip); /* exp(logit_scale), what cosines are multiplied by */
float mudpt_clip_logit_bias(const mudpt_clip *clip);  /* what sigmoid scores add to that; 0 where there is none */
/* The image tower's projection as it is kept, out [d_v, e]: features are rows before it, times this; ones on the
 * diagonal where the model has none. MUDPT_STATE where a bias is added behind it. */
int mudpt_clip_projection(const mudpt_clip *clip, float *out);

/* ------------------------------------------------------------------------------------------------ pictures */

typedef struct mudpt_image mudpt_image; /* 8-bit RGB, rows from the top */

/* How a file is read: bits of `how`. Python's CLIP does neither. */
enum {
    MUDPT_UPRIGHT = 1, /* turned as its EXIF orientation says, as browsers do */
    MUDPT_ON_WHITE = 2 /* what is transparent laid on white, as transformers does; else alpha is dropped */
};

/* Decodes JPEG, PNG, GIF (first frame) or BMP; file [bytes], 1 ... MUDPT_MAX_IMAGE_FILE. Of 16-bit channels the high
 * byte counts. */
int mudpt_image_decode(const void *file, size_t bytes, int how, mudpt_image **out);
/* From pixels [height, width, channels], channels 1 (grey), 3 (RGB) or 4 (RGBA, alpha dropped), sides 1 ...
 * MUDPT_MAX_IMAGE_SIDE. NULL: a black picture,
 * which its owner may write to where mudpt_image_rgb says. */
int mudpt_image_from_pixels(const uint8_t *pixels, int width, int height, int channels, mudpt_image **out);
void mudpt_image_free(mudpt_image *image);
int mudpt_image_width(const mudpt_image *image);
int mudpt_image_height(const mudpt_image *image);
uint8_t *mudpt_image_rgb(const mudpt_image *image); /* [height, width, 3] */

/* What a model is shown of a picture; transform NULL: CLIP's, shorter side to size, bicubic, centre crop. size 1 ...
 * MUDPT_MAX_IMAGE_SIDE; out [size, size, 3] */
int mudpt_image_test_view(const mudpt_image *image, const mudpt_transform *transform, int size, uint8_t *out);
/* Cuts the box out, which must lie within the picture, resizes it (bicubic) to size x size (no pixel outside the box
 * has influence), mirrors if flip. out [size, size, 3] */
int mudpt_image_crop_view(const mudpt_image *image, int top, int left, int height, int width, int flip, int size,
                          uint8_t *out);
/* rgb [size, size, 3] -> out [3, size, size], (v / 255 - mean) / std */
void mudpt_normalize(const uint8_t *rgb, int size, const float mean[3], const float std[3], float *out);
/* The test transform at the model's size, normalised by its mean and std. out [3, image, image] */
int mudpt_clip_test_pixels(const mudpt_clip *clip, const mudpt_image *image, float *out);
/* The same of picture files, one on each thread: files [count], of bytes [count]; how as in mudpt_image_decode.
 * out [count, 3, image, image]; codes [count]: MUDPT_OK, or why a picture is not in it. */
void mudpt_clip_test_files(const mudpt_clip *clip, int count, const void *const *files, const size_t *bytes, int how,
                           float *out, int32_t *codes);
/* The same of a box within the picture, as in training. out [3, image, image] */
int mudpt_clip_crop_pixels(const mudpt_clip *clip, const mudpt_image *image, int top, int left, int height, int width,
                           int flip, float *out);
/* The same of a random box of at least smallest_crop (above 0, up to 1) of the area, and a coin for the mirror image,
 * drawn as in training: a picture gets the same for a seed and a view, wherever it stands. out [3, image, image] */
int mudpt_clip_random_pixels(const mudpt_clip *clip, const mudpt_image *image, float smallest_crop, uint32_t seed,
                             int view, float *out);

/* ------------------------------------------------------------------------------------------------ classifier */

typedef struct mudpt_classifier mudpt_classifier;

/* One method with its sizes. What a method does not use must be 0. */
typedef struct {
    const char *method;                  /* a name from mudpt_method_name() */
    int32_t text_length, text_depth;     /* n and J of the text prompts */
    int32_t visual_length, visual_depth; /* n and J of the visual prompts */
    int32_t layer0_fusion;               /* mudpt: 1 adds the projected text prompts to the first visual prompts */
    int32_t class_position;              /* coop: the name stands at the 0 end, 1 middle, 2 front */
    int32_t class_specific;              /* coop: 1 gives every class its own context */
    /* Weights of what holds the tuned features near the frozen model's (mudpt_classifier_gradients): their features of
     * classes, of pictures, their scores. */
    float text_weight, image_weight, kl_weight;
    int32_t averages; /* 1: an average of the parameters is kept (mudpt_classifier_average) */
    int32_t layer;    /* tcp: the text layer, from 0, at whose entrance rows become each class's own; at least 1. vpt,
                       ivlp, promptsrc, mudpt, uumudpt, mmrl, mmrlpp: the first layer that gets prompts. Text prompts
                       then take the place of the phrase's words there, visual ones are added */
    int32_t inserted; /* mmrl, mmrlpp: 1; vpt, ivlp: 1 or 0: text prompts are added there, too, behind the start, and
                       have no place in the sentences */
    float kept;       /* of these: where a later layer has prompts of its own, the share of what stands in their rows
                       that stays, 0 ... 1 */
    float second;  /* of these: the share of the logits, and of the loss, of a second feature that pictures have then,
                       made of their prompt rows; 0: there is none */
    int32_t alone; /* of these: the last so many classes have the first feature's logits alone */
    float scale;   /* what cosines are multiplied by; 0: exp(logit_scale) */
    int32_t space, rank, projection_rank; /* mmrl, mmrlpp: width of what prompts are made of; mmrlpp: of its matrices */
} mudpt_method;

/* The classes' sentences as token ids: start (where the model has one), (placeholders for the text_length prompt rows,)
 * words, end. Ids at the text_length rows behind the start are never looked up where the method has text prompts. */
typedef struct {
    const int32_t *ids;          /* [templates, classes, stride] */
    const int32_t *lengths;      /* [templates, classes] tokens of each, both specials included */
    const int32_t *name_lengths; /* [classes] tokens of the class name; NULL unless class_position is not 0 */
    int32_t stride, classes, templates;
} mudpt_sentences;

/* Names of the methods, in a fixed order; NULL behind the last. */
const char *mudpt_method_name(int index);

/* sentences may be NULL for a classifier that is given its text features (mudpt_classifier_set_text_features): then
 * `classes` says how many, and the method must be one without text prompts ("zeroshot", "vpt"). */
int mudpt_classifier_create(mudpt_clip *clip, const mudpt_method *method, const mudpt_sentences *sentences, int classes,
                            mudpt_classifier **out);
void mudpt_classifier_free(mudpt_classifier *classifier);

/* Starting values of everything trainable. phrase [count]: ids of the words that the text prompts start from (count >=
 * text_length), or NULL for a random start. */
int mudpt_classifier_init(mudpt_classifier *classifier, uint32_t seed, const int32_t *phrase, int count);

typedef struct {
    const char *name; /* as in the golden files, for instance "inject.layer0.weight" */
    int32_t dims, shape[4];
    int32_t count;                      /* product of shape */
    float *value, *gradient, *velocity; /* [count] each; gradient and velocity are NULL before the first gradients */
    float *square;                      /* NULL too where the method's optimizer is SGD */
    float *average;                     /* NULL too where none is kept */
    int32_t idle;                       /* 1: nothing depends on it in this model, and it stays as it is */
} mudpt_parameter;

/* How many there are, and one of them; index 0 ... that number - 1. */
int mudpt_classifier_parameters(const mudpt_classifier *classifier);
int mudpt_classifier_parameter(mudpt_classifier *classifier, int index, mudpt_parameter *out);
/* Must be called after values were changed through mudpt_parameter. */
void mudpt_classifier_changed(mudpt_classifier *classifier);

/* out [N, e], as they leave the tower (an ensemble: mean over templates of features scaled to length one). cocoop has
 * none of its own: MUDPT_STATE. */
int mudpt_classifier_text_features(mudpt_classifier *classifier, float *out);
/* features [N, e] */
int mudpt_classifier_set_text_features(mudpt_classifier *classifier, const float *features);
/* features [N, e]: the frozen model's of the classes, as they leave the tower or the mean of several sentences' (only
 * their direction counts). Needed where there is a text_weight or a kl_weight, and by tcp. */
int mudpt_classifier_set_teacher(mudpt_classifier *classifier, const float *features);
/* The same sentences before the text tower's projection: out [N, d_t]. MUDPT_STATE for an ensemble and for cocoop. */
int mudpt_classifier_text_rows(mudpt_classifier *classifier, float *out);
/* Pictures alone, of which a classifier needs no text features: rows [count, d_v] before the image tower's projection,
 * features [count, e] behind it, as they leave the tower; either may be NULL. MUDPT_NOT_FINITE as below. */
int mudpt_classifier_image_features(mudpt_classifier *classifier, const float *pixels, int count, float *rows,
                                    float *features);
/* Logits of features that image_features gave, to the bit those of the pictures: of methods that leave pictures alone.
 * features [count, e] -> logits [count, N]. MUDPT_STATE for a method with visual prompts, and for cocoop. */
int mudpt_classifier_feature_logits(mudpt_classifier *classifier, const float *features, int count, float *logits);

/* pixels [count, 3, image, image] normalised -> logits [count, N]; features [count, e] or NULL. MUDPT_NOT_FINITE where
 * a logit is NaN or infinite: the outputs are then undefined. */
int mudpt_classifier_logits(mudpt_classifier *classifier, const float *pixels, int count, float *logits,
                            float *features);

/* What the feature is made of: the share of each head's attention in the last layer that goes from CLS to CLS, to the
 * patches (rows from the top) and to the visual prompts. MUDPT_POOL_ATTENTION: from the probe to CLS, if there is one,
 * and to the patches; prompts have 0. MUDPT_POOL_MEAN: MUDPT_STATE. pixels [3, image, image] normalised
 * out [vision.heads or pool_heads, CLS (if any) + patches + visual_length], every head's sum is 1 */
int mudpt_classifier_attention(mudpt_classifier *classifier, const float *pixels, float *out);

/* Loss of a batch, loss [1], and the gradients of every parameter (replaced, not added). pixels [count, 3, image,
 * image] normalised, count >= 1; labels [count] in 0 ... N-1; logits [count, N] or NULL
 * The loss is the mean cross-entropy and, of features f, x of length one and probabilities p and the frozen model's f',
 * x', p',
 *   kgcoop, tcp, mmrl, mmrlpp: + text_weight (1 - mean over classes of f . f')
 *   mmrl, mmrlpp: + image_weight (1 - mean over pictures of x . x'), and cross-entropy in two parts, of both features
 *   any other:   + text_weight mean |f - f'| + image_weight mean |x - x'|, means over all values,
 *                + kl_weight / (count N) sum of p' (log p' - log p) */
int mudpt_classifier_gradients(mudpt_classifier *classifier, const float *pixels, const int32_t *labels, int count,
                               float *loss, float *logits);
/* v = momentum v + (g + decay p), p = p - rate v, for every parameter that is not idle; all three finite. After the
 * first gradients. */
int mudpt_classifier_sgd(mudpt_classifier *classifier, float rate, float momentum, float decay);
/* Adam's step number `step`, from 1, for every parameter that is not idle, of a method that is trained so (tcp, with
 * 1e-3 added to the root): g + decay p, betas 0.9 and 0.999, both moments corrected; velocity and square hold them. Of
 * mmrl and mmrlpp AdamW's, with 1e-8, whose decay is p (1 - rate decay) before that.
 * MUDPT_STATE for methods of SGD, and before the first gradients. */
int mudpt_classifier_adam(mudpt_classifier *classifier, float rate, float decay, int step);
/* average = average + weight p, for every parameter; it starts at 0. MUDPT_STATE before the first gradients. */
int mudpt_classifier_average(mudpt_classifier *classifier, float weight);

/* The prompts per layer after the injection: text [text_depth, text_length, d_t], visual [visual_depth, visual_length,
 * d_v], and the second feature's projection [d_v, e] where there is one; any may be NULL. Depths and lengths of the
 * result are those of mudpt_classifier_folded_shape. */
int mudpt_classifier_fold(mudpt_classifier *classifier, float *text, float *visual, float *second);
void mudpt_classifier_folded_shape(const mudpt_classifier *classifier, int32_t *text_depth, int32_t *text_length,
                                   int32_t *visual_depth, int32_t *visual_length);
/* Bytes that the classifier holds now, the model's weights not counted. */
size_t mudpt_classifier_bytes(const mudpt_classifier *classifier);

/* Training with little memory: of every block only its input is kept and the rest computed again on the way back, with
 * the same bits; two thirds of a forward more work. From the next gradients on.
 * Where even so sentences would take more than 128 MiB of the text tower (without this: 1 GiB), they go through it in
 * parts of so much, once for their features and once more on the way back, with the same bits: memory does not grow
 * with the number of classes but by their features. */
void mudpt_classifier_recompute(mudpt_classifier *classifier, int on);

/* Bytes that training takes, the pictures to train on not counted. More than can be had is a number like any other. */
typedef struct {
    double weights;     /* of the model, once */
    double activations; /* both towers' for one group of pictures and one part of the sentences, the kernels' scratch */
    double pixels;      /* one batch, and what prompts of upper layers meet of it */
    double prompts;     /* parameters, prompts of every layer and their gradients, sentences and text features */
    double optimizer;   /* gradients and moments of parameters, and their last good values */
    double largest;     /* the largest block of these that is taken at once */
    double kept;        /* of each picture, where training without random views keeps its features; else 0 */
    int32_t group;      /* pictures that go through the image tower together */
    int32_t parts;      /* in which the sentences go through the text tower, one after the other */
} mudpt_plan;

/* What training on batches of `count` pictures, 1 ... MUDPT_MAX_BATCH, takes, on as many threads as there are now;
 * nothing is taken. */
int mudpt_classifier_plan(mudpt_classifier *classifier, int count, int recompute, mudpt_plan *out);
/* Bytes of the model's weights if its blocks' matrices were kept as MUDPT_F32, _F16, _I8 or _I16. */
double mudpt_clip_weight_bytes_as(const mudpt_clip *clip, int storage);

/* ------------------------------------------------------------------------------------------------ training */

typedef struct mudpt_trainer mudpt_trainer;

typedef struct {
    int32_t epochs, batch;                 /* both >= 1 */
    float rate, warmup_rate;               /* base learning rate; that of epoch 0 (1e-5) */
    float momentum, decay;                 /* 0.9, 5e-4; momentum is SGD's alone */
    uint32_t seed;                         /* order of the pictures, boxes, mirror images */
    int32_t augment;                       /* 1: random resized crop and mirror image; 0: the test transform */
    float smallest_crop;                   /* of the area, 0.08 */
    int32_t how;                           /* files are read: as in mudpt_image_decode */
    float average_mean, average_deviation; /* of mudpt_average_weight, where an average is kept */
    float keep; /* most bytes of what may be kept of pictures between epochs, where that saves work: rows that prompts
                   of upper layers meet, without random views; 0: nothing. Results do not depend on it */
} mudpt_train_config;

typedef struct {
    int32_t epoch, epochs; /* of the step just done, from 0 */
    int32_t step, steps;   /* of the whole run; step counts from 1 */
    float loss, rate;
} mudpt_progress;

int mudpt_trainer_create(mudpt_classifier *classifier, const mudpt_train_config *config, mudpt_trainer **out);
/* Adds one picture file [bytes] (copied, kept compressed) with its label 0 ... N-1; refused when it cannot be
 * decoded. */
int mudpt_trainer_add(mudpt_trainer *trainer, const void *file, size_t bytes, int label);
/* Adds one decoded picture (copied, made smaller by a whole number where it would take more than 512 KiB). */
int mudpt_trainer_add_image(mudpt_trainer *trainer, const mudpt_image *image, int label);
/* Bytes of the pictures that were added, as they are kept. */
size_t mudpt_trainer_bytes(const mudpt_trainer *trainer);
/* One batch: MUDPT_OK with out filled, MUDPT_DONE when the run is complete. After MUDPT_NOT_FINITE the classifier has
 * the parameters of the last step whose loss was finite. The last batch of an epoch is dropped when it is not full
 * (unless it is the only one). */
int mudpt_trainer_step(mudpt_trainer *trainer, mudpt_progress *out);
/* The same in parts, a few pictures at most each, for callers who have other things to do: MUDPT_MORE until the step is
 * complete, then as mudpt_trainer_step. Meanwhile only the trainer may use the classifier, but its parameters may be
 * read. */
int mudpt_trainer_advance(mudpt_trainer *trainer, mudpt_progress *out);

/* A run can be interrupted between any two steps and continued by another trainer, with the same bits. Its state is
 * where it stands, every parameter's value, velocity, square and average (mudpt_parameter), and nothing else;
 * classifier, settings and pictures must be the same. To continue: create the trainer, set all these, call
 * mudpt_classifier_changed, add the pictures in the same order, then mudpt_trainer_resume. */

/* The next step: its epoch and its number within that epoch, both from 0; (epochs, 0) when the run is complete. */
void mudpt_trainer_place(const mudpt_trainer *trainer, int32_t *epoch, int32_t *step);
/* Goes on from there. The values are now those to go back to after MUDPT_NOT_FINITE. MUDPT_STATE after a first step. */
int mudpt_trainer_resume(mudpt_trainer *trainer, int epoch, int step);
/* 16 hexadecimal digits that tell the pictures that were added from others: their pixels, labels and order. Valid until
 * the next call. */
const char *mudpt_trainer_pictures(mudpt_trainer *trainer);
void mudpt_trainer_free(mudpt_trainer *trainer);

/* Rate of an epoch, 0 ... epochs-1: warmup_rate in epoch 0, then half a cosine, base (1 + cos(pi (epoch - 1) / epochs))
 * / 2. */
double mudpt_learning_rate(double base, double warmup_rate, int epochs, int epoch);

/* Share of an epoch, from 0, in the average of the parameters that the epochs end with: a Gaussian about the mean-th
 * epoch, counted from 1. A run that keeps an average ends with it. deviation > 0 */
double mudpt_average_weight(int epochs, double mean, double deviation, int epoch);

/* Few-shot sampling: at most `shots` of each class, the same for the same seed whatever the method. labels [count] in 0
 * ... classes-1; chosen [at least min(count, classes * shots)] receives indices, class by class; shots, classes >= 1;
 * returns how many, or a negative code. */
int mudpt_sample_shots(const int32_t *labels, int count, int classes, int shots, uint32_t seed, int32_t *chosen);

/* ------------------------------------------------------------------------------------------------ heads */

/* A head is a classifier made of features that were computed once: pictures', with their labels, and the classes'. It
 * sees neither pictures nor sentences, needs no model, and takes milliseconds to seconds.
 *
 *   mudpt_head_create -> (mudpt_head_step until MUDPT_DONE, where the method is trained) -> mudpt_head_logits
 *
 * Shapes: N pictures and V views of each, M = V N rows, row v N + n is view v of picture n; K templates; e the width of
 * the joint space, d_v that of pictures' features before the projection. Features are given as they leave the tower, of
 * any length but 0. x: a row of length one. Class features t are of three kinds: unit, unit(mean_k unit(f_k)); mean,
 * mean_k unit(f_k); raw, mean_k f_k. A class may be without pictures except with gda.
 *
 *   sstext    w_c = t_c + s sum of c's x / (M max(1 / M, 1e-3)); s cos(x, w). t mean. Silva-Rodriguez et al. 2025
 *   sstext+   the same with max(1 / rows of c, 1e-3) for each class, then w_c - unit(2 w_c - mean w)
 *   gda       s x t + alpha (x W + b), Gaussians of one covariance; closed form. t unit. Wang et al. 2024
 *   tip       s x t + alpha exp(-beta (1 - x keys)) one-hot, keys = unit(mean of the raw views). Zhang et al. 2022
 *   tip-f     the same with trained keys: AdamW, batches of one view's pictures, cosine by step
 *   lp++      x W + b + alpha_c x t_c, view 0 alone; full batch, rates from the data. t unit. Huang et al. 2024
 *   clap      s cos(x, w), w from t raw, kept near it by class; SGD, cosine by epoch. Silva-Rodriguez et al. 2024
 *   prolip    s unit(z P) t, z before the projection, P from the model's; Adam, a view a step. Fahes et al. 2024
 *   ridge     s cos(z P, t) + A n(z), n(z) = (z - mean) / deviation: least squares for what the text's logits leave
 *   logistic  the same, cross-entropy + lambda sum of A's squares: descent in the metric of Boehning and Lindsay 1988,
 *             whose first step is ridge's
 */
typedef struct mudpt_head mudpt_head;

/* What a method does not use must be 0. */
typedef struct {
    const char *method; /* a name from mudpt_head_name() */
    int32_t classes;    /* 1 ... MUDPT_MAX_CLASSES */
    int32_t templates;  /* K, 1 ... 1000 */
    int32_t width;      /* e, 1 ... MUDPT_MAX_WIDTH */
    int32_t before;     /* prolip, ridge, logistic: d_v, 1 ... MUDPT_MAX_WIDTH; their rows have this width */
    int32_t pictures;   /* N; at least 1 but for sstext, sstext+ and tip */
    int32_t views;      /* V, at least 1; a head has at most 2^29 values in all of its rows */
    float scale;        /* s, what cosines are multiplied by: mudpt_clip_logit_scale, or the 100 of some authors; lp++
                           has none */
    float alpha;        /* gda, tip, tip-f: 0 ... 1e6 */
    float beta;         /* tip, tip-f: 0 ... 1e6 */
    float lambda;       /* prolip, ridge, logistic: of the sum of squares beside the mean loss, 0 ... 1e6; above 0 but
                           for prolip */
    float rate;         /* tip-f, clap, prolip: base learning rate; logistic: 1 is a whole step. Above 0 ... 1000 */
    int32_t epochs;     /* trained methods: 1 ... 100000; lp++, prolip and logistic take one step in each */
    int32_t
        steps_each; /* tip-f, clap: steps of an epoch; 0: as many as its pictures make, clap without a part of one */
    int32_t batch;  /* tip-f, clap: rows of a step, at most what there is; at least 1 */
    uint32_t seed;  /* tip-f, clap: which rows; lp++: where the bias starts */
} mudpt_head_config;

/* Names of the heads' methods, in a fixed order; NULL behind the last. */
const char *mudpt_head_name(int index);
/* Bytes that a head of this configuration takes, scratch of the kernels included; a negative code where there is no
 * such head. More than can be had is a number like any other. */
double mudpt_head_bytes(const mudpt_head_config *config);

/* templates [K, classes, e]; projection [d_v, e] where `before` is not 0, else NULL; features [V, N, width of a row];
 * labels [N]. All are copied. Closed forms are complete then; trained methods are where they start. features NULL: a
 * head whose tensors will be given, of tip and tip-f also the labels; without steps. MUDPT_ARGUMENT for rows that are
 * not finite or have no length, labels out of range, gda with a class without a row; MUDPT_NOT_FINITE where a method
 * has no answer, for instance gda where all rows of each class are equal. */
int mudpt_head_create(const mudpt_head_config *config, const float *templates, const float *projection,
                      const float *features, const int32_t *labels, mudpt_head **out);
/* A head of other classes, without pictures of their own, [K, count, e]: what `head` has learned for all (prolip's
 * projection), gda's rule (the rows nearest to each t stand in), or the text alone (sstext, sstext+, clap, tip, tip-f:
 * what a class without pictures has there; its columns stand beside those of `head`). MUDPT_STATE for lp++, ridge and
 * logistic, whose matrix has no column for new names, and for gda where `head` has no rows. */
int mudpt_head_create_new(const mudpt_head *head, const float *templates, int count, mudpt_head **out);
void mudpt_head_free(mudpt_head *head);

/* What a head has learned, by name: weight, bias, alpha, keys, proj, lambda, rates, mean, deviation. Gradients are of
 * the last mudpt_head_gradients; NULL where a tensor is not trained. velocity: NULL. */
int mudpt_head_tensors(const mudpt_head *head);
int mudpt_head_tensor(mudpt_head *head, int index, mudpt_parameter *out);
/* Must be called after values were changed through mudpt_parameter. */
void mudpt_head_changed(mudpt_head *head);

/* Loss of a batch, penalty included, and the gradients of every trained tensor (replaced, not added). rows [count]:
 * which of the M; NULL: those of the next step. logits [count, classes] or NULL. MUDPT_STATE where nothing is trained.
 */
int mudpt_head_gradients(mudpt_head *head, const int32_t *rows, int count, float *loss, float *logits);
/* One step on these rows (NULL: the method's own choice): MUDPT_OK with out filled, MUDPT_DONE when there is no further
 * one, at once where nothing is trained. After MUDPT_NOT_FINITE the head has the tensors of the last step whose loss
 * was finite. Nothing is allocated; results do not depend on the number of threads. */
int mudpt_head_step(mudpt_head *head, const int32_t *rows, int count, mudpt_progress *out);
/* features [count, width of a row] as they leave the tower -> logits [count, classes] */
int mudpt_head_logits(mudpt_head *head, const float *features, int count, float *logits);

#ifdef __cplusplus
}
#endif
#endif
