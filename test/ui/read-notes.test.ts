import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readNotes } from '../../src/ui/read-notes.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

/** The notes, and what was warned of. */
async function read(...values: string[]): Promise<{ notes: Record<string, string>; warnings: string[] }> {
  const warnings: string[] = [];
  return { notes: await readNotes(values, (message) => warnings.push(message)), warnings };
}

it('takes files and text, by language', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'notes.txt');
  writeFileSync(path, 'One\r\nTwo\n\n');
  expect(await read(path, 'de=Zwei Wörter.')).toEqual({
    notes: { '': 'One\nTwo', de: 'Zwei Wörter.' },
    warnings: [],
  });
  await expect(read('a b', 'c d')).rejects.toMatchObject({ code: 'TSB_USAGE' });
});

it.each(['/missing/notez', 'notez.txt', '/missing/my notes.TXT', 'readme'])(
  'warns of %j, which may be meant as a file',
  async (value) => {
    expect(await read(`de=${value}`)).toEqual({
      notes: { de: value },
      warnings: [`there is no file ${value}: these words themselves become the notes`],
    });
  },
);

it.each(['Log in as root.', 'https://example.org/notes.html', 'See notes.txt\nand more.md there', ''])(
  'takes %j for text',
  async (value) => {
    expect(await read(value)).toEqual({ notes: { '': value }, warnings: [] });
  },
);
