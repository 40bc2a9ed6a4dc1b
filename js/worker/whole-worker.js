/** The worker with everything: started where the other one finds that a model needs it, or where a GPU is asked for. */
import { bringExtras } from '../base/extras.js';
import * as extras from '../extras.js';
import { host } from './host.js';

bringExtras(async () => extras);
host();
