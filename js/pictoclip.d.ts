import type { ModelAddresses } from './index.js';

/**
 * The embedded model (5.9 MB), for `loadClip(pictoclip)`: a CLIP of 2.9 million parameters that knows pictograms and
 * drawings of things, and nothing else. Apps that import it ship its files; they are fetched when it is loaded.
 */
export const pictoclip: ModelAddresses;
