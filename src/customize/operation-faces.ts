// Made from the operations: npx vitest run -u test/customize/operations.test.ts

/** What help says of an operation, without loading the operation itself. */
export interface OperationFace {
  readonly name: string;
  readonly argument?: string;
  readonly summary: string;
}

/** The faces of all operations, in alphabetical order. */
export const OPERATION_FACES: readonly OperationFace[] = [];
