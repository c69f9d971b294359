import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** The environment variables that say where a user's files are. */
export type FolderEnv = Readonly<Record<string, string | undefined>>;

/** Base folder by the XDG specification: a relative path in the variable is ignored. */
function xdg(env: FolderEnv, variable: string, fallback: string): string {
  const value = env[variable];
  return value !== undefined && isAbsolute(value) ? value : join(env['HOME'] ?? homedir(), fallback);
}

/** `$XDG_CONFIG_HOME`, else `~/.config`. */
export function configHome(env: FolderEnv = process.env): string {
  return xdg(env, 'XDG_CONFIG_HOME', '.config');
}

/** Where the user's own sources are: `tsbuilder/repos.d` in the configuration folder. */
export function userSourcesFolder(env: FolderEnv = process.env): string {
  return join(configHome(env), 'tsbuilder', 'repos.d');
}

/** Where the local repository and its key are: `$TSBUILDER_DATA_DIR`, else `$XDG_DATA_HOME/tsbuilder`. */
export function dataFolder(env: FolderEnv = process.env): string {
  return env['TSBUILDER_DATA_DIR'] || join(xdg(env, 'XDG_DATA_HOME', '.local/share'), 'tsbuilder');
}

/** The repository that `template build` fills. */
export function localRepositoryFolder(env: FolderEnv = process.env): string {
  return join(dataFolder(env), 'repository');
}

/** What must outlive the cache: `$TSBUILDER_DATA_DIR/state`, else `$XDG_STATE_HOME/tsbuilder`. */
export function stateFolder(env: FolderEnv = process.env): string {
  const data = env['TSBUILDER_DATA_DIR'];
  return data ? join(data, 'state') : join(xdg(env, 'XDG_STATE_HOME', '.local/state'), 'tsbuilder');
}

/** Default folder of the cache: `$XDG_CACHE_HOME/tsbuilder`, else `~/.cache/tsbuilder`. */
export function cacheFolder(env: FolderEnv = process.env): string {
  return join(xdg(env, 'XDG_CACHE_HOME', '.cache'), 'tsbuilder');
}
