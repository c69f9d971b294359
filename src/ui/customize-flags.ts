import { Flags, type Interfaces } from '@oclif/core';
import type { CustomizeList } from '../customize/customize-list.js';
import { OPERATION_FACES, type OperationFace } from '../customize/operation-faces.js';

const helpGroup = 'CUSTOMISE';

/** The options by which a command takes operations; those of the operations themselves are known by their order only. */
export const customizeFlags = {
  // Typed as nothing: their values are read from the tokens of the command line, which have an order.
  ...(Object.fromEntries(OPERATION_FACES.map((face) => [face.name, operationFlag(face)])) as object),
  'commands-from-file': Flags.string({
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
    description: 'operations from FILE, one in each line, without dashes',
    helpGroup,
  }),
  customize: Flags.string({
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
    description: 'operations from a YAML list',
    helpGroup,
  }),
  'password-crypto': Flags.string({
    helpValue: 'yescrypt|sha512|sha256|md5',
    description: "how passwords are hashed (default: the best that the guest's system knows)",
    helpGroup,
  }),
  'password-file': Flags.string({
    helpValue: 'FILE',
    description: 'write passwords made here to FILE instead of printing them once',
    helpGroup,
  }),
  root: Flags.string({
    helpValue: 'PART',
    description:
      'the partition of the system that is meant, such as /dev/sda3 or 3, where the disk has several',
    helpGroup,
  }),
  network: Flags.boolean({
    allowNo: true,
    default: true,
    description: 'let programs that run in the guest reach the network',
    helpGroup,
  }),
  'no-logfile': Flags.boolean({
    description: 'leave no log of programs that were run in the guest in it',
    helpGroup,
  }),
  'selinux-relabel': Flags.boolean({
    allowNo: true,
    description:
      'label all files anew at the first boot (default: where programs were run in a guest with SELinux)',
    helpGroup,
  }),
};

/** The values of `customizeFlags` that are not operations. */
export interface CustomizeFlagValues {
  readonly 'password-file'?: string | undefined;
  readonly root?: string | undefined;
  readonly network: boolean;
}

function operationFlag({ argument, summary: description }: OperationFace): Interfaces.Flag<unknown> {
  if (argument === undefined) return Flags.boolean({ description, helpGroup });
  return Flags.string({
    helpValue: argument.replace(/^\[|\]$/g, ''),
    multiple: true,
    multipleNonGreedy: true,
    description,
    helpGroup,
  }) as Interfaces.Flag<unknown>;
}

/** Options that are named here like what they are called in files. */
const WITH_TEXT = ['commands-from-file', 'customize', 'password-crypto'];
const SWITCHES = ['no-logfile', 'selinux-relabel'];

/**
 * The operations and settings on a command line, those of files in the place where the file is named.
 *
 * @throws TSB_USAGE, and TSB_NOT_FOUND for a file that cannot be read
 */
export async function customizeListOf(tokens: Interfaces.ParserOutput['raw']): Promise<CustomizeList> {
  const requests = tokens.flatMap((token) => (token.type === 'flag' ? requestsOf(token) : []));
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
