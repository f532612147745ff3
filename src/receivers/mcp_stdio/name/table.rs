//! The programs that start another one as their trade: runtimes, package managers, build tools, containers.
//!
//! A row is a program with its options: those without a value, those with one, and those whose value
//! tells something. Then, after each of its subcommands, what stands there first. An option that no list
//! has ends the reading, because what follows could be its value, and that could be anything.

use super::launchers::{Launcher, Tells, Then};
use super::wrappers::WRAPPERS;

/// Options of containers' programs, whichever of their subcommands has them.
const CONTAINER_FLAGS: &str = "-i -t --rm --init --interactive --tty --read-only -d --detach --privileged -q --quiet \
     -T --no-TTY --no-deps --sig-proxy=* --replace --service-ports --build -D --debug --tls \
     --no-healthcheck --remove-orphans";
const CONTAINER_VALUED: &str = "-e --env --env-file -v --volume --volumes-from --mount --name -p --publish --network \
     --net --network-alias -w --workdir -u --user --platform --pull -l --label --add-host \
     -m --memory --memory-swap --cpus --entrypoint --security-opt --cap-add --cap-drop \
     --gpus --device --dns --hostname -h --ip --ipc --log-driver --log-opt --pid \
     --restart --runtime --shm-size --stop-signal --stop-timeout --tmpfs --ulimit \
     --userns --group-add --sysctl --cidfile --label-file --expose -H --host -c --context \
     --config --profile --project-name --ansi --annotation --pids-limit \
     --cgroupns --uts";

/// Finds the launcher that a program is.
pub(super) fn find(program: &str) -> Option<&'static Launcher> {
    LAUNCHERS.iter().chain(WRAPPERS).find(|launcher| launcher.is(program))
}

const LAUNCHERS: &[Launcher] = &[
    // JavaScript.
    Launcher {
        programs: "npx bunx pnpx",
        flags: "-y --yes --no --no-install -q --quiet --silent --prefer-offline --prefer-online \
                --offline --bun --ignore-existing --no-progress",
        valued: "--registry --userconfig --cache --loglevel --node-options",
        telling: &[
            ("-p --package", Tells::Package),
            ("-c --call", Tells::Line),
            ("--prefix -C", Tells::Folder),
        ],
        then: &[("", Then::Package)],
    },
    Launcher {
        programs: "npm pnpm yarn",
        flags: "-y --yes --no -q --quiet -s --silent --prefer-offline --offline --if-present",
        valued: "--registry --userconfig --cache --loglevel",
        telling: &[
            ("-p --package", Tells::Package),
            ("--prefix -C --cwd --dir", Tells::Folder),
            ("-w --workspace --filter -F", Tells::Package),
        ],
        then: &[
            ("exec|dlx|x", Then::Package),
            ("start|run|run-script|test|dev|node", Then::Project),
            ("workspace", Then::Name),
            ("", Then::Project),
        ],
    },
    Launcher {
        programs: "node nodejs",
        flags: "--enable-source-maps --no-warnings --no-deprecation --trace-warnings --watch \
                --experimental-* --inspect* --max-old-space-size* --use-system-ca \
                --trace-deprecation --preserve-symlinks --env-file-if-exists=*",
        valued: "-r --require --import --loader --experimental-loader --env-file -C --conditions",
        telling: &[],
        then: &[("", Then::Script)],
    },
    Launcher {
        programs: "tsx ts-node ts-node-esm ts-node-dev vite-node esno jiti swc-node babel-node",
        flags: "watch --esm --no-cache -T --transpile-only --swc --files --no-warnings --respawn \
                --skip-project --enable-source-maps --quiet",
        valued: "-r --require --import --loader --tsconfig -P --project -O --compiler-options \
                 --env-file --conditions --ignore --include --exclude",
        telling: &[],
        then: &[("", Then::Script)],
    },
    Launcher {
        programs: "bun",
        flags: "-b --bun --watch --hot --silent --smol --no-install -i --install=* --no-env-file",
        valued: "-r --preload --env-file --config -c --tsconfig-override --port --define",
        telling: &[("--cwd", Tells::Folder), ("--filter -F", Tells::Package)],
        then: &[("x", Then::Package), ("run|", Then::Script)],
    },
    Launcher {
        programs: "deno",
        flags: "-A --allow-* -R* -W* -N* -E* -S* -q --quiet --no-prompt --no-check* --no-lock \
                --unstable* --cached-only --no-config --no-npm --no-remote --node-modules-dir* \
                --watch* -r --reload* --check* --deny-* --frozen* --vendor*",
        valued: "-c --config --import-map --lock --cert -L --log-level --env-file --seed --location",
        telling: &[("--cwd", Tells::Folder)],
        then: &[("run|x|", Then::Script), ("task", Then::Project)],
    },
    Launcher {
        programs: "nodemon",
        flags: "-q --quiet -I --no-stdin -V --verbose --legacy-watch -L --esm",
        valued: "-w --watch -e --ext -i --ignore --delay --signal --config -r --require",
        telling: &[("-x --exec", Tells::Runner), ("--cwd", Tells::Folder)],
        then: &[("", Then::Script)],
    },
    // Python.
    Launcher {
        programs: "uvx",
        flags: "-q --quiet -v --verbose --offline --isolated --refresh --no-cache -n --no-progress \
                --native-tls --prerelease=* --no-config --managed-python --no-managed-python -U \
                --upgrade",
        valued: "--with -w --with-editable --with-requirements -p --python --index-url -i --index \
                 --extra-index-url --default-index --constraints -c --overrides --prerelease \
                 --env-file --cache-dir --config-file --find-links -f --exclude-newer \
                 --index-strategy --refresh-package --reinstall-package",
        telling: &[("--from", Tells::Package), ("--directory --project", Tells::Folder)],
        then: &[("", Then::Package)],
    },
    Launcher {
        programs: "uv",
        flags: "-q --quiet -v --verbose --offline --isolated --frozen --locked --no-sync --refresh \
                --no-cache -n --no-progress --native-tls --active --exact --all-extras --no-dev \
                --no-project --all-packages --no-config --managed-python --no-managed-python \
                --no-env-file --dev --only-dev -U --upgrade --no-editable --all-groups",
        valued: "--with -w --with-editable --with-requirements -p --python --index-url -i --index \
                 --extra-index-url --default-index --env-file --cache-dir --config-file --extra \
                 --group --only-group --no-group --find-links -f --prerelease --exclude-newer \
                 --index-strategy --color --refresh-package",
        telling: &[
            ("--directory --project", Tells::Folder),
            ("--from --package", Tells::Package),
            ("-m --module", Tells::Module),
            ("-s --script --gui-script", Tells::Script),
        ],
        then: &[("run", Then::Within), ("tool run|x", Then::Package)],
    },
    Launcher {
        programs: "pipx",
        flags: "-q --quiet -v --verbose --no-cache --pypackages --system-site-packages",
        valued: "--with --python --pip-args --index-url -i --suffix",
        telling: &[("--spec", Tells::Package)],
        then: &[("run", Then::Package)],
    },
    Launcher {
        programs: "python py pypy pythonw",
        flags: "-u -B -E -I -s -S -O -OO -q -b -v -P -3*",
        valued: "-W -X --check-hash-based-pycs",
        telling: &[("-m", Tells::Module)],
        then: &[("", Then::Script)],
    },
    Launcher {
        programs: "mcp fastmcp",
        flags: "--no-banner --reload --skip-env --skip-source --stateless",
        valued: "-t --transport --with -p --python --project --host --port --log-level -l \
                 --with-editable -e --with-requirements --path",
        telling: &[],
        then: &[("run|dev|dev inspector", Then::Script)],
    },
    Launcher {
        programs: "poetry pdm pipenv rye hatch bundle",
        flags: "-q --quiet -v --verbose -n --no-interaction --frozen --locked -s --no-ansi",
        valued: "-e --env --environment -f --feature --site --color",
        telling: &[
            ("-C --directory --project -P -p --manifest-path", Tells::Folder),
            ("-m --module", Tells::Module),
        ],
        then: &[("run|exec", Then::Within)],
    },
    Launcher {
        programs: "pixi",
        flags: "-q --quiet -v --verbose --frozen --locked",
        valued: "-e --environment --color",
        telling: &[("-m --manifest-path", Tells::File)],
        then: &[("run|exec", Then::Within)],
    },
    Launcher {
        programs: "conda mamba micromamba",
        flags: "--no-capture-output --live-stream -v --verbose -q --dev --debug-wrapper-scripts",
        valued: "-n --name -p --prefix -r --root-prefix -e --env",
        telling: &[("--cwd", Tells::Folder)],
        then: &[("run", Then::Command(0))],
    },
    // Other languages.
    Launcher {
        programs: "go",
        flags: "-race -v -x -a -mod=* -trimpath -buildvcs=*",
        valued: "-tags -ldflags -gcflags -mod -modfile -exec -overlay",
        telling: &[("-C", Tells::Folder)],
        then: &[("run", Then::Script)],
    },
    Launcher {
        programs: "cargo",
        flags: "-q --quiet -r --release -v --verbose --locked --offline --frozen --all-features \
                --no-default-features +* --message-format=*",
        valued: "-F --features --profile --target --target-dir -j --jobs --color --config -Z \
                 --message-format",
        telling: &[
            ("--manifest-path", Tells::File),
            ("-C", Tells::Folder),
            ("--bin --example -p --package", Tells::Package),
        ],
        then: &[("run|r", Then::Project)],
    },
    Launcher {
        programs: "java",
        flags: "-D* -X* -ea -esa -server -client --enable-* --add-opens=* --add-modules=* -agentlib:* \
                -javaagent:* --sun-misc-* --illegal-*",
        valued: "-cp -classpath --class-path -p --module-path --add-opens --add-exports --add-modules \
                 --add-reads",
        telling: &[("-jar", Tells::Script), ("-m --module", Tells::Module)],
        then: &[("", Then::Module)],
    },
    Launcher {
        programs: "jbang",
        flags: "-q --quiet --fresh -o --offline --verbose",
        valued: "--java -j --deps --repos -m --main -D --cp --class-path",
        telling: &[],
        then: &[("run|", Then::Script)],
    },
    Launcher {
        programs: "dotnet",
        flags: "--no-build --no-restore --no-launch-profile --nologo -q --interactive --force \
                --no-dependencies --allow-roll-forward",
        valued: "-c --configuration -f --framework -r --runtime -a --arch --os -lp --launch-profile \
                 -v --verbosity --roll-forward --fx-version --property -p:*",
        telling: &[("--project", Tells::File)],
        then: &[
            ("run|watch|watch run", Then::Project),
            ("tool run|tool execute|tool exec", Then::Package),
            ("exec|", Then::Script),
        ],
    },
    Launcher {
        programs: "dnx",
        flags: "-y --yes --prerelease --allow-roll-forward --interactive",
        valued: "--version --source --add-source --configfile -v --verbosity",
        telling: &[],
        then: &[("", Then::Package)],
    },
    Launcher {
        programs: "mvn mvnw gradle gradlew make just mix sbt lein stack cabal gem",
        flags: "-q --quiet -s --silent -B --console=* --no-daemon -D* -n -U -o --offline",
        valued: "-P --profile --args",
        telling: &[
            ("-C -p --project-dir --package-path --directory", Tells::Folder),
            ("-f --file", Tells::File),
        ],
        then: &[("", Then::Project)],
    },
    Launcher {
        programs: "task go-task",
        flags: "-s --silent -v --verbose -y --yes -f --force -p --parallel",
        valued: "-o --output -C --concurrency",
        telling: &[("-d --dir", Tells::Folder), ("-t --taskfile", Tells::File)],
        then: &[("", Then::Project)],
    },
    Launcher {
        programs: "swift",
        flags: "-q --quiet --skip-build -v --verbose",
        valued: "-c --configuration --product --scratch-path --build-path --triple -X*",
        telling: &[("--package-path -C", Tells::Folder)],
        then: &[("run", Then::Part)],
    },
    Launcher {
        programs: "ruby php perl lua luajit julia rscript elixir groovy pwsh-script tclsh dart kotlin \
                   racket guile escript",
        flags: "-w -W* -n -q --quiet --no-init-file --startup-file=* --vanilla --slave -d* -T -t",
        valued: "-I -r -c --project",
        telling: &[],
        then: &[("run|", Then::Script)],
    },
    // Containers.
    Launcher {
        programs: "docker podman nerdctl",
        flags: CONTAINER_FLAGS,
        valued: CONTAINER_VALUED,
        telling: &[("--project-directory", Tells::Folder), ("-f --file", Tells::File)],
        then: &[
            ("run|container run", Then::Image),
            ("compose run|compose exec", Then::Part),
            ("exec|container exec|start|attach", Then::Name),
        ],
    },
    Launcher {
        programs: "docker-compose podman-compose",
        flags: CONTAINER_FLAGS,
        valued: CONTAINER_VALUED,
        telling: &[("--project-directory", Tells::Folder), ("-f --file", Tells::File)],
        then: &[("run|exec", Then::Part)],
    },
    Launcher {
        programs: "kubectl oc",
        flags: "-i -t --stdin --tty -q --quiet",
        valued: "-n --namespace -c --container --context --kubeconfig --cluster --user",
        telling: &[],
        then: &[("exec|attach", Then::Name)],
    },
];
