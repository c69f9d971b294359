import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format } from 'prettier';
import { describe, expect, it } from 'vitest';
import Build from '../../src/commands/build.js';
import Customize from '../../src/commands/customize.js';
import { OPERATION_FACES } from '../../src/customize/operation-faces.js';
import { OPERATIONS, findOperation } from '../../src/customize/operations.js';
import { customizeSchema } from '../helpers/customize-schema.js';

const ROOT = join(import.meta.dirname, '..', '..');

/** What virt-builder 1.48 to 1.56 calls operations that are done here; those for Windows guests are not. */
const OF_VIRT_BUILDER =
  `append-line chmod chown copy copy-in delete edit firstboot firstboot-command firstboot-install hostname
  install link mkdir move password root-password run run-command scrub ssh-inject tar-in timezone touch truncate
  truncate-recursive uninstall update upload write`.split(/\s+/);

/** The faces as a source file. */
function facesFile(): Promise<string> {
  const faces = OPERATIONS.map(({ name, argument, summary }) => {
    const short = summary.replace(/\.$/, '').replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
    return { name, ...(argument !== undefined && { argument }), summary: short };
  });
  const text = `// Made from the operations: npx vitest run -u test/customize/operations.test.ts

/** What help says of an operation, without loading the operation itself. */
export interface OperationFace {
  readonly name: string;
  readonly argument?: string;
  readonly summary: string;
}

/** The faces of all operations, in alphabetical order. */
export const OPERATION_FACES: readonly OperationFace[] = ${JSON.stringify(faces)};
`;
  return format(text, { parser: 'typescript', printWidth: 110, singleQuote: true });
}

describe('the operations', () => {
  it('have names of their own, in alphabetical order', () => {
    const names = OPERATIONS.map(({ name }) => name);
    expect(names).toEqual([...new Set(names)].sort());
    expect(findOperation('hostname')?.name).toBe('hostname');
    expect(findOperation('toString')).toBeUndefined();
  });

  it('are those of virt-builder, and more', () => {
    const names = OPERATIONS.map(({ name }) => name);
    expect(OF_VIRT_BUILDER.filter((name) => !names.includes(name))).toEqual([]);
  });

  it('have faces that are up to date', async () => {
    await expect(await facesFile()).toMatchFileSnapshot(join(ROOT, 'src/customize/operation-faces.ts'));
  });

  it('have a JSON schema that is up to date', async () => {
    const text = await format(JSON.stringify(customizeSchema(OPERATIONS)), {
      parser: 'json',
      printWidth: 110,
    });
    await expect(text).toMatchFileSnapshot(join(ROOT, 'docs/customize.schema.json'));
  });

  it('are all in the manual', async () => {
    const manual = await readFile(join(ROOT, 'docs/customize.md'), 'utf8');
    const lines = OPERATION_FACES.map(
      ({ name, argument, summary }) =>
        `- \`--${name}${argument === undefined ? '' : ` ${argument}`}\`: ${summary}\n`,
    );
    expect(lines.filter((line) => !manual.includes(line))).toEqual([]);
  });

  it.each([Build, Customize])('are options of $name, each where it is used', (command) => {
    const flags: Record<string, { type: string; multiple?: boolean }> = command.flags;
    for (const { name, argument } of OPERATION_FACES) {
      expect(flags[name]).toMatchObject(
        argument === undefined ? { type: 'boolean' } : { type: 'option', multiple: true },
      );
    }
  });

  it('collide with no other option', () => {
    // An option of the same name that comes later would have replaced the operation's.
    const groups = Object.entries<{ helpGroup?: string }>(Build.flags);
    const operations = groups.filter(([name]) => findOperation(name));
    expect(operations.map(([, { helpGroup }]) => helpGroup)).toEqual(operations.map(() => 'CUSTOMISE'));
    expect(operations).toHaveLength(OPERATIONS.length);
  });
});
