const PAGE = 4096;

/**
 * The first page of an empty swap area of `length` bytes (Linux, include/linux/swap.h, version 1).
 *
 * @param uuid in hex with dashes
 */
export function swapHeader(length: number, uuid: string): Buffer {
  const header = Buffer.alloc(PAGE);
  header.writeUInt32LE(1, 1024);
  header.writeUInt32LE(length / PAGE - 1, 1028);
  header.write(uuid.replaceAll('-', ''), 1036, 'hex');
  header.write('swap', 1052);
  header.write('SWAPSPACE2', PAGE - 10);
  return header;
}
