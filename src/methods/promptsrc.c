/* PromptSRC (Khattak et al. 2023): IVLP's prompts, held near the frozen model by three terms of the loss, and averaged
 * over the epochs (train/anchor.c, mudpt_average_weight). */
#include "method.h"

const method method_promptsrc = {.name = "promptsrc",
                                 .text = 1,
                                 .visual = 1,
                                 .upper = 1,
                                 .anchor = ANCHOR_ABSOLUTE,
                                 .declare = ivlp_declare,
                                 .forward = ivlp_forward,
                                 .backward = ivlp_backward};
