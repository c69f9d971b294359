import { TsbuilderError } from '../errors.js';
import { exec } from '../io/exec.js';
import { type ScratchFile, openScratchFile } from '../io/output-file.js';

const QEMU = { debianPackage: 'qemu-utils' };

/**
 * Makes a temporary raw copy, with holes, of a disk image that only QEMU reads. An image that names other files is refused: who made
 * it could have it name any file of this machine.
 *
 * @throws TSB_USAGE for such an image, TSB_IMAGE_INVALID, TSB_TOOL_MISSING, TSB_NO_SPACE
 */
export async function openForeignDisk(
  { path, format }: { readonly path: string; readonly format: string },
  { scratchFor, signal }: { readonly scratchFor: string; readonly signal: AbortSignal },
): Promise<ScratchFile> {
  await assertOneFile({ path, format }, signal);
  const copy = await openScratchFile(scratchFor);
  try {
    const files = ['-f', format, '-O', 'raw', '--', path, copy.tempPath];
    await exec('qemu-img', ['convert', '-t', 'unsafe', ...files], { ...QEMU, signal });
    return copy;
  } catch (error) {
    await copy[Symbol.asyncDispose]();
    throw asImageError(path, error);
  }
}

async function assertOneFile(image: { path: string; format: string }, signal: AbortSignal): Promise<void> {
  const { path, format } = image;
  const about = ['info', '--output=json', '-f', format, '--', path];
  const { stdout } = await exec('qemu-img', about, { ...QEMU, signal }).catch((error: unknown) => {
    throw asImageError(path, error);
  });
  const info: unknown = JSON.parse(stdout);
  const others = filesIn(info).filter((name) => name !== path);
  if (others.length === 0) return;
  throw new TsbuilderError('TSB_USAGE', `${path}: needs other files (${others.join(', ')})`, {
    hint: `If you trust it, make an image of its own first: qemu-img convert -O qcow2 ${path} NEW.qcow2`,
  });
}

/** Every file that `qemu-img info` names: backing files and extents. */
function filesIn(info: unknown): string[] {
  if (typeof info !== 'object' || info === null) return [];
  return Object.entries(info).flatMap(([key, value]: [string, unknown]) => {
    const isName = ['filename', 'backing-filename', 'full-backing-filename'].includes(key);
    return isName && typeof value === 'string' ? [value] : filesIn(value);
  });
}

function asImageError(path: string, error: unknown): unknown {
  if (!(error instanceof TsbuilderError) || error.code !== 'TSB_TOOL_FAILED') return error;
  const code = error.message.includes('No space left') ? 'TSB_NO_SPACE' : 'TSB_IMAGE_INVALID';
  return new TsbuilderError(code, `${path}: ${error.message}`, { cause: error });
}
