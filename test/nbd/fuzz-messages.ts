import { infoRequest, metaQuery, optionFrame, requestFrame, u32 } from '../helpers/nbd-client.js';

/** Numbers that look random and are the same for the same seed (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 up to, and without, `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((((mixed ^ (mixed >>> 14)) >>> 0) * limit) / 2 ** 32) | 0;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  bytes(length: number): Buffer {
    const data = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; at++) data[at] = this.below(256);
    return data;
  }
}

/** What one connection sends. */
export interface Script {
  readonly frames: Buffer[];
  /** Messages in `frames`: options and requests, good or bad. */
  readonly messages: number;
  /** How many requests have to be answered, when all of them are well-formed and structured replies are agreed on. */
  readonly answers: number | undefined;
}

const NAMES = ['disk', '', 'other', 'a'.repeat(4096), 'a'.repeat(4097), '\u0000', 'dïsk'];
const DISC = 2;

/** A connection of `requests` requests on an export of `size` bytes, with a handshake before; about every third one has faults. */
export function makeScript(dice: Dice, size: number, requests: number): Script {
  const faulty = dice.chance(33);
  const structured = dice.chance(70);
  const opening = [u32(faulty && dice.chance(5) ? dice.below(2 ** 31) : 3), ...options(dice, faulty)];
  if (structured) opening.push(optionFrame(8), optionFrame(10, metaQuery('disk', ['base:allocation'])));
  opening.push(optionFrame(7, infoRequest('disk', [3])));
  const frames: Buffer[] = [];
  for (let count = 0; count < requests; count++) frames.push(request(dice, size));
  if (faulty)
    for (let count = dice.below(4); count > 0; count--) mutate(dice, dice.chance(30) ? opening : frames);
  if (!faulty) frames.push(requestFrame({ type: DISC }));
  return {
    frames: [...opening, ...frames],
    messages: opening.length + frames.length,
    answers: !faulty && structured ? requests : undefined,
  };
}

function options(dice: Dice, faulty: boolean): Buffer[] {
  return Array.from({ length: dice.below(6) }, () => {
    const name = dice.pick(NAMES);
    // EXPORT_NAME, ABORT and STARTTLS would end the negotiation.
    switch (dice.below(faulty ? 8 : 6)) {
      case 0:
        return optionFrame(3);
      case 1:
        return optionFrame(6, infoRequest(name, [dice.below(5)]));
      case 2:
        return optionFrame(dice.pick([9, 10]), metaQuery(name, ['base:', dice.pick(NAMES)]));
      case 3:
        return optionFrame(11 + dice.below(1000), dice.bytes(dice.below(50)));
      case 4:
        return optionFrame(6, dice.bytes(dice.below(40)));
      case 5:
        return optionFrame(10, dice.bytes(dice.below(40)));
      case 6:
        return optionFrame(dice.pick([1, 2, 5]), dice.bytes(dice.below(10)));
      default:
        return optionFrame(dice.below(2 ** 31), dice.bytes(dice.below(70_000)));
    }
  });
}

/** A request whose frame is in order; what it asks for need not be. */
function request(dice: Dice, size: number): Buffer {
  const offset = dice.chance(90)
    ? dice.below(size)
    : dice.pick([size - 1, size, 2 ** 31, 2 ** 52, 2n ** 64n - 1n]);
  const length = dice.pick([
    0,
    1,
    511,
    512,
    4096,
    4096,
    dice.below(70_000),
    dice.below(size),
    size,
    2 ** 32 - 1,
  ]);
  const flags = dice.chance(80) ? 0 : dice.pick([1, 2, 4, 8, 16, 0x8000, dice.below(65536)]);
  const cookie = BigInt(dice.below(2 ** 30));
  const type = dice.pick([0, 0, 0, 0, 1, 3, 4, 5, 6, 7, 7, 8, 99]);
  if (type !== 1) return requestFrame({ type, flags, cookie, offset, length });
  const data = Math.min(length, 5000);
  return Buffer.concat([
    requestFrame({ type, flags, cookie, offset, length: data }),
    Buffer.alloc(data, 0x5a),
  ]);
}

/** Damages one message, or loses, repeats or makes up one. */
function mutate(dice: Dice, frames: Buffer[]): void {
  const at = dice.below(frames.length);
  const frame = frames[at];
  if (!frame) return;
  switch (dice.below(5)) {
    case 0:
      frame[dice.below(frame.length)]! ^= 1 << dice.below(8);
      break;
    case 1:
      frames[at] = frame.subarray(0, dice.below(frame.length));
      break;
    case 2:
      frames.splice(at, 0, dice.bytes(dice.below(200)));
      break;
    case 3:
      frames.splice(at, 0, frame);
      break;
    default:
      if (frame.length >= 4)
        frame.writeUInt32BE(dice.pick([0, 0xffffffff, 0x7fffffff]), dice.below(frame.length - 3));
  }
}
