import type { ArgumentModel, CommandModel, OptionModel, ProgramModel } from './command-model.js';
import { environmentSection, exitStatusSection, filesSection } from './man-sections.js';
import { bold, italic, literal, roffText, section, tagged } from './roff.js';

/** The manual page of the program in section 1, as roff for `man`. */
export function manPage(program: ProgramModel): string {
  const { bin, version, summary } = program;
  const common = commonOptions(program);
  const commands = [
    program.defaultCommand,
    ...program.commands.filter((command) => command !== program.defaultCommand),
  ];
  return [
    `.\\" Made by: ${bin} man`,
    `.TH ${roffText(bin.toUpperCase())} 1 "" "${roffText(`${bin} ${version}`)}" "User Commands"`,
    '.nh\n.ad l',
    section('NAME', [`${roffText(bin)} \\- ${roffText(summary)}`]),
    section('SYNOPSIS', commands.flatMap((command) => synopses(program, command)).map(hanging)),
    section('DESCRIPTION', [
      roffText(program.defaultCommand.description || program.defaultCommand.summary),
      '.PP',
      `A first word that is no command is the name of a template: ${bold(`${bin} debian-12`)} and`,
      `${bold(`${bin} ${program.defaultCommand.words.join(' ')} debian-12`)} are the same.`,
      'All commands take the common options as well as their own.',
    ]),
    section(
      'COMMON OPTIONS',
      common.map((option) => optionEntry(option)),
    ),
    section(
      'COMMANDS',
      commands.map((command) => commandEntry(program, command, common)),
    ),
    exitStatusSection(),
    environmentSection(),
    filesSection(),
    section('EXAMPLES', commands.flatMap(exampleEntries)),
    section('SEE ALSO', [
      ['virt\\-builder', 'qemu\\-img', 'xz', 'guestfish', 'resize2fs']
        .map((name) => `\\fB${name}\\fR(1)`.replace('resize2fs\\fR(1)', 'resize2fs\\fR(8)'))
        .join(',\n'),
    ]),
    '',
  ].join('\n');
}

const hanging = (line: string, index: number): string => (index === 0 ? line : `.br\n${line}`);

/** The lines of SYNOPSIS for a command: the default command can be called without its name. */
function synopses(program: ProgramModel, command: CommandModel): string[] {
  const short = `${bold(program.bin)}${callTail(command)}`;
  return command === program.defaultCommand
    ? [short, callLine(program, command)]
    : [callLine(program, command)];
}

function callLine(program: ProgramModel, command: CommandModel): string {
  return `${bold([program.bin, ...command.words].join(' '))}${callTail(command)}`;
}

function callTail(command: CommandModel): string {
  return [...command.args.map(argumentUsage), `[${italic('OPTION')}]...`].map((part) => ` ${part}`).join('');
}

function argumentUsage(arg: ArgumentModel): string {
  const name = arg.kind === 'choice' ? arg.choices.map(bold).join('|') : italic(arg.label);
  const repeated = arg.repeatable ? `${name}...` : name;
  return arg.required ? repeated : `[${repeated}]`;
}

/** The options that all commands have in the same words. */
function commonOptions(program: ProgramModel): OptionModel[] {
  return program.defaultCommand.options.filter((option) =>
    program.commands.every((command) => command.options.some((other) => sameOption(option, other))),
  );
}

function sameOption(a: OptionModel, b: OptionModel): boolean {
  return a.long === b.long && a.short === b.short && a.description === b.description;
}

function commandEntry(program: ProgramModel, command: CommandModel, common: readonly OptionModel[]): string {
  const own = command.options.filter((option) => !common.some((other) => sameOption(option, other)));
  return [
    `.SS ${callLine(program, command)}`,
    roffText(command.summary),
    ...(command.description === '' || command.description === command.summary
      ? []
      : ['.PP', roffText(command.description)]),
    ...command.args.map((arg) => tagged(italic(arg.label), roffText(arg.description))),
    ...own.map(optionEntry),
  ].join('\n');
}

function optionEntry({ long, short, value, description, repeatable }: OptionModel): string {
  const names = [...(short === undefined ? [] : [`-${short}`]), `--${long}`].map(bold).join(', ');
  const shown = value?.kind === 'choice' ? value.choices.map(bold).join('|') : italic(value?.label ?? '');
  const body = roffText(repeatable ? `${description}; can be given several times` : description);
  return tagged(value ? `${names} ${shown}` : names, body);
}

function exampleEntries(command: CommandModel): string[] {
  return command.examples.flatMap(({ description, line }) => [
    ...(description === '' ? [] : ['.PP', roffText(description)]),
    literal([bold(line)]),
  ]);
}
