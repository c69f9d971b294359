import type { Guest } from '../guest/guest.js';
import type { DistroFamily } from '../guest/distro.js';
import type { RandomSource } from '../io/random.js';

const SEED_BYTES = 512;

/** Every file that some init system, of this or an earlier time, takes a random seed from. */
const KNOWN_PLACES = [
  '/var/lib/systemd/random-seed',
  '/var/lib/urandom/random-seed',
  '/var/lib/random-seed',
  '/var/lib/misc/random-seed',
  '/var/lib/misc/urandom-seed',
  '/var/lib/seedrng/seed.no-credit',
  '/etc/random-seed',
];

/** Where the scripts of System V init and Upstart keep it, by distribution. */
const SCRIPT_PLACES: Readonly<Partial<Record<DistroFamily, string>>> = {
  debian: '/var/lib/urandom/random-seed',
  redhat: '/var/lib/random-seed',
  suse: '/var/lib/misc/random-seed',
  arch: '/var/lib/misc/random-seed',
};

/**
 * Writes a fresh random seed into every file that the guest's init reads one from: the files that exist, and the one
 * that its init uses by default, which a system that has never run does not have yet. The guest mixes it into its
 * random pool at boot.
 *
 * The seed is never marked as to be credited with entropy: a copied disk would be trusted with numbers that its
 * twin has too.
 *
 * @returns each path when it is written
 * @throws TSB_GUEST when a place is taken by something else
 */
export async function* writeRandomSeeds(guest: Guest, random: RandomSource): AsyncGenerator<string, void> {
  const defaults = await defaultPlaces(guest);
  for (const path of new Set([...defaults, ...KNOWN_PLACES])) {
    if (!defaults.includes(path) && !(await isFile(guest, path))) continue;
    await writeSeed(guest, path, random.bytes(SEED_BYTES, `random-seed ${path}`));
    yield path;
  }
}

async function writeSeed(guest: Guest, path: string, seed: Buffer): Promise<void> {
  await guest.mkdir(path.slice(0, path.lastIndexOf('/')), { parents: true });
  await guest.writeFile(path, seed, { mode: 0o600, uid: 0, gid: 0 });
  await guest.removeXattr(path, 'user.random-seed-creditable');
}

async function defaultPlaces(guest: Guest): Promise<string[]> {
  const { init, distro } = guest.os;
  const places: string[] = [];
  if (init === 'systemd') places.push('/var/lib/systemd/random-seed');
  const script = SCRIPT_PLACES[distro?.family ?? 'other'];
  if ((init === 'sysv' || init === 'upstart') && script !== undefined) places.push(script);
  if (init === 'openrc' || init === 'busybox') places.push(...(await seedrngPlaces(guest)));
  return places;
}

/** SeedRNG came with OpenRC 0.45 and Buildroot 2022.05; before it, their urandom scripts had a file each. */
async function seedrngPlaces(guest: Guest): Promise<string[]> {
  const has = (path: string): Promise<boolean> => guest.exists(path);
  if ((await has('/etc/init.d/seedrng')) || (await has('/etc/init.d/S01seedrng')))
    return ['/var/lib/seedrng/seed.no-credit'];
  if (await has('/etc/init.d/urandom')) return ['/var/lib/misc/random-seed'];
  if ((await has('/etc/init.d/S20urandom')) || (await has('/etc/init.d/S01urandom')))
    return ['/var/lib/random-seed'];
  return [];
}

async function isFile(guest: Guest, path: string): Promise<boolean> {
  return (await guest.exists(path)) && (await guest.stat(path)).type === 'file';
}
