import { statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Desk, litter, newDesk } from '../helpers/e2e.js';
import { type Stage, openStage } from '../helpers/e2e-stage.js';
import { TEMPLATE_SIZE } from '../helpers/e2e-template.js';

vi.setConfig({ testTimeout: 60_000 });

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

/** Runs the program with nothing but a full disk behind its standard output. */
const wrapper = ['sh', '-c', 'exec "$@" > /dev/full', 'sh'];

describe('a standard output that is full', () => {
  it.each([
    ['text', ['source', 'list']],
    ['the version', ['--version']],
    ['help', ['--help']],
    ['help of a command', ['build', '--help']],
    ['JSON', ['source', 'list', '--json']],
    ['content', ['cp', 'IMAGE', '-']],
    ['a result at the end', ['info', 'IMAGE']],
    ['the banner of a server', ['serve', 'IMAGE', '-U', 'socket']],
  ])('is one error: %s', async (_, args) => {
    const image = `${stage.folder}/template.img.xz`;
    const words = args.map((word) => (word === 'IMAGE' ? image : word));
    const { status, stderr } = await desk.run(words, { wrapper });
    expect(stderr).toContain('standard output: no space left on its filesystem [TSB_NO_SPACE]');
    expect(stderr.match(/TSB_NO_SPACE/g)).toHaveLength(1);
    expect(stderr).not.toMatch(/^ +at /m);
    expect(status).toBe(7);
    expect(await litter(desk)).toEqual([]);
  });

  it('does not take away what has been made', async () => {
    const image = `${stage.folder}/template.img.xz`;
    const { status } = await desk.run(['cp', image, 'out.img', '--json'], { wrapper });
    expect(status).toBe(7);
    expect(statSync(desk.file('out.img')).size).toBe(TEMPLATE_SIZE);
  });
});
