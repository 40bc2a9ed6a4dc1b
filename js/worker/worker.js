/** The worker that pages start. */
import { host } from './host.js';

host();
