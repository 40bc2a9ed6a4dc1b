/* Cosine logits and mean cross-entropy, forward and backward. */
#ifndef KERNELS_LOSS_H
#define KERNELS_LOSS_H

/* unit [rows, e] = features scaled to length one; norms [rows] their lengths (NULL: not wanted); unit may be features
 */
void unit_forward(float *unit, float *norms, const float *features, int rows, int e);
/* dfeatures [rows, e] from dunit; dfeatures may be dunit */
void unit_backward(float *dfeatures, const float *dunit, const float *unit, const float *norms, int rows, int e);

/* logits [N] = scale * unit_image [e] . unit_text [N, e] */
void cosine_logits(float *logits, const float *unit_image, const float *unit_text, float scale, int classes, int e);

/* Cross-entropy of one picture; logits [N] become the gradient of loss / batch. */
float cross_entropy(float *logits, int classes, int label, int batch);

#endif
