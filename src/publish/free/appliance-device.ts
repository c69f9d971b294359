import type { DiskRegion } from './disk-survey.js';

/** What a libguestfs appliance with one disk calls the place that a survey names: `/dev/sda2`, `/dev/vg/root`. */
export function applianceDevice({ name, partition }: Pick<DiskRegion, 'name' | 'partition'>): string {
  if (name === '/') return '/dev/sda';
  return name === `p${partition}` ? `/dev/sda${partition}` : `/dev/${name}`;
}
