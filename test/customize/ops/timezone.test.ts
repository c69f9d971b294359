import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { timezone } from '../../../src/customize/ops/timezone.js';
import type { TreeSpec } from '../../helpers/guest-image.js';
import { GUEST_TREES } from '../../helpers/guest-trees.js';
import { SYSTEMD, applied, operation, release, textOf } from '../../helpers/identity-guests.js';

const PARIS = 'TZif2 Paris';
const ZONES: TreeSpec = {
  'usr/share/zoneinfo/Europe/Paris': PARIS,
  'usr/share/zoneinfo/Europe/Berlin': 'TZif2 Berlin',
  'usr/share/zoneinfo/Etc/GMT+1': 'TZif2 +1',
  'usr/share/zoneinfo/UTC': { link: 'Etc/UTC' },
  'usr/share/zoneinfo/Etc/UTC': 'TZif2 UTC',
  'usr/share/zoneinfo/zone.tab': '# a table\n',
};
const DEBIAN = { ...GUEST_TREES.DEBIAN_12, ...ZONES };

describe('--timezone', () => {
  it.each<[string, TreeSpec, string]>([
    [
      'an absolute link',
      { 'etc/localtime': { link: '/usr/share/zoneinfo/Etc/UTC' } },
      '/usr/share/zoneinfo/Europe/Paris',
    ],
    [
      'a relative link',
      { 'etc/localtime': { link: '../usr/share/zoneinfo/Etc/UTC' } },
      '../usr/share/zoneinfo/Europe/Paris',
    ],
    [
      'a link that leads nowhere',
      { 'etc/localtime': { link: '/nowhere' } },
      '/usr/share/zoneinfo/Europe/Paris',
    ],
    ['a copy', { 'etc/localtime': 'TZif2 UTC' }, '/usr/share/zoneinfo/Europe/Paris'],
    ['nothing', {}, '/usr/share/zoneinfo/Europe/Paris'],
  ])('leaves a link in the place of %s', async (_name, tree, target) => {
    const { guest } = await applied(
      { ...DEBIAN, ...tree, 'etc/timezone': 'Etc/UTC\n' },
      operation(timezone, 'Europe/Paris'),
    );
    await using _ = guest;
    expect(await guest.readLink('/etc/localtime')).toBe(target);
    expect(await textOf(guest, '/etc/localtime')).toBe(PARIS);
    expect(await textOf(guest, '/etc/timezone')).toBe('Europe/Paris\n');
    expect(await guest.exists('/etc/sysconfig/clock')).toBe(false);
  });

  it.each<[string, TreeSpec, string]>([
    ['CentOS 6', GUEST_TREES.CENTOS_6, '# clock\nZONE="Europe/Paris"\nUTC=true\n'],
    [
      'openSUSE 11.4',
      GUEST_TREES.OPENSUSE_11,
      '# clock\nZONE="Etc/UTC"\nUTC=true\nTIMEZONE="Europe/Paris"\n',
    ],
  ])('keeps a copy a copy on %s', async (_name, tree, clock) => {
    const { guest } = await applied(
      {
        ...tree,
        ...ZONES,
        'etc/localtime': { data: 'TZif2 old', mode: 0o644 },
        'etc/sysconfig/clock': '# clock\nZONE="Etc/UTC"\nUTC=true\n',
      },
      operation(timezone, 'Europe/Paris'),
    );
    await using _ = guest;
    expect((await guest.lstat('/etc/localtime')).type).toBe('file');
    expect(await textOf(guest, '/etc/localtime')).toBe(PARIS);
    expect(await textOf(guest, '/etc/sysconfig/clock')).toBe(clock);
    expect(await guest.exists('/etc/timezone')).toBe(false);
  });

  it.each<[string, TreeSpec]>([
    ['Fedora', GUEST_TREES.FEDORA],
    ['Arch', { ...SYSTEMD, ...release('arch', '') }],
    ['Alpine', GUEST_TREES.ALPINE],
  ])('makes the relative link that %s is used to', async (_name, tree) => {
    const { guest } = await applied({ ...tree, ...ZONES }, operation(timezone, 'UTC'));
    await using _ = guest;
    expect(await guest.readLink('/etc/localtime')).toBe('../usr/share/zoneinfo/UTC');
    expect(await textOf(guest, '/etc/localtime')).toBe('TZif2 UTC');
  });

  it.each([
    ['Europe/Atlantis', /there is no time zone Europe\/Atlantis/, /zones are in/],
    ['europe/paris', /there is no time zone/, /Is Europe\/Paris meant/],
    ['Europe', /is a region/, /zoneinfo\/Europe/],
    ['zone.tab', /is no time zone file/, undefined],
    ['UTC/x', /there is no time zone/, /zones are in/],
  ])('refuses %s, which the guest does not have', async (zone, message, hint) => {
    const error = await applied(DEBIAN, operation(timezone, zone)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'TSB_GUEST' });
    expect((error as Error).message).toMatch(message);
    if (hint) expect((error as { hint: string }).hint).toMatch(hint);
  });

  it('says what is missing in a guest without time zones', async () => {
    await expect(applied(GUEST_TREES.CIRROS, operation(timezone, 'UTC'))).rejects.toMatchObject({
      message: expect.stringMatching(/no time zones are installed/) as string,
      hint: 'Install tzdata first.',
    });
  });

  it.each([
    '',
    '/etc/passwd',
    '../../etc/passwd',
    'Europe/../UTC',
    'a//b',
    'Europe/',
    '.hidden',
    'a b',
    'a\nb',
    'a\0',
  ])('does not take %j for a name', (text) => {
    expect(() => timezone.parse(text)).toThrow(/not the name of a time zone/);
    expect(v.safeParse(timezone.schema, text).success).toBe(false);
  });

  it.each(['UTC', 'Etc/GMT+1', 'America/Argentina/Buenos_Aires', 'America/Port-au-Prince', 'posix/GB-Eire'])(
    'takes %s',
    (text) => {
      expect(timezone.parse(text)).toBe(text);
      expect(v.parse(timezone.schema, text)).toBe(text);
      expect(timezone.describe(text)).toContain(text);
    },
  );
});
