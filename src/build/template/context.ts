import type { Progress } from '../../progress.js';
import type { TemplateIdentity } from './identity.js';
import type { LoadedRecipe } from './recipe.js';

/** Package mirrors to use instead of the recipe's sources while a template is made. */
export interface Mirrors {
  /** For suites other than the security ones. */
  readonly mirror?: string | undefined;
  readonly securityMirror?: string | undefined;
}

/** What the steps that make a template share. */
export interface TemplateContext {
  readonly recipe: LoadedRecipe;
  readonly identity: TemplateIdentity;
  /** A private folder, removed at the end. Others may enter it but not list it. */
  readonly workDir: string;
  readonly mirrors: Mirrors;
  readonly jobs: number;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}
