/** What is wrong where the parser of YAML gives up: its own messages quote the text, which may be a secret. */
const FAULTS: Readonly<Record<string, string>> = {
  ALIAS_PROPS: 'an alias cannot have an anchor or a tag',
  BAD_ALIAS: 'an alias is not as it must be, or for an anchor that does not stand before it',
  BAD_COLLECTION_TYPE: 'a tag does not fit what it stands at',
  BAD_DIRECTIVE: 'a directive is not known',
  BAD_DQ_ESCAPE: 'a backslash in double quotes has no meaning here',
  BAD_INDENT: 'the indentation is wrong',
  BAD_PROP_ORDER: 'an anchor or a tag is in the wrong place',
  BAD_SCALAR_START: 'text that begins with this character must be in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a map or list cannot begin here',
  BLOCK_IN_FLOW: 'block style cannot stand inside brackets or braces',
  DUPLICATE_KEY: 'a map has this key already',
  MISSING_CHAR: 'a character is missing, such as a quote, a bracket or a colon',
  MULTILINE_IMPLICIT_KEY: 'a key must be in one line; is a colon missing?',
  MULTIPLE_DOCS: 'only one document can be in the file',
  TAB_AS_INDENT: 'tabs cannot indent',
  TAG_RESOLVE_FAILED: 'a tag is not known, or does not fit its value',
  UNEXPECTED_TOKEN: 'something stands here that cannot; quotes may be missing',
};

/** The words for an error code of the parser's, without anything of the text. */
export function yamlFault(code: string): string {
  return (Object.hasOwn(FAULTS, code) ? FAULTS[code] : undefined) ?? 'is no valid YAML';
}
