import fc from 'fast-check';
import { KIB, MIB } from './disk.js';

/** One partition of a random layout, in bytes. */
export interface LayoutPartition {
  readonly number: number;
  readonly start: number;
  readonly size: number;
  readonly role: 'primary' | 'extended' | 'logical';
}

/** A disk with a table that sfdisk can make. */
export interface Layout {
  readonly label: 'gpt' | 'dos';
  readonly sectorSize: number;
  readonly size: number;
  readonly partitions: readonly LayoutPartition[];
  /** Number of the partition to grow. */
  readonly grow: number;
  readonly targetSize: number;
}

interface Shape {
  readonly gaps: readonly number[];
  readonly sizes: readonly number[];
  readonly order: readonly number[];
  readonly tail: number;
  readonly pick: number;
  readonly growth: number;
}

const MAX = 6;

function shapes(sectorSize: number): fc.Arbitrary<Shape> {
  const sectors = (max: number): fc.Arbitrary<number> =>
    fc.oneof(
      fc.integer({ min: 0, max: max / MIB }).map((count) => count * MIB),
      fc.integer({ min: 0, max: max / sectorSize }).map((count) => count * sectorSize),
    );
  return fc.record({
    gaps: fc.array(sectors(2 * MIB), { minLength: MAX, maxLength: MAX }),
    sizes: fc.array(
      sectors(4 * MIB).map((size) => size + 128 * KIB),
      { minLength: 1, maxLength: MAX },
    ),
    order: fc.shuffledSubarray([1, 2, 3, 4, 5, 6, 14, 15], { minLength: MAX, maxLength: MAX }),
    tail: sectors(3 * MIB),
    pick: fc.nat(),
    growth: fc.oneof(
      fc.integer({ min: 1, max: 3 * MIB }),
      fc.integer({ min: 4, max: 40 }).map((count) => count * MIB),
    ),
  });
}

/** GPT disks: numbers in any order, gaps and ends of any size, any partition to grow. */
export function gptLayouts(sectorSize: number): fc.Arbitrary<Layout> {
  return shapes(sectorSize).map((shape) => {
    let at = MIB;
    const partitions = shape.sizes.map((size, index): LayoutPartition => {
      const start = at + (shape.gaps[index] ?? 0);
      at = start + size;
      return { number: shape.order[index]!, start, size, role: 'primary' };
    });
    return finish('gpt', sectorSize, { shape, partitions, end: at + 64 * KIB + 34 * sectorSize });
  });
}

/** MBR disks: up to three primaries, then (or between them) an extended partition with the others as logical ones. */
export function mbrLayouts(sectorSize: number): fc.Arbitrary<Layout> {
  return fc
    .tuple(
      shapes(sectorSize),
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 0, max: (2 * MIB) / sectorSize }),
    )
    .map(([shape, primaries, before, slack]) => {
      const logicals = shape.sizes.length - Math.min(primaries, shape.sizes.length);
      const split = Math.min(before, shape.sizes.length - logicals);
      const ids = [...new Set([...shape.order, 1, 2, 3, 4])].filter((number) => number <= 4);
      const partitions: LayoutPartition[] = [];
      let at = MIB;
      const add = (index: number, number: number, role: 'primary' | 'logical'): void => {
        const start = at + (shape.gaps[index] ?? 0) + (role === 'logical' ? MIB : 0);
        const size = shape.sizes[index]!;
        partitions.push({ number, start, size, role });
        at = start + size;
      };
      for (let index = 0; index < split; index += 1) add(index, ids[index]!, 'primary');
      if (logicals > 0) {
        const start = at;
        for (let index = 0; index < logicals; index += 1) add(split + index, 5 + index, 'logical');
        at += slack * sectorSize;
        partitions.push({ number: ids[3]!, start, size: at - start, role: 'extended' });
      }
      for (let index = split + logicals; index < shape.sizes.length; index += 1)
        add(index, ids[index - logicals]!, 'primary');
      return finish('dos', sectorSize, { shape, partitions, end: at });
    });
}

function finish(
  label: 'gpt' | 'dos',
  sectorSize: number,
  made: { shape: Shape; partitions: LayoutPartition[]; end: number },
): Layout {
  const { shape, partitions } = made;
  const size = made.end + shape.tail;
  const places = partitions.filter(({ role }) => role !== 'extended');
  const grow = places[shape.pick % places.length]!.number;
  return { label, sectorSize, size, partitions, grow, targetSize: size + shape.growth };
}

/** The layout as an sfdisk script. Types, names and attributes differ from partition to partition. */
export function scriptOf(layout: Layout): string {
  const { sectorSize } = layout;
  const order = { primary: 0, extended: 0, logical: 1 };
  const lines = [...layout.partitions]
    .sort((a, b) => order[a.role] - order[b.role] || a.number - b.number)
    .map(({ number, start, size, role }) => {
      const extra =
        layout.label === 'gpt'
          ? `, name="part ${number} \u00e4"${number % 2 ? ', attrs="LegacyBIOSBootable GUID:60"' : ''}`
          : number === 1
            ? ', bootable'
            : '';
      const type =
        role === 'extended'
          ? number % 2
            ? '5'
            : 'f'
          : layout.label === 'gpt'
            ? '0FC63DAF-8483-4772-8E79-3D69D8477DE4'
            : '83';
      return `${number} : start=${start / sectorSize}, size=${size / sectorSize}, type=${type}${extra}`;
    });
  const first = layout.label === 'gpt' ? `first-lba: ${MIB / sectorSize / 2}\n` : '';
  return `label: ${layout.label}\n${first}\n${lines.join('\n')}\n`;
}
