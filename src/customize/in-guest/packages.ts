import * as v from 'valibot';
import { TsbuilderError } from '../../errors.js';
import type { GuestOs, PackageManager } from '../../guest/inspect.js';
import { textOrObject } from '../text-or-object.js';
import { packageProblem } from '../firstboot/install-script.js';
import { type PackageTask, packageScript } from './package-commands.js';

/** What reads the packages of operation `name`: `curl,git`, in YAML also a list. */
export function packagesArgument(name: string): {
  parse: (text: string) => string[];
  schema: v.GenericSchema<unknown, string[]>;
} {
  const parse = (text: string): string[] => {
    const packages = text.split(',').map((each) => each.trim());
    const problem = packages.map(nameProblem).find((each) => each !== undefined);
    if (problem === undefined) return packages;
    throw new TsbuilderError('TSB_USAGE', `--${name} ${JSON.stringify(text)}: ${problem}`, {
      hint: 'Give names separated by commas: curl,git.',
    });
  };
  return { parse, schema: textOrObject(parse, list) };
}

const list = v.pipe(
  v.array(
    v.pipe(
      v.string(),
      v.check(
        (name) => nameProblem(name) === undefined,
        (issue) => nameProblem(issue.input) ?? '',
      ),
    ),
  ),
  v.minLength(1, 'name a package'),
);

/** apt-get takes a dash at the end of a name for the wish to remove the package. */
function nameProblem(name: string): string | undefined {
  return packageProblem(name) ?? (name.endsWith('-') ? `'${name}' ends in a dash` : undefined);
}

/** @throws TSB_GUEST when the guest has none that is known */
export function packageManagerOf(os: GuestOs): PackageManager {
  if (os.packageManager !== undefined) return os.packageManager;
  throw new TsbuilderError('TSB_GUEST', 'the guest has no package manager that is known', {
    hint: 'Name the commands that do it: --run-command, --firstboot-command.',
  });
}

/**
 * The shell script that does `task` with the guest's own package manager.
 *
 * @throws TSB_GUEST when the guest has none that is known
 */
export function packageTask(
  os: GuestOs,
  task: PackageTask,
  packages: readonly string[] = [],
): Promise<string> {
  return new Promise((resolve) => resolve(packageScript(packageManagerOf(os), task, packages)));
}
