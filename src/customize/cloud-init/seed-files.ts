import { TsbuilderError, messageOf } from '../../errors.js';
import type { RandomSource } from '../../io/random.js';
import { readBounded } from '../../io/read-bounded.js';
import type { HostFile } from '../operation-kind.js';
import { MAX_USER_DATA, assertUserData } from './check-user-data.js';
import { assertYaml } from './check-yaml.js';

/** The files of the host that a seed is made of. */
export interface SeedChoice {
  readonly userData: string;
  readonly metaData?: string | undefined;
  readonly networkConfig?: string | undefined;
}

/** The files of this machine that `readSeedFiles` will read. */
export function seedHostFiles({ userData, metaData, networkConfig }: SeedChoice): HostFile[] {
  return [userData, metaData, networkConfig].filter((path) => path !== undefined).map((path) => ({ path }));
}

/** The content of a seed's files by name. */
export type SeedFiles = ReadonlyMap<'user-data' | 'meta-data' | 'network-config', Uint8Array>;

/** What a seed is read with. */
export interface SeedContext {
  readonly random: RandomSource;
  warn(message: string): void;
  /** Ends waiting for the writer of a pipe. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads and checks the files of a NoCloud seed (cloud-init's documentation, "NoCloud"). Without metadata of the user's, a
 * random instance-id is made: cloud-init takes every disk for a new machine then.
 *
 * @throws TSB_NOT_FOUND for a file that cannot be read, TSB_RECIPE_INVALID for one that cloud-init would not understand
 */
export async function readSeedFiles(choice: SeedChoice, context: SeedContext): Promise<SeedFiles> {
  const files = new Map<'user-data' | 'meta-data' | 'network-config', Uint8Array>();
  const userData = await readSeedFile(choice.userData, context.signal);
  await assertUserData(choice.userData, userData);
  files.set('user-data', userData);
  files.set('meta-data', await metaData(choice.metaData, context));
  if (choice.networkConfig !== undefined) {
    const network = await readSeedFile(choice.networkConfig, context.signal);
    await assertYaml(choice.networkConfig, network.toString('utf8'), 'map');
    files.set('network-config', network);
  }
  return files;
}

async function metaData(path: string | undefined, context: SeedContext): Promise<Uint8Array> {
  if (path === undefined)
    return Buffer.from(`instance-id: iid-${context.random.uuid('cloud-init instance-id')}\n`);
  const data = await readSeedFile(path, context.signal);
  await assertYaml(path, data.toString('utf8'), 'map');
  if (!/^\s*[{,]?\s*["']?instance-id["']?\s*:/m.test(data.toString('utf8'))) {
    context.warn(
      `${path}: has no instance-id, so cloud-init takes every disk made with it for the same machine`,
    );
  }
  return data;
}

/** A file, or what comes out of a pipe. */
async function readSeedFile(path: string, signal: AbortSignal | undefined): Promise<Buffer> {
  const data = await readBounded(path, MAX_USER_DATA, signal).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw new TsbuilderError('TSB_NOT_FOUND', `${path}: cannot be read: ${messageOf(error)}`, {
      hint: 'Name a file on this machine.',
      cause: error,
    });
  });
  if (data) return data;
  throw new TsbuilderError('TSB_RECIPE_INVALID', `${path}: has more than ${MAX_USER_DATA} bytes`);
}
