import type { CommandModel, OptionModel, ProgramModel, ValueModel } from './command-model.js';
import { nextWords, topicPaths } from './command-model.js';

/** The completion script for zsh: works as a file `_tsbuilder` in `$fpath` and through `source`. */
export function zshCompletion(program: ProgramModel): string {
  const name = `_${program.bin.replace(/\W/g, '_')}`;
  return [
    `#compdef ${program.bin}`,
    `# zsh completion for ${program.bin} ${program.version}; made by: ${program.bin} completion zsh`,
    templates(program, name),
    ...program.commands.map((command) => commandFunction(command, name)),
    ...topicPaths(program)
      .filter((path) => path.length > 0)
      .map((path) => topicFunction(program, name, path)),
    mainFunction(program, name),
    `if [[ $funcstack[1] == ${name} ]]; then
  ${name} "$@"
else
  compdef ${name} ${program.bin}
fi
`,
  ].join('\n\n');
}

function templates(program: ProgramModel, name: string): string {
  return String.raw`# The template names that are known without the network; other characters than theirs are no names.
${name}_templates() {
  local line expl
  local -a names
  for line in ${'$'}{(f)"$(command ${program.bin} --list --list-format short --offline --quiet 2>/dev/null </dev/null)"}; do
    line=${'$'}{line%%[[:space:]]*}
    if [[ -n $line && $line != *[^A-Za-z0-9._-]* ]]; then names+=("$line"); fi
  done
  _wanted templates expl template compadd "$@" -a names
}`;
}

function functionOf(name: string, words: readonly string[]): string {
  return [name, 'command', ...words].join('_').replace(/\W/g, '_');
}

/** Completes the options and arguments of a command; more specs can be given to it. */
function commandFunction(command: CommandModel, name: string): string {
  const specs = [
    ...command.options.map((option) => optionSpec(option, name)),
    ...command.args.map((arg, i) => {
      const position = arg.repeatable ? '*' : String(i + 1);
      const optional = arg.required || arg.repeatable ? ':' : '::';
      return quote(`${position}${optional}${escapeSpec(arg.label)}:${action(arg, name)}`);
    }),
  ];
  return [
    `${functionOf(name, command.words)}() {`,
    '  _arguments -s -S "$@" \\',
    `    ${specs.join(' \\\n    ')}`,
    '}',
  ].join('\n');
}

function optionSpec(option: OptionModel, name: string): string {
  const { long, short, value } = option;
  const forms = value ? [`--${long}=`] : [`--${long}`];
  if (short !== undefined) forms.unshift(value ? `-${short}+` : `-${short}`);
  const others = option.repeatable ? '*' : short === undefined ? '' : `(-${short} --${long})`;
  const about = `[${escapeSpec(firstLine(option.description))}]`;
  const rest = quote(value ? `${about}:${escapeSpec(value.label)}:${action(value, name)}` : about);
  const form = forms.length === 1 ? (forms[0] ?? '') : `{${forms.join(',')}}`;
  return `${others === '' ? '' : quote(others)}${form}${rest}`;
}

function action(value: ValueModel, name: string): string {
  switch (value.kind) {
    case 'choice':
      return `(${value.choices.map((choice) => choice.replace(/[^\w.-]/g, String.raw`\$&`)).join(' ')})`;
    case 'template':
      return `${name}_templates`;
    case 'file':
      return '_files';
    case 'folder':
      return '_files -/';
    case 'none':
      return ' ';
  }
}

/** Offers the words that follow a topic, or goes on to the command that is named already. */
function topicFunction(program: ProgramModel, name: string, path: readonly string[]): string {
  return [
    `${functionOf(name, path)}_topic() {`,
    '  if (( CURRENT > 2 )); then',
    ...dispatch(program, name, path).map((line) => `    ${line}`),
    '    return 1',
    '  fi',
    ...describeWords(program, path).map((line) => `  ${line}`),
    '}',
  ].join('\n');
}

function mainFunction(program: ProgramModel, name: string): string {
  const fallback = functionOf(name, program.defaultCommand.words);
  return [
    '# A first word that is no command belongs to the default command.',
    `${name}() {`,
    '  if (( CURRENT > 2 )); then',
    ...dispatch(program, name, []).map((line) => `    ${line}`),
    `    ${fallback}`,
    '  elif [[ $words[CURRENT] == -* ]]; then',
    `    ${fallback} '(- *)'{-V,--version}'[show the version]'`,
    '  else',
    '    local ret=1',
    ...describeWords(program, []).map((line, i) => `    ${line}${i === 1 ? ' && ret=0' : ''}`),
    `    ${name}_templates && ret=0`,
    '    return ret',
    '  fi',
    '}',
  ].join('\n');
}

/** The `case` that hands over to the function of the second word. */
function dispatch(program: ProgramModel, name: string, path: readonly string[]): string[] {
  const topics = new Set(topicPaths(program).map((topic) => topic.join(' ')));
  const rows = nextWords(program, path).map(({ word }) => {
    const words = [...path, word];
    const target = functionOf(name, words) + (topics.has(words.join(' ')) ? '_topic' : '');
    return `${quote(word)}) shift words; (( CURRENT-- )); ${target}; return ;;`;
  });
  return ['case $words[2] in', ...rows, 'esac'];
}

function describeWords(program: ProgramModel, path: readonly string[]): string[] {
  const items = nextWords(program, path).map(({ word, description }) =>
    quote(`${escapeSpec(word)}:${firstLine(description)}`),
  );
  return [
    `local -a commands=(${items.join(' ')})`,
    `_describe -t commands ${quote([...path, 'command'].join(' '))} commands`,
  ];
}

const firstLine = (text: string): string => text.split('\n')[0] ?? '';

/** Escapes what ends a part of an `_arguments` spec. */
function escapeSpec(text: string): string {
  return text.replace(/[\\[\]:]/g, String.raw`\$&`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
