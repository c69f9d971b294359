import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ERROR_CODES, EXIT, type ErrorCode } from '../src/errors.js';
import { Fake } from './ui/fake-command.js';

const PROGRAM = join(import.meta.dirname, 'ui/fake-program.ts');
const TSX = import.meta.resolve('tsx');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tsbuilder-command-'));
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'tsbuilder', version: '1.0.0', oclif: { bin: 'tsbuilder' } }),
  );
});
beforeEach(() => rm(join(folder, 'cleaned'), { force: true }));
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the fake command; `onOutput` may send signals when it sees what it waits for in all output so far. */
function run(args: readonly string[], onOutput?: (output: string, pid: number) => void): Promise<Outcome> {
  return runProcess(process.execPath, ['--import', TSX, PROGRAM, ...args], onOutput);
}

async function runProcess(
  file: string,
  args: readonly string[],
  onOutput?: (output: string, pid: number) => void,
): Promise<Outcome> {
  const child = spawn(file, args, {
    cwd: folder,
    env: { PATH: process.env['PATH'], TERM: 'xterm' },
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
      onOutput?.(text[name], child.pid!);
    });
  }
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, ...text };
}

/** Runs the fake command inside this process: faster, but without signals. */
async function runHere(args: readonly string[]): Promise<Outcome> {
  const text = { stdout: '', stderr: '' };
  const keep = (name: 'stdout' | 'stderr') => (chunk: string | Uint8Array) => {
    text[name] += String(chunk);
    return true;
  };
  const spies = [
    vi.spyOn(console, 'log').mockImplementation((line: string) => void keep('stdout')(`${line}\n`)),
    vi.spyOn(process.stderr, 'write').mockImplementation(keep('stderr')),
  ];
  const before = process.exitCode;
  try {
    await Fake.run([...args], folder);
    return { status: Number(process.exitCode), ...text };
  } finally {
    process.exitCode = before;
    for (const spy of spies) spy.mockRestore();
  }
}

/** Sends one signal for each text, when the text appears. */
function signalsAt(...plan: readonly (readonly [text: string, signal: NodeJS.Signals])[]) {
  const left = [...plan];
  return (output: string, pid: number): void => {
    const [next] = left;
    if (!next || !output.includes(next[0])) return;
    left.shift();
    process.kill(pid, next[1]);
  };
}

describe('a command that succeeds', () => {
  it('prints timed lines and its text, and exits with 0', async () => {
    const { status, stdout, stderr } = await run(['work', '--size', '1k']);
    expect(status).toBe(0);
    expect(stdout).toBe('done\n');
    expect(stderr).toMatch(/^\[ *\d+\.\d\] Working\ntsbuilder: warning: careful\n$/);
  });

  it('prints only warnings with --quiet, details with --verbose', async () => {
    const [quiet, verbose] = await Promise.all([run(['work', '--quiet']), run(['work', '-v'])]);
    expect(quiet.stderr).toBe('tsbuilder: warning: careful\n');
    expect(verbose.stderr).toContain('some detail');
  });

  it('prints one result on stdout and JSON lines on stderr with --json', async () => {
    const { status, stdout, stderr } = await run(['work', '--json', '--size=1k']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ deed: 'work', size: { kind: 'absolute', bytes: 1024 } });
    const types = stderr
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { type: string }).type);
    expect(types).toEqual(['step', 'progress', 'warning', 'done']);
  });

  it('can wish to exit', async () => {
    expect(await run(['exit'])).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});

describe('a command that fails', () => {
  const codes = new Map(Object.entries(ERROR_CODES).map(([code, owner]) => [owner, code as ErrorCode]));

  it.each([...codes])('exits with the status of class %s', async (owner, code) => {
    const { status, stdout, stderr } = await runHere([code]);
    expect(status).toBe(EXIT[owner]);
    expect(stdout).toBe('');
    expect(stderr).toBe(`tsbuilder: it failed [${code}]\n  Do this.\n`);
  });

  it('says the same as JSON', async () => {
    const { status, stdout, stderr } = await run(['TSB_NO_SPACE', '--json']);
    expect(status).toBe(EXIT.disk);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      error: { code: 'TSB_NO_SPACE', message: 'it failed', hint: 'Do this.', details: { bytes: 7 }, exit: 7 },
    });
  });

  it('ends the process with that status', async () => {
    expect((await run(['TSB_NO_SPACE'])).status).toBe(EXIT.disk);
  });

  it('calls a fault of its own an internal error', async () => {
    const { status, stderr } = await runHere(['bug']);
    expect(status).toBe(EXIT.internal);
    expect(stderr).toContain('tsbuilder: internal error: undefined is no function [TSB_INTERNAL]');
    expect(stderr).not.toContain('fake-command.ts:');
  });
});

describe('wrong use', () => {
  it.each([
    [['work', '--nope'], 'Nonexistent flag: --nope'],
    [[], 'DEED is missing'],
    [['work', 'more'], 'Unexpected argument: more'],
    [['work', '--size'], 'Flag --size expects a value'],
    [['work', '--size', 'big'], '--size: "big" is not a size'],
  ])('%j exits with 2', async (args, message) => {
    const plain = await runHere(args);
    const json = await runHere(['--json', ...args]);
    expect(plain.status).toBe(EXIT.usage);
    expect(plain.stdout).toBe('');
    expect(plain.stderr).toMatch(/^tsbuilder: .* \[TSB_USAGE\]\n {2}\S.*\n$/);
    expect(plain.stderr).toContain(message);
    expect(json.status).toBe(EXIT.usage);
    const { error } = JSON.parse(json.stdout) as { error: { code: string; message: string; exit: number } };
    expect(error).toMatchObject({ code: 'TSB_USAGE', exit: 2 });
    expect(error.message).toContain(message);
  });
});

describe('signals', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s ends the command with 130 after its cleanup',
    async (signal) => {
      const { status, stderr } = await run(['wait'], signalsAt(['Waiting', signal]));
      expect(status).toBe(130);
      expect(stderr).toMatch(
        new RegExp(`Waiting\\ntsbuilder: interrupted by ${signal} \\[TSB_INTERRUPTED\\]\\n$`),
      );
      expect(existsSync(join(folder, 'cleaned'))).toBe(true);
    },
  );

  it('are reported as JSON', async () => {
    const { status, stdout } = await run(['wait', '--json'], signalsAt(['Waiting', 'SIGTERM']));
    expect(status).toBe(130);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'TSB_INTERRUPTED', exit: 130 } });
  });

  it('a second one ends a command that does not listen', async () => {
    const seen: NodeJS.Timeout[] = [];
    const { status } = await run(['stuck'], (output, pid) => {
      if (seen.length > 0 || !output.includes('Stuck')) return;
      seen.push(setInterval(() => process.kill(pid, 'SIGINT'), 100));
    }).finally(() => seen.forEach(clearInterval));
    expect(status).toBe(130);
  });

  it('leave a terminal with its cursor', async () => {
    const command = `stty cols 80; exec '${process.execPath}' --import '${TSX}' '${PROGRAM}'`;
    for (const deed of ['wait', 'stuck']) {
      const child = spawn('script', ['-qec', `${command} ${deed}`, '/dev/null'], {
        cwd: folder,
        env: { PATH: process.env['PATH'], TERM: 'xterm' },
        timeout: 20_000,
      });
      let output = '';
      let interrupts: NodeJS.Timeout | undefined;
      for await (const chunk of child.stdout) {
        output += String(chunk);
        // C-c as the terminal sends it, again and again for the one that does not listen.
        if (output.includes(deed === 'wait' ? 'Waiting' : 'Stuck')) {
          interrupts ??= setInterval(() => child.stdin.write('\x03'), deed === 'wait' ? 5000 : 200);
          if (deed === 'wait' && !output.includes('^C')) child.stdin.write('\x03');
        }
      }
      clearInterval(interrupts);
      if (child.exitCode === null) await once(child, 'exit');
      expect(output).toContain('\x1b[?25l');
      expect(output.lastIndexOf('\x1b[?25h')).toBeGreaterThan(output.lastIndexOf('\x1b[?25l'));
      expect(output).not.toContain('✔');
      expect(child.exitCode).toBe(130);
    }
  });
});

it('refuses an argument that is no UTF-8, and none that only looks so', async () => {
  const line = `exec "$0" --import "$1" "$2" bug --size "$(printf "$3")"`;
  const bytes = await runProcess('sh', ['-c', line, process.execPath, TSX, PROGRAM, 'a\\377"\\n']);
  expect(bytes).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('no UTF-8 text: a\\xff"') as string,
  });
  const text = await runProcess('sh', ['-c', line, process.execPath, TSX, PROGRAM, '\ufffd']);
  expect(text.stderr).toMatch(/is not a size/);
});
