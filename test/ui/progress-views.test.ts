import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { chooseProgress } from '../../src/ui/choose-progress.js';
import { jsonLines } from '../../src/ui/json-lines.js';
import { spinner } from '../../src/ui/spinner.js';
import { timedLines, warningsOnly } from '../../src/ui/timed-lines.js';
import { fakeTerminal } from './fake-terminal.js';

function lineSink() {
  const lines: string[] = [];
  return { lines, write: (line: string) => void lines.push(line) };
}

describe('timedLines', () => {
  it('prints a step as it starts, in the form of virt-builder', () => {
    const sink = lineSink();
    const step = timedLines(sink).step('Downloading debian-12', 100);
    step.advance(100);
    step[Symbol.dispose]();
    expect(sink.lines).toEqual([expect.stringMatching(/^\[ *\d+\.\d\] Downloading debian-12$/)]);
    expect(sink.lines[0]?.indexOf(']')).toBe(7);
  });

  it('prints warnings always and details when asked', () => {
    const sink = lineSink();
    const quiet = timedLines(sink);
    quiet.detail('hidden');
    quiet.warn('no KVM');
    timedLines(sink, { verbose: true }).detail('shown');
    expect(sink.lines).toEqual([
      'tsbuilder: warning: no KVM',
      expect.stringMatching(/^\[ *\d+\.\d\] shown$/),
    ]);
  });

  it('lets no control character through', () => {
    const sink = lineSink();
    timedLines(sink).step('Fetching \x1b]0;owned\x07');
    timedLines(sink).warn('bad name \x1b[2J');
    expect(sink.lines.join('')).not.toContain('\x1b');
    expect(sink.lines[1]).toBe('tsbuilder: warning: bad name \\x1b[2J');
  });
});

describe('warningsOnly', () => {
  it('prints nothing but warnings', () => {
    const sink = lineSink();
    const progress = warningsOnly(sink);
    using step = progress.step('Decoding', 1);
    step.advance(1);
    progress.detail('detail');
    progress.warn('careful');
    expect(sink.lines).toEqual(['tsbuilder: warning: careful']);
  });
});

describe('jsonLines', () => {
  beforeEach(() =>
    vi.useFakeTimers({ toFake: ['performance', 'Date'], now: new Date('2026-01-02T03:04:05Z') }),
  );
  afterEach(() => vi.useRealTimers());

  const parsed = (lines: string[]) => lines.map((line) => JSON.parse(line) as Record<string, unknown>);

  it('prints one object for each event', () => {
    const sink = lineSink();
    const progress = jsonLines(sink);
    const step = progress.step('Decoding', 100);
    vi.advanceTimersByTime(300);
    step.advance(40);
    step.advance(60);
    step[Symbol.dispose]();
    progress.warn('line\nbreak');
    const timestamp = expect.stringMatching(/^2026-01-02T03:04:05\.\d{3}Z$/) as string;
    expect(parsed(sink.lines)).toEqual([
      { type: 'step', timestamp, label: 'Decoding', totalBytes: 100 },
      { type: 'progress', timestamp, label: 'Decoding', totalBytes: 100, bytes: 40 },
      { type: 'done', timestamp, label: 'Decoding', totalBytes: 100, bytes: 100 },
      { type: 'warning', timestamp, message: 'line\nbreak' },
    ]);
    expect(sink.lines.every((line) => !line.includes('\n'))).toBe(true);
  });

  it('prints at most four progress lines a second', () => {
    const sink = lineSink();
    using step = jsonLines(sink).step('Decoding');
    vi.advanceTimersByTime(1000);
    for (let i = 0; i < 1000; i++) {
      step.advance(1);
      vi.advanceTimersByTime(2);
    }
    const progress = parsed(sink.lines).filter(({ type }) => type === 'progress');
    expect(progress).toHaveLength(8);
  });

  it('prints nothing of a step that has ended', () => {
    const sink = lineSink();
    const step = jsonLines(sink).step('Decoding');
    step[Symbol.dispose]();
    vi.advanceTimersByTime(1000);
    step.advance(1);
    step[Symbol.dispose]();
    expect(parsed(sink.lines).map(({ type }) => type)).toEqual(['step', 'done']);
  });

  it('prints details when asked', () => {
    const sink = lineSink();
    jsonLines(sink).detail('no');
    jsonLines(sink, { verbose: true }).detail('yes');
    expect(parsed(sink.lines)).toMatchObject([{ type: 'detail', message: 'yes' }]);
  });
});

describe('spinner', () => {
  const HIDE = '\x1b[?25l';
  const SHOW = '\x1b[?25h';

  it('leaves a ticked line for a finished step, and the cursor shown', () => {
    const terminal = fakeTerminal();
    const step = spinner(terminal.stream).step('Decoding', 100);
    expect(stripVTControlCharacters(terminal.raw())).toContain('Decoding');
    step.advance(100);
    step[Symbol.dispose]();
    step[Symbol.dispose]();
    const raw = terminal.raw();
    expect(stripVTControlCharacters(raw)).toMatch(/✔ Decoding \d+\.\d s\n$/);
    expect(raw).toContain(HIDE);
    expect(raw.lastIndexOf(SHOW)).toBeGreaterThan(raw.lastIndexOf(HIDE));
  });

  it('shows bytes, rate and time left', () => {
    vi.useFakeTimers({ toFake: ['performance', 'Date', 'setInterval', 'clearInterval'] });
    try {
      const terminal = fakeTerminal(200);
      using step = spinner(terminal.stream).step('Decoding', 100 * 1024 ** 2);
      vi.advanceTimersByTime(2000);
      step.advance(20 * 1024 ** 2);
      vi.advanceTimersByTime(100);
      expect(stripVTControlCharacters(terminal.raw())).toContain(
        'Decoding: 20 MiB of 100 MiB, 10 MiB/s, 8 s left',
      );
      step[Symbol.dispose]();
      using next = spinner(terminal.stream).step('Hashing');
      vi.advanceTimersByTime(1000);
      next.advance(1024);
      next[Symbol.dispose]();
      const lines = stripVTControlCharacters(terminal.raw());
      expect(lines).toContain('• Decoding: 20 MiB of 100 MiB 2.1 s\n');
      expect(lines).toContain('✔ Hashing 1.0 s\n');
    } finally {
      vi.useRealTimers();
    }
  });

  it('keeps one line for all steps that run', () => {
    const terminal = fakeTerminal();
    const progress = spinner(terminal.stream);
    const first = progress.step('Downloading');
    const second = progress.step('Decoding');
    first[Symbol.dispose]();
    progress.warn('slow \x1b[31mserver');
    second[Symbol.dispose]();
    const lines = stripVTControlCharacters(terminal.raw()).split('\n');
    expect(lines[0]).toMatch(/✔ Downloading \d+\.\d s$/);
    expect(lines[1]).toMatch(/⚠ slow \\x1b\[31mserver$/);
    expect(lines[2]).toMatch(/✔ Decoding \d+\.\d s$/);
  });

  it('draws nothing after the last step, whatever comes late', () => {
    const terminal = fakeTerminal();
    const step = spinner(terminal.stream).step('Decoding');
    step[Symbol.dispose]();
    const before = terminal.raw();
    step.advance(1);
    expect(terminal.raw()).toBe(before);
  });

  it('ticks no step that was interrupted', () => {
    const terminal = fakeTerminal();
    const controller = new AbortController();
    const step = spinner(terminal.stream, {}, controller.signal).step('Growing ext4');
    controller.abort();
    step[Symbol.dispose]();
    const lines = stripVTControlCharacters(terminal.raw());
    expect(lines).toMatch(/• Growing ext4 \d+\.\d s\n$/);
    expect(lines).not.toContain('✔');
  });

  it('prints details when asked', () => {
    const terminal = fakeTerminal();
    spinner(terminal.stream).detail('no');
    spinner(terminal.stream, { verbose: true }).detail('yes');
    expect(stripVTControlCharacters(terminal.raw())).toBe('  yes\n');
  });
});

describe('chooseProgress', () => {
  const normal = { json: false, quiet: false, verbose: false };

  afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  async function written(
    choice: typeof normal,
    terminal?: { columns: number; term?: string },
  ): Promise<string> {
    const fake = fakeTerminal(terminal?.columns ?? 0);
    if (!terminal) Object.assign(fake.stream, { isTTY: false });
    vi.spyOn(process, 'stderr', 'get').mockReturnValue(fake.stream as typeof process.stderr);
    vi.stubEnv('TERM', terminal?.term ?? 'xterm');
    const progress = await chooseProgress(choice);
    progress.step('Working')[Symbol.dispose]();
    progress.warn('careful');
    return fake.raw();
  }

  it('is a spinner on a terminal', async () => {
    expect(await written(normal, { columns: 80 })).toContain('✔');
  });

  it.each([
    ['not a terminal', undefined],
    ['a terminal without columns', { columns: 0 }],
    ['a dumb terminal', { columns: 80, term: 'dumb' }],
  ])('is timed lines on %s', async (_name, terminal) => {
    expect(await written(normal, terminal)).toMatch(/^\[ *\d+\.\d\] Working\ntsbuilder: warning: careful\n$/);
  });

  it('is JSON lines with --json, also on a terminal', async () => {
    expect(await written({ ...normal, json: true }, { columns: 80 })).toMatch(/^\{"type":"step",/);
  });

  it('is warnings as JSON lines with --json --quiet', async () => {
    const lines = (await written({ ...normal, json: true, quiet: true, verbose: true })).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { type: 'warning', message: 'careful' },
    ]);
  });

  it('is warnings only with --quiet', async () => {
    expect(await written({ ...normal, quiet: true }, { columns: 80 })).toBe('tsbuilder: warning: careful\n');
  });
});
