import type { CustomizePlan, CustomizeResult } from '../build/customize-in-place.js';
import type { CustomizeDone } from '../build/customize-work.js';
import type { RenewedIds } from '../build/renew-disk-ids.js';
import { formatSize } from '../io/format-size.js';
import type { DescribedStage } from '../customize/plan-customize.js';
import { type Line, formatLines } from './labelled-lines.js';

/** What was done about the ids of a disk. */
export function idLines(renewed: RenewedIds | undefined): Line[] {
  if (!renewed) return [];
  const { ids, files } = renewed;
  return [
    ...ids.map(({ what, to }): Line => ['New id', `${to}, ${what}`]),
    ...(files.length > 0 ? [['Named in', files.join(', ')] as const] : []),
  ];
}

/** What was done to a guest: a line for each operation (of very many, for the first), then its new host keys and whether root can log in. */
export function customizeLines({ done, hostKeys, rootLogin }: CustomizeDone): Line[] {
  const logins = {
    locked: 'locked: give it a password with --root-password, or log in as another user',
    open: 'WITHOUT a password: give it one with --root-password',
    password: undefined,
  };
  const login = rootLogin && logins[rootLogin];
  return [
    ...abridged(done.map((text): Line => ['Done', text])),
    ...hostKeys.map(({ type, fingerprint }): Line => ['Host key', `${fingerprint} (${type.toUpperCase()})`]),
    ...(login === undefined ? [] : [['Root login', login] as const]),
  ];
}

/** What will be done to a guest, a line for each operation (of very many, for the first). */
export function stageLines(stages: readonly DescribedStage[]): Line[] {
  return abridged(
    stages.flatMap(({ runs, operations }) =>
      operations.map(({ description }): Line => [
        runs === 'offline' ? 'Customise' : 'Run in the guest',
        description,
      ]),
    ),
  );
}

/** More operations than that are not told one by one. */
const TOLD = 50;

function abridged(lines: readonly Line[]): Line[] {
  const more = lines.length - TOLD;
  if (more <= 1) return [...lines];
  return [...lines.slice(0, TOLD), ['And', `${more} operations more, which --json tells`]];
}

/** What will be done about the ids of a disk. */
export function plannedIdLines(diskIds: 'new' | 'keep' | undefined): Line[] {
  return diskIds === 'new' ? [['Ids', 'new ones for the disk, its partitions and its filesystems']] : [];
}

/** The disk that is made for cloud-init. */
export function cloudInitLines(path: string | undefined): Line[] {
  return path === undefined ? [] : [['Cloud-init disk', path]];
}

/** What is printed when a disk has been customised. */
export function formatCustomizeSummary(
  result: CustomizeResult & { readonly cloudInitDisk?: string | undefined },
): string {
  const backup: Line[] = result.backup === undefined ? [] : [['Kept as it was', result.backup]];
  return formatLines([
    ['Disk', result.output],
    ...backup,
    ...customizeLines(result),
    ...idLines(result.diskIds),
    ...cloudInitLines(result.cloudInitDisk),
  ]);
}

/** What `--dry-run` of customising prints. */
export function formatCustomizePlan(plan: CustomizePlan): string {
  const { disk, output, system, customize, diskIds, cloudInitDisk, backup, copied } = plan;
  const made: Line[] = output === disk ? [] : [['Output file', output]];
  return formatLines([
    ['Disk', disk],
    ['System', system],
    ...made,
    ...stageLines(customize),
    ...plannedIdLines(diskIds),
    ...cloudInitLines(cloudInitDisk),
    ...(backup === undefined ? [] : [['Kept as it was', backup] as const]),
    ['Copied', copied === 0 ? 'nothing' : `${formatSize(copied)}, or nothing where blocks can be shared`],
  ]);
}
