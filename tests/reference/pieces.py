#!/usr/bin/env python3
"""Makes tests/golden/tokenizer/pieces-*.json: small SentencePiece tokenizers of the kinds that SigLIP (Unigram, as T5) and
SigLIP 2 (byte-pair encoding, as Gemma) have, and the ids that transformers and open_clip give texts.

  python pieces.py OUT COUNT CORPUS...     needs transformers, sentencepiece, protobuf, open_clip_torch

Each file has tokenizer.json, tokenizer_config.json, and [text, ids, ids after open_clip's "canonicalize"] of COUNT texts.
"""
import json
import os
import random
import sys
import tempfile

import sentencepiece as spm
from open_clip.tokenizer import canonicalize_text
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import SiglipTokenizer
from transformers.convert_slow_tokenizer import T5Converter, import_protobuf
from transformers.models.siglip2.tokenization_siglip2 import Siglip2Tokenizer

OUT, COUNT, *CORPUS = sys.argv[1:]
random.seed(7)
LINES = [line.strip() for name in CORPUS for line in open(name, errors='ignore') if 20 < len(line) < 400]
WORDS = sorted({word for line in LINES for word in line.split()})
STRANGE = ['ﬁne', 'Ａ ｆｕｌｌ', 'e\u0301', 'é', 'ÅNGSTRÖM', '😀', '👩‍👩‍👧', '犬と猫', 'собака', 'كلب', 'ΣΊΣΥΦΟΣ', 'ß', 'İ', '\u200b', '\ufeff',
           '\u00a0', '\u2028', '\t', '\n', '  ', '   ', '½', '²', '…', '“x”', "it's", 'a_b', '__', '--', '{}', '<b>', '3.14',
           '1,000', '#1', 'C++', '\u0085', '\x1f', 'x\u0000y', '▁', '▁▁a', '₂', '①', 'ｶﾞ', '~', '`', '^', '$5', 'A', 'PHOTO']


def texts(count):
    yield from ['', ' ', 'a photo of a cat.', 'A Photo of a DOG!', 'photo', '.', 'x x x x.']
    for _ in range(count - 7):
        parts = [random.choice(random.choice([WORDS, STRANGE])) for _ in range(random.randint(1, 12))]
        yield random.choice([' ', ' ', ' ', '', '  ']).join(parts)


def train(folder, name, **options):
    lines = os.path.join(folder, 'lines.txt')
    with open(lines, 'w') as file:
        file.write('\n'.join(LINES))
    spm.SentencePieceTrainer.train(input=lines, model_prefix=os.path.join(folder, name), minloglevel=2, **options)
    return os.path.join(folder, f'{name}.model')


def proto_of(path):
    proto = import_protobuf().ModelProto()
    with open(path, 'rb') as file:
        proto.ParseFromString(file.read())
    return proto


def unigram(path):
    proto = proto_of(path)
    tokenizer = Tokenizer(models.Unigram([(piece.piece, piece.score) for piece in proto.pieces], 2, False))
    tokenizer.normalizer = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace('▁', prepend_scheme='always')])
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in ('<pad>', '</s>', '<unk>')])
    tokenizer.post_processor = processors.TemplateProcessing(single='$A </s>', special_tokens=[('</s>', 1)])
    return tokenizer


def pairs(path):
    proto = proto_of(path)
    vocab = {piece.piece: i for i, piece in enumerate(proto.pieces)}
    scores = {piece.piece: piece.score for piece in proto.pieces}
    merges = []
    for piece in vocab:
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in vocab and right in vocab and scores[piece] <= 0 and not piece.startswith('<'):
                merges.append((-scores[piece], vocab[left], vocab[right], left, right))
    merges = [(left, right) for *_, left, right in sorted(merges)]
    tokenizer = Siglip2Tokenizer(vocab=vocab, merges=merges)
    tokenizer._tokenizer.post_processor = processors.TemplateProcessing(single='$A <eos>', special_tokens=[('<eos>', 1)])
    return tokenizer._tokenizer


def write(name, tokenizer, config, ids_of, count):
    document = json.loads(tokenizer.to_str())
    cases = []
    for text in texts(count):
        cases.append([text, ids_of(text), tokenizer.encode(canonicalize_text(text)).ids])
    with open(os.path.join(OUT, f'pieces-{name}.json'), 'w') as file:
        json.dump({'tokenizer.json': document, 'tokenizer_config.json': config, 'cases': cases}, file, ensure_ascii=True)
        file.write('\n')


with tempfile.TemporaryDirectory() as folder:
    own = {'pad_id': 0, 'eos_id': 1, 'vocab_size': 1500}
    names = {'bos_piece': '<bos>', 'eos_piece': '<eos>', 'user_defined_symbols': '<mask>'}
    path = train(folder, 'unigram', model_type='unigram', bos_id=-1, unk_id=2, normalization_rule_name='nmt_nfkc', **own)
    slow = SiglipTokenizer(vocab_file=path, pad_token='</s>')
    write('unigram', unigram(path), {'tokenizer_class': 'SiglipTokenizer'}, lambda text: slow(text).input_ids, int(COUNT))
    path = train(folder, 'pairs', model_type='bpe', bos_id=2, unk_id=3, byte_fallback=True, add_dummy_prefix=False,
                 normalization_rule_name='identity', remove_extra_whitespaces=False, **names, **own)
    fast = pairs(path)
    write('pairs', fast, {'tokenizer_class': 'Siglip2Tokenizer'}, lambda text: fast.encode(text).ids, int(COUNT))
