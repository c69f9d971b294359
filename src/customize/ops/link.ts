import * as v from 'valibot';
import { TsbuilderError } from '../../errors.js';
import type { Guest } from '../../guest/guest.js';
import { textOrObject } from '../text-or-object.js';
import { checked, guestPath } from '../files/argument.js';
import { destination, lastName } from '../files/guest-files.js';
import type { FileOperationKind } from '../operation-kind.js';

interface Links {
  readonly target: string;
  readonly links: readonly string[];
}

const object = v.strictObject({
  target: v.pipe(
    v.string(),
    v.minLength(1, 'a link must have a target'),
    v.check((target) => !target.includes('\0'), 'a target cannot have a NUL character'),
  ),
  links: v.pipe(v.array(guestPath), v.minLength(1, 'there is no link to make')),
});

/** Makes symbolic links. */
export const link: FileOperationKind<Links> = {
  name: 'link',
  argument: 'TARGET:LINK[:LINK..]',
  summary: 'Make symbolic links that lead to TARGET, replacing files of their names.',
  runs: 'offline',
  schema: textOrObject(parse, object),
  parse,
  describe: ({ target, links }) => described(target, links),
  apply: makeLinks,
};

function parse(text: string): Links {
  const [target, ...links] = text.split(':');
  if (links.length > 0) return checked('link', object, { target, links });
  throw new TsbuilderError('TSB_USAGE', `--link ${JSON.stringify(text)}: a colon is missing`, {
    hint: 'The form is TARGET:LINK[:LINK..].',
  });
}

const described = (target: string, links: readonly string[]): string =>
  `link ${links.join(', ')} to ${target}`;

/** As `ln -sf` does: a link to be made where a folder is comes into that folder. Returns what was made where. */
async function makeLinks(guest: Guest, { target, links }: Links): Promise<string> {
  const what = { name: lastName(target), type: 'symlink' } as const;
  const made: string[] = [];
  for (const path of links) {
    const place = await destination(guest, path, what);
    await guest.symlink(target, place);
    made.push(place);
  }
  return described(target, made);
}
