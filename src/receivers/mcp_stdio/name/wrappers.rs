//! The programs that start another one in some other way than as their trade: bridges between transports,
//! shells, sandboxes, other users and machines, environments.

use super::launchers::{Launcher, Tells, Then};

pub(super) const WRAPPERS: &[Launcher] = &[
    // Bridges between transports.
    Launcher {
        programs: "mcp-remote mcp-proxy mcp-remote-client",
        flags: "--debug --allow-http --silent --enable-proxy --ignore-tool --stateless \
                --pass-environment --no-verify-ssl",
        valued: "--header --transport --transport-type --host --port --auth-timeout -H --headers \
                 --client-id --client-secret --token-url --log-level --resource -e --env --cwd \
                 --static-oauth-client-info --static-oauth-client-metadata",
        telling: &[],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "supergateway",
        flags: "--stateful --cors --healthEndpoint*",
        valued: "--port --baseUrl --ssePath --messagePath --streamableHttpPath --header --logLevel \
                 --outputTransport --oauth2Bearer --protocolVersion --sessionTimeout",
        telling: &[
            ("--stdio", Tells::Line),
            ("--sse --streamableHttp --streamable-http", Tells::Address),
        ],
        then: &[],
    },
    Launcher {
        programs: "@modelcontextprotocol/inspector mcp-inspector",
        flags: "--cli",
        valued: "-e --config --server --transport",
        telling: &[],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "@smithery/cli smithery",
        flags: "-y --yes --no-open",
        valued: "--key --profile --config --client",
        telling: &[],
        then: &[("run", Then::Package)],
    },
    // Shells and programs that run another one in some other way.
    Launcher {
        programs: "sh bash zsh dash ash ksh fish",
        flags: "-l -i -e -u -x --login --noprofile --norc --posix -p -f",
        valued: "-o -O --rcfile --init-file",
        telling: &[("-c", Tells::Line)],
        then: &[("", Then::Script)],
    },
    Launcher {
        programs: "cmd",
        flags: "/d /s /q /D /S /Q /v:* /V:* /a /u",
        valued: "",
        telling: &[("/c /C /k /K /r /R", Tells::Rest)],
        then: &[],
    },
    Launcher {
        programs: "powershell pwsh",
        flags: "-NoProfile -noprofile -NoLogo -nologo -NonInteractive -noninteractive -Login",
        valued: "-ExecutionPolicy -executionpolicy -ep -WindowStyle -WorkingDirectory",
        telling: &[("-Command -command -c", Tells::Rest), ("-File -file -f", Tells::Script)],
        then: &[("", Then::Script)],
    },
    Launcher {
        programs: "env",
        flags: "-i - --ignore-environment -0 -v --debug",
        valued: "-u --unset -P",
        telling: &[("-C --chdir", Tells::Folder), ("-S --split-string", Tells::Line)],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "sudo doas run0",
        flags: "-E --preserve-env* -n --non-interactive -H --set-home -i -b -S",
        valued: "-u --user -g --group -h --host -p --prompt -C -r -t -T",
        telling: &[("-D --chdir", Tells::Folder)],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "nice ionice nohup setsid stdbuf time caffeinate command exec tini dumb-init catatonit \
                   winpty arch chrt unbuffer setpriv xvfb-run cross-env dbus-run-session su-exec \
                   prlimit proxychains proxychains4 torsocks",
        flags: "-i* -o* -e* -s -g -w --wait -a --auto-servernum -q -p -d -f -c* --foreground -x86_64 \
                -arm64 --no-new-privs -0* -1* -2* --reset-env -l",
        valued: "-n --adjustment --class --classdata --nofile -c -o -e",
        telling: &[],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "runuser",
        flags: "-l -m -p -P",
        valued: "-u --user -g --group -G --supp-group -s --shell -w",
        telling: &[("-c --command", Tells::Line)],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "su",
        flags: "- -l --login -m -p -P",
        valued: "-g --group -G --supp-group -s --shell -w",
        telling: &[("-c --command", Tells::Line)],
        then: &[("", Then::Project)],
    },
    Launcher {
        programs: "systemd-run",
        flags: "--user --system --pipe -P --pty -t --wait -q --quiet --scope -d --same-dir -G --collect \
                --no-block -r --remain-after-exit",
        valued: "-p --property -E --setenv -u --unit --uid --gid --nice --slice --description \
                 --service-type -M --machine -H --host",
        telling: &[("--working-directory", Tells::Folder)],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "firejail",
        flags: "--quiet --noprofile --private --seccomp --nonewprivs --noroot --nosound --nogroups \
                --caps --ipc-namespace --private-dev --private-tmp --private-cache --apparmor --deterministic-exit-code",
        valued: "",
        telling: &[],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "bwrap",
        flags: "--unshare-* --share-net --die-with-parent --new-session --clearenv --as-pid-1 \
                --disable-userns",
        valued: "--dev --proc --tmpfs --mqueue --dir --unsetenv --uid --gid --hostname --lock-file \
                 --remount-ro --cap-add --cap-drop --seccomp --info-fd --sync-fd --block-fd --userns \
                 --perms --size --argv0 --exec-label --file-label",
        telling: &[
            ("--chdir", Tells::Folder),
            (
                "--bind --bind-try --ro-bind --ro-bind-try --dev-bind --dev-bind-try --setenv --symlink \
                 --file --bind-data --ro-bind-data --chmod",
                Tells::Two,
            ),
        ],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "strace ltrace",
        flags: "-f -ff -F -q -qq -v -t -tt -ttt -T -y -yy -x -xx -i -r -c -C -n -z -Z -w -D -d",
        valued: "-o -e -s -u -E -a -b -I -O -P -S -X -U",
        telling: &[],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "sandbox-exec",
        flags: "",
        valued: "-f -n -p -D",
        telling: &[],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "watchexec",
        flags: "-r --restart -c --clear* -q --quiet -n -N --notify --no-vcs-ignore",
        valued: "-w --watch -W --watch-non-recursive -e --exts -i --ignore -f --filter -s --signal -d \
                 --debounce --stop-signal --stop-timeout --shell -o --on-busy-update -E --env",
        telling: &[("--workdir", Tells::Folder)],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "unshare",
        flags: "-r -n -m -p -i -u -U -f -c -C -T --map-* --net* --mount* --pid* --fork --user* --ipc* \
                --uts* --cgroup* --kill-child*",
        valued: "-R --root -w --wd -S --setuid -G --setgid --propagation",
        telling: &[],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "flatpak-spawn",
        flags: "--host --watch-bus --clear-env --sandbox --latest-version --no-network",
        valued: "",
        telling: &[("--directory", Tells::Folder)],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "timeout gtimeout taskset chroot flock gosu setuidgid s6-setuidgid",
        flags: "--foreground --preserve-status -v --verbose -n --nonblock -c -x -s* -k*",
        valued: "-s --signal -k --kill-after -w --wait --userspec",
        telling: &[],
        then: &[("", Then::Command(1))],
    },
    Launcher {
        programs: "ssh autossh",
        flags: "-T -t -q -A -a -C -4 -6 -v -x -X -n -N -tt",
        valued: "-p -i -l -o -F -J -L -R -D -b -c -m -E -S -W -M",
        telling: &[],
        then: &[("", Then::Remote(1))],
    },
    Launcher {
        programs: "wsl",
        flags: "--exec -e --",
        valued: "-d --distribution -u --user --shell-type",
        telling: &[("--cd", Tells::Folder)],
        then: &[("", Then::Command(0))],
    },
    Launcher {
        programs: "toolbox",
        flags: "-y --assumeyes",
        valued: "-c --container -d --distro -r --release",
        telling: &[],
        then: &[("run", Then::Command(0))],
    },
    Launcher {
        programs: "distrobox",
        flags: "-T --no-tty -nw --no-workdir -r --root",
        valued: "-n --name -a --additional-flags",
        telling: &[],
        then: &[("enter", Then::Behind)],
    },
    Launcher {
        programs: "lima limactl multipass colima",
        flags: "-n --no-map-working-directory --tty*",
        valued: "--workdir --shell -d --working-directory -p --profile",
        telling: &[],
        then: &[("shell|exec", Then::Remote(1)), ("ssh|", Then::Remote(0))],
    },
    Launcher {
        programs: "vagrant",
        flags: "--no-tty",
        valued: "",
        telling: &[("-c --command", Tells::Line)],
        then: &[("ssh", Then::Behind)],
    },
    Launcher {
        programs: "mise rtx",
        flags: "-q --quiet -y --yes --raw -v --verbose --silent",
        valued: "-E --env -j --jobs",
        telling: &[("-C --cd", Tells::Folder), ("-c --command", Tells::Line)],
        then: &[("exec|x", Then::Behind), ("run|r", Then::Project)],
    },
    Launcher {
        programs: "nix-shell",
        flags: "--pure --impure -p --packages -Q -q --quiet --keep",
        valued: "-A --attr -I -i -E --expr",
        telling: &[("--run --command", Tells::Line), ("--arg --argstr --option", Tells::Two)],
        then: &[("", Then::Project)],
    },
    Launcher {
        programs: "nix",
        flags: "--impure --refresh --offline -L --print-build-logs --accept-flake-config -q --quiet \
                --no-write-lock-file --no-update-lock-file -v --verbose -i --ignore-environment",
        valued: "--extra-experimental-features --experimental-features -I --inputs-from -k --keep",
        telling: &[
            ("-c --command", Tells::Rest),
            ("--override-input --override-flake --arg --argstr --option", Tells::Two),
        ],
        then: &[("run", Then::Flake), ("shell|develop", Then::Project)],
    },
    Launcher {
        programs: "nvm aws-vault chamber",
        flags: "--silent --no-session -n",
        valued: "-d --duration --region",
        telling: &[],
        then: &[("exec|run", Then::Command(1))],
    },
    Launcher {
        programs: "dotenv dotenvx env-cmd dotenv-cli @dotenvx/dotenvx op doppler infisical direnv asdf fnm \
                   volta devbox teller mcpcol",
        flags: "-o --override --overload -q --quiet --silent --no-masking --use-env --no-fallback -c",
        valued: "-e -f --file --env-file -p --project --config --token --env --account --scope --using \
                 --node -v --name --projectId --path",
        telling: &[],
        then: &[("run|exec|x|stdio|develop", Then::Command(0)), ("", Then::Command(0))],
    },
];
