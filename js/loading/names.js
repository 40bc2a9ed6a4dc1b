/**
 * Names of tensors: image towers of timm within open_clip's files (`visual.trunk.…`) get the names that open_clip's own
 * towers have, which the library knows beside Hugging Face's.
 */

/** timm's part of a name and ours, the first that fits. @type {[RegExp, string][]} */
const TRUNK = [
  [/^blocks\.(\d+)\.norm([12])\./, 'transformer.resblocks.$1.ln_$2.'],
  [/^blocks\.(\d+)\.attn\.qkv\./, 'transformer.resblocks.$1.attn.in_proj_'],
  [/^blocks\.(\d+)\.attn\.proj\./, 'transformer.resblocks.$1.attn.out_proj.'],
  [/^blocks\.(\d+)\.mlp\.fc1\./, 'transformer.resblocks.$1.mlp.c_fc.'],
  [/^blocks\.(\d+)\.mlp\.fc2\./, 'transformer.resblocks.$1.mlp.c_proj.'],
  [/^patch_embed\.proj\./, 'conv1.'],
  [/^cls_token$/, 'class_embedding'],
  [/^pos_embed$/, 'positional_embedding'],
  [/^norm_pre\./, 'ln_pre.'],
  [/^norm\./, 'ln_post.'],
  [/^attn_pool\.latent$/, 'attn_pool.probe'],
  [/^attn_pool\.(q|kv)\./, 'attn_pool.attn.$1_proj.'],
  [/^attn_pool\.proj\./, 'attn_pool.attn.out_proj.'],
  [/^attn_pool\.norm\./, 'attn_pool.layernorm.'],
  [/^attn_pool\.mlp\.fc1\./, 'attn_pool.mlp.c_fc.'],
  [/^attn_pool\.mlp\.fc2\./, 'attn_pool.mlp.c_proj.'],
];

/** @param {string} name of a tensor in a file @returns {string} as the library knows it */
export function canonicalName(name) {
  const [, trunk, part] = /^(?:module\.)?(visual\.trunk\.)?(.*)$/.exec(name) ?? [];
  if (!trunk) return part.replace(/^visual\.head\.proj\./, 'visual_projection.');
  if (part.startsWith('head.')) return part.replace('head', 'visual_projection');
  const found = TRUNK.find(([theirs]) => theirs.test(part));
  return found ? `visual.${part.replace(...found)}` : name;
}
