import { TsbuilderError } from '../errors.js';
import { type CustomizeList, joinLists, parseRequest } from './customize-list.js';
import { readListFile } from './read-list-file.js';

/** One command and where it begins. */
interface Command {
  readonly line: number;
  readonly text: string;
}

/**
 * Reads the file of `--commands-from-file`.
 *
 * @throws TSB_NOT_FOUND when it cannot be read, and as `parseCommands`
 */
export async function readCommandsFile(path: string, signal?: AbortSignal): Promise<CustomizeList> {
  return parseCommands(path, await readListFile(path, signal));
}

/**
 * Reads commands as virt-builder has them in files: one in each line, as on the command line but with or without dashes, and
 * everything behind the first blank is its argument, without quotes. Empty lines and lines that begin with `#` are passed
 * over. A backslash at the end of a line makes the line break and the next line part of the command.
 *
 * @param path for messages
 * @throws TSB_USAGE naming the file and the line
 */
export function parseCommands(path: string, text: string): CustomizeList {
  return joinLists(
    commandsOf(text).map((command) => {
      try {
        return parseCommand(command.text);
      } catch (error) {
        throw atLine(path, command.line, error);
      }
    }),
  );
}

function commandsOf(text: string): Command[] {
  const commands: Command[] = [];
  let open: Command | undefined;
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    const start = open ?? { line: index + 1, text: '' };
    const continued = line.endsWith('\\');
    const whole = { ...start, text: start.text + (continued ? `${line.slice(0, -1)}\n` : line) };
    open = continued ? whole : undefined;
    if (!continued) commands.push(whole);
  }
  // A backslash at the very end continues with nothing.
  if (open) commands.push({ ...open, text: open.text.replace(/\n$/, '') });
  return commands.map((command) => ({ ...command, text: command.text.trimStart() })).filter(isCommand);
}

function isCommand({ text }: Command): boolean {
  return text !== '' && !text.startsWith('#');
}

function parseCommand(text: string): CustomizeList {
  const blank = text.indexOf(' ');
  const word = blank < 0 ? text.trimEnd() : text.slice(0, blank);
  const name = word.replace(/^--/, '');
  if (name === 'commands-from-file' || name === 'customize')
    throw new TsbuilderError('TSB_USAGE', `${name}: a file of commands cannot name another`);
  return parseRequest(name, blank < 0 ? '' : text.slice(blank + 1));
}

function atLine(path: string, line: number, error: unknown): unknown {
  if (!(error instanceof TsbuilderError)) return error;
  const { code, message, hint, details } = error;
  return new TsbuilderError(code, `${path}: line ${line}: ${message}`, {
    hint,
    details: { ...details, path, line },
    cause: error,
  });
}
