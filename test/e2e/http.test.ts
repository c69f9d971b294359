import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startClosingServer } from '../helpers/closing-server.js';
import { type Desk, cachedContent, failureOf, inTurns, litter, newDesk, resultOf } from '../helpers/e2e.js';
import { examineDisk } from '../helpers/e2e-disk.js';
import { type Stage, openStage } from '../helpers/e2e-stage.js';
import { sha512 } from '../helpers/e2e-template.js';
import { type TestServer, startTestServer } from '../helpers/http-server.js';

vi.setConfig({ testTimeout: 120_000 });

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage[Symbol.asyncDispose]());

interface Encounter {
  readonly server: TestServer;
  readonly desk: Desk;
  /** Builds with this server; the summary of the failure, or `built` for a disk that is right. */
  readonly build: (options?: readonly string[]) => Promise<string>;
}

/** A new user meets a server of its own, on which the template has these properties. */
async function meet(
  file: { ranges?: boolean; length?: boolean; etag?: string | null },
  test: (encounter: Encounter) => Promise<void>,
): Promise<void> {
  await using desk = await newDesk();
  await using server = await startTestServer({
    '/repo/index.asc': stage.server.files['/repo/index.asc']!,
    '/repo/small.xz': { data: stage.template.xz, ...file },
  });
  let round = 0;
  const build = async (options: readonly string[] = []): Promise<string> => {
    round += 1;
    const name = `disk-${round}.img`;
    const source = ['--source', `${server.url}/repo/index.asc`, '--key', stage.key.file];
    const env = { TSBUILDER_TIMEOUT: '1' };
    const outcome = await desk.run(['small', ...source, '-o', name, '--json', ...options], { env });
    if (outcome.status !== 0) {
      const { summary } = failureOf(outcome);
      const left = await litter(desk);
      return left.length === 0 ? summary : `${summary}, left ${left.join(' ')}`;
    }
    const disk = examineDisk(desk.file(name));
    return disk.payloadIntact && disk.complaints.length === 0 ? 'built' : 'built wrong';
  };
  await test({ server, desk, build });
}

const isTemplate = (path: string): boolean => path.endsWith('small.xz');

describe('a server that is only odd', () => {
  it('serves as well: without ranges, without length, without ETag', async () => {
    await inTurns(
      [
        { ranges: false },
        { length: false },
        { etag: null },
        { ranges: false, length: false, etag: null },
      ].map((file) => () => meet(file, async ({ build }) => expect(await build()).toBe('built'))),
    );
  });

  it('may fail for a while, drop the connection, or hang: the build goes on where it was', async () => {
    const half = stage.template.xz.length >> 1;
    await inTurns([
      () =>
        meet({}, async ({ server, build }) => {
          server.fault = (_, count) => (count === 0 ? { status: 500 } : undefined);
          expect(await build()).toBe('built');
        }),
      () =>
        meet({}, async ({ server, build }) => {
          let dropped = 0;
          server.fault = ({ path, headers }) => {
            const whole = isTemplate(path) && !/^bytes=\d+-\d/.test(headers.range ?? '');
            return whole && (dropped += 1) <= 2 ? { dropAfter: half >> 1 } : undefined;
          };
          expect(await build()).toBe('built');
          const resumed = server.requests.filter(({ headers }) => /^bytes=\d+-$/.test(headers.range ?? ''));
          expect(resumed.map(({ headers }) => headers['if-range'])).toEqual([
            expect.stringMatching(/^"/),
            expect.stringMatching(/^"/),
          ]);
        }),
      () =>
        meet({}, async ({ server, build }) => {
          let hung = false;
          server.fault = ({ path, headers }) => {
            if (!isTemplate(path) || headers.range !== undefined || hung) return undefined;
            hung = true;
            return { hangAfter: half };
          };
          expect(await build()).toBe('built');
        }),
      () =>
        meet({ ranges: false }, async ({ server, build }) => {
          let dropped = false;
          server.fault = ({ path, headers }) => {
            if (!isTemplate(path) || headers.range !== undefined || dropped) return undefined;
            dropped = true;
            return { dropAfter: half };
          };
          expect(await build()).toBe('built');
        }),
    ]);
  });

  it('may refuse ranges by status 416, which costs only that build', () =>
    meet({}, async ({ server, build }) => {
      server.fault = ({ path, headers }) =>
        isTemplate(path) && headers.range !== undefined ? { status: 416 } : undefined;
      expect(await build()).toMatch(/^(built|6 TSB_HTTP_STATUS|5 TSB_CONTENT_CHANGED)$/);
      server.fault = () => undefined;
      expect(await build()).toBe('built');
    }));
});

describe('a server that fails', () => {
  it.each([
    ['404 for the template', 404, '6 TSB_HTTP_STATUS'],
    ['403 for the template', 403, '6 TSB_HTTP_STATUS'],
    ['500 again and again', 500, '6 TSB_HTTP_STATUS'],
  ])('%s: one error, and the next build works', (_, status, summary) =>
    meet({}, async ({ server, build }) => {
      server.fault = ({ path }) => (isTemplate(path) ? { status } : undefined);
      expect(await build()).toBe(summary);
      server.fault = () => undefined;
      expect(await build()).toBe('built');
    }),
  );

  it('hangs: a time-out, and the next build goes on with what has arrived', () =>
    meet({}, async ({ server, build }) => {
      server.fault = ({ path, headers }) => {
        if (!isTemplate(path)) return undefined;
        return headers.range === undefined ? { hangAfter: 1_000_000 } : { hangAfter: -1 };
      };
      expect(await build()).toBe('6 TSB_NETWORK_TIMEOUT');
      server.fault = () => undefined;
      server.requests.length = 0;
      expect(await build()).toBe('built');
      const ranges = server.requests.map(({ headers }) => /^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1]);
      expect(Math.max(...ranges.map(Number).filter((first) => first >= 0))).toBeGreaterThan(900_000);
    }));

  it('does not even send the index: a time-out', () =>
    meet({}, async ({ server, build }) => {
      server.fault = () => ({ hangAfter: -1 });
      expect(await build()).toBe('6 TSB_NETWORK_TIMEOUT');
    }));

  it('redirects in a loop, or to where it must not', () =>
    meet({}, async ({ server, build }) => {
      for (const location of ['/repo/small.xz', 'file:///etc/passwd']) {
        server.fault = ({ path }) => (isTemplate(path) ? { status: 302, headers: { location } } : undefined);
        expect(await build()).toBe('6 TSB_HTTP_STATUS');
      }
    }));

  it('changes the file in the middle of the download', () =>
    meet({}, async ({ server, build }) => {
      const { xz } = stage.template;
      const other = Buffer.from(xz).fill(0x55, 1000);
      server.fault = ({ path, headers }) => {
        if (!isTemplate(path) || headers.range !== undefined) return undefined;
        server.files['/repo/small.xz'] = { data: other };
        return { dropAfter: xz.length >> 1 };
      };
      expect(await build()).toMatch(/^5 TSB_(CONTENT_CHANGED|CHECKSUM_MISMATCH)$/);
      server.fault = () => undefined;
      server.files['/repo/small.xz'] = { data: xz };
      expect(await build()).toBe('built');
    }));

  it('sends other bytes from the start, or more than it may', () =>
    meet({}, async ({ server, build }) => {
      const { xz } = stage.template;
      server.files['/repo/small.xz'] = { data: Buffer.from(xz).fill(0x55, 1000, 2000) };
      expect(await build()).toBe('5 TSB_CHECKSUM_MISMATCH');
      server.files['/repo/small.xz'] = { data: Buffer.concat([xz, xz]) };
      expect(await build()).toMatch(/^5 TSB_(CHECKSUM|SIZE)_MISMATCH$/);
      server.files['/repo/small.xz'] = { data: xz };
      expect(await build()).toBe('built');
    }));
});

describe('a server that can only send whole files', () => {
  it('one that closes every connection serves unxz, to a file and to a pipe', async () => {
    await using desk = await newDesk();
    await using server = await startClosingServer(stage.template.xz);
    resultOf(await desk.run(['unxz', `${server.url}/small.img.xz`, '--json']));
    const content = readFileSync(desk.file('small.img'));
    const piped = await desk.run(['unxz', `${server.url}/small.img.xz`, '-']);
    expect([piped.status, sha512(piped.stdout)]).toEqual([0, sha512(content)]);
    expect(sha512(content)).toBe(sha512(readFileSync(stage.template.raw)));
    expect(await litter(desk, ['small.img'])).toEqual([]);
  });

  it('leaves nothing behind when the reader of the pipe goes away', async () => {
    await using desk = await newDesk();
    await using server = await startClosingServer(stage.template.xz);
    const { ended } = desk.start(['unxz', `${server.url}/small.img.xz`, '-'], {
      wrapper: ['bash', '-c', '"$@" | head -c 1; exit "${PIPESTATUS[0]}"', 'bash'],
    });
    const { status, stdout, stderr } = await ended;
    expect([status, stdout.length, stderr]).toEqual([141, 1, expect.not.stringMatching(/assert/i)]);
    expect(await litter(desk)).toEqual([]);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('leaves nothing behind after %s', async (signal) => {
    await using desk = await newDesk();
    await using server = await startTestServer({
      '/small.img.xz': { data: stage.template.xz, ranges: false },
    });
    server.fault = ({ headers }) => (headers.range === undefined ? { slowMs: 20 } : undefined);
    for (const output of ['small.img', '-']) {
      server.requests.length = 0;
      const running = desk.start(['unxz', `${server.url}/small.img.xz`, output]);
      while (server.requests.length < 2) await sleep(10);
      await sleep(200);
      running.child.kill(signal);
      const { status, signal: killedBy } = await running.ended;
      expect(signal === 'SIGKILL' ? killedBy : status).toBe(signal === 'SIGKILL' ? 'SIGKILL' : 130);
      // A killed process leaves the empty file that would have become the output, which the next one sweeps up.
      const left = (await litter(desk)).filter((name) => !/^\.small\.img\..*\.tsb$/.test(name));
      expect(left).toEqual([]);
    }
    server.fault = () => undefined;
    resultOf(await desk.run(['unxz', `${server.url}/small.img.xz`, '--json']));
    expect(await litter(desk, ['small.img'])).toEqual([]);
  });

  it('lets info see the image, and a plan be made, which keeps the template for the build', () =>
    meet({ ranges: false }, async ({ server, desk, build }) => {
      const info = await desk.run(['info', `${server.url}/repo/small.xz`, '--json']);
      expect(resultOf(info)).toMatchObject({ format: 'xz', size: stage.template.xz.length });
      expect(await cachedContent(desk)).toEqual([]);
      const source = ['--source', `${server.url}/repo/index.asc`, '--key', stage.key.file];
      const plan = await desk.run(['small', ...source, '--size', '300M', '--dry-run', '--json']);
      expect(resultOf(plan)).toMatchObject({ plan: { resize: { targetSize: 300 * 1024 * 1024 } } });
      expect(plan.stderr).toContain('does not answer range requests, so the plan needs the whole template');
      expect(await cachedContent(desk)).toEqual([stage.template.sha512]);
      server.requests.length = 0;
      expect(await build()).toBe('built');
      expect(server.requests.filter(({ path }) => isTemplate(path))).toEqual([]);
      expect(await litter(desk, ['disk-1.img'])).toEqual([`sha512/${stage.template.sha512}`]);
    }));
});
