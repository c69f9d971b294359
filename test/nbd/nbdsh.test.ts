import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DiskSource } from '../../src/io/disk-source.js';
import { exec } from '../../src/io/exec.js';
import { damaged, memoryDisk, patterned, readOnly } from '../helpers/nbd-disk.js';
import { type TestServer, startNbdServer } from '../helpers/nbd-unix-server.js';

const MIB = 1024 * 1024;
const CONTENT = patterned(8 * MIB, [{ offset: MIB, length: 2 * MIB }]);

let server: TestServer;
const scratch = memoryDisk(Buffer.alloc(MIB));

beforeAll(async () => {
  const disk = readOnly(memoryDisk(CONTENT));
  const cached: DiskSource = { ...disk, prefetch: () => Promise.resolve() };
  server = await startNbdServer([
    { name: 'disk', disk: cached },
    { name: 'scratch', disk: scratch },
    { name: 'bad', disk: damaged(disk, { offset: 5 * MIB + 70_000, length: 1 }) },
  ]);
});

afterAll(() => server[Symbol.asyncDispose]());

/** Runs a script of nbdsh, with `h` unconnected and `uri(name)`; returns what it prints. */
async function nbdsh(script: string): Promise<unknown> {
  const prelude = `
import json, errno
def uri(name): return "nbd+unix:///" + name + "?socket=${server.path}"
def attempt(f, *args, **kw):
    try:
        f(*args, **kw)
        return 0
    except nbd.Error as e:
        return e.errnum
`;
  const { stdout } = await exec('nbdsh', ['-c', prelude + script], { env: { PATH: '/usr/bin:/bin' } });
  return JSON.parse(stdout);
}

describe('nbdsh', () => {
  it('reads with and without structured replies', async () => {
    const sums = await nbdsh(`
import hashlib
sums = []
for structured in (True, False):
    h = nbd.NBD()
    h.set_request_structured_replies(structured)
    h.connect_uri(uri("disk"))
    sums.append([h.get_structured_replies_negotiated(), h.can_df(), hashlib.sha256(h.pread(h.get_size(), 0)).hexdigest()])
    h.shutdown()
print(json.dumps(sums))
`);
    const { createHash } = await import('node:crypto');
    const digest = createHash('sha256').update(CONTENT).digest('hex');
    expect(sums).toEqual([
      [true, true, digest],
      [false, false, digest],
    ]);
  });

  it('gets holes as holes, but not with DF', async () => {
    const chunks = await nbdsh(`
h.connect_uri(uri("disk"))
def read(flags):
    got = []
    h.pread_structured(4 << 20, 0, lambda data, offset, status, error: got.append([status, offset, len(data)]), flags)
    return got
print(json.dumps([read(0), read(nbd.CMD_FLAG_DF)]))
`);
    expect(chunks).toEqual([
      [
        [1, 0, MIB],
        [2, MIB, 2 * MIB],
        [1, 3 * MIB, MIB],
      ],
      [[1, 0, 4 * MIB]],
    ]);
  });

  it('is told where a read fails, after what is good', async () => {
    const result = (await nbdsh(`
h.connect_uri(uri("bad"))
got = []
code = attempt(h.pread_structured, 2 << 20, 4 << 20, lambda data, offset, status, error: got.append([status, offset, len(data)]))
after = len(h.pread(4096, 6 << 20))
print(json.dumps([code, got, after, attempt(h.pread, 4096, (5 << 20) + 69632)]))
`)) as [number, number[][], number, number];
    const [code, got, after, small] = result;
    expect([code, after, small]).toEqual([5, 4096, 5]);
    expect(got.slice(0, -1)).toEqual([
      [1, 4 * MIB, MIB],
      [1, 5 * MIB, 65536],
    ]);
    expect(got.at(-1)).toEqual([3, 5 * MIB + 65536, 0]);
  });

  it('gets the right error for what makes no sense', async () => {
    const codes = await nbdsh(`
h.set_strict_mode(0)
h.connect_uri(uri("disk"))
size = h.get_size()
w = nbd.NBD()
w.set_strict_mode(0)
w.connect_uri(uri("scratch"))
print(json.dumps({
  "read past end": attempt(h.pread, 2, size - 1),
  "read outside": attempt(h.pread, 1, size),
  "read of nothing": attempt(h.pread, 0, 0),
  "read with a wrong flag": attempt(h.pread, 1, 0, nbd.CMD_FLAG_NO_HOLE),
  "write to read-only": attempt(h.pwrite, b"x" * 512, 0),
  "trim of read-only": attempt(h.trim, 512, 0),
  "zero of read-only": attempt(h.zero, 512, 0),
  "cache": attempt(h.cache, 512, 0),
  "cache past end": attempt(h.cache, 512, size),
  "write past end": attempt(w.pwrite, b"x" * 512, w.get_size() - 511),
  "zero past end": attempt(w.zero, 512, w.get_size()),
  "trim past end": attempt(w.trim, 512, w.get_size()),
  "fast zero": attempt(w.zero, 512, 0, nbd.CMD_FLAG_FAST_ZERO),
  "cache without cache": attempt(w.cache, 512, 0),
  "status without context": attempt(w.block_status, 512, 0, lambda *args: 0),
  "still alive": [attempt(h.pread, 1, 0), attempt(w.pwrite, b"x", 0)],
}))
`);
    const [EPERM, EINVAL, ENOSPC] = [1, 22, 28];
    expect(codes).toEqual({
      'read past end': EINVAL,
      'read outside': EINVAL,
      'read of nothing': EINVAL,
      'read with a wrong flag': EINVAL,
      'write to read-only': EPERM,
      'trim of read-only': EPERM,
      'zero of read-only': EPERM,
      cache: 0,
      'cache past end': EINVAL,
      'write past end': ENOSPC,
      'zero past end': ENOSPC,
      'trim past end': EINVAL,
      'fast zero': EINVAL,
      'cache without cache': EINVAL,
      'status without context': EINVAL,
      'still alive': [0, 0],
    });
  });

  it('chooses metadata contexts and asks for them', async () => {
    const result = await nbdsh(`
h.set_opt_mode(True)
h.connect_uri(uri("disk"))
contexts = []
h.opt_list_meta_context(lambda name: contexts.append(name))
h.add_meta_context("base:allocation")
h.add_meta_context("base:nothing")
h.opt_go()
def status(length, offset, flags=0):
    got = []
    h.block_status(length, offset, lambda name, offset, entries, error: got.append([name, entries]), flags)
    return got
print(json.dumps([
  contexts,
  h.can_meta_context("base:allocation"), h.can_meta_context("base:nothing"),
  status(8 << 20, 0), status(8 << 20, 0, nbd.CMD_FLAG_REQ_ONE), status(1000, (1 << 20) + 1),
]))
`);
    expect(result).toEqual([
      ['base:allocation'],
      true,
      false,
      [['base:allocation', [MIB, 0, 2 * MIB, 3, 5 * MIB, 0]]],
      [['base:allocation', [MIB, 0]]],
      [['base:allocation', [1000, 3]]],
    ]);
  });

  it('looks at several exports before it takes one', async () => {
    const result = await nbdsh(`
h.set_opt_mode(True)
h.connect_uri(uri("disk"))
seen = []
h.opt_list(lambda name, description: seen.append(name))
h.set_export_name("nothing")
unknown = attempt(h.opt_info)
h.set_export_name("scratch")
h.opt_info()
sizes = [h.get_size()]
h.set_export_name("")
h.opt_go()
sizes.append(h.get_size())
print(json.dumps([seen, unknown != 0, sizes]))
`);
    expect(result).toEqual([['disk', 'scratch', 'bad'], true, [MIB, 8 * MIB]]);
  });

  it('keeps many requests in flight', async () => {
    const result = await nbdsh(`
h.connect_uri(uri("disk"))
buffers = []
for i in range(1000):
    b = nbd.Buffer(4096)
    buffers.append((b, h.aio_pread(b, i * 8192)))
for b, cookie in buffers:
    while not h.aio_command_completed(cookie): h.poll(-1)
print(json.dumps([sum(b.to_bytearray()) for b, c in buffers][127:131]))
`);
    const sum = (index: number): number =>
      CONTENT.subarray(index * 8192, index * 8192 + 4096).reduce((total, byte) => total + byte, 0);
    expect(result).toEqual([127, 128, 129, 130].map(sum));
  });
});
