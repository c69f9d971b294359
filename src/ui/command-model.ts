import type { Command } from '@oclif/core';

/** What a value is, as far as a shell can complete it. `none`: free text. */
export type ValueKind = 'choice' | 'template' | 'file' | 'folder' | 'none';

/** The value of an option, or an argument. */
export interface ValueModel {
  /** Its name in help (`FILE`, `N`, `NAME`). */
  readonly label: string;
  readonly kind: ValueKind;
  /** All allowed values where `kind` is `choice`, else empty. */
  readonly choices: readonly string[];
}

/** One option of a command. */
export interface OptionModel {
  readonly long: string;
  readonly short: string | undefined;
  readonly description: string;
  /** Undefined for a switch. */
  readonly value: ValueModel | undefined;
  readonly repeatable: boolean;
}

/** One positional argument. */
export interface ArgumentModel extends ValueModel {
  readonly description: string;
  readonly required: boolean;
  /** Takes all words that are left. */
  readonly repeatable: boolean;
}

/** One command, as plain data. */
export interface CommandModel {
  /** The words it is called by after the program's name: `['cache', 'list']`. */
  readonly words: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly args: readonly ArgumentModel[];
  readonly options: readonly OptionModel[];
  /** Command lines, without a prompt, each with what it is for. */
  readonly examples: readonly { readonly description: string; readonly line: string }[];
}

/** The program and its commands in alphabetical order: all that completion and the man page are made of. */
export interface ProgramModel {
  readonly bin: string;
  readonly version: string;
  readonly summary: string;
  readonly commands: readonly CommandModel[];
  /** The command that runs when the first word names none. */
  readonly defaultCommand: CommandModel;
}

/** What is read of an oclif command, loaded or from the manifest. */
export type CommandSource = Pick<
  Command.Loadable,
  'id' | 'summary' | 'description' | 'args' | 'flags' | 'examples' | 'aliases' | 'hidden' | 'strict'
>;

/** What is read of oclif's Config. */
export interface ConfigSource {
  readonly bin: string;
  readonly version: string;
  /** package.json: its description is the program's. */
  readonly pjson: object;
  readonly commands: readonly CommandSource[];
}

const DEFAULT_COMMAND = 'build';
const HELP: OptionModel = {
  long: 'help',
  short: 'h',
  description: 'show help',
  value: undefined,
  repeatable: false,
};

/**
 * The model of the program that `config` describes. Hidden commands and options, and aliases, are left out.
 *
 * @throws Error when there is no build command
 */
export function programModel(config: ConfigSource): ProgramModel {
  const commands = config.commands
    .filter((command) => !command.hidden && !command.aliases.includes(command.id))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((command) => commandModel(command, config));
  const defaultCommand = commands.find(({ words }) => words.join(':') === DEFAULT_COMMAND);
  if (!defaultCommand) throw new Error(`no command ${DEFAULT_COMMAND} among ${config.commands.length}`);
  const { bin, version, pjson } = config;
  const summary = 'description' in pjson ? String(pjson.description) : '';
  return { bin, version, summary, commands, defaultCommand };
}

/** The words that may follow `path` on the way to a command (`list`, `gc` after `cache`), each with a description. */
export function nextWords(
  program: ProgramModel,
  path: readonly string[],
): { word: string; description: string }[] {
  const following = new Map<string, string>();
  for (const { words, summary } of program.commands) {
    const word = words[path.length];
    if (word === undefined || !path.every((part, i) => part === words[i])) continue;
    const isCommand = words.length === path.length + 1;
    if (isCommand || !following.has(word)) following.set(word, isCommand ? summary : `${word} commands`);
  }
  return [...following].map(([word, description]) => ({ word, description }));
}

/** All beginnings of commands that need another word: `[]`, `['cache']`, `['source']`. */
export function topicPaths(program: ProgramModel): string[][] {
  const paths = new Map<string, string[]>();
  for (const { words } of program.commands) {
    for (let length = 0; length < words.length; length++) {
      paths.set(words.slice(0, length).join(' '), words.slice(0, length));
    }
  }
  return [...paths.values()];
}

function commandModel(command: CommandSource, config: ConfigSource): CommandModel {
  const words = command.id.split(':');
  const render = (text: string): string =>
    text
      .replace(/<%=\s*config\.bin\s*%>/g, config.bin)
      .replace(/<%=\s*config\.version\s*%>/g, config.version)
      .replace(/<%=\s*command\.id\s*%>/g, words.join(' '));
  const args = Object.entries(command.args).filter(([, arg]) => !arg.hidden);
  return {
    words,
    summary: render(command.summary ?? command.description?.split('\n')[0] ?? ''),
    description: render(command.description ?? ''),
    args: args.map(([name, arg], index) => ({
      ...valueModel(name.toUpperCase(), arg.options, words),
      description: render(arg.description ?? ''),
      required: arg.required === true,
      repeatable: (command.strict === false || arg.multiple === true) && index === args.length - 1,
    })),
    options: [...Object.values(command.flags).flatMap((flag) => optionModels(flag, words)), HELP].map(
      (option) => ({ ...option, description: render(option.description) }),
    ),
    examples: asExamples(command.examples).map(({ description, line }) => ({
      description: render(description),
      line: render(line),
    })),
  };
}

function optionModels(flag: Command.Flag.Any, words: readonly string[]): OptionModel[] {
  if (flag.hidden) return [];
  const description = flag.summary ?? flag.description ?? '';
  const option = { long: flag.name, short: flag.char, description };
  if (flag.type === 'boolean') {
    const on = { ...option, value: undefined, repeatable: false };
    return flag.allowNo ? [on, { ...on, long: `no-${flag.name}`, short: undefined }] : [on];
  }
  const help = Array.isArray(flag.helpValue) ? flag.helpValue[0] : flag.helpValue;
  const label = (help ?? flag.name.toUpperCase()).replace(/[<>[\]]/g, '');
  const value = valueModel(label, flag.options, words);
  // The NAME of an option is never a template's: that is an argument.
  const kind = value.kind === 'template' ? 'none' : value.kind;
  return [{ ...option, value: { ...value, kind }, repeatable: flag.multiple === true }];
}

const KINDS: Readonly<Record<string, ValueKind>> = {
  NAME: 'template',
  RECIPE: 'template',
  FILE: 'file',
  SRC: 'file',
  DISK: 'file',
  IN: 'file',
  OUT: 'file',
  DIR: 'folder',
};

function valueModel(
  label: string,
  options: readonly string[] | undefined,
  words: readonly string[],
): ValueModel {
  if (options !== undefined) return { label, kind: 'choice', choices: options };
  if (label.includes('|')) return { label, kind: 'choice', choices: label.split('|') };
  const kind = KINDS[label] ?? 'none';
  // The NAME of a source is not a template's.
  return { label, kind: kind === 'template' && words[0] === 'source' ? 'none' : kind, choices: [] };
}

function asExamples(examples: Command.Example[] | undefined): { description: string; line: string }[] {
  return (examples ?? []).map((example) => {
    const text = typeof example === 'string' ? example : `${example.description}\n${example.command}`;
    const lines = text.split('\n').map((line) => line.trim());
    const line = lines.pop() ?? '';
    return { description: lines.join(' ').trim(), line: line.replace(/^\$ /, '') };
  });
}
