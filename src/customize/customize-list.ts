import { TsbuilderError } from '../errors.js';
import { inOperation } from './apply-operations.js';
import type { CustomizeContext, Operation, OperationKind } from './operation-kind.js';
import { OPERATIONS, findOperation } from './operations.js';

/** What is said about customising as a whole, not one operation. Undefined: nobody has said anything. */
export interface CustomizeSettings {
  readonly passwordCrypto?: CustomizeContext['passwordCrypto'];
  /** Whether what programs in the guest printed is left there in a log. */
  readonly logfile?: boolean | undefined;
  /** Whether all files are labelled anew for SELinux. */
  readonly selinuxRelabel?: boolean | undefined;
}

/** Operations in the order in which they were asked for, and settings. */
export interface CustomizeList {
  readonly operations: readonly Operation[];
  readonly settings: CustomizeSettings;
}

/** The ways of hashing passwords, the strongest first. */
const PASSWORD_CRYPTOS = ['yescrypt', 'sha512', 'sha256', 'md5'] as const;

const SWITCHES: Readonly<Record<string, CustomizeSettings>> = {
  'no-logfile': { logfile: false },
  'selinux-relabel': { selinuxRelabel: true },
  'no-selinux-relabel': { selinuxRelabel: false },
};

/** All of `lists` as one; where they contradict each other, the last one has its way. */
export function joinLists(lists: readonly CustomizeList[]): CustomizeList {
  return {
    operations: lists.flatMap(({ operations }) => operations),
    settings: lists.reduce<CustomizeSettings>((all, { settings }) => ({ ...all, ...settings }), {}),
  };
}

/**
 * What the word `name` (an operation's, or a setting's such as `no-logfile`) and the text behind it ask for.
 *
 * @throws TSB_USAGE for an unknown word, a missing or needless argument, and what an operation's own parser throws
 */
export function parseRequest(name: string, text: string): CustomizeList {
  const setting = parseSetting(name, text);
  if (setting) return { operations: [], settings: setting };
  const kind = findOperation(name);
  if (!kind) throw unknownOperation(name);
  assertArgument(kind, text);
  return { operations: [{ kind, value: parseValue(kind, text) }], settings: {} };
}

function parseValue(kind: OperationKind<unknown>, text: string): unknown {
  try {
    return kind.parse(text);
  } catch (error) {
    throw inOperation(kind.name, error);
  }
}

function parseSetting(name: string, text: string): CustomizeSettings | undefined {
  if (name === 'password-crypto') return { passwordCrypto: parsePasswordCrypto(text) };
  const setting = Object.hasOwn(SWITCHES, name) ? SWITCHES[name] : undefined;
  if (setting) assertArgument({ name }, text);
  return setting;
}

/** @throws TSB_USAGE when `text` names no way of hashing passwords */
function parsePasswordCrypto(text: string): (typeof PASSWORD_CRYPTOS)[number] {
  const found = PASSWORD_CRYPTOS.find((crypto) => crypto === text);
  if (found !== undefined) return found;
  throw new TsbuilderError('TSB_USAGE', '--password-crypto: that is no way of hashing passwords', {
    hint: `Choose one of ${PASSWORD_CRYPTOS.join(', ')}.`,
  });
}

/** An argument in brackets may be left away. */
function assertArgument(
  { name, argument }: Pick<OperationKind<unknown>, 'name' | 'argument'>,
  text: string,
): void {
  if (argument === undefined && text !== '') {
    throw new TsbuilderError('TSB_USAGE', `--${name} takes nothing, and was given something`);
  }
  if (argument !== undefined && !argument.startsWith('[') && text === '') {
    throw new TsbuilderError('TSB_USAGE', `--${name} needs ${argument}`);
  }
}

/** The error for a word that is no operation. It is not repeated: in a file that was named by mistake it may be a password. */
export function unknownOperation(name: string): TsbuilderError {
  const close = OPERATIONS.map((kind) => kind.name).find((known) => isClose(known, name));
  return new TsbuilderError('TSB_USAGE', 'there is no such operation', {
    hint: close === undefined ? 'tsbuilder customize --help lists them.' : `Is ${close} meant?`,
  });
}

/** Whether `name` is `known` but for its case, its dashes, or one character too few, too many or another one. */
function isClose(known: string, name: string): boolean {
  const [one, other] = [known, name].map((text) => text.toLowerCase().replaceAll(/[-_]/g, ''));
  if (one === undefined || other === undefined || Math.abs(one.length - other.length) > 1) return false;
  let front = 0;
  while (front < Math.min(one.length, other.length) && one[front] === other[front]) front += 1;
  const tail = (text: string, length: number): string => text.slice(front + length);
  return [
    [1, 1],
    [0, 1],
    [1, 0],
  ].some(([a = 0, b = 0]) => tail(one, a) === tail(other, b));
}
