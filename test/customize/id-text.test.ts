import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type IdChange, idText } from '../../src/customize/id-text.js';

const OLD = '71292a41-f0ba-84af-9e54-93ecd2574119';
const NEW = '482719ed-b640-4019-bfc6-1c2d9f663dcd';
const CHANGES: readonly IdChange[] = [
  { what: 'the root', form: 'uuid', from: OLD, to: NEW },
  { what: 'the ESP', form: 'serial', from: 'C9A4-30E8', to: 'B8BE-4061' },
  { what: 'the disk', form: 'signature', from: '1234abcd', to: '9876fedc' },
];

const replaced = (text: string): string => idText(CHANGES).replace(Buffer.from(text)).toString();

describe('idText', () => {
  it.each([
    ['fstab', `UUID=${OLD} / ext4`, `UUID=${NEW} / ext4`],
    ['upper case', `PARTUUID=${OLD.toUpperCase()}`, `PARTUUID=${NEW.toUpperCase()}`],
    [
      'a unit of systemd',
      String.raw`dev-disk-by\x2duuid-71292a41\x2df0ba\x2d84af\x2d9e54\x2d93ecd2574119.device`,
      String.raw`dev-disk-by\x2duuid-482719ed\x2db640\x2d4019\x2dbfc6\x2d1c2d9f663dcd.device`,
    ],
    ['no dashes', `id=${OLD.replaceAll('-', '')};`, `id=${NEW.replaceAll('-', '')};`],
    ['a FAT serial', 'UUID=C9A4-30E8 /boot/efi', 'UUID=B8BE-4061 /boot/efi'],
    ['a FAT serial in lower case', 'by-uuid/c9a4-30e8', 'by-uuid/b8be-4061'],
    ['an escaped FAT serial', String.raw`by\x2duuid-C9A4\x2d30E8`, String.raw`by\x2duuid-B8BE\x2d4061`],
    ['a partition of an MBR disk', 'root=PARTUUID=1234ABCD-02 ro', 'root=PARTUUID=9876FEDC-02 ro'],
    ['the id of an MBR disk', 'label-id: 0x1234abcd', 'label-id: 0x9876fedc'],
  ])('replaces in the form of the place: %s', (_, before, after) => {
    expect(replaced(before)).toBe(after);
  });

  it.each([
    ['a part of another UUID', 'aaaaaaaa-c9a4-30e8-aaaa-aaaaaaaaaaaa'],
    ['a part of a hash', `0${OLD.replaceAll('-', '')}0`],
    ['eight digits of something', 'commit 1234abcd'],
    ['a longer word', 'xC9A4-30E8'],
  ])('leaves alone: %s', (_, text) => {
    expect(replaced(text)).toBe(text);
  });

  it('replaces every id among any bytes and changes nothing else', () => {
    const bytes = fc.uint8Array({ maxLength: 60 }).map((data) => Buffer.from(data));
    fc.assert(
      fc.property(fc.array(bytes, { minLength: 1, maxLength: 5 }), (parts) => {
        const joined = (id: string): Buffer =>
          Buffer.concat(parts.flatMap((part) => [part, Buffer.from(id)]));
        const ids = idText(CHANGES);
        expect(ids.replace(joined(OLD)).equals(joined(NEW))).toBe(true);
        expect(ids.find(joined(OLD))).toHaveLength(parts.length);
        expect(ids.find(joined(NEW))).toEqual([]);
      }),
    );
  });
});
