import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseGroup } from '../../../src/customize/accounts/group.js';
import { parseLoginDefs } from '../../../src/customize/accounts/login-defs.js';
import { parsePasswd } from '../../../src/customize/accounts/passwd.js';
import { type AccountTexts, type NewUser, planUser } from '../../../src/customize/accounts/plan-user.js';
import { GROUP, GSHADOW, SHADOW } from '../../helpers/account-guests.js';
import { run, scratchPath } from '../../helpers/guest-image.js';

const DEFS = [
  'UID_MIN 1000',
  'UID_MAX 60000',
  'GID_MIN 1000',
  'GID_MAX 60000',
  'PASS_MAX_DAYS 99999',
  'PASS_MIN_DAYS 0',
  'PASS_WARN_AGE 7',
  'HOME_MODE 0700',
  '',
].join('\n');
const TEXTS: AccountTexts = {
  '/etc/passwd':
    'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/sh\ndebian:x:1000:1000:Debian:/home/debian:/bin/sh\n',
  '/etc/group': GROUP.replace('root:x:0:', 'root:x:0:\ndaemon:x:1:'),
  '/etc/shadow': SHADOW,
  '/etc/gshadow': GSHADOW.replace('root:*::', 'root:*::\ndaemon:*::'),
  '/etc/subuid': 'debian:100000:65536\n',
  '/etc/subgid': 'debian:100000:65536\n',
};
const NOW = 1_700_000_000;
const ALICE: NewUser = {
  name: 'alice',
  comment: 'Alice A',
  home: '/home/alice',
  shell: '/bin/sh',
  groups: ['docker', 'sudo'],
  password: '!',
  now: NOW,
};

/** The texts as files below a folder, as useradd, pwck and grpck want them. */
function asTree(texts: AccountTexts): string {
  const root = scratchPath('root');
  mkdirSync(join(root, 'etc/default'), { recursive: true });
  mkdirSync(join(root, 'home'));
  writeFileSync(join(root, 'etc/login.defs'), DEFS);
  for (const [path, text] of Object.entries(texts) as [string, string][])
    writeFileSync(join(root, path), text);
  return root;
}

describe('planUser', () => {
  it('writes what useradd writes', () => {
    const root = asTree(TEXTS);
    const args = ['--prefix', root, '-U', '-c', 'Alice A', '-s', '/bin/sh', '-G', 'docker,sudo', 'alice'];
    run('env', [`SOURCE_DATE_EPOCH=${NOW}`, 'useradd', ...args]);
    const { texts } = planUser(TEXTS, ALICE, parseLoginDefs(DEFS));
    for (const [path, text] of Object.entries(texts) as [string, string | undefined][]) {
      const theirs = readFileSync(join(root, path), 'utf8');
      const sorted = (lines: string): string[] => lines.split('\n').sort();
      expect([path, sorted(withoutDay(text))]).toEqual([path, sorted(withoutDay(theirs))]);
    }
  });

  it('is judged by pwck and grpck as the work of useradd is', () => {
    const root = asTree(TEXTS);
    run('useradd', ['--prefix', root, '-U', '-s', '/bin/sh', '-G', 'docker,sudo', 'alice']);
    const { texts } = planUser(TEXTS, ALICE, parseLoginDefs(DEFS));
    const verdict = judged(asTree(texts));
    // Both look for groups and members on this computer, too: what they say of that is no fault of the files.
    expect(verdict).toEqual(judged(root));
    expect(verdict.join('\n')).not.toMatch(/invalid|duplicate|no matching/);
  });

  it('takes the first ids that are free as uid and gid, or the uid asked for', () => {
    const defs = parseLoginDefs(DEFS);
    expect(planUser(TEXTS, ALICE, defs).entry).toMatchObject({ uid: 1001, gid: 1001 });
    const taken = { ...TEXTS, '/etc/group': `${TEXTS['/etc/group']}one:x:1001:\n` };
    expect(planUser(taken, ALICE, defs).entry).toMatchObject({ uid: 1002, gid: 1002 });
    expect(planUser(taken, { ...ALICE, uid: 1001 }, defs).entry).toMatchObject({ uid: 1001, gid: 1002 });
    expect(planUser(TEXTS, ALICE, parseLoginDefs('UID_MIN 500')).entry).toMatchObject({ uid: 500, gid: 500 });
  });

  it.each([
    ['a user there is', { name: 'debian' }, /user debian already/],
    ['a group there is', { name: 'docker' }, /group docker already/],
    ['a uid in use', { uid: 1000 }, /uid 1000/],
    ['a missing group', { groups: ['docker', 'nothing'] }, /no group nothing/],
  ] as const)('refuses %s', (_, change, message) => {
    const plan = (): unknown => planUser(TEXTS, { ...ALICE, ...change }, parseLoginDefs(DEFS));
    expect(plan).toThrow(
      expect.objectContaining({ code: 'TSB_GUEST', message: expect.stringMatching(message) as unknown }),
    );
  });

  it('says so when no id is left', () => {
    const defs = parseLoginDefs('UID_MIN 1000\nUID_MAX 1000');
    expect(() => planUser(TEXTS, ALICE, defs)).toThrow(/all ids from 1000 to 1000 are in use/);
  });

  it('leaves missing files missing, and then puts the password into passwd', () => {
    const few = {
      ...TEXTS,
      '/etc/shadow': undefined,
      '/etc/gshadow': undefined,
      '/etc/subuid': undefined,
      '/etc/subgid': undefined,
    };
    const { texts } = planUser(few, { ...ALICE, password: '!' }, parseLoginDefs(''));
    expect(texts).toMatchObject({
      '/etc/shadow': undefined,
      '/etc/gshadow': undefined,
      '/etc/subuid': undefined,
    });
    expect(texts['/etc/passwd']).toContain('\nalice:!:1001:1001:');
  });

  it('never gives an id twice, whatever users there are', () => {
    const ids = fc.uniqueArray(fc.integer({ min: 995, max: 1015 }));
    fc.assert(
      fc.property(ids, ids, (uids, gids) => {
        const texts = {
          ...TEXTS,
          '/etc/passwd': uids.map((uid) => `u${uid}:x:${uid}:0::/:\n`).join(''),
          '/etc/group': gids.map((gid) => `g${gid}:x:${gid}:\n`).join(''),
        };
        const plan = planUser(texts, { ...ALICE, groups: [] }, parseLoginDefs(DEFS));
        const after = plan.texts;
        expect(uids).not.toContain(plan.entry.uid);
        expect(gids).not.toContain(plan.entry.gid);
        expect(plan.entry.uid).toBe(plan.entry.gid);
        expect(parsePasswd(after['/etc/passwd'])).toHaveLength(uids.length + 1);
        expect(parseGroup(after['/etc/group'])).toHaveLength(gids.length + 1);
        expect(after['/etc/passwd'].startsWith(texts['/etc/passwd'])).toBe(true);
      }),
    );
  });
});

/** What pwck and grpck say of the files below a folder, sorted. */
function judged(root: string): string[] {
  const script = 'cd "$1/etc" && pwck -r passwd shadow 2>&1; grpck -r group gshadow 2>&1; true';
  return run('sh', ['-c', script, 'sh', root]).split('\n').sort();
}

/** A shadow line's day, which useradd takes from the clock. */
function withoutDay(text: string | undefined): string {
  return (text ?? '').replace(/^(alice:!:)\d+:/m, '$1DAY:');
}
