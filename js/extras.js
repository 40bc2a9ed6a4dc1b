/** What only some models and some pages need, apart from what every page downloads: see base/extras.js. */
export { fromTwo } from './loading/merges.js';
export { openAiVocabulary } from './loading/openai-vocabulary.js';
export { PieceTokenizer } from './loading/pieces.js';
export { readPyTorch } from './loading/pytorch.js';
export { chooseDevice, startDevice } from './core/device-check.js';
export { specialCore } from './core/special.js';
export { architectureFromModelCfg, eosId, fromPreprocessCfg } from './loading/open-clip.js';
export { knownDocument } from './loading/known-names.js';
export { joinPositions } from './loading/long-clip.js';
export { moduleOf } from './loading/modules.js';
export { trunkOf } from './loading/timm.js';
export { readOfficial } from './classifier/exchange.js';
export * as siglip from './loading/siglip.js';
export { keptFor } from './features/kept.js';
