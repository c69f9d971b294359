import * as v from 'valibot';
import { LAYOUT_NAMES } from './layout-names.js';

const UNITS: Readonly<Record<string, number>> = { MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };

const text = v.pipe(v.string('must be text; put quotes around numbers'), v.nonEmpty('must not be empty'));
/** Text without line breaks and control characters: it becomes one line of an index, a script or a list. */
const isLine = v.check(
  (value: string) => !/\p{Cc}/u.test(value),
  'must be one line without control characters',
);
const line = v.pipe(text, isLine);
const matching = (pattern: RegExp, what: string) => v.pipe(text, v.regex(pattern, `must be ${what}`), isLine);

const size = v.pipe(
  matching(/^[1-9]\d{0,6}(MiB|GiB|TiB)$/, 'a whole number of MiB, GiB or TiB, such as 4GiB'),
  v.transform((value) => Number.parseInt(value, 10) * (UNITS[value.slice(-3)] ?? 1)),
);

const guestPath = v.pipe(
  matching(/^\/[^/]/, 'an absolute path'),
  v.check((path) => !path.split('/').some((part) => part === '..' || part === '.'), 'must not have . or ..'),
);

const file = v.strictObject({
  path: guestPath,
  content: v.string(),
  mode: v.optional(matching(/^0[0-7]{3}$/, "four octal digits in quotes, such as '0644'"), '0644'),
});

const packages = v.optional(v.array(matching(/^[a-z0-9][a-z0-9+.:~=/*?-]*$/, 'the name of a package')), []);
const preseed = v.optional(v.array(matching(/^\S+\s+\S+\s+\S+.*$/, 'a line for debconf-set-selections')), []);

/** The key that signs the archive, for machines that do not trust it anyway. */
const archiveKey = v.strictObject({
  fingerprint: matching(/^[0-9A-Fa-f]{40}$/, 'all 40 hex digits of the fingerprint of a key, without blanks'),
  keyring: guestPath,
  package: v.pipe(
    matching(
      /^pool\/[A-Za-z0-9+._~/-]+\.deb$/,
      'the path of a package in the archive: pool/ and so on to .deb',
    ),
    v.check((path) => !path.split('/').includes('..'), 'must not have ..'),
  ),
});

const debian = v.strictObject({
  suite: matching(/^[a-z][a-z0-9.-]*$/, 'the name of a suite'),
  architecture: matching(/^[a-z0-9-]+$/, 'a Debian architecture'),
  sources: v.pipe(v.array(matching(/^deb(\s+\S+){3,}$/, 'a line of sources.list')), v.minLength(1)),
  archiveKey: v.optional(archiveKey),
  variant: v.optional(
    v.picklist(['extract', 'custom', 'essential', 'apt', 'minbase', 'important', 'standard']),
    'minbase',
  ),
  packages,
  preseed,
});

/** What a layout needs besides what the recipe always has. */
const additions = v.strictObject({ packages, preseed });

const word = (what: string) => matching(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/, what);

/** What a recipe file holds. Unknown fields are faults: a misspelt one must not be ignored. */
export const recipeSchema = v.strictObject({
  name: word('letters, digits, dots, dashes and underscores'),
  fullName: line,
  osinfo: v.optional(word('an osinfo id')),
  arch: word('an architecture as uname -m names it'),
  aliases: v.optional(v.array(word('one word')), []),
  notes: v.optional(v.string(), ''),
  layout: v.picklist(LAYOUT_NAMES),
  layouts: v.optional(v.record(v.picklist(LAYOUT_NAMES), additions), {}),
  size,
  hostname: v.optional(matching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a host name'), 'localhost'),
  kernelArguments: v.optional(v.array(matching(/^[^\s"'`$\\;{}]+$/, 'one kernel argument')), []),
  debian,
  files: v.optional(v.array(file), []),
  script: v.optional(v.string(), ''),
});

/** A checked recipe, with defaults filled in and its size in bytes. */
export type Recipe = v.InferOutput<typeof recipeSchema>;
/** The key that signs the archive of a recipe's packages, and where it is found. */
export type ArchiveKey = v.InferOutput<typeof archiveKey>;
/** A file that a recipe or a layout puts into the tree. */
export type RecipeFile = v.InferOutput<typeof file>;
