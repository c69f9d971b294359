import { describeDisk } from '../../build/describe-disk.js';
import {
  type InspectedDisk,
  type InspectedSystem,
  type InspectedVolume,
  inspectDisk,
} from '../../build/inspect-image.js';
import { TsbuilderError } from '../../errors.js';
import { type ApplianceSystem, inspectInAppliance } from '../../guest/appliance-inspect.js';
import { normaliseArchitecture } from '../../index-repo/architecture.js';
import type { TemplateFields } from '../../index-repo/publish-entry.js';
import { toolsPresent } from '../../io/exec.js';
import { openFileSource } from '../../io/file-source.js';
import { assertGuestfish, openGuestfishFolder } from '../../io/guestfish.js';
import type { Progress } from '../../progress.js';
import { isXz } from '../../xz/xz-index.js';
import { applianceDevice } from '../free/appliance-device.js';
import type { SurveyedImage } from '../free/ask-drivers.js';
import { type PackInputOptions, openPackInput } from '../pack-input.js';
import { assertGrows } from './plan-growth.js';
import { type ContentDisk, withContentDisk } from './template-content.js';

/** What a disk tells about itself as a template. */
export interface DiskFacts {
  /** Virtual size in bytes. */
  readonly size: number;
  /** Format of what is packed. */
  readonly format: 'raw' | 'qcow2';
  /** Whether the file is packed already. */
  readonly packed: boolean;
  readonly arch?: string | undefined;
  readonly fullName?: string | undefined;
  readonly osinfo?: string | undefined;
  readonly expand?: string | undefined;
  readonly lvexpand?: string | undefined;
}

/** Distributions whose libosinfo id is their name and their version, and how many numbers of it. */
const OSINFO: Readonly<Record<string, readonly [name: string, numbers: number]>> = {
  debian: ['debian', 1],
  ubuntu: ['ubuntu', 2],
  fedora: ['fedora', 1],
  rhel: ['rhel', 2],
  alpine: ['alpinelinux', 2],
  'opensuse-leap': ['opensuse', 2],
};

/** What is known of a template before its disk is looked at, and how that is done. */
export interface InspectOptions extends PackInputOptions {
  /** What is to be grown, where the disk is not to be asked for it. */
  readonly given: Pick<TemplateFields, 'name' | 'expand' | 'lvexpand'>;
  readonly progress: Progress;
}

/** What the system of a disk says about it. */
type SystemFacts = Omit<DiskFacts, 'size' | 'format' | 'packed'>;

/** A disk that is open, and the image that it is in, where programs can be given that. */
interface OpenDisk extends ContentDisk {
  readonly image?: SurveyedImage | undefined;
}

/**
 * Finds out what an index says of the disk in the file at `path`. A system that only libguestfs reads is found where that is installed. What is
 * said to grow can be grown.
 *
 * @throws TSB_GUEST when there are several systems on it, the codes of `assertGrows` for what is given, and those of opening and reading it
 */
export async function inspectTemplate(path: string, options: InspectOptions): Promise<DiskFacts> {
  return withDisk(path, options, async ({ disk, format, packed, image }) => {
    const { given, progress, signal } = options;
    const found = await inspectDisk(disk, signal);
    const [system] = assertOne(path, found.systems);
    const facts = system
      ? factsOf(system, found)
      : await askLibguestfs({ path, disk, image }, found, options);
    const base = { size: disk.size, format, packed };
    if (given.expand !== undefined || given.lvexpand !== undefined) {
      const { expand = facts.expand, lvexpand = facts.lvexpand } = given;
      await assertGrows(disk, { ...given, expand, lvexpand }, signal);
      return { ...base, ...facts, expand, lvexpand };
    }
    try {
      await assertGrows(disk, { ...given, ...facts }, signal);
      return { ...base, ...facts };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TsbuilderError)) throw error;
      progress.warn(`nothing is said to grow: ${error.message}`);
      return { ...base, ...facts, expand: undefined, lvexpand: undefined };
    }
  });
}

/** Opens a disk as it will be packed, or a packed one. */
async function withDisk<T>(
  path: string,
  options: InspectOptions,
  look: (disk: OpenDisk) => Promise<T>,
): Promise<T> {
  if (await isPacked(path, options.signal)) return withContentDisk(path, options.signal, look);
  await using input = await openPackInput(path, options);
  return await look({ disk: input.disk, image: input.image, format: 'raw', packed: false });
}

async function isPacked(path: string, signal: AbortSignal): Promise<boolean> {
  await using source = await openFileSource(path);
  return isXz(await source.read(0, Math.min(6, source.size), signal));
}

/** Filesystems that only libguestfs reads and a system may be on. */
const FOREIGN: ReadonlySet<string> = new Set(['xfs', 'btrfs', 'ntfs']);

async function askLibguestfs(
  { path, disk, image }: Pick<OpenDisk, 'disk' | 'image'> & { readonly path: string },
  found: InspectedDisk,
  { progress, signal }: InspectOptions,
): Promise<SystemFacts> {
  const places = found.volumes.filter(({ content }) => FOREIGN.has(content));
  if (places.length === 0) return {};
  const names = places.map(({ id, content }) => `${content} on ${id === '0' ? 'the disk' : id}`).join(', ');
  const isThere = image && (await toolsPresent(() => assertGuestfish('repo add', signal)));
  if (!isThere) {
    const why = image ? 'install libguestfs-tools' : 'unpack it';
    progress.warn(`${path}: to have libguestfs look for a system (${names}), ${why}`);
    return {};
  }
  try {
    await using folder = await openGuestfishFolder();
    const { sectorSize = 512 } = await describeDisk(disk, signal);
    const how = { folder: folder.path, neededFor: 'looking for a system', progress, signal };
    const [system] = assertOne(path, await inspectInAppliance({ ...image, sectorSize }, how));
    return system ? foreignFacts(system, found) : {};
  } catch (error) {
    if (!(error instanceof TsbuilderError) || error.code !== 'TSB_TOOL_FAILED') throw error;
    progress.warn(`${path}: no system was looked for (${names}): ${error.message}`);
    return {};
  }
}

function foreignFacts(system: ApplianceSystem, { volumes }: InspectedDisk): SystemFacts {
  const { arch, productName, osinfo, device } = system;
  const volume = volumes.find(
    ({ id, partition }) => applianceDevice({ name: nameOf(id), partition }) === device,
  );
  return {
    arch: arch === undefined ? undefined : normaliseArchitecture(arch),
    fullName: oneLine(productName),
    osinfo: oneLine(osinfo),
    ...(volume && placeOf(volume)),
  };
}

/** The name of a volume in a survey. */
function nameOf(id: string): string {
  if (id === '0') return '/';
  return id.includes('/') ? id : `p${id}`;
}

function factsOf(system: InspectedSystem, { volumes }: InspectedDisk): SystemFacts {
  const volume = volumes.find(({ id }) => id === system.root);
  return {
    arch: system.arch === undefined ? undefined : normaliseArchitecture(system.arch),
    fullName: oneLine(system.productName),
    osinfo: osinfoOf(system),
    ...(volume && placeOf(volume)),
  };
}

function assertOne<T>(path: string, systems: readonly T[]): readonly T[] {
  if (systems.length < 2) return systems;
  throw new TsbuilderError('TSB_GUEST', `${path}: ${systems.length} systems on one disk`, {
    hint: 'A template has one root filesystem, which is grown.',
  });
}

function oneLine(text: string | undefined): string | undefined {
  return text?.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim() || undefined;
}

function osinfoOf({ distro, version }: InspectedSystem): string | undefined {
  // The guest says what it is called, also `constructor`.
  const [name, numbers] = (Object.hasOwn(OSINFO, distro ?? '') && OSINFO[distro ?? '']) || [];
  const parts = /^\d+(?:\.\d+)*/.exec(version ?? '')?.[0].split('.');
  if (name === undefined || !parts) return undefined;
  return `${name}${parts.slice(0, numbers).join('.')}`;
}

function placeOf({ id, partition }: InspectedVolume): Pick<DiskFacts, 'expand' | 'lvexpand'> {
  return {
    expand: partition === 0 ? undefined : `/dev/sda${partition}`,
    lvexpand: id.includes('/') ? `/dev/${id}` : undefined,
  };
}
