"""Models that people have, as rows of a table: a name, an open_clip configuration to start from, what differs.

A row's model is made as open_clip has it and, where `hugging_face` says so, as transformers has it. Widths, heads,
vocabularies and resolutions are the published ones; layers are two a tower.
"""
CLIP, SIGLIP, METACLIP_2 = 'CLIPModel', 'SiglipModel', 'MetaClip2Model'
LAYERS = 2


def family(name, base, hugging_face=None, vision=None, text=None, end=None, meta=None, **top):
    return {'name': name, 'base': base, 'hugging_face': hugging_face, 'vision': vision or {}, 'text': text or {},
            'top': top, 'end': end, 'meta': meta}


def tiny_clip(name, width, patch, text_width):
    return family(f'TinyCLIP {name}', 'ViT-B-32', CLIP, {'width': width, 'patch_size': patch},
                  {'width': text_width, 'heads': text_width // 64}, embed_dim=512)


FAMILIES = [
    family('OpenAI B/32', 'ViT-B-32-quickgelu', CLIP),
    family('OpenAI B/16', 'ViT-B-16-quickgelu', CLIP),
    family('OpenAI L/14', 'ViT-L-14-quickgelu', CLIP),
    family('OpenAI L/14-336', 'ViT-L-14-336-quickgelu', CLIP),
    family('LAION B/32', 'ViT-B-32', CLIP),
    family('LAION B/16', 'ViT-B-16', CLIP),
    family('LAION L/14', 'ViT-L-14', CLIP),
    family('LAION H/14', 'ViT-H-14', CLIP),
    family('LAION g/14', 'ViT-g-14', CLIP),
    family('LAION bigG/14', 'ViT-bigG-14', CLIP),
    family('DataComp B/32-256', 'ViT-B-32-256', CLIP),
    family('MetaCLIP B/32', 'ViT-B-32-quickgelu', CLIP),
    family('MetaCLIP H/14', 'ViT-H-14-quickgelu', CLIP),
    family('MetaCLIP bigG/14', 'ViT-bigG-14-quickgelu', CLIP),
    family('DFN B/16', 'ViT-B-16-quickgelu', CLIP),
    family('DFN L/14', 'ViT-L-14-quickgelu', CLIP),
    family('DFN H/14-378', 'ViT-H-14-378-quickgelu', CLIP),
    tiny_clip('8M/16', 256, 16, 256),
    tiny_clip('39M/16', 512, 16, 512),
    tiny_clip('40M/32', 512, 32, 512),
    family('B/16-plus-240', 'ViT-B-16-plus-240', CLIP),
    family('Long-CLIP B/16', 'ViT-B-16-quickgelu', CLIP, text={'context_length': 248}),
    family('Long-CLIP L/14', 'ViT-L-14-quickgelu', CLIP, text={'context_length': 248}),
    family('CLIPA L/14', 'ViT-L-14-CLIPA'),
    family('CLIPA H/14-336', 'ViT-H-14-CLIPA-336'),
    family('SigLIP B/16', 'ViT-B-16-SigLIP', SIGLIP),
    family('SigLIP B/16-512', 'ViT-B-16-SigLIP-512', SIGLIP),
    family('SigLIP L/16-256', 'ViT-L-16-SigLIP-256', SIGLIP),
    family('SigLIP L/16-384', 'ViT-L-16-SigLIP-384', SIGLIP),
    family('SigLIP SO400M/14', 'ViT-SO400M-14-SigLIP', SIGLIP),
    family('SigLIP SO400M/14-384', 'ViT-SO400M-14-SigLIP-384', SIGLIP),
    family('SigLIP SO400M/16-i18n', 'ViT-SO400M-16-SigLIP-i18n-256', SIGLIP),
    family('SigLIP 2 B/16', 'ViT-B-16-SigLIP2', SIGLIP),
    family('SigLIP 2 B/32-256', 'ViT-B-32-SigLIP2-256', SIGLIP),
    family('SigLIP 2 SO400M/16-256', 'ViT-SO400M-16-SigLIP2-256', SIGLIP),
    family('SigLIP 2 gopt/16-256', 'ViT-gopt-16-SigLIP2-256', SIGLIP),
    family('PE-Core T/16-384', 'PE-Core-T-16-384', meta='PE-Core-T16-384'),
    family('PE-Core S/16-384', 'PE-Core-S-16-384', meta='PE-Core-S16-384'),
    family('PE-Core B/16', 'PE-Core-B-16', meta='PE-Core-B16-224'),
    family('PE-Core L/14-336', 'PE-Core-L-14-336', meta='PE-Core-L14-336'),
    family('PE-Core bigG/14-448', 'PE-Core-bigG-14-448', meta='PE-Core-G14-448'),
    family('MobileCLIP2 L/14', 'MobileCLIP2-L-14'),
    family('LayerScale M/16', 'ViT-M-16-alt'),
    # Its vocabulary of 901,629 tokens is 3.7 GB of numbers.
    family('MetaCLIP 2 H/14', 'ViT-H-14-worldwide-quickgelu', METACLIP_2, text={'vocab_size': 32000}, end=2),
]
