const [TAB, NEWLINE, BLANK, DOLLAR, SLASH, COLON] = [9, 10, 32, 36, 47, 58];
const UNDERSCORE = 95;

/**
 * The bytes of a name, as text with a character a byte, in which a prototype file can have it: names with blanks, or with a colon in front,
 * get other bytes, as many of them, of the same hash (`xfs_da_hashname` of Linux), so that the name itself can take their place in
 * a folder afterwards. Undefined when there are none.
 */
export function standInName(name: string): string | undefined {
  const bytes = Buffer.from(name);
  for (let at = 0; at < bytes.length; at += 1) {
    // Each byte is added to the hash 7 bits further left than the next one: the top bit of that is the lowest bit of this.
    if (isOdd(bytes, at) && !flip(bytes, at, at + 1) && !flip(bytes, at - 1, at)) return undefined;
  }
  return bytes.toString('latin1');
}

/** The bytes of a symbolic link's target, as text with a character a byte, or as many others when a prototype file cannot have it. */
export function standInTarget(target: string): string {
  const bytes = Buffer.from(target);
  for (let at = 0; at < bytes.length; at += 1) if (isOdd(bytes, at)) bytes.writeUInt8(UNDERSCORE, at);
  return bytes.toString('latin1');
}

/** Whether a byte ends a word in a prototype file, or begins a comment there, or ends a folder. */
function isOdd(bytes: Buffer, at: number): boolean {
  const byte = bytes[at];
  if (byte === COLON) return at === 0;
  if (byte === DOLLAR) return bytes.length === 1;
  return byte === TAB || byte === NEWLINE || byte === BLANK;
}

/** Changes two bytes that follow one another, or none when they could not be in a name of a prototype file then. */
function flip(bytes: Buffer, low: number, high: number): boolean {
  if (low < 0 || high >= bytes.length) return false;
  const change = (): void => {
    bytes.writeUInt8(bytes.readUInt8(low) ^ 0x01, low);
    bytes.writeUInt8(bytes.readUInt8(high) ^ 0x80, high);
  };
  change();
  if ([low, high].every((at) => !isOdd(bytes, at) && bytes[at] !== 0 && bytes[at] !== SLASH)) return true;
  change();
  return false;
}
