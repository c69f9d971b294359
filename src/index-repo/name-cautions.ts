import { normaliseArchitecture } from './architecture.js';
import type { IndexSection, TemplateFields } from './publish-entry.js';

/**
 * What whoever publishes `template` beside `sections` should know of its names: sentences. A name beats an alias, and of two templates with
 * one alias the higher revision wins, whatever it is a revision of.
 */
export function nameCautions(template: TemplateFields, sections: readonly IndexSection[]): string[] {
  const arch = normaliseArchitecture(template.arch);
  const others = sections.filter(
    (one) => one.name !== template.name && normaliseArchitecture(one.arch ?? '') === arch,
  );
  const aliases = new Set(template.aliases);
  return others.flatMap((other) => [
    ...(aliases.has(other.name)
      ? [`the alias ${other.name} is the name of another template here: the alias finds nothing`]
      : []),
    ...(other.aliases.includes(template.name)
      ? [`${template.name} is an alias of ${other.name} here, which is not found by it any more`]
      : []),
    ...other.aliases
      .filter((alias) => aliases.has(alias))
      .map((alias) => `${alias} is an alias of ${other.name} too: it finds the one with the higher revision`),
  ]);
}
