#!/usr/bin/env bash
# The pipeline zero-shot-image-classification, of which transformers.js says that it works as transformers' does, asks
# the model something else. transformers 5.24.0 puts names into "This is a photo of {}.", with a period (its own
# documentation leaves it out); @huggingface/transformers 4.3.2 into "This is a photo of {}". The last word's neighbour
# is then the end of the text and not a period, so that scores of one model, picture and list of names differ. Of
# SigLIP 2 with pictures of any size (model_type "siglip2") the scores are sigmoids in Python, each by itself, and in
# JavaScript a softmax, whose sum is 1 whatever the picture shows.
#
# Seen: both templates; for siglip2 a sigmoid in Python, in JavaScript 0.88 and 0.12 of the logits -3 and -5, whose
# sigmoids are 0.05 and 0.01. Exits with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q transformers==5.24.0 pillow==13.0.0
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/transformers@4.3.2
venv/bin/python - <<'PY' 2> python.txt || { cat python.txt; exit 1; }
import inspect
from types import SimpleNamespace
from unittest import mock

from transformers.pipelines import zero_shot_image_classification as module

Pipeline = module.ZeroShotImageClassificationPipeline
template = inspect.signature(Pipeline.preprocess).parameters['hypothesis_template'].default
# Which function is applied is seen without PyTorch, which is large.
module.torch = mock.MagicMock()
logits = mock.MagicMock()
one = SimpleNamespace(model=SimpleNamespace(config=SimpleNamespace(model_type='siglip2')))
Pipeline.postprocess(one, {'candidate_labels': ['cat'], 'logits': [logits]})
applied = [name for name, used in (('sigmoid', module.torch.sigmoid), ('softmax', logits.softmax)) if used.called]
print(f'Python: "{template}"; siglip2 {applied}')
assert template == 'This is a photo of {}.' and applied == ['sigmoid']
PY
cat > see.js <<'JS'
import { RawImage, Tensor, ZeroShotImageClassificationPipeline } from '@huggingface/transformers';

let asked;
const tokenizer = (sentences) => {
  asked = sentences;
  return {};
};
const model = Object.assign(async () => ({ logits_per_image: new Tensor('float32', [-3, -5], [1, 2]) }), {
  config: { model_type: 'siglip2' },
});
const processor = async () => ({ pixel_values: null });
const pipeline = new ZeroShotImageClassificationPipeline({
  task: 'zero-shot-image-classification',
  tokenizer,
  model,
  processor,
});
const picture = new RawImage(new Uint8ClampedArray(12), 2, 2, 3);
const scores = (await pipeline(picture, ['cat', 'dog'])).map(({ score }) => score);
console.log(`JavaScript: "${asked[0]}"; siglip2 ${scores.map((score) => score.toFixed(2)).join(' and ')}`);
process.exitCode = asked[0] === 'This is a photo of cat' && Math.abs(scores[0] - 0.8808) < 1e-3 ? 0 : 1;
JS
node see.js
