import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES, EXIT } from '../../src/errors.js';
import { programModel, type CommandSource } from '../../src/ui/command-model.js';
import { manPage } from '../../src/ui/man-page.js';
import { roffText } from '../../src/ui/roff.js';
import { sampleCommands, sampleProgram } from './sample-program.js';

/** Formats a page as man does, 200 columns wide, without overstriking; fails when groff warns. */
function format(page: string): string {
  const output = execFileSync('sh', ['-c', 'groff -man -Tutf8 -ww -P-cbou -rLL=200n 2>&1'], {
    input: page,
    encoding: 'utf8',
  });
  expect(output).not.toMatch(/warning|error:/);
  return output;
}

const page = manPage(sampleProgram);
const text = format(page);

describe('manPage', () => {
  it('has no warnings in man', () => {
    const output = execFileSync('sh', ['-c', 'man --warnings -E UTF-8 -l - 2>&1 >/dev/null'], {
      input: page,
    });
    expect(output.toString()).toBe('');
  });

  it('has the sections in the usual order', () => {
    expect(text.match(/^[A-Z][A-Z ]*$/gm)).toEqual([
      'NAME',
      'SYNOPSIS',
      'DESCRIPTION',
      'COMMON OPTIONS',
      'COMMANDS',
      'EXIT STATUS',
      'ENVIRONMENT',
      'FILES',
      'EXAMPLES',
      'SEE ALSO',
    ]);
    expect(text).toMatch(/^TSBUILDER\(1\) .*User Commands/);
    expect(text).toContain('tsbuilder - Build disks');
  });

  it('shows how each command is called', () => {
    expect(text).toContain('tsbuilder [NAME] [OPTION]...\n');
    expect(text).toContain('tsbuilder build [NAME] [OPTION]...\n');
    expect(text).toContain('tsbuilder cache fetch NAME... [OPTION]...\n');
    expect(text).toContain('tsbuilder unxz SRC [OUT] [OPTION]...\n');
    expect(text).toContain('tsbuilder completion bash|zsh|fish [OPTION]...\n');
  });

  it('shows the options with their values, common ones once', () => {
    expect(text).toMatch(/--format raw\|qcow2\|vmdk\n +format of the disk\n/);
    expect(text).toMatch(/-s, --size SIZE\n +size \[of\] the disk: 10G\n/);
    expect(text).toMatch(/--source URL\n +a source; can be given several times\n/);
    expect(text).toContain("the user's file; `rm` $(id)");
    expect(text.match(/--help/g)).toHaveLength(1);
    expect(text).not.toContain('hidden');
  });

  it('has the examples as they are typed', () => {
    expect(text).toContain('As qcow2:\n\n           tsbuilder build debian-12 --format qcow2\n');
  });

  it('has every exit status and every error code', () => {
    const section = text.slice(text.indexOf('EXIT STATUS'), text.indexOf('ENVIRONMENT'));
    for (const status of [0, ...Object.values(EXIT)])
      expect(section).toMatch(new RegExp(`^ +${status} `, 'm'));
    for (const code of Object.keys(ERROR_CODES)) expect(section).toMatch(new RegExp(`\\b${code}\\b`));
  });

  it('names every environment variable that the sources read', () => {
    const src = join(import.meta.dirname, '../../src');
    const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.c?ts$/.test(name),
    );
    const read = /\benv\[?\.?\['([A-Z_]+)'\]|\b((?:TSBUILDER|XDG)_[A-Z_]+_HOME)\b/g;
    const names = files
      .flatMap((name) => [...readFileSync(join(src, name), 'utf8').matchAll(read)])
      .map(([, variable, other]) => variable ?? other ?? '');
    expect(names).toContain('TSBUILDER_XZ');
    expect(names).toContain('XDG_CACHE_HOME');
    const forLibraries = ['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED', 'OCLIF_DISABLE_ENGINE_WARNING'];
    const usual = ['HOME', 'PATH', 'LD_PRELOAD', ...forLibraries];
    const missing = [...new Set(names)].filter((name) => !usual.includes(name) && !text.includes(name));
    expect(missing).toEqual([]);
  });

  it('prints hostile texts as they are', () => {
    const description = '.so /etc/passwd\n\'br\n\\fBbold\\n --dash ~user ^up "quoted" café 💾';
    const commands = sampleCommands.map((command) =>
      command.id === 'unxz' ? ({ ...command, description } satisfies CommandSource) : command,
    );
    const output = format(manPage(programModel({ bin: 'tsbuilder', version: '1', pjson: {}, commands })));
    expect(output).toContain('.so /etc/passwd \'br \\fBbold\\n --dash ~user ^up "quoted" café 💾');
  });
});

describe('roffText', () => {
  it('is printed by groff as the text it was', () => {
    const lines = fc.sample(
      fc.string({ unit: fc.constantFrom(...Array.from('\\\'`^~"-.()[]*nfB %:u0é€ax')), minLength: 1 }),
      {
        numRuns: 500,
        seed: 7,
      },
    );
    const trimmed = lines.map((line) => line.trim()).filter((line) => line !== '');
    expect(trimmed.length).toBeGreaterThan(300);
    const output = execFileSync('groff', ['-man', '-Tutf8', '-ww', '-P-cbou'], {
      input: `.TH X 1\n.nf\n.in 0\n.ll 500n\n${trimmed.map((line) => `|${roffText(line)}|`).join('\n')}\n`,
      encoding: 'utf8',
    });
    const printed = [...output.matchAll(/^\s*\|(.*)\|$/gm)].map(([, line]) => line);
    expect(printed).toEqual(trimmed);
  });

  it('keeps requests at the start of a line from being run', () => {
    expect(roffText(".br\n'so x\n\n.x")).toBe('\\&.br\n\\(aqso x\n.PP\n\\&.x');
  });
});
