import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FileOperationName, apply, openGuest, treeOf } from '../../helpers/file-operations.js';
import { fsck, makeExtImage } from '../../helpers/guest-image.js';

/** The plain model: a folder is undefined, a file its text, permissions and owner. Without links, paths are what they seem. */
type Model = Map<string, { text?: string; mode: number; owner: string }>;

const START = { 'a/f': 'f\n', 'a/b/g': 'g', 'c/a/h': '', d: { dir: 0o755 } } as const;

function startModel(): Model {
  const folder = { mode: 0o755, owner: '0:0' };
  const file = (text: string): { text: string; mode: number; owner: string } => ({
    text,
    mode: 0o644,
    owner: '0:0',
  });
  return new Map(
    Object.entries({
      '/a': folder,
      '/a/b': folder,
      '/c': folder,
      '/c/a': folder,
      '/d': folder,
      '/a/f': file('f\n'),
      '/a/b/g': file('g'),
      '/c/a/h': file(''),
    }),
  );
}

class Refused extends Error {}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));
const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const isFolder = (model: Model, path: string): boolean =>
  path === '' || (model.has(path) && model.get(path)?.text === undefined);
const below = (model: Model, path: string): string[] =>
  [...model.keys()].filter((key) => key.startsWith(`${path}/`));

function need(condition: boolean): void {
  if (!condition) throw new Refused();
}

function putFile(model: Model, path: string, text: string): void {
  need(isFolder(model, parentOf(path)) && !isFolder(model, path));
  model.set(path, { mode: 0o644, owner: '0:0', ...model.get(path), text });
}

/** What copy and move have in common: where it goes, and that it may. */
function target(model: Model, from: string, to: string): string {
  const place = isFolder(model, to) ? `${to}/${nameOf(from)}` : to;
  need(model.has(from) && isFolder(model, parentOf(place)));
  const bothFolders = isFolder(model, from) && isFolder(model, place);
  need(!model.has(place) || bothFolders || (!isFolder(model, from) && !isFolder(model, place)));
  need(!isFolder(model, from) || !`${place}/`.startsWith(`${from}/`));
  return place;
}

function copy(model: Model, from: string, to: string): void {
  const place = target(model, from, to);
  const sources = [from, ...below(model, from)];
  for (const path of sources) {
    const there = place + path.slice(from.length);
    need(!model.has(there) || isFolder(model, there) === isFolder(model, path));
  }
  for (const path of sources) {
    const entry = model.get(path);
    if (entry) model.set(place + path.slice(from.length), { ...entry });
  }
}

function move(model: Model, from: string, to: string): void {
  const place = target(model, from, to);
  if (place === from) return;
  need(!isFolder(model, place) || below(model, place).length === 0);
  for (const path of [from, ...below(model, from)]) {
    const entry = model.get(path);
    model.delete(path);
    if (entry) model.set(place + path.slice(from.length), entry);
  }
}

const EFFECTS: Partial<Record<FileOperationName, (model: Model, path: string, other: string) => void>> = {
  write: (model, path, text) => putFile(model, path, text),
  'append-line': (model, path, line) => {
    const text = model.get(path)?.text ?? '';
    putFile(model, path, `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`);
  },
  mkdir: (model, path) => {
    const parts = path.split('/');
    const paths = parts.map((_, index) => parts.slice(0, index + 1).join('/')).slice(1);
    need(paths.every((each) => !model.has(each) || isFolder(model, each)));
    for (const each of paths) if (!model.has(each)) model.set(each, { mode: 0o755, owner: '0:0' });
  },
  touch: (model, path) => putFile(model, path, model.get(path)?.text ?? ''),
  truncate: (model, path) => {
    need(model.has(path));
    putFile(model, path, '');
  },
  'truncate-recursive': (model, path) => {
    need(isFolder(model, path));
    for (const each of below(model, path)) if (!isFolder(model, each)) putFile(model, each, '');
  },
  scrub: (model, path) => {
    need(model.has(path) && !isFolder(model, path));
    model.delete(path);
  },
  delete: (model, path) => {
    for (const each of [path, ...below(model, path)]) model.delete(each);
  },
  copy,
  move,
};

const path = fc.constantFrom(
  '/a',
  '/a/b',
  '/a/f',
  '/a/b/g',
  '/c',
  '/c/a',
  '/c/a/h',
  '/d',
  '/d/x',
  '/new',
  '/c/a/b',
);
const text = fc.stringMatching(/^[a-z :"']{0,6}$/);

interface Step {
  readonly name: FileOperationName;
  readonly argument: string;
  readonly effect: (model: Model) => void;
}

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constantFrom('write', 'append-line'), path, text).map(([name, at, content]) => ({
    name: name,
    argument: `${at}:${content}`,
    effect: (model: Model) => EFFECTS[name as FileOperationName]?.(model, at, content),
  })),
  fc.tuple(fc.constantFrom('copy', 'move'), path, path).map(([name, from, to]) => ({
    name: name,
    argument: `${from}:${to}`,
    effect: (model: Model) => EFFECTS[name as FileOperationName]?.(model, from, to),
  })),
  fc
    .tuple(fc.constantFrom('mkdir', 'touch', 'truncate', 'truncate-recursive', 'scrub', 'delete'), path)
    .map(([name, at]) => ({
      name: name,
      argument: at,
      effect: (model: Model) => EFFECTS[name as FileOperationName]?.(model, at, ''),
    })),
  fc.tuple(path, fc.integer({ min: 0, max: 0o777 })).map(([at, mode]) => ({
    name: 'chmod' as const,
    argument: `0${mode.toString(8)}:${at}`,
    effect: (model: Model) => {
      const entry = model.get(at);
      if (!entry) throw new Refused();
      model.set(at, { ...entry, mode });
    },
  })),
  fc.tuple(path, fc.nat(9)).map(([at, uid]) => ({
    name: 'chown' as const,
    argument: `${uid}:7:${at}`,
    effect: (model: Model) => {
      const entry = model.get(at);
      if (!entry) throw new Refused();
      model.set(at, { ...entry, owner: `${uid}:7` });
    },
  })),
);

function show(model: Model): Map<string, string> {
  const lines = [...model].map(([at, { text: content, mode, owner }]): [string, string] => [
    at,
    `${content === undefined ? 'directory' : 'file'} ${mode.toString(8)} ${owner}${content === undefined ? '' : ` ${JSON.stringify(content)}`}`,
  ]);
  return new Map(lines);
}

describe('random operations', () => {
  it('do on a disk what they do in a plain model, or fail on both', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(step, fc.nat(5)), { minLength: 3, maxLength: 30 }),
        async (steps) => {
          const disk = makeExtImage(START, { mib: 4 });
          const model = startModel();
          await using guest = await openGuest(disk);
          let stopped = false;
          for (const [{ name, argument, effect }, luck] of steps) {
            let wanted = 'done';
            try {
              effect(model);
            } catch (error) {
              if (!(error instanceof Refused)) throw error;
              wanted = 'refused';
            }
            const got = await apply(guest, name, argument).then(
              () => 'done',
              (error: unknown) => {
                expect(error).toMatchObject({ code: 'TSB_GUEST' });
                return 'refused';
              },
            );
            expect(`${name} ${argument}: ${got}`).toBe(`${name} ${argument}: ${wanted}`);
            // What failed may have been done in part; a real run stops there.
            stopped = got === 'refused';
            if (stopped) break;
            if (luck === 0) await guest.commit();
          }
          const seen = await treeOf(guest);
          await guest.commit();
          fsck(disk);
          await using again = await openGuest(disk);
          expect(await treeOf(again)).toEqual(seen);
          seen.delete('/lost+found');
          if (!stopped) expect(seen).toEqual(show(model));
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);
});
