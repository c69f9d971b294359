/** The client sent what leaves no way to go on: the connection is closed without an answer. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation';
}
