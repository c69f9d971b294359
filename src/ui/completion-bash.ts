import type { CommandModel, ProgramModel, ValueModel } from './command-model.js';
import { nextWords, topicPaths } from './command-model.js';

/** The completion script for bash (4.0 or later): tables of the program's words and options, and one function on top. */
export function bashCompletion(program: ProgramModel): string {
  const name = `_${program.bin.replace(/\W/g, '_')}`;
  return [
    `# bash completion for ${program.bin} ${program.version}; made by: ${program.bin} completion bash`,
    table({
      name: `${name}_next`,
      about: 'The words that may follow the words $1 on the way to a command.',
      variable: 'next',
      rows: topicPaths(program).map((path) => [
        [path.join(' ')],
        nextWords(program, path).map(({ word }) => word),
      ]),
    }),
    table({
      name: `${name}_options`,
      about: 'The options of command $1.',
      variable: 'options',
      rows: program.commands.map((command) => [[id(command)], command.options.flatMap(spellings)]),
    }),
    table({
      name: `${name}_value`,
      about:
        'What follows an option that takes a value ($1: command and option), with the choices if they are few.',
      variable: 'kind',
      rows: program.commands.flatMap((command) =>
        command.options.flatMap((option) =>
          option.value === undefined
            ? []
            : [[spellings(option).map((text) => `${id(command)} ${text}`), kindOf(option.value)] as Row],
        ),
      ),
    }),
    table({
      name: `${name}_argument`,
      about: 'What an argument is ($1: command and number of the argument, or * for all that are left).',
      variable: 'kind',
      rows: program.commands.flatMap((command) =>
        command.args.map((arg, i): Row => [
          [`${id(command)} ${arg.repeatable ? '*' : String(i)}`],
          kindOf(arg),
        ]),
      ),
    }),
    fill(PARTS, program, name),
    fill(MAIN, program, name),
  ].join('\n\n');
}

type Row = [keys: string[], values: string[]];

const id = (command: CommandModel): string => command.words.join(' ');

function spellings(option: { long: string; short: string | undefined }): string[] {
  return option.short === undefined ? [`--${option.long}`] : [`--${option.long}`, `-${option.short}`];
}

function kindOf(value: ValueModel): string[] {
  return [value.kind, ...value.choices];
}

/** A function that sets the array `variable` by looking up its first argument. */
function table(about: { name: string; about: string; variable: string; rows: readonly Row[] }): string {
  const rows = about.rows.map(
    ([keys, values]) =>
      `  ${keys.map(quote).join(' | ')}) ${about.variable}=(${values.map(quote).join(' ')}) ;;`,
  );
  return [
    `# ${about.about}`,
    `${about.name}() {`,
    `  ${about.variable}=()`,
    '  case $1 in',
    ...rows,
    '  esac',
    '}',
  ].join('\n');
}

function quote(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** `script` with the names of this program in it. */
function fill(script: string, program: ProgramModel, name: string): string {
  return script
    .replaceAll('NAME', name)
    .replaceAll('BIN', program.bin)
    .replaceAll('DEFAULT', id(program.defaultCommand));
}

const PARTS = String.raw`# Offers those of the words that begin with $1; nothing is expanded or run, whatever they hold.
NAME_offer() {
  local value=$1 word
  shift
  for word; do
    if [[ $word == "$value"* ]]; then COMPREPLY+=("$prefix$word"); fi
  done
}

# Offers the template names that are known without the network.
NAME_templates() {
  local LC_ALL=C line names=()
  while IFS= read -r line; do
    line=${'$'}{line%%[[:space:]]*}
    if [[ -n $line && $line != *[!A-Za-z0-9._-]* ]]; then names+=("$line"); fi
  done < <(command BIN --list --list-format short --offline --quiet 2>/dev/null </dev/null)
  NAME_offer "$1" "${'$'}{names[@]}"
}

# Offers what $kind says, beginning with $1.
NAME_complete() {
  case ${'$'}{kind[0]-} in
  choice) NAME_offer "$1" "${'$'}{kind[@]:1}" ;;
  template) NAME_templates "$1" ;;
  file) compopt -o default ;;
  folder) compopt -o dirnames ;;
  esac
}

# Sets the array words: readline parts them at = and :, the program does not.
NAME_join() {
  local rest=${'$'}{COMP_LINE:0:COMP_POINT} trimmed word i
  words=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${'$'}{COMP_WORDS[i]}
    trimmed=${'$'}{rest#"${'$'}{rest%%[![:space:]]*}"}
    if [[ $trimmed != "$word"* ]]; then word=$trimmed; fi
    if ((i > 0)) && [[ $trimmed == "$rest" ]]; then
      words[${'$'}{#words[@]} - 1]+=$word
    else
      words+=("$word")
    fi
    rest=${'$'}{trimmed#"$word"}
  done
}

# Whether option $1 waits for the next word as its value, which is then in $kind.
NAME_waits() {
  local i
  kind=()
  case $1 in
  --*=*) ;;
  --*) NAME_value "$command $1" ;;
  *)
    for ((i = 1; i < ${'$'}{#1}; i++)); do
      NAME_value "$command -${'$'}{1:i:1}"
      if ((${'$'}{#kind[@]} > 0)); then
        ((i == ${'$'}{#1} - 1))
        return
      fi
    done
    ;;
  esac
  ((${'$'}{#kind[@]} > 0))
}`;

const MAIN = String.raw`NAME() {
  local words next options kind prefix= path= command at=1 last current word waits= literal= position=0 IFS=$' \t\n'
  COMPREPLY=()
  NAME_join
  last=$((${'$'}{#words[@]} - 1))
  current=${'$'}{words[last]}
  NAME_next ''
  while ((at < last)); do
    word=${'$'}{words[at]}
    [[ " ${'$'}{next[*]} " == *" $word "* ]] || break
    path=${'$'}{path:+$path }$word
    NAME_next "$path"
    at=$((at + 1))
  done
  if ((at < last)); then next=(); fi
  command=${'$'}{path:-DEFAULT}

  for (( ; at < last; at++)); do
    word=${'$'}{words[at]}
    if [[ -n $waits ]]; then
      waits=
    elif [[ -z $literal && $word == -- ]]; then
      literal=1
    elif [[ -z $literal && $word == -?* ]]; then
      if NAME_waits "$word"; then waits=1; fi
    else
      position=$((position + 1))
    fi
  done

  if [[ -n $waits ]]; then
    NAME_complete "$current"
  elif [[ -z $literal && $current == --*=* ]]; then
    NAME_value "$command ${'$'}{current%%=*}"
    if [[ $COMP_WORDBREAKS != *=* ]]; then prefix=${'$'}{current%%=*}=; fi
    NAME_complete "${'$'}{current#*=}"
  elif [[ -z $literal && $current == -* ]]; then
    NAME_options "$command"
    if [[ -z $path && $last == 1 ]]; then options+=(--version -V); fi
    NAME_offer "$current" "${'$'}{options[@]}"
  else
    NAME_offer "$current" "${'$'}{next[@]}"
    NAME_argument "$command $position"
    if ((${'$'}{#kind[@]} == 0)); then NAME_argument "$command *"; fi
    NAME_complete "$current"
  fi
}

complete -F NAME BIN
`;
