export type { NbdExport, NbdServerOptions, NbdTls } from './nbd-options.js';
