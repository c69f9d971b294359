import { toByteString } from '../byte-path.js';
import type { FileContent } from '../guest.js';
import type { TreeNode } from '../tree.js';
import { quoteWord, scriptLine } from './debugfs-script.js';

const TYPE_BITS = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const;

/**
 * Appends the commands that give the file `at.word` the mode, owner, extended attributes and times of `node`: those that
 * differ from its base, or all of a new file. The time of the inode's own change becomes `at.now`.
 */
export function setAttributes(
  to: { script: string[]; inputs: Map<string, FileContent> },
  node: TreeNode,
  at: { word: string; now: number },
): void {
  const { base } = node;
  const set = (field: string, value: string | number): void => {
    to.script.push(scriptLine('sif', at.word, field, value));
  };
  if (node.mode !== base?.mode) set('mode', `0${(TYPE_BITS[node.type] | node.mode).toString(8)}`);
  if (node.uid !== base?.uid) set('uid', node.uid);
  if (node.gid !== base?.gid) set('gid', node.gid);
  for (const name of node.changedXattrs) {
    const value = node.xattrs?.get(name);
    if (value === undefined) {
      to.script.push(scriptLine('ea_rm', at.word, quoteWord(toByteString(name))));
    } else {
      const input = `attribute${to.inputs.size}`;
      to.inputs.set(input, value);
      to.script.push(scriptLine('ea_set', '-f', input, at.word, quoteWord(toByteString(name))));
    }
  }
  if (node.mtime !== base?.mtime) set('mtime', `@${node.mtime}`);
  set('ctime', `@${at.now}`);
}
