import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addFields,
  allFields,
  changeFields,
  findFields,
  isAccountName,
} from '../../../src/customize/accounts/account-file.js';
import { addMember, parseGroup } from '../../../src/customize/accounts/group.js';
import { parseLoginDefs } from '../../../src/customize/accounts/login-defs.js';
import { findUser, parsePasswd, setPasswdPassword } from '../../../src/customize/accounts/passwd.js';
import { setShadowPassword } from '../../../src/customize/accounts/shadow.js';
import { addSubid } from '../../../src/customize/accounts/subid.js';
import { GROUP, PASSWD, SHADOW } from '../../helpers/account-guests.js';

const DAY = 86400;
const name = fc.stringMatching(/^[a-z_][a-z0-9_-]{0,8}$/);
const field = fc.stringMatching(/^[^:\n\r]{0,10}$/);
const line = fc.oneof(
  fc.array(field, { maxLength: 9 }).map((fields) => fields.join(':')),
  fc.constantFrom('', '# comment', '+::::::', '-bob', 'no colon', ':::', 'root:x:0:0:root:/root:/bin/sh'),
);
const text = fc
  .array(line, { maxLength: 12 })
  .chain((lines) => fc.constantFrom(lines.join('\n'), `${lines.join('\n')}\n`));

describe('account files', () => {
  it('change one line and keep every other byte', () => {
    fc.assert(
      fc.property(text, name, field, (file, user, value) => {
        const changed = changeFields(file, user, ([first = '', , ...rest]) => [first, value, ...rest]);
        const before = file.split('\n');
        const after = changed.split('\n');
        const different = before.flatMap((each, at) => (each === after[at] ? [] : [at]));
        expect(after).toHaveLength(before.length);
        expect(different.length).toBeLessThanOrEqual(1);
        for (const at of different) {
          expect(before[at]!.split(':')[0]).toBe(user);
          expect(after[at]!.split(':').slice(0, 2)).toEqual([user, value]);
          expect(after[at]!.split(':').slice(2)).toEqual(before[at]!.split(':').slice(2));
        }
      }),
    );
  });

  it('get a new line that is found, before the lines that ask NIS, and lose nothing', () => {
    fc.assert(
      fc.property(text, name, (file, user) => {
        const fields = [user, 'x', '5'];
        const lines = addFields(file, fields).split('\n');
        const at = lines.lastIndexOf(fields.join(':'));
        expect(at).toBeGreaterThanOrEqual(0);
        expect(lines.slice(0, at).some((each) => /^[+-]/.test(each))).toBe(false);
        expect(lines.at(-1)).toBe('');
        const rest = lines.toSpliced(at, 1).join('\n');
        expect([file, `${file}\n`]).toContain(rest === '' && file !== '' ? '\n' : rest);
        expect(findFields(lines.join('\n'), user)?.[0]).toBe(user);
      }),
    );
  });

  it('are read as they are, odd lines left out', () => {
    expect(
      parsePasswd(`${PASSWD}+nis::::::\nbig:x:4294967295:0::/:\nneg:x:-1:0::/:\n`).map((each) => each.name),
    ).toEqual(['root', 'daemon', 'debian', 'homeless']);
    expect(findUser(PASSWD, 'debian')).toEqual({
      name: 'debian',
      password: 'x',
      uid: 1000,
      gid: 1000,
      comment: 'Debian,,,',
      home: '/home/debian',
      shell: '/bin/bash',
    });
    expect(findUser('root::0:0::/:\n', 'root')?.shell).toBe('');
    expect(parseGroup(GROUP)[1]).toEqual({ name: 'sudo', gid: 27, members: ['debian'] });
    expect(allFields('a:b\n')).toEqual([['a', 'b'], ['']]);
  });

  it.each([
    ['root', true],
    ['müller', true],
    ['_apt', true],
    ['', false],
    ['+', false],
    ['-x', false],
    ['#a', false],
    ['a:b', false],
    ['a\nb', false],
    ['a/b', false],
    ['a b', false],
    ['a\0', false],
  ])('take %j for a name: %j', (text, good) => {
    expect(isAccountName(text)).toBe(good);
  });
});

describe('passwords in account files', () => {
  it('are set in the second field, with the day in the third', () => {
    const changed = { password: '$6$a$b', changed: 20000 * DAY + 5 };
    expect(setShadowPassword(SHADOW, 'debian', changed)).toBe(
      SHADOW.replace('debian:!:19000', 'debian:$6$a$b:20000'),
    );
    expect(setShadowPassword(SHADOW, 'new', changed)).toBe(`${SHADOW}new:$6$a$b:20000::::::\n`);
    expect(setShadowPassword('root:*:1:0\nnew', 'new', changed)).toBe(
      'root:*:1:0\nnew\nnew:$6$a$b:20000::::::\n',
    );
    expect(setShadowPassword('bb:old', 'bb', changed)).toBe('bb:$6$a$b:20000::::::');
    expect(setPasswdPassword(PASSWD, 'root', '*')).toBe(PASSWD.replace('root:x:', 'root:*:'));
  });

  it('never make day 0, which would force a change at the next login', () => {
    expect(setShadowPassword('a:*:1:0:99999:7:::\n', 'a', { password: 'h', changed: 100 })).toBe(
      'a:h::0:99999:7:::\n',
    );
  });
});

describe('groups', () => {
  it('get a member once', () => {
    const once = addMember(GROUP, 'sudo', 'alice');
    expect(once).toBe(GROUP.replace('sudo:x:27:debian', 'sudo:x:27:debian,alice'));
    expect(addMember(once, 'sudo', 'alice')).toBe(once);
    expect(addMember('g:x:5\n', 'g', 'a')).toBe('g:x:5:a\n');
    expect(addMember(GROUP, 'nothing', 'a')).toBe(GROUP);
  });
});

describe('login.defs', () => {
  it('is read with its defaults, comments and notations', () => {
    const defs = parseLoginDefs(
      '#UID_MIN 5\n UID_MIN\t 500 # old\nHOME_MODE 0750\nUID_MAX 0x7fff\nGID_MIN nonsense\n',
    );
    expect(defs).toMatchObject({
      uidMin: 500,
      uidMax: 32767,
      gidMin: 1000,
      homeMode: 0o750,
      passMaxDays: '',
    });
    expect(parseLoginDefs('')).toMatchObject({
      uidMin: 1000,
      uidMax: 60000,
      homeMode: 0o700,
      subUidCount: 65536,
    });
    expect(parseLoginDefs('PASS_MAX_DAYS 99999\nPASS_MIN_DAYS -1\nUID_MAX 9999999999\n')).toMatchObject({
      passMaxDays: '99999',
      passMinDays: '',
      uidMax: 4294967294,
    });
  });
});

describe('subordinate ids', () => {
  const range = { min: 100000, max: 600100000, count: 65536 };
  it('are behind all the others, once for each user', () => {
    expect(addSubid('', 'a', range)).toBe('a:100000:65536\n');
    expect(addSubid('b:100000:65536\nc:300000:10\n', 'a', range)).toBe(
      'b:100000:65536\nc:300000:10\na:300010:65536\n',
    );
    expect(addSubid('a:1:2\n', 'a', range)).toBe('a:1:2\n');
    expect(addSubid('b:600000000:65536\n', 'a', range)).toBe('b:600000000:65536\n');
    expect(addSubid('', 'a', { ...range, count: 0 })).toBe('');
  });
});
