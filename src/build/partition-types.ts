/** What partitions are for, by the type in their table: GUIDs of GPT (upper case), numbers of a DOS table. */
const PURPOSES: Readonly<Record<string, string>> = {
  'C12A7328-F81F-11D2-BA4B-00A0C93EC93B': 'EFI system',
  '21686148-6449-6E6F-744E-656564454649': 'BIOS boot',
  '0FC63DAF-8483-4772-8E79-3D69D8477DE4': 'Linux',
  '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709': 'Linux root',
  'B921B045-1DF0-41C3-AF44-4C6F280D3FAE': 'Linux root',
  'BC13C2FF-59E6-4262-A352-B275FD6F7172': 'Linux boot',
  '0657FD6D-A4AB-43C4-84E5-0933C84B4F4F': 'Linux swap',
  'E6D6D379-F507-44C2-A23C-238F2A3DF928': 'Linux LVM',
  'E3C9E316-0B5C-4DB8-817D-F92DF00215AE': 'Microsoft reserved',
  'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7': 'Microsoft data',
  'DE94BBA4-06D1-4D40-A16A-BFD50179D6AC': 'Windows recovery',
  '83BD6B9D-7F41-11DC-BE0B-001560B84F0F': 'FreeBSD boot',
  '516E7CB4-6ECF-11D6-8FF8-00022D09712B': 'FreeBSD',
  '516E7CB5-6ECF-11D6-8FF8-00022D09712B': 'FreeBSD swap',
  '516E7CB6-6ECF-11D6-8FF8-00022D09712B': 'FreeBSD UFS',
  '516E7CBA-6ECF-11D6-8FF8-00022D09712B': 'FreeBSD ZFS',
  '824CC7A0-36A8-11E3-890A-952519AD3F61': 'OpenBSD',
  '49F48D5A-B10E-11DC-B99B-0019D1879648': 'NetBSD',
  '0x05': 'extended',
  '0x07': 'Microsoft data',
  '0x0b': 'FAT',
  '0x0c': 'FAT',
  '0x27': 'Windows recovery',
  '0x82': 'Linux swap',
  '0x83': 'Linux',
  '0x8e': 'Linux LVM',
  '0xa5': 'FreeBSD',
  '0xa6': 'OpenBSD',
  '0xa9': 'NetBSD',
  '0xef': 'EFI system',
};

/** What a partition is for according to its type; undefined for a type that is not known. */
export function partitionPurpose(type: string | undefined): string | undefined {
  return type === undefined ? undefined : PURPOSES[type];
}
