import type { XzPacking } from './encode-options.js';
import { loadEncoders } from './load-encoders.js';

/** Goes up when this program comes to pack the same content to other bytes with the same liblzma. */
const PACKER = 1;

/**
 * Names all that the bytes of a packed file depend on besides its content: files with the same name and the same content are the same.
 *
 * @throws TSB_TOOL_MISSING when no liblzma can be loaded
 */
export async function packingName({ preset, blockSize, check }: XzPacking): Promise<string> {
  const { encoders } = await loadEncoders();
  return `tsbuilder ${PACKER}, liblzma ${encoders.version}, preset ${preset}, blocks of ${blockSize}, ${check}`;
}
