import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { tableIds, withNewIds } from '../../src/resize/disk-ids.js';
import { readPartitionTable } from '../../src/resize/partition-table.js';
import { MIB, run, scratchPath } from '../helpers/guest-image.js';

const GUID = '11111111-2222-4333-8444-AAAAAAAAAAAA';
const PART = '55555555-6666-4777-8888-BBBBBBBBBBBB';

function diskOf(script: string): string {
  const path = scratchPath('disk.img');
  writeFileSync(path, '');
  truncateSync(path, 16 * MIB);
  run('sfdisk', ['-q', path], script);
  return path;
}

async function renew(path: string, ids: Parameters<typeof withNewIds>[2]): Promise<void> {
  const data = readFileSync(path);
  const table = (await readPartitionTable(bytesSource(path, data)))!;
  for (const literal of withNewIds({ name: path, size: data.length }, table, ids))
    data.set(literal.data, literal.offset);
  writeFileSync(path, data);
}

describe('withNewIds', () => {
  it('changes the GUIDs of a GPT and nothing else', async () => {
    const path = diskOf('label: gpt\nsize=4MiB, name=one, attrs="GUID:60"\nsize=4MiB, name=two\n');
    const before = run('sfdisk', ['-d', path]);
    const two = /name="two"/.exec(before) && run('sfdisk', ['--part-uuid', path, '2']).trim();
    await renew(path, { disk: GUID, partitions: new Map([[1, PART]]) });
    const after = run('sfdisk', ['-d', path]);
    expect(run('sgdisk', ['-v', path])).toContain('No problems found');
    expect(run('sfdisk', ['--disk-id', path]).trim()).toBe(GUID);
    expect(run('sfdisk', ['--part-uuid', path, '1']).trim()).toBe(PART);
    expect(run('sfdisk', ['--part-uuid', path, '2']).trim()).toBe(two);
    const plain = (text: string): string =>
      text.replaceAll(/(label-id: |uuid=)[0-9A-F-]{36}/g, '$1').replaceAll(/^device.*$/gm, '');
    expect(plain(after)).toBe(plain(before));
  });

  it('changes the signature of an MBR and keeps logical partitions', async () => {
    const path = diskOf(
      'label: dos\nlabel-id: 0x1234abcd\nsize=4MiB, bootable\ntype=5\nsize=2MiB\nsize=2MiB\n',
    );
    const before = run('sfdisk', ['-d', path]);
    await renew(path, { disk: '0badcafe', partitions: new Map() });
    expect(run('sfdisk', ['-d', path])).toBe(before.replace('0x1234abcd', '0x0badcafe'));
  });

  it('reads the ids that it has written', async () => {
    const path = diskOf('label: gpt\nsize=4MiB\n');
    const ids = { disk: GUID, partitions: new Map([[1, PART]]) };
    await renew(path, ids);
    const table = await readPartitionTable(bytesSource(path, readFileSync(path)));
    expect(tableIds(table!)).toEqual(ids);
  });

  it('says that a signature of zero is none', async () => {
    const path = diskOf('label: dos\nsize=4MiB\n');
    const data = readFileSync(path);
    data.writeUInt32LE(0, 440);
    expect(tableIds((await readPartitionTable(bytesSource(path, data)))!).disk).toBeUndefined();
  });
});
