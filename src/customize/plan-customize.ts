import type { Operation } from './operation-kind.js';

/** Operations that are done together: offline ones with one commit, in-guest ones in one system. */
export interface CustomizeStage {
  readonly runs: Operation['kind']['runs'];
  readonly operations: readonly Operation[];
}

/** A stage in words, as data: no values, which may be secrets. */
export interface DescribedStage {
  readonly runs: CustomizeStage['runs'];
  readonly operations: readonly { readonly name: string; readonly description: string }[];
}

/**
 * The stages that do `operations` in their order, but for passwords, which come after all else: what an operation installs
 * may make the user whose password is set.
 */
export function planCustomize(operations: readonly Operation[]): CustomizeStage[] {
  const isLast = ({ kind }: Operation): boolean => kind.last === true;
  const stages: { runs: CustomizeStage['runs']; operations: Operation[] }[] = [];
  for (const operation of [...operations.filter((one) => !isLast(one)), ...operations.filter(isLast)]) {
    const { runs } = operation.kind;
    const current = stages.at(-1);
    if (current?.runs === runs) current.operations.push(operation);
    else stages.push({ runs, operations: [operation] });
  }
  return stages;
}

/** What the stages will do. */
export function describeStages(stages: readonly CustomizeStage[]): DescribedStage[] {
  return stages.map(({ runs, operations }) => ({ runs, operations: operations.map(describeOperation) }));
}

/** What one operation will do, without secrets. */
export function describeOperation({ kind, value }: Operation): DescribedStage['operations'][number] {
  return { name: kind.name, description: kind.describe(value) };
}
