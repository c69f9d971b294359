import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { type ResizePlan, mapRange, planResize, sameResizePlan } from '../../src/resize/plan-resize.js';
import { readPartitionTable } from '../../src/resize/partition-table.js';
import {
  KIB,
  MIB,
  applyPlan,
  complaintsAbout,
  makeDisk,
  makeDisk4k,
  patch,
  readWithFdisk4k,
  readWithSfdisk,
  slurp,
} from '../helpers/disk.js';
import { type Layout, gptLayouts, mbrLayouts, scriptOf } from '../helpers/disk-layouts.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuilder-plan-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Marks every partition at its start, middle and end, and the boot area; the growing one looks like ext2. */
function fill(path: string, layout: Layout): void {
  patch(path, 0, Buffer.alloc(440, 0xb0));
  if (layout.label === 'dos') patch(path, layout.sectorSize + 100, Buffer.from('boot loader behind the MBR'));
  patch(path, layout.size - 8 * KIB - 34 * layout.sectorSize, Buffer.alloc(512, 0x77));
  for (const { number, start, size, role } of layout.partitions) {
    if (role === 'extended') continue;
    for (const at of [start + 2048, start + (size >> 1), start + size - 512])
      patch(path, at, Buffer.alloc(512, number));
  }
  const grows = layout.partitions.find(({ number }) => number === layout.grow)!;
  const superblock = Buffer.alloc(1024);
  superblock.writeUInt32LE(Math.floor(grows.size / 1024), 4);
  superblock.writeUInt16LE(0xef53, 56);
  patch(path, grows.start + 1024, superblock);
}

async function planned(layout: Layout): Promise<{ before: string; after: string; plan: ResizePlan }> {
  const make = layout.sectorSize === 4096 ? makeDisk4k : makeDisk;
  const before = make(join(folder, 'before'), layout.size, scriptOf(layout));
  const after = join(folder, 'after');
  fill(before, layout);
  const source = bytesSource('before', slurp(before));
  const plan = await planResize({ source, targetSize: layout.targetSize, expand: `/dev/sda${layout.grow}` });
  applyPlan(plan, before, after, 100_000);
  return { before, after, plan };
}

/** What must hold of any plan, whatever the layout. */
function checkPlan(plan: ResizePlan, layout: Layout): void {
  expect(plan.targetSize).toBe(Math.ceil(layout.targetSize / layout.sectorSize) * layout.sectorSize);
  let from = 0;
  const landed: [number, number][] = plan.literals.map(({ offset, data }) => [offset, offset + data.length]);
  for (const copy of plan.copies) {
    expect(copy.from).toBeGreaterThanOrEqual(from);
    expect(copy.length).toBeGreaterThan(0);
    from = copy.from + copy.length;
    landed.push([copy.to, copy.to + copy.length]);
  }
  expect(from).toBeLessThanOrEqual(plan.sourceSize);
  landed.sort((a, b) => a[0] - b[0]);
  for (const [index, [start]] of landed.entries())
    expect(start).toBeGreaterThanOrEqual(landed[index - 1]?.[1] ?? 0);
  expect(landed.at(-1)![1]).toBeLessThanOrEqual(plan.targetSize);
}

/** Numbers, order and growth of the partitions, and that all content is where its partition now is. */
async function checkDisk(
  layout: Layout,
  made: { before: string; after: string; plan: ResizePlan },
): Promise<void> {
  const [before, after] = [slurp(made.before), slurp(made.after)];
  const old = (await readPartitionTable(bytesSource('before', before)))!;
  const table = (await readPartitionTable(bytesSource('after', after)))!;
  expect(table.sectorSize).toBe(layout.sectorSize);
  expect(table.partitions.map(({ number }) => number)).toEqual(old.partitions.map(({ number }) => number));
  const delta = made.plan.grow[0]
    ? made.plan.grow[0].length - layout.partitions.find(({ number }) => number === layout.grow)!.size
    : 0;
  expect(delta % MIB).toBe(0);
  for (const [index, was] of old.partitions.entries()) {
    const is = table.partitions[index]!;
    expect({ ...is, offset: 0, length: 0 }).toEqual({ ...was, offset: 0, length: 0 });
    if (was.role === 'extended') continue;
    expect(is.length).toBe(was.length + (was.number === layout.grow ? delta : 0));
    expect([0, delta]).toContain(is.offset - was.offset);
    const old = before.subarray(was.offset, was.offset + was.length);
    expect(after.compare(old, 0, was.length, is.offset, is.offset + was.length)).toBe(0);
  }
  // What is left over at the end of the disk is too little for another MiB.
  const end = Math.max(
    ...table.partitions.filter(({ role }) => role !== 'extended').map((one) => one.offset + one.length),
  );
  expect(made.plan.targetSize - end).toBeLessThan(MIB + 64 * KIB);
  expect(after.subarray(0, 440).equals(before.subarray(0, 440))).toBe(true);
  if (layout.label === 'dos') expect(after.subarray(512, MIB).equals(before.subarray(512, MIB))).toBe(true);
}

function checkWithSfdisk(before: string, after: string): void {
  const [old, table] = [readWithSfdisk(before), readWithSfdisk(after)];
  expect({ id: table.id, label: table.label }).toEqual({ id: old.id, label: old.label });
  expect([...table.partitions.keys()]).toEqual([...old.partitions.keys()]);
  for (const [number, partition] of table.partitions) {
    const was = old.partitions.get(number)!;
    expect({ ...partition, node: '', start: 0, size: 0 }).toEqual({ ...was, node: '', start: 0, size: 0 });
  }
  expect(complaintsAbout(after, table.label)).toEqual([]);
}

async function check512(layout: Layout): Promise<void> {
  const made = await planned(layout);
  checkPlan(made.plan, layout);
  await checkDisk(layout, made);
  checkWithSfdisk(made.before, made.after);
}

async function check4096(layout: Layout): Promise<void> {
  const made = await planned(layout);
  checkPlan(made.plan, layout);
  await checkDisk(layout, made);
  const [old, table] = [readWithFdisk4k(made.before), readWithFdisk4k(made.after)];
  expect(table.size).toBe(layout.partitions.length);
  for (const [number, { rest }] of table) expect(rest).toBe(old.get(number)!.rest);
}

describe('planResize on random disks', () => {
  it('keeps a GPT', () => fc.assert(fc.asyncProperty(gptLayouts(512), check512), { numRuns: 12 }), 60_000);
  it(
    'keeps an MBR with logical partitions',
    () => fc.assert(fc.asyncProperty(mbrLayouts(512), check512), { numRuns: 20 }),
    60_000,
  );
  it(
    'keeps a GPT with 4096-byte sectors',
    () => fc.assert(fc.asyncProperty(gptLayouts(4096), check4096), { numRuns: 6 }),
    60_000,
  );
  it(
    'keeps an MBR with 4096-byte sectors',
    () => fc.assert(fc.asyncProperty(mbrLayouts(4096), check4096), { numRuns: 6 }),
    60_000,
  );
});

describe('mapRange', () => {
  const copies = fc
    .array(fc.record({ gap: fc.nat(5), length: fc.integer({ min: 1, max: 9 }), shift: fc.nat(3) }), {
      maxLength: 12,
    })
    .map((parts) => {
      let from = 0;
      let to = 0;
      return parts.map(({ gap, length, shift }) => {
        const copy = { from: from + gap, to: to + gap + shift, length };
        from = copy.from + length;
        to = copy.to + length;
        return copy;
      });
    });

  it('is what a search through all copies gives', () =>
    fc.assert(
      fc.property(copies, fc.nat(80), fc.nat(60), (list, offset, length) => {
        const plan = { copies: list } as unknown as ResizePlan;
        const bytes = [...mapRange(plan, offset, length)].flatMap((piece) =>
          Array.from({ length: piece.length }, (_, index) => [piece.from + index, piece.to + index]),
        );
        const expected = list
          .flatMap((copy) =>
            Array.from({ length: copy.length }, (_, index) => [copy.from + index, copy.to + index]),
          )
          .filter(([from]) => from! >= offset && from! < offset + length);
        expect(bytes).toEqual(expected);
      }),
    ));
});

describe('sameResizePlan', () => {
  it('tells a changed table from the same one', async () => {
    const layout: Layout = {
      label: 'gpt',
      sectorSize: 512,
      size: 8 * MIB,
      partitions: [{ number: 1, start: MIB, size: 4 * MIB, role: 'primary' }],
      grow: 1,
      targetSize: 20 * MIB,
    };
    const { plan, before } = await planned(layout);
    const again = await planResize({ source: bytesSource('x', slurp(before)), targetSize: 20 * MIB });
    expect(sameResizePlan(plan, again)).toBe(true);
    patch(before, 600, Buffer.from([1]));
    const other = await planResize({ source: bytesSource('x', slurp(before)), targetSize: 20 * MIB });
    expect(sameResizePlan(plan, other)).toBe(false);
  });
});
