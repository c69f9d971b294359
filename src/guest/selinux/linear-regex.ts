import { type Pattern, parsePattern } from './parse-pattern.js';

/** A counter of matching steps, shared by many matches: what a guest's files can make this program do is bounded by it. */
export interface StepBudget {
  left: number;
}

/** Tests whether a whole text matches. False also when the budget is used up. */
export type LinearRegex = (text: string, budget: StepBudget) => boolean;

type Instruction =
  | { readonly op: 'test'; readonly test: (code: number) => boolean }
  | { readonly op: 'split'; readonly first: number; readonly second: number }
  | { readonly op: 'match' };

const MAX_INSTRUCTIONS = 4000;

/**
 * Compiles a regular expression of the kind that SELinux' file_contexts have, to be matched in time proportional to its
 * length times the text's: all ways of matching are followed side by side (Thompson's construction), never one after
 * the other, so that no expression in a guest can stall this program.
 *
 * @returns undefined when the expression uses what this cannot do (look-around, back references) or is too large
 */
export function compileLinearRegex(source: string): LinearRegex | undefined {
  const pattern = parsePattern(source);
  if (!pattern) return undefined;
  const program: Instruction[] = [];
  if (!emit(program, pattern)) return undefined;
  program.push({ op: 'match' });
  return (text, budget) => matches(program, text, budget);
}

/** Appends the instructions for `pattern`; false when the program has become too large. */
function emit(program: Instruction[], pattern: Pattern): boolean {
  if (program.length > MAX_INSTRUCTIONS) return false;
  if (pattern.kind === 'test') return program.push({ op: 'test', test: pattern.test }) > 0;
  if (pattern.kind === 'sequence') return pattern.parts.every((part) => emit(program, part));
  if (pattern.kind === 'choice') return emitChoice(program, pattern.options);
  for (let count = 0; count < pattern.min; count++) if (!emit(program, pattern.part)) return false;
  if (pattern.max === Infinity) return emitLoop(program, pattern.part);
  for (let count = pattern.min; count < pattern.max; count++) {
    if (!emitChoice(program, [pattern.part, { kind: 'sequence', parts: [] }])) return false;
  }
  return true;
}

function emitChoice(program: Instruction[], options: readonly Pattern[]): boolean {
  const ends: number[] = [];
  for (const [index, option] of options.entries()) {
    const split = program.length;
    const last = index === options.length - 1;
    if (!last) program.push({ op: 'split', first: split + 1, second: 0 });
    if (!emit(program, option)) return false;
    if (last) break;
    ends.push(program.length);
    program.push({ op: 'split', first: 0, second: 0 });
    program[split] = { op: 'split', first: split + 1, second: program.length };
  }
  for (const end of ends) program[end] = { op: 'split', first: program.length, second: program.length };
  return true;
}

function emitLoop(program: Instruction[], part: Pattern): boolean {
  const split = program.length;
  program.push({ op: 'split', first: split + 1, second: 0 });
  if (!emit(program, part)) return false;
  program.push({ op: 'split', first: split, second: split });
  program[split] = { op: 'split', first: split + 1, second: program.length };
  return true;
}

function matches(program: readonly Instruction[], text: string, budget: StepBudget): boolean {
  let states = closure(program, [0], budget);
  for (let at = 0; at < text.length && states.length > 0; at++) {
    const code = text.charCodeAt(at);
    const next: number[] = [];
    for (const state of states) {
      const instruction = program[state];
      if (instruction?.op === 'test' && instruction.test(code)) next.push(state + 1);
    }
    states = closure(program, next, budget);
    if (budget.left <= 0) return false;
  }
  return states.some((state) => program[state]?.op === 'match');
}

/** The states that can be reached from `from` without reading a character. */
function closure(program: readonly Instruction[], from: readonly number[], budget: StepBudget): number[] {
  const seen = new Set<number>();
  const todo = [...from];
  for (let state = todo.pop(); state !== undefined; state = todo.pop()) {
    if (seen.has(state)) continue;
    seen.add(state);
    const instruction = program[state];
    if (instruction?.op === 'split') todo.push(instruction.first, instruction.second);
  }
  budget.left -= seen.size + 1;
  return [...seen];
}
