import type { OperationKind } from './operation-kind.js';

/** Every operation there is, in alphabetical order: what flags, command files, YAML lists, their schema and the manual are made of. */
export const OPERATIONS: readonly OperationKind<unknown>[] = [];

/** The operation called `name` (`append-line`), if there is one. */
export function findOperation(name: string): OperationKind<unknown> | undefined {
  return OPERATIONS.find((kind) => kind.name === name);
}
