import type { TemplateFields } from './publish-entry.js';
import type { TemplateEntry } from './template-entry.js';

/** What is told to people of a template, and no disk says. */
type Words = Pick<TemplateFields, 'notes' | 'aliases' | 'hidden'>;

/** `template` with the notes, the aliases and the hiding of its former revision where it leaves them open. */
export function withFormerWords<T extends Words>(template: T, former: TemplateEntry | undefined): T & Words {
  if (!former) return template;
  const { notes = former.notes, aliases = former.aliases, hidden = former.hidden } = template;
  return { ...template, notes, aliases, hidden };
}

const LOOKED_AT = {
  fullName: 'its full name',
  osinfo: 'its osinfo id',
  expand: 'the partition that grows',
  lvexpand: 'the volume that grows',
} as const;

/**
 * What of an entry differs from the former revision although nobody has `given` it, because the disk says something else: sentences.
 */
export function changesUnasked(
  template: TemplateFields,
  former: TemplateEntry | undefined,
  given: Pick<TemplateFields, keyof typeof LOOKED_AT>,
): string[] {
  if (!former) return [];
  return (Object.keys(LOOKED_AT) as (keyof typeof LOOKED_AT)[])
    .filter((key) => given[key] === undefined && template[key] !== former[key])
    .map(
      (key) =>
        `${LOOKED_AT[key]} was ${former[key] ?? 'not told'}, and is ${template[key] ?? 'not told'} now`,
    );
}
