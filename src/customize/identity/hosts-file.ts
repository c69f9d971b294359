/** The address that Debian gives to a host's own name (Debian reference, 5.1.1). */
const OWN_ADDRESS = '127.0.1.1';

/** How a hosts(5) file is to change. */
export interface HostsRename {
  /** The name so far; undefined when it is not known. */
  readonly from: string | undefined;
  readonly to: string;
  /** Add a line for the new name when no line has it. */
  readonly addLine: boolean;
}

/** A line of the file: `address gap names tail`, where the tail is blanks and a comment. */
const LINE = /^(\s*)([^\s#]+)(\s+)([^\s#][^#]*?)(\s*(?:#.*)?)$/;

/**
 * Gives the host its new name in the text of a hosts(5) file. On each line that has the old name, it and its other forms
 * (with and without domain) give way to the new one; the line of 127.0.1.1 is the host's own whatever stands
 * there. Other names, comments and spacing stay.
 */
export function renameInHosts(text: string, rename: HostsRename): string {
  const lines = text.split('\n').flatMap((line) => renameInLine(line, rename));
  if (!rename.addLine || isLocal(rename.to) || lines.some((line) => hasName(line, rename.to)))
    return lines.join('\n');
  const added = `${OWN_ADDRESS}\t${namesOf(rename.to).join(' ')}`;
  const after = lines.findIndex((line) => LINE.exec(line)?.[2] === '127.0.0.1');
  lines.splice(after + 1, 0, added);
  return lines.join('\n');
}

/** The line as it becomes: one line, or none when no name is left on it. */
function renameInLine(line: string, rename: HostsRename): string[] {
  const [, indent = '', address, gap = '', list = '', tail = ''] = LINE.exec(line) ?? [];
  if (address === undefined) return [line];
  const names = list.split(/\s+/);
  const old = oldName(names, address, rename.from);
  if (old === undefined) return [line];
  const at = names.findIndex((name) => short(name) === short(old));
  const kept = (part: readonly string[]): string[] => part.filter((name) => short(name) !== short(old));
  const fresh = isLocal(rename.to) ? [] : namesOf(rename.to);
  const before = kept(names.slice(0, at));
  const result = [...new Set([...before, ...fresh, ...kept(names.slice(at))])];
  return result.length === 0 ? [] : [`${indent}${address}${gap}${result.join(' ')}${tail}`];
}

/** The name on a line that is the host's so far. `localhost` never is: it stays everybody's. */
function oldName(names: readonly string[], address: string, from: string | undefined): string | undefined {
  if (from !== undefined && !isLocal(from)) {
    const forms = [from.toLowerCase(), short(from)];
    if (names.some((name) => forms.includes(name.toLowerCase()))) return from;
  }
  return address === OWN_ADDRESS ? names.find((name) => !isLocal(name)) : undefined;
}

function hasName(line: string, name: string): boolean {
  const names = LINE.exec(line)?.[4]?.split(/\s+/) ?? [];
  return names.some((each) => each.toLowerCase() === name.toLowerCase());
}

/** A name with a domain is followed by the one without, as hosts(5) advises. */
function namesOf(name: string): string[] {
  const label = name.split('.')[0] ?? name;
  return label === name ? [name] : [name, label];
}

function short(name: string): string {
  return (name.split('.')[0] ?? name).toLowerCase();
}

function isLocal(name: string): boolean {
  return short(name) === 'localhost';
}
