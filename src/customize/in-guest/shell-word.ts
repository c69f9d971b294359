/** `text` as one word of a POSIX shell: in single quotes, where nothing but a single quote has a meaning. */
export function shellWord(text: string): string {
  return `'${text.replaceAll(`'`, `'\\''`)}'`;
}

const PIECE = 2048;

/**
 * Shell commands that make the file whose name is in the shell's variable `variable` with exactly these bytes, by the
 * printf that every POSIX shell has.
 */
export function shellWriteFile(variable: string, bytes: Buffer): string {
  const lines = [`: >"$${variable}"`];
  for (let at = 0; at < bytes.length; at += PIECE) {
    lines.push(`printf '${printfFormat(bytes.subarray(at, at + PIECE))}' >>"$${variable}"`);
  }
  return `${lines.join('\n')}\n`;
}

/** Within single quotes and for printf: letters, digits and plain signs as they are, all other bytes by number. */
function printfFormat(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/[^A-Za-z0-9 _.,:;=+/@#()[\]{}<>"$&|~!?*^-]/g, (byte) => {
      return `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`;
    })
    .replace(/^-/, '\\055');
}
