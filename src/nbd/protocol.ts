/**
 * The numbers of the NBD protocol that this server speaks.
 *
 * @see https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md ("Values")
 */

/** `NBDMAGIC`, the first eight bytes of every server. */
export const INIT_MAGIC = 0x4e42444d41474943n;
/** `IHAVEOPT`: follows the first magic, and starts every option. */
export const OPTION_MAGIC = 0x49484156454f5054n;
export const OPTION_REPLY_MAGIC = 0x0003e889045565a9n;
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;

/** Handshake flags of the server, and the same bits of the client. */
export const HANDSHAKE = { fixedNewstyle: 1 << 0, noZeroes: 1 << 1 } as const;

export const OPT = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

export const REP = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  errUnsupported: 0x80000001,
  errPolicy: 0x80000002,
  errInvalid: 0x80000003,
  errTlsRequired: 0x80000005,
  errUnknown: 0x80000006,
  errTooBig: 0x80000009,
} as const;

export const INFO = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

/** Transmission flags of an export. */
export const FLAG = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
  sendCache: 1 << 10,
  sendFastZero: 1 << 11,
} as const;

export const CMD = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

export const CMD_FLAG = {
  fua: 1 << 0,
  noHole: 1 << 1,
  df: 1 << 2,
  reqOne: 1 << 3,
  fastZero: 1 << 4,
} as const;

export const CHUNK = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  error: 0x8001,
  errorOffset: 0x8002,
} as const;

/** The only flag of a structured reply: nothing follows. */
export const CHUNK_DONE = 1;

/** Error values of replies. */
export const ERRNO = {
  none: 0,
  perm: 1,
  io: 5,
  inval: 22,
  noSpace: 28,
  notSupported: 95,
} as const;

export type Errno = (typeof ERRNO)[keyof typeof ERRNO];

/** Status flags of the metadata context `base:allocation`. */
export const STATE = { hole: 1 << 0, zero: 1 << 1 } as const;

/** The one metadata context there is, and the id it has in replies. */
export const BASE_ALLOCATION = { name: 'base:allocation', id: 1 } as const;

/** Longest string the protocol allows, in bytes. */
export const MAX_STRING = 4096;

/** Block sizes of every export, in bytes; `maximum` is also the longest payload of a read or write. */
export const BLOCK_SIZE = { minimum: 1, preferred: 64 * 1024, maximum: 32 * 1024 * 1024 } as const;
