/* Cosine logits and mean cross-entropy, forward and backward. */
#ifndef KERNELS_LOSS_H
#define KERNELS_LOSS_H

/* unit [rows, e] = features [rows, e] scaled to length one; norms [rows] their lengths (NULL: not wanted); unit may be
 * features. A length of 0, or out of range, makes NaN or infinity of the row. */
void unit_forward(float *unit, float *norms, const float *features, int rows, int e);
/* dfeatures [rows, e] from dunit, unit [rows, e] and norms [rows] of forward; dfeatures may be dunit */
void unit_backward(float *dfeatures, const float *dunit, const float *unit, const float *norms, int rows, int e);

/* logits [N] = scale * unit_image [e] . unit_text [N, e], N = classes */
void cosine_logits(float *logits, const float *unit_image, const float *unit_text, float scale, int classes, int e);

/* Cross-entropy of one picture, which is returned; logits [N] become the gradient of loss / batch. classes >= 1, label
 * 0 ... classes-1, batch >= 1 */
float cross_entropy(float *logits, int classes, int label, int batch);

#endif
