/**
 * Models for photographs that the page offers, the smallest first. Sizes are what is downloaded: without the token
 * embedding, of which sentences read some rows. tests/node/loading.test.js holds them to what the library reads.
 */
export const OFFERS = [
  {
    id: 'tiny-clip',
    from: 'https://huggingface.co/wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M',
    bytes: 43e6,
    photos: true,
  },
  {
    id: 'vit-b-32',
    // The repository's own branch has no .safetensors; this request to add it does.
    from: 'https://huggingface.co/openai/clip-vit-base-patch32/resolve/refs%2Fpr%2F15/',
    bytes: 504e6,
    photos: true,
  },
  { id: 'vit-b-16', from: 'https://huggingface.co/openai/clip-vit-base-patch16', bytes: 499e6, photos: true },
];
