import { TsbuilderError } from '../errors.js';
import type { XzEncoderLibrary } from './encode-liblzma.js';
import { type XzEngine, loadXzEngine } from './engine.js';

/** A library that unpacks and packs. */
export interface PackingEngine extends XzEngine {
  readonly encoders: XzEncoderLibrary;
}

/** The xz library to pack with. @throws TSB_TOOL_MISSING when it can only unpack, and as `loadXzEngine` */
export async function loadEncoders(): Promise<PackingEngine> {
  const engine = await loadXzEngine();
  const { encoders, name } = engine;
  if (encoders) return { ...engine, encoders };
  throw new TsbuilderError('TSB_TOOL_MISSING', `packing needs liblzma, and there is only ${name}`, {
    hint: 'Install it: apt-get install liblzma5',
  });
}
