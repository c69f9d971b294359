import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../../src/errors.js';
import { apply, applyAll, openGuest } from '../../helpers/file-operations.js';
import { fsck, makeExtImage, scratchPath } from '../../helpers/guest-image.js';

const TREE = {
  'etc/hosts': '127.0.0.1 localhost\n',
  'etc/link': { link: 'hosts' },
  'dir/a': 'a',
  dirlink: { link: 'dir' },
  void: { dir: 0o711 },
};

describe('edit', () => {
  it('keeps bytes that are no text, the owner and attributes', async () => {
    const bytes = Buffer.from([0xff, 0, 0x0a, 0xc3, 0x28, 0x0d, 0x0a]);
    const path = makeExtImage({ 'etc/bin': bytes });
    await using guest = await openGuest(path);
    await guest.chown('/etc/bin', { uid: 5, gid: 6 });
    await guest.setXattr('/etc/bin', 'user.k', Buffer.from('v'));
    await apply(guest, 'edit', '/etc/bin:$_ = "# $_" if $lineno == 1');
    await guest.commit();
    expect(await guest.readFile('/etc/bin')).toEqual(Buffer.concat([Buffer.from('# '), bytes]));
    expect(await guest.stat('/etc/bin')).toMatchObject({ uid: 5, gid: 6 });
    expect((await guest.getXattrs('/etc/bin')).get('user.k')?.toString()).toBe('v');
  });

  it.each(['die "stop"', 'exit 3', '}{', 's/(/x/'])(
    'leaves the file alone when %j fails',
    async (expression) => {
      await using guest = await openGuest(makeExtImage(TREE));
      const failure = apply(guest, 'edit', `/etc/hosts:${expression}`);
      await expect(failure).rejects.toMatchObject({
        code: 'TSB_TOOL_FAILED',
        message: expect.stringMatching(/\/etc\/hosts(?!.*tsbuilder-edit)/s) as string,
      });
      expect((await guest.readFile('/etc/hosts')).toString()).toBe(TREE['etc/hosts']);
    },
  );

  it('keeps the expression out of the list of processes and of the data of errors', async () => {
    await using guest = await openGuest(makeExtImage(TREE));
    const secret = 'correct horse';
    const show = `open(my $f, "<", "/proc/$$/cmdline"); local $/; $_ = <$f>; # ${secret}`;
    await apply(guest, 'edit', `/etc/hosts:${show}`);
    const seen = (await guest.readFile('/etc/hosts')).toString();
    expect(seen).toContain('perl');
    expect(seen).not.toContain(secret);
    const failure = apply(guest, 'edit', `/etc/hosts:# ${secret}\ndie`).catch((error: unknown) => error);
    for (let error = (await failure) as TsbuilderError; error instanceof TsbuilderError;) {
      expect(error.message).toContain('the expression line 2');
      expect(JSON.stringify(error)).not.toContain(secret);
      error = error.cause as TsbuilderError;
    }
  });

  it('says what is missing without perl', async () => {
    await using guest = await openGuest(makeExtImage(TREE));
    const path = process.env['PATH'];
    process.env['PATH'] = '/nowhere';
    try {
      await expect(apply(guest, 'edit', '/etc/hosts:1')).rejects.toMatchObject({
        code: 'TSB_TOOL_MISSING',
        hint: expect.stringContaining('perl') as string,
      });
    } finally {
      process.env['PATH'] = path;
    }
  });
});

describe('files of this machine', () => {
  it('are uploaded with permissions and owner, to a name or into a folder, also through a link', async () => {
    const local = scratchPath('local file');
    writeFileSync(local, 'content');
    chmodSync(local, 0o4750);
    chownSync(local, 12, 34);
    chmodSync(local, 0o4750);
    const path = makeExtImage(TREE);
    await applyAll(path, [
      ['upload', `${local}:/void`],
      ['upload', `${local}:/dirlink/`],
      ['upload', `${local}:/etc/link`],
    ]);
    fsck(path);
    await using guest = await openGuest(path);
    const name = local.slice(local.lastIndexOf('/') + 1);
    for (const place of [`/void/${name}`, `/dir/${name}`, '/etc/hosts']) {
      expect(await guest.lstat(place)).toMatchObject({
        type: 'file',
        mode: 0o4750,
        uid: 12,
        gid: 34,
        size: 7,
      });
    }
  });

  it.each([
    ['upload', '/no/such/file:/void', 'TSB_NOT_FOUND'],
    ['upload', '/etc:/void', 'TSB_USAGE'],
    ['copy-in', '/no/such/file:/void', 'TSB_NOT_FOUND'],
    ['tar-in', '/no/such/file:/void', 'TSB_NOT_FOUND'],
  ] as const)('--%s %s: %s', async (name, text, code) => {
    await using guest = await openGuest(makeExtImage(TREE));
    await expect(apply(guest, name, text)).rejects.toMatchObject({ code });
  });
});
