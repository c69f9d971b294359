import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { MAX_USER_DATA, assertUserData } from '../../../src/customize/cloud-init/check-user-data.js';
import { openCidata } from '../../../src/customize/cloud-init/cidata.js';
import { readSeedFiles } from '../../../src/customize/cloud-init/seed-files.js';
import { cloudInit } from '../../../src/customize/ops/cloud-init.js';
import { run, scratchPath } from '../../helpers/guest-image.js';
import { GUEST_TREES } from '../../helpers/guest-trees.js';
import { applied, operation, testContext, textOf } from '../../helpers/identity-guests.js';

const SEED = '/var/lib/cloud/seed/nocloud';
const CONFIG = '#cloud-config\nusers:\n  - name: ann\n';
const DEBIAN = { ...GUEST_TREES.DEBIAN_12, 'etc/cloud/cloud.cfg': '' };

function host(name: string, content: string | Buffer): string {
  const path = scratchPath(name);
  writeFileSync(path, content);
  return path;
}

async function makeCidata(...request: Parameters<typeof openCidata>): Promise<void> {
  await using disk = await openCidata(...request);
  await disk.commit();
}

describe('--cloud-init', () => {
  it('leaves a seed that only root can read', async () => {
    const { guest, warnings } = await applied(DEBIAN, operation(cloudInit, host('user', CONFIG)));
    await using _ = guest;
    expect(warnings).toEqual([]);
    expect(await guest.list(SEED)).toEqual(['meta-data', 'user-data']);
    expect(await textOf(guest, `${SEED}/user-data`)).toBe(CONFIG);
    expect(await textOf(guest, `${SEED}/meta-data`)).toBe(
      `instance-id: iid-${testContext().random.uuid('cloud-init instance-id')}\n`,
    );
    for (const name of await guest.list(SEED))
      expect(await guest.stat(`${SEED}/${name}`)).toMatchObject({ mode: 0o600, uid: 0, gid: 0 });
  });

  it('takes metadata and the network from files, and forgets those of a seed before', async () => {
    const meta = host('meta', 'instance-id: web-1\nlocal-hostname: web\n');
    const network = host('network', 'version: 2\nethernets: {}\n');
    const user = host('user', CONFIG);
    const first = operation(cloudInit, `${user}:${meta}:${network}`);
    const { guest } = await applied(
      DEBIAN,
      first,
      async (each) => {
        expect(await textOf(each, `${SEED}/network-config`)).toBe('version: 2\nethernets: {}\n');
        expect(await textOf(each, `${SEED}/meta-data`)).toContain('web-1');
      },
      operation(cloudInit, user),
    );
    await using _ = guest;
    expect(await guest.list(SEED)).toEqual(['meta-data', 'user-data']);
    expect(await textOf(guest, `${SEED}/meta-data`)).toContain('iid-');
  });

  it('warns of a guest that will not read it', async () => {
    const user = host('user', CONFIG);
    const without = await applied(GUEST_TREES.DEBIAN_12, operation(cloudInit, user));
    const disabled = await applied(
      { ...DEBIAN, 'etc/cloud/cloud-init.disabled': '' },
      operation(cloudInit, user),
    );
    await without.guest[Symbol.asyncDispose]();
    await disabled.guest[Symbol.asyncDispose]();
    expect(without.warnings.join()).toMatch(/not installed/);
    expect(disabled.warnings.join()).toMatch(/disabled/);
  });

  it('warns of metadata without instance-id, in YAML and JSON', async () => {
    for (const [text, count] of [
      ['local-hostname: a\n', 1],
      ['{"instance-id": "a"}', 0],
      ["'instance-id': a", 0],
    ] as const) {
      const context = testContext();
      await readSeedFiles({ userData: host('user', CONFIG), metaData: host('meta', text) }, context);
      expect([text, context.warnings.length]).toEqual([text, count]);
    }
  });

  it.each([
    ['u', { userData: 'u' }],
    ['u:m', { userData: 'u', metaData: 'm' }],
    ['u:m:n', { userData: 'u', metaData: 'm', networkConfig: 'n' }],
    ['u::n', { userData: 'u', networkConfig: 'n' }],
  ])('understands %s', (text, value) => {
    expect(cloudInit.parse(text)).toEqual(value);
    expect(v.parse(cloudInit.schema, value)).toEqual(value);
    expect(v.parse(cloudInit.schema, text)).toEqual(value);
    expect(cloudInit.describe(value)).toContain('u');
  });

  it.each(['', ':m', 'a:b:c:d', 'a\0'])('does not understand %j', (text) => {
    expect(() => cloudInit.parse(text)).toThrow(/USER-DATA/);
  });

  it('leaves the guest alone when a file is missing', async () => {
    for (const text of ['/nowhere', `${host('user', CONFIG)}:/nowhere`, '/tmp'])
      await expect(applied(DEBIAN, operation(cloudInit, text))).rejects.toMatchObject({
        code: 'TSB_NOT_FOUND',
      });
  });
});

describe('user data', () => {
  it.each([
    CONFIG,
    '',
    '#cloud-config\n',
    '#cloud-config\n# nothing\n',
    '\n#Cloud-Config\na: 1\n',
    '#cloud-config\r\na: 1\r\n',
    '#cloud-config\na: yes\nb: *x\n'.replace('*x', '"*x"'),
    '#cloud-config\na: &x [1]\nb: *x\nc: {<<: {d: 1}, e: !!str 1, f: !!binary aGk=}\n',
    '#cloud-config-archive\n- type: text/cloud-config\n  content: ""\n',
    '#!/bin/sh\n: {[\n',
    '#include\nhttps://example.com/\n',
    '## template: jinja\n#cloud-config\n{% if x %}\n',
    'Content-Type: multipart/mixed; boundary="x"\nMIME-Version: 1.0\n\n',
    '#cloud-boothook\n',
  ])('may be %j, also compressed', async (text) => {
    await expect(assertUserData('user', Buffer.from(text))).resolves.toBeUndefined();
    await expect(assertUserData('user', gzipSync(text))).resolves.toBeUndefined();
  });

  it.each([
    ['users:\n  - ann\n', /line 1 is nothing/],
    ['# cloud-config\n', /line 1 is nothing/],
    ['#cloud-config\na: 1\nb: [\nc: 2\n', /^user: line 4: /],
    ['#cloud-config\na: 1\n\tb: 2\n', /^user: line 3: /],
    ['#cloud-config\nruncmd: []\nruncmd: []\n', /^user: line 3: .*this key already/],
    ['#cloud-config\na: 1\nb: *secret\n', /^user: line 3: an alias/],
    ['#cloud-config\na: *x\nb: &x 1\n', /^user: line 2: an alias/],
    ['#cloud-config\na: !secret b\n', /^user: line 2: a tag/],
    ['\ufeff#cloud-config\na: 1\n', /begins with a byte order mark/],
    ['#cloud-config\n- a\n', /must be a YAML map/],
    ['#cloud-config\ntext\n', /must be a YAML map/],
    ['#cloud-config-archive\na: 1\n', /must be a YAML list/],
    ['\0\0\0', /line 1 is nothing/],
  ])('may not be %j', async (text, message) => {
    const failure = { code: 'TSB_RECIPE_INVALID', message: expect.stringMatching(message) as string };
    await expect(assertUserData('user', Buffer.from(text))).rejects.toMatchObject(failure);
    await expect(assertUserData('user', gzipSync(text))).rejects.toMatchObject(failure);
  });

  it('has a limit, unpacked too, and no bomb of aliases goes off', async () => {
    const large = host('large', Buffer.alloc(MAX_USER_DATA + 1, '#'));
    await expect(readSeedFiles({ userData: large }, testContext())).rejects.toThrow(
      /more than 16777216 bytes/,
    );
    await expect(assertUserData('user', gzipSync(Buffer.alloc(MAX_USER_DATA + 1)))).rejects.toThrow(
      /unpacked/,
    );
    await expect(assertUserData('user', gzipSync(CONFIG).subarray(0, 20))).rejects.toThrow(/unpacked/);
    const bomb = [
      '#cloud-config',
      'a0: &a0 [x, x]',
      ...Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`),
    ];
    await expect(assertUserData('user', Buffer.from(bomb.join('\n')))).resolves.toBeUndefined();
  });
});

describe('the CIDATA disk', () => {
  const options = { now: 1_700_000_000, volumeId: 0xfedcba98 };
  const files = new Map([
    ['user-data', Buffer.from(CONFIG)],
    ['meta-data', Buffer.from('instance-id: a\n')],
    ['network-config', Buffer.alloc(3 * 1024 * 1024, 'n')],
  ] as const);

  it('is a FAT filesystem that other programs read, the same every time', async () => {
    const [one, two] = [scratchPath('one.img'), scratchPath('two.img')];
    await makeCidata(one, files, options);
    await makeCidata(two, files, options);
    expect(readFileSync(one).equals(readFileSync(two))).toBe(true);
    expect(run('blkid', ['-p', '-o', 'export', one])).toMatch(
      /LABEL=CIDATA\n[^]*UUID=FEDC-BA98\n[^]*TYPE=vfat\n/,
    );
    run('fsck.vfat', ['-n', one]);
    for (const [name, data] of files)
      expect(execFileSync('mtype', ['-i', one, `::/${name}`], { maxBuffer: 2 ** 24 }).equals(data)).toBe(
        true,
      );
    expect(run('mdir', ['-i', one, '::/']).match(/2023-11-14/g)).toHaveLength(3);
    expect(statSync(one).mode & 0o777).toBe(0o600);
  });

  it('leaves nothing behind that failed, and no file that was there', async () => {
    const path = host('taken.img', 'mine');
    await expect(makeCidata(path, files, options)).rejects.toMatchObject({ code: 'TSB_OUTPUT_EXISTS' });
    expect(readFileSync(path, 'utf8')).toBe('mine');
    const folder = scratchPath('folder');
    mkdirSync(folder);
    const aborted = makeCidata(`${folder}/disk.img`, files, { ...options, signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
    expect(readdirSync(folder)).toEqual([]);
    await makeCidata(path, files, { ...options, force: true });
    expect(statSync(path).size).toBeGreaterThan(3 * 1024 * 1024);
  });
});
