import { type InspectedDisk, type InspectedSystem, inspectDisk } from '../../build/inspect-image.js';
import { TsbuilderError } from '../../errors.js';
import { normaliseArchitecture } from '../../index-repo/architecture.js';
import { withContentDisk } from './template-content.js';

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

/**
 * Finds out what an index says of the disk in the file at `path`.
 *
 * @throws TSB_GUEST when there are several systems on it, and the codes of opening and reading it
 */
export async function inspectTemplate(path: string, signal: AbortSignal): Promise<DiskFacts> {
  const { base, found } = await withContentDisk(path, signal, async ({ disk, format, packed }) => ({
    base: { size: disk.size, format, packed },
    found: await inspectDisk(disk, signal),
  }));
  const system = onlySystem(path, found);
  if (!system) return base;
  return {
    ...base,
    arch: system.arch === undefined ? undefined : normaliseArchitecture(system.arch),
    fullName: oneLine(system.productName),
    osinfo: osinfoOf(system),
    ...placeOf(found, system),
  };
}

function onlySystem(path: string, { systems }: InspectedDisk): InspectedSystem | undefined {
  if (systems.length < 2) return systems[0];
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

function placeOf(
  { volumes }: InspectedDisk,
  { root }: InspectedSystem,
): Pick<DiskFacts, 'expand' | 'lvexpand'> {
  const partition = volumes.find(({ id }) => id === root)?.partition ?? 0;
  return {
    expand: partition === 0 ? undefined : `/dev/sda${partition}`,
    lvexpand: root.includes('/') ? `/dev/${root}` : undefined,
  };
}
