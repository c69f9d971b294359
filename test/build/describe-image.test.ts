import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { describeImage } from '../../src/build/describe-image.js';
import { bytesSource } from '../../src/io/byte-source.js';

const describeBytes = (data: Uint8Array) => describeImage(bytesSource('image', data), { blocks: false });

describe('describeImage', () => {
  it.each([
    ['bzip2', Buffer.from('BZh91AY&SY\0\0\0\0'), /bunzip2/],
    ['vmdk', Buffer.from('KDMV\x01\0\0\0'), /qemu-img/],
    ['gzip', gzipSync('x'), /inspect image/],
    ['zstd', Buffer.from('28b52ffd200058', 'hex'), /inspect image/],
  ])('does not take %s for a raw disk', async (format, data, hint) => {
    await expect(describeBytes(data)).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: expect.stringContaining(`image: is ${format}, `) as string,
      hint: expect.stringMatching(hint) as string,
    });
  });

  it('takes what is nothing else for one', async () => {
    expect(await describeBytes(Buffer.alloc(1024, 7))).toMatchObject({ format: 'raw', virtualSize: 1024 });
  });
});
