#!/usr/bin/env bash
# @huggingface/transformers 4.3.2 (JavaScript), a CLIP tokenizer with truncation: true: a text over max_length is cut
# after the tokens around it were added, so that its end of text is cut off. Hugging Face's tokenizers 0.22.1 (Rust and
# Python), with the same tokenizer.json, keeps the end of text and cuts words. CLIP reads a text's features where its
# end of text stands, the largest id: without one that is the start of text, which comes before every word, and under a
# causal mask all texts that were cut have the same features.
#
# Seen: the last id of a text that was cut is the end of text in Python, a word's in JavaScript. Exits with 1 when that
# has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q tokenizers==0.22.1
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/transformers@4.3.2
mkdir -p models/tiny
venv/bin/python - <<'PY'
import json

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

START, END = '<|startoftext|>', '<|endoftext|>'
tokenizer = Tokenizer(models.BPE(end_of_word_suffix='</w>', unk_token=END))
tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
letters = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Split(letters, behavior='removed', invert=True),
    pre_tokenizers.ByteLevel(add_prefix_space=False),
])
text = 'a photo of a large red dog that runs over the green hill'
trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=[], end_of_word_suffix='</w>',
                              initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
tokenizer.train_from_iterator([text] * 9, trainer)
tokenizer.add_special_tokens([START, END])
ids = {name: tokenizer.token_to_id(name) for name in (START, END)}
tokenizer.post_processor = processors.RobertaProcessing((END, ids[END]), (START, ids[START]), trim_offsets=False,
                                                        add_prefix_space=False)
tokenizer.save('models/tiny/tokenizer.json')
with open('models/tiny/tokenizer_config.json', 'w') as file:
    json.dump({'tokenizer_class': 'CLIPTokenizer', 'bos_token': START, 'eos_token': END, 'pad_token': END,
               'unk_token': END, 'model_max_length': 8}, file)
tokenizer.enable_truncation(8)
with open('theirs.json', 'w') as file:
    json.dump({'text': text, 'end': ids[END], 'short': tokenizer.encode('a red dog').ids,
               'python': tokenizer.encode(text).ids}, file)
PY
cat > see.js <<'JS'
import { readFileSync } from 'node:fs';
import { AutoTokenizer, env } from '@huggingface/transformers';

Object.assign(env, { allowRemoteModels: false, localModelPath: './models/' });
const { text, end, short, python } = JSON.parse(readFileSync('theirs.json', 'utf8'));
const tokenizer = await AutoTokenizer.from_pretrained('tiny');
const idsOf = (of) => tokenizer(of, { truncation: true, max_length: 8, return_tensor: false }).input_ids;
const script = idsOf(text);
console.log(`end of text: ${end}; Python ${python.join(' ')}; JavaScript ${script.join(' ')}`);
const isSame = idsOf('a red dog').join() === short.join();
process.exitCode = isSame && python.at(-1) === end && script.length === 8 && script.at(-1) !== end ? 0 : 1;
JS
node see.js
