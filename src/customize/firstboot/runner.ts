/** Where everything of it is in the guest. */
export const HOME = '/usr/lib/tsbuilder-firstboot';
export const SCRIPTS = `${HOME}/scripts`;
export const RUNNER = `${HOME}/run`;

/** What the guest's init runs at boot. */
export const RUN_COMMAND = `/bin/sh ${RUNNER}`;

/** The name of its service, and the mark at the end of a line of ours in somebody else's script. */
export const SERVICE = 'tsbuilder-firstboot';

/** Ends of names of scripts that are not to be run (again). */
export const DONE_SUFFIX = /\.(running|failed|interrupted)$/;

/** Everything that may start the runner; it removes these in the end. */
const HOOKS = [
  '/etc/systemd/system/*.target.wants/tsbuilder-firstboot.service',
  '/etc/systemd/system/tsbuilder-firstboot.service',
  '/etc/systemd/system/tsbuilder-firstboot.service.d',
  '/etc/systemd/system-preset/00-tsbuilder-firstboot.preset',
  '/etc/init/tsbuilder-firstboot.conf',
  '/etc/runlevels/*/tsbuilder-firstboot',
  '/etc/init.d/tsbuilder-firstboot',
  '/etc/init.d/S99tsbuilder-firstboot',
  '/etc/rc3.d/S99-tsbuilder-firstboot',
];

/** Scripts of the guest's own that a line may have been added to. */
export const RC_LOCALS = ['/etc/rc.local', '/etc/rc.d/rc.local', '/etc/init.d/after.local'] as const;

/**
 * The program that runs the scripts in order at the first boot, for any POSIX shell. It finds the root folder by its own
 * path. A script gets another name before it is started, so that one that restarts the machine is not run at every
 * boot. What has come of it is on the disk before the next begins: the machine may be switched off at any time.
 */
export const RUNNER_TEXT = `#!/bin/sh
# Runs the first boot scripts of tsbuilder in order, each of them once. One that succeeds is removed, one that fails
# is kept as NAME.failed, one that a restart of the machine cut off as NAME.interrupted. After the last one the
# service removes itself.

home=\${0%/*}
root=\${home%${HOME}}
scripts=$home/scripts
log=$root/var/log/${SERVICE}.log

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=/root
export PATH HOME
umask 022
cd /

mkdir -p "$root/var/log" 2>/dev/null
(umask 077; : >>"$log") 2>/dev/null || log=/dev/null

say() {
    echo "${SERVICE}: $*"
    echo "$(date '+%Y-%m-%d %H:%M:%S') $*" >>"$log"
}

# Whether the machine is going down: what is left is for the next boot.
stopping() {
    case "$(systemctl is-system-running 2>/dev/null)" in stopping) return 0 ;; esac
    case "$(runlevel 2>/dev/null)" in *' 0' | *' 6') return 0 ;; esac
    return 1
}

run_script() {
    name=\${1##*/}
    if ! mv "$1" "$1.running"; then
        say "$name: cannot be renamed, so it is not run"
        return
    fi
    sync "$scripts" 2>/dev/null
    say "$name: started"
    status=0
    "$1.running" </dev/null >>"$log" 2>&1 || status=$?
    if [ "$status" -eq 0 ]; then
        rm -f "$1.running"
        say "$name: done"
    else
        mv "$1.running" "$1.failed"
        say "$name: failed with status $status, kept as $1.failed"
    fi
    sync "$scripts" "$log" 2>/dev/null
}

remove_service() {
    for hook in ${HOOKS.map((path) => `"$root"${path}`).join(' \\\n        ')}; do
        rm -rf "$hook"
    done
    for file in ${RC_LOCALS.map((path) => `"$root"${path}`).join(' ')}; do
        if [ -f "$file" ] && [ ! -L "$file" ] && grep -q '# ${SERVICE}$' "$file"; then
            sed -i '/# ${SERVICE}$/d' "$file"
        fi
    done
    rm -f "$home/run"
    rmdir "$scripts" "$home" 2>/dev/null
}

for script in "$scripts"/*.running; do
    [ -f "$script" ] || continue
    mv "$script" "\${script%.running}.interrupted"
    script=\${script%.running}
    say "\${script##*/}: was cut off by a restart, kept as $script.interrupted"
done

for script in "$scripts"/[0-9]*; do
    case "$script" in *.running | *.failed | *.interrupted) continue ;; esac
    [ -f "$script" ] || continue
    if stopping; then
        say "the machine is stopping: the rest is run at the next boot"
        exit 0
    fi
    run_script "$script"
done

for script in "$scripts"/[0-9]*; do
    case "$script" in *.failed | *.interrupted) continue ;; esac
    if [ -f "$script" ]; then exit 0; fi
done
say "finished"
remove_service
sync
exit 0
`;
