import { resolve } from 'node:path';
import type { Interfaces } from '@oclif/core';
import type { CustomizeWork } from '../build/customize-work.js';
import type { CustomizeList } from '../customize/customize-list.js';
import { OPERATION_FACES } from '../customize/operation-faces.js';
import { planCustomize } from '../customize/plan-customize.js';

/** The values of `customizeFlags` that say where operations are done. */
interface PlaceFlags {
  readonly root?: string | undefined;
  readonly 'disk-uuid': 'new' | 'keep';
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
): Promise<CustomizeWork> {
  const { operations, settings } = await customizeListOf(tokens);
  const { root, network, memsize, smp, 'disk-uuid': diskIds } = flags;
  const memory = memsize === undefined ? undefined : memsize * 1024 * 1024;
  const attach = flags.attach?.map((path) => resolve(path));
  const machine = { network, memory, smp, attach };
  return { stages: planCustomize(operations), settings, diskIds, root, machine };
}

/** Options that are named here like what they are called in files. */
const WITH_TEXT = ['commands-from-file', 'customize', 'password-crypto'];
const SWITCHES = ['no-logfile', 'selinux-relabel'];

/**
 * The operations and settings on a command line, those of files in the place where the file is named.
 *
 * @throws TSB_USAGE, and TSB_NOT_FOUND for a file that cannot be read
 */
async function customizeListOf(tokens: Interfaces.ParserOutput['raw']): Promise<CustomizeList> {
  const requests = tokens.flatMap((token) => (token.type === 'flag' ? requestsOf(token) : []));
  // The operations themselves are loaded only where there is one to do.
  if (requests.length === 0) return { operations: [], settings: {} };
  const { joinLists } = await import('../customize/customize-list.js');
  const lists: CustomizeList[] = [];
  for (const request of requests) lists.push(await readRequest(request));
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

async function readRequest({ name, text }: Request): Promise<CustomizeList> {
  if (name === 'commands-from-file')
    return (await import('../customize/parse-commands.js')).readCommandsFile(text);
  if (name === 'customize') return (await import('../customize/parse-recipe.js')).readCustomizeFile(text);
  return (await import('../customize/customize-list.js')).parseRequest(name, text);
}
