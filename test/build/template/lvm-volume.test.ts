import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { templateIdentity } from '../../../src/build/template/identity.js';
import { logicalVolumePlace, physicalVolumeStart } from '../../../src/build/template/lvm-volume.js';
import { openFileSource } from '../../../src/io/file-source.js';
import { readVolumeGroup } from '../../../src/probe/lvm.js';
import { run, tempFolder } from '../../helpers/disk-tools.js';

const MIB = 1024 ** 2;
const LENGTH = 383 * MIB;
const identity = templateIdentity('text', 1);
const SPEC = {
  ...{ group: 'system', volume: 'root', length: LENGTH, epoch: 1_790_000_000 },
  ids: {
    group: identity.lvmId('group'),
    physical: identity.lvmId('physical'),
    logical: identity.lvmId('logical'),
  },
};

describe('physicalVolumeStart', () => {
  it('is what the tools of LVM find whole', () => {
    using folder = tempFolder();
    const path = folder.file('pv');
    writeFileSync(path, Buffer.concat([physicalVolumeStart(SPEC), Buffer.alloc(LENGTH - MIB)]));
    const headers = run('lvm', 'pvck', '--dump', 'headers', path);
    expect(headers).toContain(`pv_header.pv_uuid ${SPEC.ids.physical.replaceAll('-', '')}`);
    expect(headers).toContain(`pv_header.device_size ${LENGTH}`);
    expect(headers).toContain('# vgname system seqno 1\n');
    expect(headers).not.toMatch(/CHECK|bad|incorrect|wrong/);
    const text = run('lvm', 'pvck', '--dump', 'metadata', path);
    expect(text).toContain(`extent_count = ${Math.floor((LENGTH - MIB) / (4 * MIB))}\n`);
    expect(run('blkid', '-p', '-o', 'value', '-s', 'TYPE', '-s', 'UUID', path)).toBe(
      `${SPEC.ids.physical}\nLVM2_member\n`,
    );
  });

  it('has one volume, in one piece where it is said to be', async () => {
    using folder = tempFolder();
    const path = folder.file('pv');
    writeFileSync(path, Buffer.concat([physicalVolumeStart(SPEC), Buffer.alloc(LENGTH - MIB)]));
    await using source = await openFileSource(path);
    const group = await readVolumeGroup(source, { offset: 0, length: LENGTH });
    expect(group).toMatchObject({ name: 'system', physicalSize: LENGTH, physicalVolumes: 1, free: [] });
    expect(group?.volumes).toMatchObject([
      { name: 'root', range: logicalVolumePlace(LENGTH), visible: true },
    ]);
    expect(logicalVolumePlace(LENGTH)).toEqual({ offset: MIB, length: 380 * MIB });
  });
});
