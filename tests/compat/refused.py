"""What cannot be computed, as the programs describe it: refused by the name of the key that asks for it."""
import json

import open_clip
import transformers

# All else that open_clip has a configuration of is computed (families.py).
RUNS = ('ViT-', 'PE-Core-', 'MobileCLIP2-L')
TYPES = ['siglip2', 'altclip', 'chinese_clip', 'clipseg', 'blip', 'blip-2', 'align', 'owlvit', 'owlv2', 'xclip', 'aimv2',
         'groupvit', 'flava', 'bridgetower', 'clap', 'clvp', 'llava', 'clip_vision_model', 'clip_text_model',
         'siglip_vision_model', 'siglip_text_model']
BIOMED = {
    'embed_dim': 512,
    'vision_cfg': {'timm_model_name': 'vit_base_patch16_224', 'timm_pool': '', 'timm_proj': 'linear', 'image_size': 224},
    'text_cfg': {'hf_model_name': 'microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract', 'proj_type': 'mlp',
                 'hf_tokenizer_name': 'microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract', 'context_length': 256,
                 'hf_pooler_type': 'cls_last_hidden_state_pooler'}}


def key_of(config):
    if 'multimodal_cfg' in config:
        return 'multimodal_cfg'
    if config['text_cfg'].get('hf_model_name'):
        return 'text_cfg.hf_model_name'
    if isinstance(config['vision_cfg'].get('layers'), list):
        return 'vision_cfg.layers'
    return 'vision_cfg.timm_model_name'


def refused_models():
    """[name, layout, files, what the refusal must name]."""
    configs = {name: open_clip.get_model_config(name) for name in open_clip.list_models() if not name.startswith(RUNS)}
    for name, config in {**configs, 'BiomedCLIP': BIOMED}.items():
        yield name, 'open_clip', {'open_clip_config.json': {'model_cfg': config}}, f'model_cfg.{key_of(config)}'
    for name in TYPES:
        document = json.loads(transformers.CONFIG_MAPPING[name]().to_json_string())
        yield name, 'transformers', {'config.json': document}, f'"{document["model_type"]}"'
