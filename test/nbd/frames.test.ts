import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  InvalidOption,
  OptionReader,
  decodeString,
  greeting,
  optionReply,
  parseClientFlags,
  parseOptionHeader,
} from '../../src/nbd/option-frames.js';
import { ProtocolViolation } from '../../src/nbd/protocol-violation.js';
import {
  blockStatusChunk,
  dataChunkHead,
  errorChunk,
  holeChunk,
  simpleReply,
} from '../../src/nbd/reply-frames.js';
import { parseRequest } from '../../src/nbd/request-frame.js';
import { metaQuery, optionFrame, requestFrame, u32 } from '../helpers/nbd-client.js';

const COOKIE = [0x01020304, 0xa5a6a7a8] as const;
const HEX_COOKIE = '01020304a5a6a7a8';
const hex = (fields: string): string => fields.replaceAll(' ', '');

describe('request frames', () => {
  it('are read field by field', () => {
    const frame = Buffer.from(hex(`25609513 0005 0006 ${HEX_COOKIE} 0000000200000003 00010000`), 'hex');
    expect(parseRequest(frame)).toEqual({
      flags: 5,
      type: 6,
      cookie: COOKIE,
      offset: 2 * 2 ** 32 + 3,
      length: 65536,
    });
  });

  it('keep what is far outside any export outside', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(0xffffffff), (offset, length) => {
        const request = parseRequest(requestFrame({ type: 0, offset, length }));
        const exact = offset + BigInt(length);
        expect(request.offset + request.length > Number.MAX_SAFE_INTEGER).toBe(
          exact > BigInt(Number.MAX_SAFE_INTEGER),
        );
      }),
    );
  });

  it('need their magic', () => {
    const frame = requestFrame({ type: 0 });
    frame[3]! ^= 1;
    expect(() => parseRequest(frame)).toThrow(ProtocolViolation);
  });
});

describe('reply frames', () => {
  it('simple', () => {
    expect(simpleReply(COOKIE, 5).toString('hex')).toBe(hex(`67446698 00000005 ${HEX_COOKIE}`));
  });

  it('of data', () => {
    const at = { offset: 0x1_2345_6789, length: 0x1000, last: true };
    expect(dataChunkHead(COOKIE, at).toString('hex')).toBe(
      hex(`668e33ef 0001 0001 ${HEX_COOKIE} 00001008 0000000123456789`),
    );
  });

  it('of a hole', () => {
    const at = { offset: 0x1_2345_6789, length: 0x1000, last: false };
    expect(holeChunk(COOKIE, at).toString('hex')).toBe(
      hex(`668e33ef 0000 0002 ${HEX_COOKIE} 0000000c 0000000123456789 00001000`),
    );
  });

  it('of an error, with and without its place', () => {
    expect(errorChunk(COOKIE, { errno: 22, message: 'no' }).toString('hex')).toBe(
      hex(`668e33ef 0001 8001 ${HEX_COOKIE} 00000008 00000016 0002 6e6f`),
    );
    expect(errorChunk(COOKIE, { errno: 5, message: 'no', offset: 512 }).toString('hex')).toBe(
      hex(`668e33ef 0001 8002 ${HEX_COOKIE} 00000010 00000005 0002 6e6f 0000000000000200`),
    );
  });

  it('of block status', () => {
    const descriptors = [
      { length: 4096, flags: 0 },
      { length: 0xfffff000, flags: 3 },
    ];
    expect(blockStatusChunk(COOKIE, 1, descriptors).toString('hex')).toBe(
      hex(`668e33ef 0001 0005 ${HEX_COOKIE} 00000014 00000001 0000100000000000 fffff00000000003`),
    );
  });
});

describe('option frames', () => {
  it('greet', () => {
    expect(greeting().toString('latin1')).toBe('NBDMAGICIHAVEOPT\0\x03');
  });

  it('read the flags of a client, and refuse unknown ones', () => {
    expect(parseClientFlags(u32(1))).toEqual({ fixedNewstyle: true, noZeroes: false });
    expect(parseClientFlags(u32(2))).toEqual({ fixedNewstyle: false, noZeroes: true });
    for (const flags of [4, 8, 0x80000000, 0xffffffff])
      expect(() => parseClientFlags(u32(flags))).toThrow(ProtocolViolation);
  });

  it('are limited', () => {
    const header = (length: number): Buffer => Buffer.concat([optionFrame(7).subarray(0, 12), u32(length)]);
    expect(parseOptionHeader(header(65536))).toEqual({ option: 7, length: 65536 });
    expect(() => parseOptionHeader(header(65537))).toThrow('65537 bytes');
    expect(() => parseOptionHeader(Buffer.alloc(16))).toThrow(ProtocolViolation);
  });

  it('are replied to', () => {
    expect(optionReply(3, 0x80000001, Buffer.from('ab')).toString('hex')).toBe(
      hex('0003e889045565a9 00000003 80000001 00000002 6162'),
    );
  });

  it('have strings of UTF-8, up to 4096 bytes', () => {
    expect(decodeString(Buffer.from('\ufeffx\u00e9'))).toBe('\ufeffx\u00e9');
    expect(decodeString(Buffer.alloc(4096, 'a'))).toHaveLength(4096);
    expect(() => decodeString(Buffer.alloc(4097, 'a'))).toThrow(InvalidOption);
    expect(() => decodeString(Buffer.from([0xc0, 0x80]))).toThrow('not UTF-8');
  });

  it('are read back as they were made, and never past their end', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.string(), { maxLength: 8 }), fc.nat(40), (name, queries, cut) => {
        const data = metaQuery(name, queries);
        const readAll = (bytes: Buffer): string[] => {
          const reader = new OptionReader(bytes);
          const found = [reader.string()];
          for (let left = reader.uint32(); left > 0; left--) found.push(reader.string());
          reader.end();
          return found;
        };
        const wellFormed = [name, ...queries].map((text) => Buffer.from(text).toString());
        expect(readAll(data)).toEqual(wellFormed);
        if (cut > 0)
          expect(() => readAll(data.subarray(0, Math.max(0, data.length - cut)))).toThrow(InvalidOption);
        expect(() => readAll(Buffer.concat([data, Buffer.alloc(1)]))).toThrow('1 bytes too many');
      }),
    );
  });
});
