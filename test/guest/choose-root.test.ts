import { describe, expect, it } from 'vitest';
import { isSystemOn } from '../../src/guest/appliance-volumes.js';
import { isSystemName } from '../../src/guest/choose-root.js';

describe('isSystemName', () => {
  it.each([
    ['2', { number: 2 }, true],
    ['/dev/sda2', { number: 2 }, true],
    ['nvme0n1p2', { number: 2 }, true],
    ['12', { number: 2 }, false],
    ['0', { number: 0 }, true],
    ['root', { number: 2 }, false],
    ['root', { number: 2, lvm: { group: 'vg-0', volume: 'root' } }, true],
    ['vg-0/root', { number: 2, lvm: { group: 'vg-0', volume: 'root' } }, true],
    ['/dev/vg-0/root', { number: 2, lvm: { group: 'vg-0', volume: 'root' } }, true],
    ['/dev/mapper/vg--0-root', { number: 2, lvm: { group: 'vg-0', volume: 'root' } }, true],
    ['2', { number: 2, lvm: { group: 'vg-0', volume: 'root' } }, false],
  ])('%s, %j: %s', (wanted, place, expected) => {
    expect(isSystemName(wanted, place)).toBe(expected);
  });
});

describe('isSystemOn', () => {
  it.each([
    ['/dev/sda2', '2', true],
    ['/dev/sda2', '12', false],
    ['/dev/sda', '0', true],
    ['/dev/sdb2', '2', false],
    ['btrfsvol:/dev/sda2/@rootfs', '2', true],
    ['btrfsvol:/dev/sda2/a/dev/sda3', '3', false],
    ['/dev/vg-0/root', 'vg-0/root', true],
    ['/dev/vg-0/root', 'root', true],
    ['/dev/vg-0/root', '0', false],
    ['/dev/md127', '127', false],
  ])('%s, %s: %s', (device, wanted, expected) => {
    expect(isSystemOn(device, wanted)).toBe(expected);
  });
});
