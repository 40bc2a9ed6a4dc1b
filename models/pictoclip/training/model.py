"""A small CLIP as OpenAI built it: ViT and causal text transformer, pre-LN, QuickGELU, end-of-text pooling."""
import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass
class Config:
    image: int = 64
    patch: int = 8
    vision_width: int = 192
    vision_layers: int = 5
    vision_heads: int = 3
    text_width: int = 128
    text_layers: int = 4
    text_heads: int = 2
    context: int = 32
    vocab: int = 2048
    embed: int = 128

    def dict(self):
        return asdict(self)


class Block(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.ln_1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.ln_2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):                                   # (B, T, width)
        B, T, W = x.shape
        q, k, v = self.qkv(self.ln_1(x)).view(B, T, 3, self.heads, W // self.heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(a.transpose(1, 2).reshape(B, T, W))
        # QuickGELU h * sigmoid(1.702 h) is silu(1.702 h) / 1.702; with both factors in the weights it is a single pass.
        h = F.silu(F.linear(self.ln_2(x), self.fc1.weight * 1.702, self.fc1.bias * 1.702))
        return x + F.linear(h, self.fc2.weight / 1.702, self.fc2.bias)


def waves(width, side):
    """Sines and cosines of row and column, (side * side, width): a start that knows which patches are neighbours."""
    omega = 10000 ** (-torch.arange(width // 4) / (width // 4 - 1))
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    parts = [f(v.flatten()[:, None] * omega) for v in (y, x) for f in (torch.sin, torch.cos)]
    return torch.cat(parts, 1)


class PictoCLIP(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.config = c
        self.patches = (c.image // c.patch) ** 2
        self.patch_weight = nn.Parameter(torch.empty(c.vision_width, 3 * c.patch * c.patch))
        self.class_embedding = nn.Parameter(torch.empty(c.vision_width))
        self.vision_position = nn.Parameter(torch.empty(self.patches + 1, c.vision_width))
        self.ln_pre = nn.LayerNorm(c.vision_width)
        self.vision = nn.ModuleList(Block(c.vision_width, c.vision_heads, False) for _ in range(c.vision_layers))
        self.ln_post = nn.LayerNorm(c.vision_width)
        self.vision_projection = nn.Parameter(torch.empty(c.embed, c.vision_width))
        self.token_embedding = nn.Parameter(torch.empty(c.vocab, c.text_width))
        self.text_position = nn.Parameter(torch.empty(c.context, c.text_width))
        self.text = nn.ModuleList(Block(c.text_width, c.text_heads, True) for _ in range(c.text_layers))
        self.ln_final = nn.LayerNorm(c.text_width)
        self.text_projection = nn.Parameter(torch.empty(c.embed, c.text_width))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.reset()

    def reset(self):
        c = self.config
        normal = nn.init.normal_
        normal(self.patch_weight, std=(3 * c.patch ** 2) ** -0.5)
        normal(self.class_embedding, std=c.vision_width ** -0.5)
        normal(self.vision_position, std=c.vision_width ** -0.5)
        normal(self.token_embedding, std=0.02)
        normal(self.text_position, std=0.01)
        normal(self.vision_projection, std=c.vision_width ** -0.5)
        normal(self.text_projection, std=c.text_width ** -0.5)
        for tower, width in ((self.vision, c.vision_width), (self.text, c.text_width)):
            for b in tower:
                for layer, std in ((b.qkv, width ** -0.5), (b.out, width ** -0.5 * (2 * len(tower)) ** -0.5),
                                   (b.fc1, (2 * width) ** -0.5), (b.fc2, width ** -0.5 * (2 * len(tower)) ** -0.5)):
                    normal(layer.weight, std=std)
                    nn.init.zeros_(layer.bias)
        # The image tower starts with attention to patches that are alike or near: small ViTs learn sooner from there.
        with torch.no_grad():
            self.vision_position.mul_(0.2)
            self.vision_position[1:] += waves(c.vision_width, c.image // c.patch) * 0.5
            d, h = c.vision_width, c.vision_heads
            for b in self.vision:
                k = d // h
                for i in range(h):
                    u, s, v = torch.linalg.svd(0.7 * torch.randn(d, d) * d ** -0.5 + 0.7 * torch.eye(d))
                    b.qkv.weight[i * k:(i + 1) * k] = (u[:, :k] * s[:k].sqrt()).T
                    b.qkv.weight[d + i * k:d + (i + 1) * k] = s[:k].sqrt()[:, None] * v[:k]
                u, s, v = torch.linalg.svd(0.4 * torch.randn(d, d) * d ** -0.5 - 0.4 * torch.eye(d))
                b.qkv.weight[2 * d:] = s.sqrt()[:, None] * v
                b.out.weight.copy_(u * s.sqrt())

    def image_tokens(self, pixels, keep=None):
        """Class token and patches after ln_pre. `keep` (B, K) names the patches used in training."""
        c = self.config
        x = F.unfold(pixels, c.patch, stride=c.patch).transpose(1, 2)       # (B, patches, 3*p*p)
        position = self.vision_position[1:].expand(len(x), -1, -1)
        if keep is not None:
            x = x.gather(1, keep[:, :, None].expand(-1, -1, x.shape[2]))
            position = position.gather(1, keep[:, :, None].expand(-1, -1, position.shape[2]))
        x = x @ self.patch_weight.T + position
        first = (self.class_embedding + self.vision_position[0]).expand(len(x), 1, -1)
        return self.ln_pre(torch.cat([first, x], 1))

    def encode_image(self, pixels, keep=None):
        """(B, 3, image, image), normalised -> (B, embed), not yet of unit length."""
        x = self.image_tokens(pixels, keep)
        for block in self.vision:
            x = block(x)
        return self.ln_post(x[:, 0]) @ self.vision_projection.T

    def encode_text(self, ids):
        """(B, T) token ids, each row with <|endoftext|> (the largest id) -> (B, embed)."""
        end = ids.argmax(1)
        x = self.token_embedding[ids] + self.text_position[: ids.shape[1]]
        for block in self.text:
            x = block(x)
        return self.ln_final(x[torch.arange(len(x)), end]) @ self.text_projection.T

    def forward(self, pixels, ids):
        """logits (images, texts)"""
        image = F.normalize(self.encode_image(pixels), dim=-1)
        text = F.normalize(self.encode_text(ids), dim=-1)
        return self.logit_scale.exp() * image @ text.T


def normalise(pixels):
    """(B, 3, H, W) in 0..1 -> CLIP's standard scores"""
    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    return (pixels - mean) / torch.tensor(STD).view(1, 3, 1, 1)


def count(model):
    return sum(p.numel() for p in model.parameters())
