//! What a server is called, from its command line.
//!
//! Launchers are looked through: `npx -y @scope/server ARG` is `@scope/server`. An argument may hold a
//! secret, so only the one that names the package is ever taken, and only if every option before it
//! is a known one; else the name is the program's file name. Never a URL.

use std::ffi::OsString;
use std::path::Path;

use crate::receivers::tap::MAX_NAME;

/// A program that starts another one.
struct Launcher {
    /// File names it goes by.
    programs: &'static [&'static str],
    /// Words before the package, one of which has to be there; none: the package follows at once.
    words: &'static [&'static str],
    /// Options without a value.
    flags: &'static [&'static str],
    /// Options whose value is the next argument.
    valued: &'static [&'static str],
    /// Options whose value is the name.
    naming: &'static [&'static str],
}

const LAUNCHERS: &[Launcher] = &[
    Launcher {
        programs: &["npx", "bunx", "pnpx"],
        words: &[],
        flags: &["-y", "--yes", "--no", "-q", "--quiet", "--prefer-offline", "--bun", "--silent"],
        valued: &["--registry"],
        naming: &["-p", "--package"],
    },
    Launcher {
        programs: &["npm", "pnpm", "yarn"],
        words: &["exec", "dlx", "x"],
        flags: &["-y", "--yes", "-q", "--quiet", "--silent", "--"],
        valued: &["--registry"],
        naming: &["--package"],
    },
    Launcher {
        programs: &["uvx"],
        words: &[],
        flags: &["-q", "--quiet", "--offline", "--isolated", "--refresh", "--no-cache", "-n"],
        valued: &["--from", "--with", "-w", "-p", "--python", "--index-url", "-i", "--index"],
        naming: &[],
    },
    Launcher {
        programs: &["uv", "pipx"],
        words: &["run", "tool"],
        flags: &["run", "-q", "--quiet", "--offline", "--isolated", "--frozen", "--no-sync"],
        valued: &["--directory", "--project", "--from", "--with", "-p", "--python", "--spec"],
        naming: &["-m", "--module"],
    },
    Launcher {
        programs: &["node", "bun", "deno", "tsx", "ts-node"],
        words: &[],
        flags: &["run", "-A", "--allow-all", "--enable-source-maps", "--no-warnings", "--esm"],
        valued: &["-r", "--require", "--import", "--loader"],
        naming: &[],
    },
    Launcher {
        programs: &["python", "python3"],
        words: &[],
        flags: &["-u", "-B", "-E", "-I", "-s", "-S", "-O", "-OO", "-q"],
        valued: &["-W", "-X"],
        naming: &["-m"],
    },
    Launcher {
        programs: &["docker", "podman", "nerdctl"],
        words: &["run"],
        flags: &[
            "-i",
            "-t",
            "-it",
            "-ti",
            "--rm",
            "--init",
            "--interactive",
            "--tty",
            "--read-only",
        ],
        valued: &[
            "-e",
            "--env",
            "--env-file",
            "-v",
            "--volume",
            "--mount",
            "--name",
            "-p",
            "--publish",
            "--network",
            "--net",
            "-w",
            "--workdir",
            "-u",
            "--user",
            "--platform",
            "--pull",
            "-l",
            "--label",
            "--add-host",
            "-m",
            "--memory",
            "--cpus",
            "--entrypoint",
            "--security-opt",
        ],
        naming: &[],
    },
];

/// The name of the server that `command` starts.
pub(super) fn server_name(command: &[OsString]) -> String {
    let Some((program, args)) = command.split_first() else { return String::new() };
    let program = file_name(&program.to_string_lossy());
    let name = LAUNCHERS
        .iter()
        .find(|launcher| launcher.programs.contains(&unversioned(&program)))
        .and_then(|launcher| launcher.package(args))
        .and_then(|package| tidy(&package, &program));
    bounded(&name.unwrap_or(program))
}

impl Launcher {
    fn package(&self, args: &[OsString]) -> Option<String> {
        let mut args = args.iter().map(|arg| arg.to_str()).skip_while(|arg| arg.is_none());
        if !self.words.is_empty() && !self.words.contains(&args.next()??) {
            return None;
        }
        loop {
            let arg = args.next()??;
            let (option, value) = match arg.split_once('=') {
                Some((option, value)) if arg.starts_with("--") => (option, Some(value)),
                _ => (arg, None),
            };
            if self.naming.contains(&option) {
                return Some(value.or(args.next().flatten())?.to_owned());
            }
            if self.flags.contains(&option) || value.is_some() {
                continue;
            }
            if self.valued.contains(&option) {
                args.next()??;
                continue;
            }
            // An option that is not known may have a value, and that could be anything.
            return (!arg.starts_with('-')).then(|| arg.to_owned());
        }
    }
}

/// The package without version, path, registry and tag; `None` if it is not package-like.
fn tidy(package: &str, program: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@/._-:+~\\=[],<>".contains(c);
    if package.contains("://") || package.contains('\\') || !package.chars().all(plain) {
        return None;
    }
    if matches!(program, "docker" | "podman" | "nerdctl") {
        return image(package);
    }
    if let Some((_, module)) = package.rsplit_once("node_modules/") {
        let parts = if module.starts_with('@') { 2 } else { 1 };
        return Some(module.split('/').take(parts).collect::<Vec<_>>().join("/"));
    }
    let scoped = package.starts_with('@');
    let end = package[usize::from(scoped)..].find(['@', '=', '[', '<', '>', '~', ',']);
    let name = end.map_or(package, |end| &package[..end + usize::from(scoped)]);
    let name = if scoped { name.to_owned() } else { file_name(name) };
    (!name.is_empty() && !name.contains(':')).then_some(name)
}

/// `registry.example/owner/image:tag@digest` is `owner/image`.
fn image(reference: &str) -> Option<String> {
    let undigested = reference.split('@').next()?;
    let registry = |part: &str| part.contains(['.', ':']) || part == "localhost";
    let path = match undigested.split_once('/') {
        Some((first, rest)) if registry(first) => rest,
        _ => undigested,
    };
    let name = path.split(':').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// `python3.12` is `python3`.
fn unversioned(program: &str) -> &str {
    program.split_once('.').map_or(program, |(name, _)| name)
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn bounded(name: &str) -> String {
    let clean = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    name.chars().take(MAX_NAME).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(line: &str) -> String {
        server_name(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_package_behind_a_launcher_or_the_program() {
        for (line, expected) in [
            (
                "npx -y @modelcontextprotocol/server-filesystem /home/me",
                "@modelcontextprotocol/server-filesystem",
            ),
            ("npx @scope/server@1.2.3 --token t", "@scope/server"),
            ("/usr/bin/npx --yes server@latest", "server"),
            ("npx -p @scope/pkg some-bin", "@scope/pkg"),
            ("npx --package=@scope/pkg some-bin", "@scope/pkg"),
            ("npm exec -- mcp-remote https://host/mcp", "mcp-remote"),
            ("pnpm dlx server", "server"),
            ("uvx mcp-server-git==2025.1 --repo x", "mcp-server-git"),
            ("uvx mcp-server[extra]@1.0", "mcp-server"),
            ("uvx --from git+https://u:p@host/x mcp-server-x", "mcp-server-x"),
            ("uv run --directory /srv/x server.py", "server.py"),
            ("uv tool run mcp-x", "mcp-x"),
            ("uv run -m pkg.server", "pkg.server"),
            ("node /srv/dist/server.js --key k", "server.js"),
            ("node /usr/lib/node_modules/@scope/pkg/dist/index.js", "@scope/pkg"),
            ("node --import ./x.js app/main.mjs", "main.mjs"),
            ("python3.12 -u -m weather.server", "weather.server"),
            ("python server.py", "server.py"),
            ("docker run -i --rm -e TOKEN=t ghcr.io/github/mcp-server:1.0", "github/mcp-server"),
            ("docker run --rm -i mcp/fetch", "mcp/fetch"),
            ("podman run --env=A=b localhost:5000/x@sha256:00", "x"),
            ("/opt/bin/my-server --port 1", "my-server"),
            ("./server.sh", "server.sh"),
        ] {
            assert_eq!(name(line), expected, "{line}");
        }
    }

    #[test]
    fn what_may_be_a_secret_or_a_url_is_not_a_name() {
        for (line, expected) in [
            ("npx https://user:pw@host/pkg.tgz", "npx"),
            ("uvx git+https://t@host/x", "uvx"),
            ("npx --unknown value server", "npx"),
            ("docker run --secret value image", "docker"),
            ("docker exec -i container server", "docker"),
            ("node -e process.exit()", "node"),
            ("node --eval=x", "node"),
            ("python -c print(1)", "python"),
            ("npx", "npx"),
            ("uvx --from x", "uvx"),
            ("sh -c run --token=t", "sh"),
            ("npx {\"a\":1}", "npx"),
        ] {
            assert_eq!(name(line), expected, "{line}");
        }
    }

    #[test]
    fn a_name_is_short_and_plain() {
        let long = format!("/bin/{}\u{e9} x\n", "a".repeat(500));
        let name = server_name(&[OsString::from(long)]);
        assert_eq!(name, "a".repeat(MAX_NAME));
        assert_eq!(server_name(&[OsString::from("a b\u{7}\u{e9}")]), "a_b__");
        assert_eq!(server_name(&[]), "");
    }
}
