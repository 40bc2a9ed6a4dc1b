#!/usr/bin/env bash
# @huggingface/tokenizers 0.2.0 (JavaScript) does not read the table of characters that a SentencePiece model brings
# along (precompiled_charsmap), but follows rules of its own: the zero-width joiner (U+200D) becomes a space.
# SentencePiece 0.2.1 with its own rules, nmt_nfkc as in T5, mT5 and SigLIP, and Hugging Face's tokenizers 0.22.1 (Rust)
# with the same table leave it where it is. So an emoji that is joined of several, as a family, is cut in pieces, and
# its ids are others.
#
# Seen: two spaces in the place of joiners. Exits with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q sentencepiece==0.2.1 tokenizers==0.22.1 protobuf==6.33.0
npm install --silent --no-audit --no-fund @huggingface/tokenizers@0.2.0
venv/bin/python - <<'PY'
import base64
import json

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2
from tokenizers import normalizers

WORD = '\U0001f468\u200d\U0001f469\u200d\U0001f467'
with open('lines.txt', 'w') as file:
    file.write('\n'.join([WORD, 'one two three four five', 'a b c d e f g']))
spm.SentencePieceTrainer.train(input='lines.txt', model_prefix='it', vocab_size=34, hard_vocab_limit=False,
                               minloglevel=2, normalization_rule_name='nmt_nfkc')
model = sentencepiece_model_pb2.ModelProto()
with open('it.model', 'rb') as file:
    model.ParseFromString(file.read())
table = model.normalizer_spec.precompiled_charsmap
normalizer = spm.SentencePieceNormalizer(rule_name='nmt_nfkc', remove_extra_whitespaces=False)
theirs = normalizer.normalize(WORD)
rust = normalizers.Precompiled(table).normalize_str(WORD)
with open('it.json', 'w') as file:
    json.dump({'word': WORD, 'sentencepiece': theirs, 'rust': rust, 'table': base64.b64encode(table).decode()}, file)
PY
node --input-type=module - <<'JS'
import { readFileSync } from 'node:fs';
import { PrecompiledNormalizer } from '@huggingface/tokenizers';

const { word, sentencepiece, rust, table } = JSON.parse(readFileSync('it.json', 'utf8'));
const script = new PrecompiledNormalizer({ type: 'Precompiled', precompiled_charsmap: table }).normalize(word);
const shown = (text) => JSON.stringify(text).replaceAll('\u200d', '\\u200d');
console.log(`SentencePiece ${shown(sentencepiece)}, tokenizers in Rust ${shown(rust)}, in JavaScript ${shown(script)}`);
process.exitCode = sentencepiece.includes(' ') || rust.includes(' ') || !script.includes(' ') ? 1 : 0;
JS
