import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import { findDamage } from '../xz/check-block-map.js';
import { type BlockMapOptions, fetchBlockMap } from './template-block-map.js';
import type { TemplateHandle } from './template-cache-handle.js';
import type { TemplateEntry } from './template-entry.js';

/** So many damaged places are named. */
const MAX_NAMED = 3;

/** `handle`, whose verification names the damaged blocks when the checksum is wrong and the index names a block map. */
export function namingDamage(
  handle: TemplateHandle,
  entry: TemplateEntry,
  options: BlockMapOptions,
): TemplateHandle {
  let failure: Promise<unknown> | undefined;
  return {
    ...handle,
    async verify(signal) {
      try {
        await handle.verify(signal);
      } catch (error) {
        if (!isWrongContent(error) || entry.blocks === undefined) throw error;
        failure ??= nameDamage(error, handle.source, { entry, options });
        throw await failure;
      }
    },
  };
}

/**
 * How many bytes from its start a partial file of the template has before its first damaged block. Without a block map that can be
 * had: all of them, until the checksum of the whole tells.
 */
export async function soundPrefix(
  partial: ByteSource,
  entry: TemplateEntry,
  options: BlockMapOptions,
): Promise<number> {
  const map = await fetchBlockMap(entry, options).catch(() => undefined);
  if (!map) return partial.size;
  for await (const { range } of findDamage(partial, map, options.signal)) {
    // Of a block that has not come to its end nothing can be said.
    const isWhole = range.offset + range.length <= partial.size;
    return isWhole ? range.offset : partial.size;
  }
  return partial.size;
}

function isWrongContent(error: unknown): error is TsbuilderError {
  return (
    error instanceof TsbuilderError &&
    (error.code === 'TSB_CHECKSUM_MISMATCH' || error.code === 'TSB_SIZE_MISMATCH')
  );
}

/** `error` with the damaged places in it; as it is where they cannot be found. */
async function nameDamage(
  error: TsbuilderError,
  source: ByteSource,
  { entry, options }: { entry: TemplateEntry; options: BlockMapOptions },
): Promise<TsbuilderError> {
  const labels: string[] = [];
  try {
    const map = await fetchBlockMap(entry, options);
    if (!map) return error;
    for await (const { label } of findDamage(source, map, options.signal)) labels.push(label);
  } catch {
    // The checksum is wrong whether or not its map can be had.
    return error;
  }
  if (labels.length === 0) return error;
  const more = labels.length > MAX_NAMED ? ` and ${labels.length - MAX_NAMED} more` : '';
  const { code, message, hint, details } = error;
  return new TsbuilderError(code, `${message}; damaged: ${labels.slice(0, MAX_NAMED).join(', ')}${more}`, {
    hint,
    details: { ...details, damagedParts: labels.length },
    cause: error,
  });
}
