import { openExtGuest } from '../../src/guest/ext/open-ext-guest.js';
import type { Guest } from '../../src/guest/guest.js';
import { seededRandom } from '../../src/io/random.js';
import type { CustomizeContext, HostKeyFingerprint } from '../../src/customize/operation-kind.js';
import { OFFSET, type TreeSpec, debugfsWrite, fsck, makeExtImage } from './guest-image.js';
import { GUEST_TREES } from './guest-trees.js';

export const PASSWD = [
  'root:x:0:0:root:/root:/bin/bash',
  '# nobody knows why',
  'daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin',
  'debian:x:1000:1000:Debian,,,:/home/debian:/bin/bash',
  'odd line',
  'homeless:x:1007:1007::/nonexistent:/bin/sh',
  '',
].join('\n');
export const SHADOW = 'root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\ndebian:!:19000:0:99999:7:::\n';
export const GROUP =
  'root:x:0:\nsudo:x:27:debian\ndocker:x:998:\nempty:x:997:\ndebian:x:1000:\nusers:x:100:\n';
export const GSHADOW = 'root:*::\nsudo:*::debian\ndocker:!::\nempty:!::\ndebian:!::\nusers:*::\n';

/** A Debian with accounts; /etc/shadow and /etc/gshadow are root:shadow 0640 as there, /home/debian is its user's. */
export const DEBIAN: TreeSpec = {
  ...GUEST_TREES.DEBIAN_12,
  'etc/passwd': PASSWD,
  'etc/shadow': { data: SHADOW, mode: 0o640 },
  'etc/group': GROUP,
  'etc/gshadow': { data: GSHADOW, mode: 0o640 },
  'usr/bin/bash': '',
  root: { dir: 0o700 },
  'home/debian': { dir: 0o755 },
};

/** What an operation told its user. */
export interface Told {
  readonly warnings: string[];
  readonly secrets: [string, string][];
  readonly fingerprints: HostKeyFingerprint[];
}

/** A context that keeps what it is told. */
export function tellingContext(more: Partial<CustomizeContext> = {}): CustomizeContext & Told {
  const warnings: string[] = [];
  const secrets: [string, string][] = [];
  const fingerprints: HostKeyFingerprint[] = [];
  return {
    random: seededRandom('test'),
    now: 1_700_000_000,
    warn: (message) => warnings.push(message),
    secret: (label, value) => {
      if (value !== undefined) secrets.push([label, value]);
    },
    hostKeys: (keys) => fingerprints.push(...keys),
    ...more,
    warnings,
    secrets,
    fingerprints,
  };
}

/** Applies operations to a new guest, commits, and has e2fsck judge the disk. */
export async function customized(
  tree: TreeSpec,
  operations: readonly ((guest: Guest, context: CustomizeContext) => Promise<void>)[],
  more: Partial<CustomizeContext> & { readonly setUp?: readonly string[] } = {},
): Promise<{ guest: Guest; path: string } & Told> {
  const { setUp = [], ...context } = more;
  const path = makeExtImage(tree);
  if (setUp.length > 0) debugfsWrite(path, ...setUp);
  const told = tellingContext(context);
  const guest = await openExtGuest(path, { offset: OFFSET, fakeTime: told.now });
  try {
    for (const operation of operations) await operation(guest, told);
    await guest.commit();
    fsck(path);
  } catch (error) {
    await guest[Symbol.asyncDispose]();
    throw error;
  }
  const { warnings, secrets, fingerprints } = told;
  return { guest, path, warnings, secrets, fingerprints };
}
