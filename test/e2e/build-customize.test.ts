import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { run } from '../helpers/disk.js';
import { type Desk, failureOf, newDesk, resultOf } from '../helpers/e2e.js';
import { type Stage, openStage } from '../helpers/e2e-stage.js';
import { ROOT, sha512 } from '../helpers/e2e-template.js';

vi.setConfig({ testTimeout: 120_000 });

let stage: Stage;
let desk: Desk;
beforeAll(async () => {
  stage = await openStage();
  desk = await newDesk();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await desk[Symbol.asyncDispose]();
});

const cat = (disk: string, path: string): string =>
  run('debugfs', ['-R', `cat ${path}`, `${desk.file(disk)}?offset=${ROOT.offset}`]);
const args = (...words: string[]): string[] => ['small', ...stage.source, '--json', ...words];

describe('a build with operations', () => {
  it('does them on the seeded guest, in every format, the same with the same seed', async () => {
    const operations = ['--write', '/etc/motd:one\n', '--mkdir', '/srv/x', '--append-line', '/etc/motd:two'];
    const result = resultOf(await desk.run(args('-o', 'a.img', '--seed', 's', ...operations)));
    expect(result).toMatchObject({
      done: [
        expect.stringContaining('/etc/motd'),
        expect.stringContaining('/srv/x'),
        expect.stringContaining('/etc/motd'),
      ],
      seeded: [expect.stringContaining('random-seed'), expect.stringContaining('machine-id')],
      secrets: [],
    });
    expect(cat('a.img', '/etc/motd')).toBe('one\ntwo\n');
    run('e2fsck', ['-fn', `${desk.file('a.img')}?offset=${ROOT.offset}`]);
    resultOf(await desk.run(args('-o', 'b.img', '--seed', 's', ...operations)));
    const hash = (name: string): string => sha512(readFileSync(desk.file(name)));
    expect(hash('a.img')).toBe(hash('b.img'));
    resultOf(await desk.run(args('-o', 'c.qcow2', '--format', 'qcow2', '--seed', 's', ...operations)));
    execFileSync('qemu-img', [
      'compare',
      '-f',
      'raw',
      '-F',
      'qcow2',
      desk.file('a.img'),
      desk.file('c.qcow2'),
    ]);
  });

  it('shows them in the plan', async () => {
    const outcome = await desk.run(['small', ...stage.source, '--mkdir', '/srv', '--dry-run']);
    expect(outcome.stdout.toString()).toMatch(/Customise: make the folder \/srv\n/);
    const plan = resultOf(await desk.run(args('--mkdir', '/srv', '--update', '--dry-run')));
    expect(plan).toMatchObject({ plan: { customize: [{ runs: 'offline' }, { runs: 'in-guest' }] } });
  });

  it('leaves nothing when one of them fails, and downloads nothing for one that cannot be read', async () => {
    const before = readdirSync(desk.work);
    const failed = failureOf(await desk.run(args('-o', 'no.img', '--mkdir', '/x', '--chmod', '0644:/nope')));
    expect(failed.summary).toBe('8 TSB_GUEST');
    expect(failed.message).toMatch(/^--chmod: .*\/nope/);
    stage.forget();
    const wrong = failureOf(await desk.run(args('-o', 'no.img', '--commands-from-file', 'none')));
    expect(wrong.summary).toBe('3 TSB_NOT_FOUND');
    expect(stage.downloads()).toEqual([]);
    expect(readdirSync(desk.work)).toEqual(before);
  });
});

describe('an interrupted customize', () => {
  it('leaves the disk as it was, and nothing else', async () => {
    resultOf(await desk.run(args('-o', 'd.img')));
    const before = readdirSync(desk.work);
    const { mtimeMs, ino } = statSync(desk.file('d.img'));
    writeFileSync(desk.file('list'), '- mkdir: /srv\n'.repeat(20_000));
    const running = desk.start(['customize', 'd.img', '--customize', 'list']);
    setTimeout(() => running.child.kill('SIGINT'), 700);
    const { status } = await running.ended;
    // Where the signal came too late, all has been done.
    const made = status === 0 ? ['d.img.bak'] : [];
    expect([0, 130]).toContain(status);
    expect(readdirSync(desk.work)).toEqual([...before, ...made, 'list'].sort());
    expect(statSync(desk.file(made[0] ?? 'd.img'))).toMatchObject({ mtimeMs, ino });
  });
});
