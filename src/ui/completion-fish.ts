import type { CommandModel, ProgramModel, ValueModel } from './command-model.js';
import { nextWords, topicPaths } from './command-model.js';

/** The completion script for fish (3.2 or later): one `complete` line for each word, option and argument. */
export function fishCompletion(program: ProgramModel): string {
  const name = `__${program.bin.replace(/\W/g, '_')}`;
  return [
    `# fish completion for ${program.bin} ${program.version}; made by: ${program.bin} completion fish`,
    engine(program, name),
    table({
      name: `${name}_next`,
      about: 'The words that may follow the words $argv[1] on the way to a command.',
      rows: topicPaths(program).map((path) => [
        path.join(' '),
        nextWords(program, path).map(({ word }) => word),
      ]),
    }),
    table({
      name: `${name}_valued`,
      about: 'The options of command $argv[1] that take a value.',
      rows: program.commands.map((command) => [command.words.join(' '), valuedOptions(command)]),
    }),
    `complete -c ${program.bin} -f`,
    ...topicPaths(program).map((path) => wordLines(program, name, path)),
    ...program.commands.map((command) => commandLines(program, name, command)),
    '',
  ].join('\n\n');
}

function valuedOptions(command: CommandModel): string[] {
  return command.options.flatMap(({ long, short, value }) =>
    value === undefined ? [] : short === undefined ? [`--${long}`] : [`--${long}`, `-${short}`],
  );
}

function wordLines(program: ProgramModel, name: string, path: readonly string[]): string {
  const condition = quote(`${name}_after ${quote(path.join(' '))}`);
  const lines = nextWords(program, path).map(
    ({ word, description }) =>
      `complete -c ${program.bin} -n ${condition} -a ${quote(word)} -d ${quote(firstLine(description))}`,
  );
  if (path.length === 0) {
    lines.push(`complete -c ${program.bin} -n ${condition} -l version -s V -d 'show the version'`);
  }
  return lines.join('\n');
}

function commandLines(program: ProgramModel, name: string, command: CommandModel): string {
  const id = quote(command.words.join(' '));
  const options = command.options.map(({ long, short, value, description }) =>
    [
      `complete -c ${program.bin} -n ${quote(`${name}_using ${id}`)} -l ${quote(long)}`,
      short === undefined ? '' : ` -s ${quote(short)}`,
      value === undefined ? '' : ` -r${values(value, name)}`,
      ` -d ${quote(firstLine(description))}`,
    ].join(''),
  );
  const args = command.args.map((arg, i) => {
    const test = `${name}_argument ${id} ${arg.repeatable ? '-ge' : '-eq'} ${i}`;
    const about = arg.kind === 'template' ? ` -d 'template'` : '';
    return `complete -c ${program.bin} -n ${quote(test)}${values(arg, name)}${about}`;
  });
  return [...options, ...args].join('\n');
}

/** The arguments of `complete` that offer the values. */
function values(value: ValueModel, name: string): string {
  switch (value.kind) {
    case 'choice':
      return ` -f -a ${quote(value.choices.map((choice) => choice.replace(/[^\w.-]/g, String.raw`\$&`)).join(' '))}`;
    case 'template':
      return ` -f -a '(${name}_templates)'`;
    case 'file':
      return ' -F';
    case 'folder':
      return ` -f -a '(__fish_complete_directories)'`;
    case 'none':
      return ' -f';
  }
}

/** A function that prints, one a line, what belongs to its first argument. */
function table(about: { name: string; about: string; rows: readonly [string, string[]][] }): string {
  const rows = about.rows
    .filter(([, values]) => values.length > 0)
    .map(
      ([key, values]) =>
        `        case ${quote(key)}\n            printf '%s\\n' ${values.map(quote).join(' ')}`,
    );
  return [
    `# ${about.about}`,
    `function ${about.name}`,
    '    switch "$argv[1]"',
    ...rows,
    '    end',
    'end',
  ].join('\n');
}

function engine(program: ProgramModel, name: string): string {
  return String.raw`# The template names that are known without the network; other characters than theirs are no names.
function NAME_templates
    command BIN --list --list-format short --offline --quiet 2>/dev/null </dev/null |
        string match -r '^[A-Za-z0-9._-]+(?=\s|$)'
end

# Prints four lines about the words before the cursor: those that lead to a command, the command,
# the number of its arguments so far, and the number of all words behind the command's.
function NAME_parse
    set -l words (commandline -opc)
    set -e words[1]
    set -l path
    while set -q words[1]; and contains -- "$words[1]" (NAME_next "$path")
        set -a path $words[1]
        set -e words[1]
    end
    set -l command "$path"
    test -n "$command"; or set command 'DEFAULT'
    set -l valued (NAME_valued "$command")
    set -l position 0
    set -l waits no
    set -l literal no
    for word in $words
        if test $waits = yes
            set waits no
        else if test $literal = yes; or not string match -qr -- '^-.' $word
            set position (math $position + 1)
        else if test "$word" = --
            set literal yes
        else if contains -- $word $valued
            set waits yes
        else if string match -qr -- '^-[^-]' $word; and contains -- -(string sub -s -1 -- $word) $valued
            set waits yes
        end
    end
    printf '%s\n' "$path" "$command" $position (count $words)
end

# Whether the cursor is right behind the words $argv[1].
function NAME_after
    set -l state (NAME_parse)
    test "$state[1]" = "$argv[1]"; and test $state[4] = 0
end

# Whether the command is $argv[1].
function NAME_using
    set -l state (NAME_parse)
    test "$state[2]" = "$argv[1]"
end

# Whether the command is $argv[1] and the number of its arguments so far compares with $argv[3] as $argv[2] says.
function NAME_argument
    set -l state (NAME_parse)
    test "$state[2]" = "$argv[1]"; and test $state[3] $argv[2] $argv[3]
end`
    .replaceAll('NAME', name)
    .replaceAll('BIN', program.bin)
    .replaceAll('DEFAULT', program.defaultCommand.words.join(' '));
}

const firstLine = (text: string): string => text.split('\n')[0] ?? '';

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, String.raw`\$&`)}'`;
}
