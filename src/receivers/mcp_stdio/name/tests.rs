//! Launch lines as they stand in agents' configurations, and what their servers are called.

use proptest::strategy::Strategy as _;

use super::*;

/// The name of what `line` starts in `/srv/forecast`; quotes hold words together.
fn named(line: &str) -> ServerName {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    let words: Vec<_> = words.into_iter().map(OsString::from).collect();
    server_name(&words, Some(Path::new("/srv/forecast")))
}

/// Every line of the table that has another name, with that.
fn wrong<'a>(table: &[(&'a str, &str)], general: bool) -> Vec<(&'a str, ServerName)> {
    let named = table.iter().map(|(line, name)| (*line, named(line), (*name).to_owned()));
    let wrong = named.filter(|(_, found, name)| (&found.text, found.general) != (name, general));
    wrong.map(|(line, found, _)| (line, found)).collect()
}

/// `forecast` is the folder that they are started in.
const JAVASCRIPT: &[(&str, &str)] = &[
    (
        "npx -y @modelcontextprotocol/server-filesystem /home/me",
        "@modelcontextprotocol/server-filesystem",
    ),
    ("npx @scope/server@1.2.3 --token t", "@scope/server"),
    ("npx --no-install pkg", "pkg"),
    ("/usr/bin/npx --yes weather@latest", "weather"),
    ("npx -p @scope/pkg some-bin", "@scope/pkg"),
    ("npx --package=@scope/pkg some-bin", "@scope/pkg"),
    ("npx -y -p tsx tsx /x/weather/src/index.ts", "weather"),
    ("npx -y github:acme/weather-mcp", "weather-mcp"),
    ("npx acme/weather-mcp", "weather-mcp"),
    ("npx -y git+https://u:p@git.example/acme/weather-mcp.git", "weather-mcp"),
    ("npx tsx src/index.ts", "forecast"),
    ("npx tsx /x/weather/src/index.ts", "weather"),
    ("npx -y ts-node --esm src/weather.ts", "weather"),
    ("npx nodemon --exec 'npx tsx src/weather.ts'", "weather"),
    ("npx ./weather", "weather"),
    ("npx --prefix /x/weather tsx src/server.ts", "weather"),
    ("npx -y @smithery/cli@latest run @acme/weather --key 0123-abcd", "@acme/weather"),
    ("npx @modelcontextprotocol/inspector node /x/weather/build/index.js", "weather"),
    ("npx dotenv-cli -e .env -- node weather.js", "weather"),
    ("bunx @scope/pkg", "@scope/pkg"),
    ("bun x pkg", "pkg"),
    ("bun run --watch src/index.ts", "forecast"),
    ("bun /x/weather/index.ts", "weather"),
    ("bun --cwd /x/weather start", "weather"),
    ("bun run /x/weather/dist/weather-server.js", "weather-server"),
    ("pnpx weather", "weather"),
    ("pnpm dlx weather", "weather"),
    ("pnpm --dir /x/weather start", "weather"),
    ("pnpm --filter @acme/weather start", "@acme/weather"),
    ("yarn dlx -q @scope/pkg", "@scope/pkg"),
    ("yarn --cwd /x/weather start", "weather"),
    ("yarn workspace weather start", "weather"),
    ("npm exec -y -- weather --stdio", "weather"),
    ("npm exec --package=@scope/pkg -- pkg", "@scope/pkg"),
    ("npm --prefix /x/weather start", "weather"),
    ("npm --prefix=/x/weather run mcp -- --prefix /y/other", "weather"),
    ("npm run -s start --prefix /x/weather", "weather"),
    ("npm start", "forecast"),
    ("node .../weather/build/index.js", "weather"),
    ("node /x/weather/build/index.js --key k", "weather"),
    ("node index.js", "forecast"),
    ("node /home/me/code/weather/dist/main.cjs", "weather"),
    ("node --enable-source-maps --env-file=.env dist/weather.mjs", "weather"),
    ("node --import ./x.js app/main.mjs", "forecast"),
    ("node -r dotenv/config /x/weather/server.js", "weather"),
    ("node /usr/lib/node_modules/@scope/pkg/dist/index.js", "@scope/pkg"),
    ("node /x/node_modules/.bin/weather", "weather"),
    ("/home/me/.nvm/versions/node/v22.1.0/bin/node /x/weather/index.js", "weather"),
    ("tsx watch src/weather.ts", "weather"),
    ("ts-node -P tsconfig.json /x/weather/src/index.ts", "weather"),
    ("nodemon -q --watch src /x/weather/index.js", "weather"),
    ("deno run -A npm:@scope/x", "@scope/x"),
    ("deno run --allow-net --allow-read=/x jsr:@scope/x@1/stdio", "@scope/x"),
    ("deno run -RE /x/weather/main.ts", "weather"),
    ("deno run -A https://deno.example/x/weather/mod.ts?token=t", "deno.example/x/weather/mod.ts"),
    ("deno task --cwd /x/weather start", "weather"),
    ("npx -y -p typescript -p ts-node ts-node src/weather.ts", "weather"),
    ("npx -y -p typescript -p ts-node ts-node src/index.ts", "forecast"),
    ("npx -p @acme/weather sh -c weather", "weather"),
    ("npx -y github:acme/weather#main", "weather"),
    ("npx -y git@github.com:acme/weather.git#semver:^1", "weather"),
    ("npx -y https://host/acme/weather-1.2.3.tgz?token=t", "weather"),
    ("bunx github:acme/weather", "weather"),
    ("bunx --bun acme/weather#v1", "weather"),
    ("pnpm dlx github:acme/weather#main", "weather"),
    ("pnpm --package=weather dlx serve", "weather"),
    ("yarn dlx -p weather serve", "weather"),
    ("tsx watch --clear-screen=false src/index.ts", "forecast"),
    ("tsx watch --ignore dist src/weather.ts", "weather"),
    ("nodemon --exec tsx src/index.ts", "forecast"),
    ("nodemon --watch src --exec 'node --import tsx' src/weather.ts", "weather"),
    ("nodemon -x 'npx -y weather'", "weather"),
    ("deno run https://deno.land/x/weather@1.2/mod.ts", "weather"),
    (
        "deno run -A https://raw.githubusercontent.com/acme/weather/main/src/index.ts?token=t",
        "weather",
    ),
    (
        "deno run -A https://u:p@raw.githubusercontent.com/acme/tools/refs/heads/main/weather.ts",
        "weather",
    ),
    ("deno run -A https://esm.sh/@acme/weather@1.2/dist/main.js", "@acme/weather"),
    ("deno run -A https://jsr.io/@acme/weather/1.0.0/mod.ts", "@acme/weather"),
    ("deno run https://cdn.jsdelivr.net/npm/weather@1/mod.js", "weather"),
    ("deno run https://unpkg.com/weather@1.2.3", "weather"),
];

const PYTHON: &[(&str, &str)] = &[
    ("uvx mcp-server-git==2025.1 --repository x", "mcp-server-git"),
    ("uvx mcp-weather[extra]@1.0", "mcp-weather"),
    ("uvx --from git+https://u:p@host/x mcp-server-x", "mcp-server-x"),
    ("uvx --from git+https://host/acme/weather@v1 serve", "weather"),
    ("uvx --from mcp-weather weather-server", "mcp-weather"),
    ("uvx --python 3.12 --with httpx weather-mcp", "weather-mcp"),
    ("uvx --from mcp[cli] mcp run /x/weather/server.py", "weather"),
    ("uvx mcp-proxy https://mcp.example.com/sse", "mcp.example.com/sse"),
    ("uv --directory /x/weather run weather.py", "weather"),
    ("uv --directory /x/weather run server.py", "weather"),
    ("uv run --directory /srv/weather server.py", "weather"),
    ("uv --directory=/x/weather run mcp-server", "weather"),
    ("uv run --with mcp[cli] mcp run S.py", "S"),
    ("uv run --with fastmcp fastmcp run /x/weather/server.py:app", "weather"),
    ("fastmcp run S.py", "S"),
    ("mcp run /x/weather/main.py", "weather"),
    ("uv run python -m weather", "weather"),
    ("uv run --project /x/weather python -m server", "weather"),
    ("uv tool run mcp-x", "mcp-x"),
    ("uv run -m pkg.server", "pkg.server"),
    ("uv run main.py", "forecast"),
    ("uv run --script /x/weather.py", "weather"),
    ("pipx run --spec mcp-weather==1 serve", "mcp-weather"),
    ("pipx run mcp-weather", "mcp-weather"),
    ("python main.py", "forecast"),
    ("python /x/weather/main.py", "weather"),
    ("python3.12 -u -m weather.server", "weather.server"),
    ("python3 -mweather", "weather"),
    ("python -m mcp run weather.py", "weather"),
    ("/x/weather/.venv/bin/python -m server", "weather"),
    ("/x/weather/.venv/bin/server", "weather"),
    ("poetry run weather-server", "weather-server"),
    ("poetry -C /x/weather run python server.py", "weather"),
    ("poetry run python -m weather", "weather"),
    ("pdm run -p /x/weather main.py", "weather"),
    ("hatch run weather", "weather"),
    ("pixi run -m /x/weather/pixi.toml start", "weather"),
    ("hatch -e prod run python weather.py", "weather"),
    ("pipenv run python weather.py", "weather"),
    ("conda run -n env --no-capture-output python /x/weather/server.py", "weather"),
    ("micromamba run -n env mcp-weather", "mcp-weather"),
    ("uvx --from git+https://git.example/acme/weather@main weather-mcp", "weather-mcp"),
    ("uvx git+ssh://git@git.example/acme/weather.git@main", "weather"),
    ("pipx run --spec git+https://git.example/acme/weather@main serve", "weather"),
    ("pixi run -e dev python weather.py", "weather"),
    ("pixi run start", "forecast"),
    ("conda run -n env python server.py", "forecast"),
    ("conda run -n env --cwd /x/weather python server.py", "weather"),
    ("micromamba run -n env -r /opt/mm python -m weather", "weather"),
    ("rye run weather", "weather"),
    ("rye run python server.py", "forecast"),
    ("hatch run dev:weather", "weather"),
    ("hatch run dev:start", "forecast"),
    ("pdm run start", "forecast"),
];

const OTHERS: &[(&str, &str)] = &[
    ("go run ./cmd/server", "forecast"),
    ("go run -C /x/weather ./cmd/server", "weather"),
    ("go run /x/weather/cmd/server", "weather"),
    ("go run github.com/acme/weather-mcp@latest -t stdio", "weather-mcp"),
    ("go run github.com/acme/weather/cmd/server@v1.2.3", "weather"),
    ("java -jar x.jar", "x"),
    ("java -Xmx512m -Dkey=s -jar /opt/weather-mcp-0.1.0-SNAPSHOT.jar --key=s", "weather-mcp"),
    ("java -jar /x/weather/target/server.jar", "weather"),
    ("java -cp a.jar:b.jar com.example.Weather", "com.example.Weather"),
    ("jbang run weather.java", "weather"),
    ("dotnet run", "forecast"),
    ("dotnet run --project /x/Weather/Weather.csproj --no-build", "Weather"),
    ("dotnet run --project /x/Acme.Weather", "Acme.Weather"),
    ("dotnet /x/weather/bin/Release/net8.0/Server.dll", "weather"),
    ("dotnet Weather.dll", "Weather"),
    ("dnx Acme.Weather@1.0.0 --yes", "Acme.Weather"),
    ("cargo run", "forecast"),
    ("cargo run --release --manifest-path /x/weather/Cargo.toml", "weather"),
    ("cargo +nightly run --bin weather -- -p secret", "weather"),
    ("cargo run -- -p secret", "forecast"),
    ("make -C /x/weather run", "weather"),
    ("./gradlew -q -p /x/weather run", "weather"),
    ("mvn -q -f /x/weather/pom.xml exec:java", "weather"),
    ("ruby /x/weather/server.rb", "weather"),
    ("bundle exec ruby weather.rb", "weather"),
    ("php artisan mcp:serve", "forecast"),
    ("php8.3 /x/weather/server.php", "weather"),
    ("perl -w weather.pl", "weather"),
    ("bash /x/weather/run.sh", "weather"),
    ("sh ./weather.sh", "weather"),
    ("jbang weather@acme/tools", "weather"),
    ("jbang run --fresh com.acme:weather-mcp:1.2.3:runner", "weather-mcp"),
    ("jbang https://github.com/acme/tools/blob/main/weather.java", "weather"),
    ("swift run", "forecast"),
    ("swift run --package-path /x/weather server", "weather"),
    ("swift run -c release weather", "weather"),
    ("mvn -q exec:java -Dexec.mainClass=com.acme.Main", "forecast"),
    ("gradle run", "forecast"),
    ("./gradlew run", "forecast"),
    ("make run", "forecast"),
    ("just run", "forecast"),
    ("just -f /x/weather/justfile run", "weather"),
    ("task start", "forecast"),
    ("task -d /x/weather start", "weather"),
    ("go run .", "forecast"),
    ("cargo run --example weather", "weather"),
];

const CONTAINERS: &[(&str, &str)] = &[
    ("docker run -i --rm -e TOKEN=t ghcr.io/github/mcp-server:1.0", "github/mcp-server"),
    ("docker run --rm -i mcp/fetch", "mcp/fetch"),
    ("docker run -i --rm mcp/time --local-timezone=UTC", "mcp/time"),
    (
        "docker run -it -eTOKEN=t -v /x:/y:ro --network=host acme/weather@sha256:00 serve",
        "acme/weather",
    ),
    ("podman run --env=A=b localhost:5000/x@sha256:00", "x"),
    ("docker run -i --rm node:22 npx -y @scope/pkg", "@scope/pkg"),
    ("docker run -i --rm ghcr.io/astral-sh/uv:python3.12 uvx mcp-weather", "mcp-weather"),
    ("docker run -i --rm -v /x:/x python:3.12 python /x/weather/server.py", "weather"),
    ("docker exec -i weather-mcp node index.js", "weather-mcp"),
    ("docker compose -f c.yaml run --rm weather", "weather"),
    ("docker-compose run -T weather", "weather"),
    ("kubectl exec -i -n tools deploy/weather -- node index.js", "weather"),
    ("podman run -i --rm ghcr.io/acme/weather:1", "acme/weather"),
    ("nerdctl run -i acme/weather", "acme/weather"),
    ("docker compose -f /x/weather/compose.yml run", "weather"),
    ("docker compose -f /x/weather/compose.yml run --rm server", "weather"),
    ("docker compose -f /x/weather/compose.yml run -T forecasts", "forecasts"),
    ("docker compose run -T server", "forecast"),
    ("docker-compose -f /x/weather/docker-compose.yml run server", "weather"),
    ("docker compose --project-directory /x/weather exec -T mcp node index.js", "weather"),
];

const BRIDGES: &[(&str, &str)] = &[
    ("npx mcp-remote https://mcp.linear.app/sse", "mcp.linear.app/sse"),
    (
        "npx -y mcp-remote@latest https://u:p@mcp.example.com/v1/mcp?key=k#f --header 'Authorization: Bearer t'",
        "mcp.example.com/v1/mcp",
    ),
    ("npx mcp-remote --header 'X-Key: secret' http://localhost:3000/mcp/", "localhost:3000/mcp"),
    ("npm exec -- mcp-remote https://host/mcp", "host/mcp"),
    ("npx mcp-remote https://mcp.example.com/api/s/NDk4ZGE3YTctM2Y2/mcp", "mcp.example.com/api/s"),
    (
        "npx mcp-remote https://mcp.example.com/550e8400-e29b-41d4-a716-446655440000/sse",
        "mcp.example.com",
    ),
    ("npx mcp-remote https://mcp.example.com/me@example.com/sse", "mcp.example.com"),
    ("npx mcp-remote https://a8f3k2z9qw.tunnel.example.com/mcp", "tunnel.example.com/mcp"),
    ("npx mcp-remote https://mcp.example.com/%73ecret/mcp", "mcp.example.com"),
    ("npx mcp-remote http://[::1]:3000/mcp", "[::1]:3000/mcp"),
    (
        "npx -y supergateway --streamableHttp https://mcp.example.com/mcp --oauth2Bearer t",
        "mcp.example.com/mcp",
    ),
    ("npx -y supergateway --stdio 'npx -y @scope/pkg --key k'", "@scope/pkg"),
    ("mcp-proxy --transport streamablehttp https://mcp.example.com/mcp", "mcp.example.com/mcp"),
    ("mcp-proxy uvx mcp-weather", "mcp-weather"),
    ("ssh -T -i key me@host npx -y @scope/pkg", "@scope/pkg"),
    ("ssh host 'cd /srv/weather && exec node index.js'", "weather"),
    ("ssh -o StrictHostKeyChecking=no host uvx weather", "weather"),
    ("flatpak-spawn --host --env=A=b uvx weather", "weather"),
    ("toolbox run -c box uvx weather", "weather"),
    ("distrobox enter box -- uvx weather", "weather"),
    ("limactl shell default uvx weather", "weather"),
    ("multipass exec vm -- uvx weather", "weather"),
    ("vagrant ssh -c 'uvx weather'", "weather"),
];

const WRAPPERS: &[(&str, &str)] = &[
    ("env A=b npx -y @scope/pkg", "@scope/pkg"),
    ("env -u HOME TOKEN=secret npx pkg", "pkg"),
    ("env -C /x/weather node index.js", "weather"),
    ("TOKEN=secret npx pkg", "pkg"),
    ("cmd /c npx -y @scope/pkg", "@scope/pkg"),
    ("cmd.exe /d /s /c 'npx -y @scope/pkg'", "@scope/pkg"),
    ("powershell -NoProfile -Command 'npx -y @scope/pkg'", "@scope/pkg"),
    ("pwsh -File C:\\x\\weather\\run.ps1", "weather"),
    ("sh -c 'TOKEN=secret exec npx -y pkg --key=k'", "pkg"),
    ("bash -lc 'source .env; cd /x/weather && node build/index.js'", "weather"),
    ("sudo -u mcp -E npx pkg", "pkg"),
    ("nice -n 10 npx pkg", "pkg"),
    ("nice -10 ionice -c2 npx pkg", "pkg"),
    ("timeout -k 5 30 npx pkg", "pkg"),
    ("nohup setsid stdbuf -oL weather --stdio", "weather"),
    ("cross-env NODE_ENV=production node /x/weather/index.js", "weather"),
    ("op run --env-file=.env -- npx -y pkg", "pkg"),
    ("doppler run -- npx -y pkg", "pkg"),
    ("mise exec -- weather", "weather"),
    ("direnv exec /x/weather node index.js", "weather"),
    ("nvm exec 20 npx pkg", "pkg"),
    ("wsl -d Ubuntu -- npx pkg", "pkg"),
    ("mcpcol stdio --name x -- npx pkg", "pkg"),
    ("nix-shell --run 'python weather.py'", "weather"),
    ("nix-shell -p python3 nodejs --pure --run 'python /x/weather/server.py'", "weather"),
    ("nix-shell /x/weather/shell.nix --command 'node index.js'", "forecast"),
    ("nix run nixpkgs#weather", "weather"),
    ("nix run github:acme/weather -- --stdio", "weather"),
    ("nix run github:acme/tools/main#packages.x86_64-linux.weather", "weather"),
    ("nix run 'git+https://u:p@git.example/acme/weather?ref=main#default'", "weather"),
    ("nix run .", "forecast"),
    ("nix run /x/weather#default", "weather"),
    ("nix run nixpkgs#nodejs -- /x/weather/index.js", "weather"),
    ("nix shell nixpkgs#nodejs nixpkgs#git -c npx -y weather", "weather"),
    ("nix develop --command npx -y weather", "weather"),
    ("mise exec node@20 python@3.12 -- npx weather", "weather"),
    ("mise x node@20 -c 'npx weather'", "weather"),
    ("mise run start", "forecast"),
    ("volta run --node 20 npx -y weather", "weather"),
    ("nvm run 20 /x/weather/index.js", "weather"),
    ("fnm exec --using=20 npx weather", "weather"),
    ("wsl uvx weather", "weather"),
    ("wsl.exe -d Ubuntu -e bash -lc 'uvx weather'", "weather"),
    ("sudo -u x uvx weather", "weather"),
    ("su x -c 'uvx weather'", "weather"),
    ("runuser -u x -- uvx weather", "weather"),
    ("systemd-run --user --pipe -q uvx weather", "weather"),
    ("systemd-run --user --scope -p MemoryMax=1G --setenv=TOKEN=t -- uvx weather", "weather"),
    ("firejail --quiet --net=none --whitelist=/x uvx weather", "weather"),
    (
        "bwrap --ro-bind / / --dev /dev --setenv TOKEN secret --unshare-net --chdir /x uvx weather",
        "weather",
    ),
    ("strace -f -o /tmp/x -e trace=file uvx weather", "weather"),
    ("sandbox-exec -f /x/p.sb uvx weather", "weather"),
    ("watchexec -r -e py -- python weather.py", "weather"),
    ("unshare -rn uvx weather", "weather"),
    ("s6-setuidgid x uvx weather", "weather"),
];

const PROGRAMS: &[(&str, &str)] = &[
    ("/opt/bin/my-server --port 1", "my-server"),
    ("/opt/weather/bin/server", "weather"),
    ("./server.sh", "forecast"),
    ("./target/release/weather-mcp", "weather-mcp"),
    ("weather_mcp --api-key=secret", "weather_mcp"),
    ("C:\\Users\\me\\AppData\\Roaming\\npm\\npx.cmd -y @scope/pkg", "@scope/pkg"),
    ("'C:\\Program Files\\nodejs\\node.exe' C:\\x\\weather\\build\\index.js", "weather"),
    ("C:\\tools\\Weather.exe", "Weather"),
    ("C:\\Python312\\python3.12.exe -m weather", "weather"),
    ("'/Applications/Weather App.app/Contents/MacOS/weather' mcp", "weather"),
];

/// Names what tells nothing, with the word that is left.
const NOTHING: &[(&str, &str)] = &[
    ("npx", "npx"),
    ("npx --unknown value server", "npx"),
    ("npx {\"a\":1}", "npx"),
    ("npx sk0live4f9a8b7c6d5e4f3a2b1c0", "npx"),
    ("npx https://user:pw@host", "npx"),
    ("npx mcp-remote", "mcp-remote"),
    ("npx mcp-remote https:///", "mcp-remote"),
    ("npx mcp-remote ftp://host/mcp", "mcp-remote"),
    ("uvx server", "server"),
    ("pnpm dlx server", "server"),
    ("docker run --secret value image", "docker"),
    ("docker run -i --rm node:22 node index.js", "index"),
    ("docker mcp gateway run", "docker"),
    ("node -e process.exit()", "node"),
    ("node --eval=x", "node"),
    ("python -c print(1)", "python"),
    ("python /home/alice/server.py", "server"),
    ("node C:\\Users\\alice\\index.js", "index"),
    ("node ~/index.js", "index"),
    ("node /home/alice/Documents/server.js", "server"),
    ("ssh host server", "server"),
    ("sh -c 'exec \"$0\"'", "exec"),
    ("sh -c 'while read line; do echo $line; done'", "sh"),
    ("supergateway --oauth2Bearer secret", "supergateway"),
    ("python -m /x/weather/main.py", "python"),
    ("mcp-server", "mcp-server"),
    ("server", "server"),
    ("main", "main"),
];

#[test]
fn what_is_meant_is_the_name() {
    for table in [JAVASCRIPT, PYTHON, OTHERS, CONTAINERS, BRIDGES, WRAPPERS, PROGRAMS] {
        assert_eq!(wrong(table, false), []);
    }
    let lines = JAVASCRIPT.len() + PYTHON.len() + OTHERS.len() + CONTAINERS.len();
    assert!(lines + BRIDGES.len() + WRAPPERS.len() + PROGRAMS.len() >= 100);
}

#[test]
fn what_tells_nothing_may_be_a_secret_or_a_users_home_is_left_to_the_server() {
    assert_eq!(wrong(NOTHING, true), []);
}

#[test]
fn no_argument_that_may_be_a_secret_is_ever_in_a_name() {
    let launchers = [
        "npx",
        "npm",
        "npm run",
        "uvx",
        "uv run",
        "node",
        "python",
        "docker run",
        "docker exec",
        "deno run",
        "bun",
        "go run",
        "java",
        "dotnet run",
        "cargo run",
        "poetry run",
        "env",
        "sudo",
        "timeout 3",
        "cmd /c",
        "bash",
        "ssh host",
        "mcp-remote",
        "supergateway",
        "npx mcp-remote",
        "kubectl exec",
        "nodemon --exec node",
        "jbang",
        "swift run",
        "task",
        "docker compose run",
        "docker-compose run",
        "nix run",
        "nix-shell",
        "nix develop",
        "mise exec",
        "su x",
        "systemd-run",
        "firejail",
        "bwrap --setenv A B",
        "strace",
        "watchexec",
        "unshare",
        "flatpak-spawn",
        "toolbox run",
        "limactl shell vm",
        "vagrant ssh",
        "npx -p",
        "uvx --from",
    ];
    for launcher in launchers {
        for more in [
            "--api-key hunter2",
            "--api-key=hunter2",
            "-k hunter2",
            "API_KEY=hunter2",
            "-- API_KEY=hunter2",
            "--header 'Authorization: hunter2'",
            "https://hunter2@example.com/?hunter2#hunter2",
            "https://user:hunter2@example.com/mcp?key=hunter2",
            "https://user:hunter2@github.com/acme/weather/raw/main/mod.ts?key=hunter2#hunter2",
            "git+https://user:hunter2@git.example/acme/weather?key=hunter2#hunter2=",
        ] {
            let name = named(&format!("{launcher} {more}")).text;
            assert!(!name.contains("hunter2"), "{launcher} {more}: {name}");
        }
    }
}

#[test]
fn a_working_directory_that_tells_nothing_is_no_name() {
    let command = ["node", "index.js"].map(OsString::from);
    for (cwd, name) in [
        (Some("/home/alice"), None),
        (Some("/Users/alice"), None),
        (Some("/root"), None),
        (Some("/"), None),
        (Some("/usr/src/app"), None),
        (None, None),
        (Some("/home/alice/weather"), Some("weather")),
        (Some("/home/alice/weather/src"), Some("weather")),
    ] {
        let told = server_name(&command, cwd.map(Path::new));
        let expected = ServerName { text: name.unwrap_or("index").into(), general: name.is_none() };
        assert_eq!(told, expected, "{cwd:?}");
    }
}

#[test]
fn a_name_is_short_and_plain() {
    let of = |word: String| server_name(&[OsString::from(word)], None);
    let long = of(format!("/bin/{}x", "ab-".repeat(500)));
    assert_eq!(long.text, "ab-a_");
    assert_eq!(of("a b\u{7}\u{e9}".into()).text, "a_b__");
    assert_eq!(server_name(&[], None), ServerName { text: String::new(), general: true });
}

#[test]
fn launchers_within_launchers_have_an_end() {
    let deep: Vec<_> = std::iter::repeat_n("env", 10_000).map(OsString::from).collect();
    assert!(server_name(&deep, None).general);
    assert!(named(&format!("sh -c '{}'", "sh -c ".repeat(10_000))).general);
}

proptest::proptest! {
    /// Whatever stands on a command line.
    #[test]
    fn no_command_line_is_too_strange(
        words in proptest::collection::vec(
            proptest::prop_oneof![
                "[-/\\\\@=:.;'\" %~\u{e9}a1-]{0,8}",
                proptest::sample::select(vec![
                    "npx", "uv", "run", "docker", "sh", "-c", "-m", "--from", "--project", "java", "-jar",
                    "cmd", "/c", "dotnet", "npm", "--prefix", "mcp-remote", "https://", "node", "env",
                ]).prop_map(str::to_owned),
            ],
            0..8,
        ),
    ) {
        let words: Vec<_> = words.into_iter().map(OsString::from).collect();
        let name = server_name(&words, Some(Path::new("/")));
        proptest::prop_assert!(name.text.len() <= MAX_NAME);
        proptest::prop_assert!(name.text.bytes().all(|b| b.is_ascii_graphic()));
    }
}
