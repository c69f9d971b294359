/** What a server has done since it started. Plain numbers that only grow; whoever does the work adds to them. */
export interface Counters {
  /** NBD requests answered, errors included. */
  requests: number;
  /** NBD requests answered with an error. */
  errors: number;
  /** Connections accepted. */
  connections: number;
  bytesServed: number;
  bytesWritten: number;
  segmentsDecoded: number;
  bytesDecoded: number;
  /** Reads answered without waiting for a decoder, and the others. */
  cacheHits: number;
  cacheMisses: number;
  /** Bytes read from the image: from the file or the network. */
  bytesFetched: number;
  /** Requests sent to HTTP servers, retries and redirects included. */
  httpRequests: number;
}

/** Counters that all stand at zero. */
export function newCounters(): Counters {
  return {
    requests: 0,
    errors: 0,
    connections: 0,
    bytesServed: 0,
    bytesWritten: 0,
    segmentsDecoded: 0,
    bytesDecoded: 0,
    cacheHits: 0,
    cacheMisses: 0,
    bytesFetched: 0,
    httpRequests: 0,
  };
}
