/** The embedded model's files. Their addresses are written out, since that is what bundlers look for. */
export const pictoclip = Object.freeze({
  'config.json': new URL('../models/pictoclip/config.json', import.meta.url),
  'preprocessor_config.json': new URL('../models/pictoclip/preprocessor_config.json', import.meta.url),
  'tokenizer.json': new URL('../models/pictoclip/tokenizer.json', import.meta.url),
  'model.safetensors': new URL('../models/pictoclip/model.safetensors', import.meta.url),
});
