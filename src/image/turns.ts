/** Lets tasks that run at once do one step in the order in which they took their turns. */
export interface Turns {
  /** Takes the next turn. Each turn taken must be ended, even when its task fails, or all later ones wait for ever. */
  take(): Turn;
}

export interface Turn {
  /** Resolves when all earlier turns have ended. */
  readonly begun: Promise<void>;
  /** Ends the turn; it may never have begun. */
  end(): void;
}

export function createTurns(): Turns {
  let last = Promise.resolve();
  return {
    take() {
      const begun = last;
      let release = (): void => undefined;
      const ended = new Promise<void>((resolve) => {
        release = resolve;
      });
      last = begun.then(() => ended);
      return { begun, end: () => release() };
    },
  };
}
