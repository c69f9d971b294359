import { existsSync } from 'node:fs';

/** An image, and a partition of it. */
export interface ImagePart {
  readonly src: string;
  /** Number of the partition; 0: a filesystem on the whole disk; undefined: nobody said. */
  readonly partition: number | undefined;
}

/**
 * Reads `SRC[:PART]`, where SRC may have colons itself: `:N` at the end is a partition, unless a file has the whole name, or it is the
 * port of a URL without a path. `exists` tells whether a file has a name.
 */
export function parseImagePart(text: string, exists: (path: string) => boolean = existsSync): ImagePart {
  const match = /^(.+):(\d{1,4})$/s.exec(text);
  const isPort = /^[a-z][a-z0-9+.-]*:\/\/[^/]*$/i.test(text);
  if (!match?.[1] || isPort || exists(text)) return { src: text, partition: undefined };
  return { src: match[1], partition: Number(match[2]) };
}
