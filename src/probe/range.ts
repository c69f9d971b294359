/** A range of bytes. */
export interface Range {
  readonly offset: number;
  readonly length: number;
}

/** First byte behind a range. */
export function endOf(range: Range): number {
  return range.offset + range.length;
}
