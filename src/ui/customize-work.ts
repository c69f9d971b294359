import { resolve } from 'node:path';
import type { Interfaces } from '@oclif/core';
import type { CloudInitDisk } from '../build/cloud-init-disk.js';
import type { CustomizeWork } from '../build/customize-work.js';
import type { SeedChoice } from '../customize/cloud-init/seed-files.js';
import type { CustomizeList } from '../customize/customize-list.js';
import type { Operation } from '../customize/operation-kind.js';
import { TsbuilderError } from '../errors.js';
import { OPERATION_FACES } from '../customize/operation-faces.js';
import { planCustomize } from '../customize/plan-customize.js';

/** The values of `customizeFlags` that say where operations are done. */
interface PlaceFlags {
  readonly root?: string | undefined;
  readonly 'disk-uuid': 'new' | 'keep';
  readonly 'cloud-init-disk'?: string | undefined;
  readonly network: boolean;
  readonly memsize?: number | undefined;
  readonly smp?: number | undefined;
  readonly attach?: string[] | undefined;
}

/**
 * All that a command line says about customising.
 *
 * @throws as `customizeListOf`
 */
export async function customizeWork(
  tokens: Interfaces.ParserOutput['raw'],
  flags: PlaceFlags,
  signal?: AbortSignal,
): Promise<CustomizeWork> {
  const { operations: all, settings } = await customizeListOf(tokens, signal);
  const { operations, cloudInitDisk } = await takeCloudInit(all, flags['cloud-init-disk']);
  const { root, network, memsize, smp, 'disk-uuid': diskIds } = flags;
  const memory = memsize === undefined ? undefined : memsize * 1024 * 1024;
  const attach = flags.attach?.map((path) => resolve(path));
  const machine = { network, memory, smp, attach };
  return { stages: planCustomize(operations), settings, diskIds, root, cloudInitDisk, machine };
}

/** With `path`, the one operation of cloud-init's files is taken out of the list: they go to a disk there. */
async function takeCloudInit(
  operations: readonly Operation[],
  path: string | undefined,
): Promise<{ operations: readonly Operation[]; cloudInitDisk?: CloudInitDisk }> {
  if (path === undefined) return { operations };
  const { cloudInit } = await import('../customize/ops/cloud-init.js');
  const isSeed = (operation: Operation): operation is Operation<SeedChoice> =>
    operation.kind.name === cloudInit.name;
  const seeds = operations.filter(isSeed);
  const [seed] = seeds;
  if (!seed || seeds.length > 1) {
    throw new TsbuilderError(
      'TSB_USAGE',
      '--cloud-init-disk needs one --cloud-init, which says what is on it',
      {
        hint: `For example --cloud-init user-data.yaml --cloud-init-disk ${path}.`,
      },
    );
  }
  return {
    operations: operations.filter((operation) => !isSeed(operation)),
    cloudInitDisk: { path: resolve(path), choice: seed.value },
  };
}

/** Options that are named here like what they are called in files. */
const WITH_TEXT = ['commands-from-file', 'customize', 'password-crypto'];
const SWITCHES = ['no-logfile', 'selinux-relabel'];

/**
 * The operations and settings on a command line, those of files in the place where the file is named.
 *
 * @throws TSB_USAGE, and TSB_NOT_FOUND for a file that cannot be read
 */
async function customizeListOf(
  tokens: Interfaces.ParserOutput['raw'],
  signal: AbortSignal | undefined,
): Promise<CustomizeList> {
  const requests = tokens.flatMap((token) => (token.type === 'flag' ? requestsOf(token) : []));
  // The operations themselves are loaded only where there is one to do.
  if (requests.length === 0) return { operations: [], settings: {} };
  const { joinLists } = await import('../customize/customize-list.js');
  const lists: CustomizeList[] = [];
  for (const request of requests) lists.push(await readRequest(request, signal));
  return joinLists(lists);
}

interface Request {
  readonly name: string;
  readonly text: string;
}

/** The input of a token is the value of an option, or, for a switch, the word itself. */
function requestsOf({ flag, input }: { flag: string; input: string }): Request[] {
  const face = OPERATION_FACES.find(({ name }) => name === flag);
  if (face) return [{ name: flag, text: face.argument === undefined ? '' : input }];
  if (WITH_TEXT.includes(flag)) return [{ name: flag, text: input }];
  return SWITCHES.includes(flag) ? [{ name: input.replace(/^--/, ''), text: '' }] : [];
}

async function readRequest({ name, text }: Request, signal: AbortSignal | undefined): Promise<CustomizeList> {
  if (name === 'commands-from-file')
    return (await import('../customize/parse-commands.js')).readCommandsFile(text, signal);
  if (name === 'customize')
    return (await import('../customize/parse-recipe.js')).readCustomizeFile(text, signal);
  return (await import('../customize/customize-list.js')).parseRequest(name, text);
}
