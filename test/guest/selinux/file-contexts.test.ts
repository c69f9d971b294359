import { describe, expect, it } from 'vitest';
import { openExtGuest } from '../../../src/guest/ext/open-ext-guest.js';
import { parseFileContexts } from '../../../src/guest/selinux/file-contexts.js';
import { OFFSET, debugfs, debugfsWrite, fsck, makeExtImage } from '../../helpers/guest-image.js';
import { GUEST_TREES } from '../../helpers/guest-trees.js';

describe('parseFileContexts', () => {
  const contexts = parseFileContexts({
    contexts: [
      [
        '/.*  default',
        '/etc/.*  etc',
        '/etc/exact  --  exact',
        '/etc/e.*  --  late',
        '/a|/b  choice',
        '/opt(/.*)?  opt',
        '/opt/(x|y)/z  -d  folder',
        '/none/.*  <<none>>',
        'garbage',
        '/too many words here',
        '/x  -q  type',
        '/home/[^/]+/\\.ssh(/.*)?  ssh',
      ].join('\n'),
      '/local  local',
    ],
    substitutions: ['/run /var/run', '/var/run/user /opt'],
  });

  it('lets the last match win, exact lines before all', () => {
    expect(contexts.lookup('/etc/other', 'file')).toBe('etc');
    expect(contexts.lookup('/etc/exact', 'file')).toBe('exact');
    expect(contexts.lookup('/etc/exact', 'directory')).toBe('etc');
    expect(contexts.lookup('/etc/extra', 'file')).toBe('late');
    expect(contexts.lookup('/b', 'file')).toBe('choice');
    expect(contexts.lookup('/opt', 'directory')).toBe('opt');
    expect(contexts.lookup('/opt/y/z', 'directory')).toBe('folder');
    expect(contexts.lookup('/opt/y/z', 'file')).toBe('opt');
    expect(contexts.lookup('/none/x', 'file')).toBeUndefined();
    expect(contexts.lookup('/local', 'file')).toBe('local');
    expect(contexts.lookup('/home/me/.ssh/key', 'file')).toBe('ssh');
    expect(contexts.lookup('/x', 'file')).toBe('default');
  });

  it('substitutes whole components', () => {
    expect(contexts.lookup('/run/user/x', 'file')).toBe('opt');
    expect(contexts.lookup('/runner', 'file')).toBe('default');
  });
});

const LABEL = 'security.selinux';
const label = (type: string): Buffer => Buffer.from(`system_u:object_r:${type}:s0\0`);

describe('new files in a guest with SELinux', () => {
  it("get the label of the guest's policy, replaced ones keep theirs", async () => {
    const path = makeExtImage(GUEST_TREES.FEDORA);
    debugfsWrite(path, 'ea_set /etc/machine-id security.selinux "system_u:object_r:old_t:s0"');
    await using guest = await openExtGuest(path, { offset: OFFSET });
    await guest.mkdir('/var/lib/systemd', { parents: true });
    await guest.writeFile('/var/lib/systemd/random-seed', 'x');
    await guest.writeFile('/etc/new', 'x');
    await guest.writeFile('/etc/machine-id', 'x');
    await guest.mkdir('/usr/lib64/systemd', { parents: true });
    await guest.symlink('/x', '/usr/lib64/systemd/link');
    await guest.writeFile('/etc/own', 'x', { xattrs: new Map([[LABEL, label('own_t')]]) });
    await guest.commit();
    fsck(path);
    const labelOf = async (file: string): Promise<Buffer | undefined> =>
      (await guest.getXattrs(file)).get(LABEL);
    expect(await labelOf('/var/lib/systemd')).toEqual(label('var_lib_t'));
    expect(await labelOf('/var/lib/systemd/random-seed')).toEqual(label('random_seed_t'));
    expect(await labelOf('/etc/new')).toEqual(label('etc_t'));
    expect(await labelOf('/etc/machine-id')).toEqual(Buffer.from('system_u:object_r:old_t:s0'));
    expect(await labelOf('/etc/own')).toEqual(label('own_t'));
    expect(debugfs(path, 'ea_list /usr/lib64/systemd/link')).toContain('init_t');
    expect(await guest.exists('/.autorelabel')).toBe(false);
  });

  it("get their folder's label without a policy, and the guest is asked to relabel without that", async () => {
    const { 'etc/selinux/targeted/contexts/files/file_contexts': _, ...tree } = GUEST_TREES.FEDORA;
    const path = makeExtImage(tree);
    debugfsWrite(path, 'ea_set /etc security.selinux "like_parent"');
    await using guest = await openExtGuest(path, { offset: OFFSET });
    await guest.mkdir('/etc/folder');
    await guest.writeFile('/etc/folder/new', 'x');
    await guest.commit();
    expect((await guest.getXattrs('/etc/folder/new')).get(LABEL)).toEqual(Buffer.from('like_parent'));
    expect(await guest.exists('/.autorelabel')).toBe(false);
    await guest.writeFile('/usr/new', 'x');
    await guest.commit();
    fsck(path);
    expect(await guest.exists('/.autorelabel')).toBe(true);
  });

  it('get none in a guest without SELinux', async () => {
    const path = makeExtImage(GUEST_TREES.DEBIAN_12);
    await using guest = await openExtGuest(path, { offset: OFFSET });
    await guest.writeFile('/etc/new', 'x');
    await guest.commit();
    expect((await guest.getXattrs('/etc/new')).size).toBe(0);
    expect(await guest.exists('/.autorelabel')).toBe(false);
  });
});
