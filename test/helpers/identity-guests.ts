import { type TreeSpec, OFFSET, fsck, makeExtImage } from './guest-image.js';
import { elf } from './guest-trees.js';
import type { Guest } from '../../src/guest/guest.js';
import { openExtGuest } from '../../src/guest/ext/open-ext-guest.js';
import { seededRandom } from '../../src/io/random.js';
import type { CustomizeContext, FileOperationKind } from '../../src/customize/operation-kind.js';

/** What systemd guests have in common. */
export const SYSTEMD: TreeSpec = {
  'usr/lib/systemd/systemd': elf(62),
  'usr/sbin/init': { link: '../lib/systemd/systemd' },
  sbin: { link: 'usr/sbin' },
  bin: { link: 'usr/bin' },
  'usr/bin/sh': elf(62),
  var: { dir: 0o755 },
};

/** os-release of a distribution. */
export function release(id: string, version: string, like = ''): TreeSpec {
  return {
    'etc/os-release': `ID=${id}\nVERSION_ID="${version}"\nID_LIKE="${like}"\nPRETTY_NAME="${id} ${version}"\n`,
  };
}

/** A context that keeps what it is told. */
export function testContext(): CustomizeContext & { warnings: string[] } {
  const warnings: string[] = [];
  return {
    random: seededRandom('test'),
    now: 1_700_000_000,
    warnings,
    warn: (message) => warnings.push(message),
    secret: () => undefined,
    hostKeys: () => undefined,
  };
}

/** Applies operations to a new guest made of `tree`, commits, checks the filesystem and returns what to look at. */
export async function applied(
  tree: TreeSpec,
  ...operations: ((guest: Guest, context: CustomizeContext) => Promise<void>)[]
): Promise<{ guest: Guest; path: string; warnings: string[] }> {
  const path = makeExtImage(tree);
  const context = testContext();
  const guest = await openExtGuest(path, { offset: OFFSET, fakeTime: context.now });
  try {
    for (const operation of operations) await operation(guest, context);
    await guest.commit();
    fsck(path);
  } catch (error) {
    await guest[Symbol.asyncDispose]();
    throw error;
  }
  return { guest, path, warnings: context.warnings };
}

/** The operation of a kind with a value in the form of the command line. */
export function operation<V>(
  kind: FileOperationKind<V>,
  text: string,
): (guest: Guest, context: CustomizeContext) => Promise<void> {
  return async (guest, context) => {
    await kind.apply(guest, kind.parse(text), context);
  };
}

/** The text of a guest's file, or undefined when there is none. */
export async function textOf(guest: Guest, path: string): Promise<string | undefined> {
  return (await guest.exists(path)) ? (await guest.readFile(path)).toString() : undefined;
}
