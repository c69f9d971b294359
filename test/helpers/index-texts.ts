import fc from 'fast-check';

/** Texts of indexes with up to three of `section`, mostly as they should be put together. */
export function indexTexts(section: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .record({
      sections: fc.array(section, { maxLength: 3 }),
      between: fc.constantFrom('\n\n', '\n\n', '\n\n\n', '\n'),
      head: fc.constantFrom('', '', '', '# head\n', '\n', ' \n', ' continued\n', 'field=x\n'),
      tail: fc.constantFrom('\n', '\n', '\n', '\n\n', ''),
      lineEnd: fc.constantFrom('\n', '\n', '\n', '\n', '\n', '\r\n'),
    })
    .map(({ sections, between, head, tail, lineEnd }) =>
      `${head}${sections.join(between)}${tail}`.replaceAll('\n', lineEnd),
    );
}
