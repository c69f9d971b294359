import { TsbuilderError } from '../../errors.js';
import { yamlFault } from '../yaml-fault.js';

/**
 * Checks that a file of cloud-init's is YAML and as a whole a map, or a list.
 *
 * @throws TSB_RECIPE_INVALID with the line of the first fault, and nothing of the text: it may be the wrong file, and secret
 */
export async function assertYaml(name: string, text: string, shape: 'map' | 'list'): Promise<void> {
  const { isMap, isSeq, parseDocument, visit } = await import('yaml');
  // cloud-init reads YAML 1.1. Aliases are never followed here.
  const document = parseDocument(text, { version: '1.1', prettyErrors: false });
  const invalidAt = (position: number, problem: string): TsbuilderError =>
    invalid(`${name}: line ${text.slice(0, position).split('\n').length}: ${problem}`);
  // A tag that is not known is only worth a warning to this parser; cloud-init's gives up.
  const [fault] = [...document.errors, ...document.warnings];
  if (fault) throw invalidAt(fault.pos[0], yamlFault(fault.code));
  const anchors = new Set<string>();
  visit(document, {
    Value(_, { anchor }) {
      if (anchor !== undefined) anchors.add(anchor);
    },
    Alias(_, alias) {
      if (!anchors.has(alias.source)) throw invalidAt(alias.range?.[0] ?? 0, yamlFault('BAD_ALIAS'));
    },
  });
  const { contents } = document;
  if (shape === 'map' ? isMap(contents) : isSeq(contents)) return;
  // Nothing but comments is no setting at all, which is fine.
  if (contents === null || ('value' in contents && contents.value === null)) return;
  throw invalid(`${name}: must be a YAML ${shape} as a whole`);
}

function invalid(message: string): TsbuilderError {
  return new TsbuilderError('TSB_RECIPE_INVALID', message, {
    hint: 'cloud-init would ignore all or some of it; cloud-init schema tells more.',
  });
}
