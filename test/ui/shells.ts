import { execFile, spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Completes a line in a real shell that has loaded `script`; returns the candidates, sorted. */
export type Complete = (line: string) => Promise<string[]>;

const shellOptions = (folder: string) => ({
  cwd: folder,
  timeout: 20_000,
  env: {
    PATH: `${folder}:${process.env['PATH'] ?? ''}`,
    HOME: folder,
    LANG: 'C.UTF-8',
    TERM: 'xterm',
  },
});

/** Runs an interactive shell on a pseudo terminal, types `line`, asks for the candidates (C-t), and leaves. */
async function typeInto(shell: string, folder: string, line: string): Promise<string> {
  const child = spawn('script', ['-qec', `stty cols 200; exec ${shell}`, '/dev/null'], shellOptions(folder));
  let output = '';
  for await (const chunk of child.stdout) {
    const waited = !output.includes('MARK>');
    output += String(chunk);
    // Before its prompt the shell does not read keys yet: the terminal itself would act on them.
    if (waited && output.includes('MARK>')) child.stdin.write(`${line}\x14\x15exit\n`);
  }
  return output.replaceAll('\r', '');
}

const sorted = (lines: string[]): string[] => [...new Set(lines)].filter((line) => line !== '').sort();

const BASH_RC = String.raw`
PS1='MARK>'
source ./completion || exit 9
bind 'set completion-query-items -1'
bind 'set page-completions off'
bind 'set bell-style none'
bind 'set enable-bracketed-paste off'
bind 'set completion-display-width 0'
bind '"\C-t": possible-completions'
`;

/** bash on a pseudo terminal, so that readline itself parts the words and adds the names of files. */
export async function bashCompleter(folder: string, script: string): Promise<Complete> {
  await writeFile(join(folder, 'completion'), script);
  await writeFile(join(folder, 'bashrc'), BASH_RC);
  return async (line) => {
    const stdout = await typeInto('bash --rcfile ./bashrc -i', folder, line);
    // Candidates stand between the line and its next showing; there is none when there are no candidates.
    const [, shown, again] = stdout.split('MARK>');
    return again === undefined ? [] : sorted(shown?.split('\n').slice(1) ?? []);
  };
}

const ZSH_RC = String.raw`
PS1='MARK>'
fpath=($PWD $fpath)
autoload -Uz compinit
compinit -u -d ./zcompdump
compadd() {
  local -a hits
  if [[ ${'$'}{@[1,(i)(-|--)]} == *-(O|A|D)* ]]; then builtin compadd "$@"; return; fi
  builtin compadd -A hits "$@"
  local hit
  for hit in $hits; do print -r -- "$IPREFIX$hit" >>./hits; done
  builtin compadd "$@"
}
bindkey '^T' list-choices
`;

/** zsh on a pseudo terminal; what its completion system takes as candidates is written down on the way. */
export async function zshCompleter(folder: string, script: string): Promise<Complete> {
  await writeFile(join(folder, '_tsbuilder'), script);
  await writeFile(join(folder, '.zshrc'), ZSH_RC);
  return async (line) => {
    await writeFile(join(folder, 'hits'), '');
    await typeInto('zsh -d -i', folder, line);
    const hits = await readFile(join(folder, 'hits'), 'utf8');
    return sorted(hits.split('\n'));
  };
}

/** fish, asked for the completions of a line, without the descriptions. */
export async function fishCompleter(folder: string, script: string): Promise<Complete> {
  await writeFile(join(folder, 'completion.fish'), script);
  return async (line) => {
    const code = 'source ./completion.fish; complete -C "$argv[1]"';
    const { stdout } = await run('fish', ['--no-config', '-c', code, line], shellOptions(folder));
    return sorted(stdout.split('\n').map((row) => row.split('\t')[0] ?? ''));
  };
}
