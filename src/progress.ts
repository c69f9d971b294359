/** One running step. Disposing it ends it; a step with a total shows bytes, rate and time left. */
export interface Step extends Disposable {
  /** `bytes` more have been done since the last call. */
  advance(bytes: number): void;
}

/** How long work reports itself. Implementations live in `ui/`; library code knows only this interface. */
export interface Progress {
  /** Starts a step. `label` is a present participle without dots ("Downloading debian-12"); `totalBytes` when known. */
  step(label: string, totalBytes?: number): Step;
  /** Something the user should know that does not stop the work. One sentence. */
  warn(message: string): void;
  /** Detail shown only with `--verbose`. */
  detail(message: string): void;
}

/** A Progress that shows nothing: for tests, `--quiet`, and callers that do not care. */
export const silentProgress: Progress = {
  step: () => ({ advance: () => undefined, [Symbol.dispose]: () => undefined }),
  warn: () => undefined,
  detail: () => undefined,
};
