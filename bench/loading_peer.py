"""The model of bench/loading.js as ONNX, in a folder as transformers.js wants it, for that bench's --peer.

    ./run bench loading                                        # writes build/bench/vit-b-16-f32
    python3 -m venv peer/venv && peer/venv/bin/pip install torch==2.15.0 transformers==5.23.0 onnx==1.23.2
    peer/venv/bin/python bench/loading_peer.py build/bench/vit-b-16-f32 peer/models/vit-b-16
    npm install --prefix peer @huggingface/transformers@4.3.1
    ./run bench loading --peer peer
"""

import json
import pathlib
import shutil
import sys

import torch
from transformers import CLIPModel

source, target = map(pathlib.Path, sys.argv[1:3])
(target / "onnx").mkdir(parents=True, exist_ok=True)
for name in ("config.json", "tokenizer.json"):
    shutil.copy(source / name, target / name)
processor = json.loads((source / "preprocessor_config.json").read_text())
processor["image_processor_type"] = "CLIPImageProcessor"
(target / "preprocessor_config.json").write_text(json.dumps(processor))
(target / "tokenizer_config.json").write_text('{ "tokenizer_class": "CLIPTokenizer", "model_max_length": 77 }\n')

model = CLIPModel.from_pretrained(source, attn_implementation="eager").eval()


class Scores(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, input_ids, pixel_values, attention_mask):
        out = self.model(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask)
        return out.logits_per_image, out.logits_per_text, out.text_embeds, out.image_embeds


ids = torch.full((2, 7), model.config.text_config.eos_token_id)
side = model.config.vision_config.image_size
inputs = {"input_ids": ids, "pixel_values": torch.zeros(1, 3, side, side), "attention_mask": torch.ones_like(ids)}
outputs = ["logits_per_image", "logits_per_text", "text_embeds", "image_embeds"]
texts = {0: "texts", 1: "length"}
torch.onnx.export(
    Scores(),
    tuple(inputs.values()),
    str(target / "onnx/model.onnx"),
    input_names=list(inputs),
    output_names=outputs,
    dynamic_axes={"input_ids": texts, "attention_mask": texts, "pixel_values": {0: "images"}},
    opset_version=17,
    dynamo=False,
)
