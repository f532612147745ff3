//! Words on a command line: which of them name something, which are general, and which may be secrets.

/// Names that tell nothing about a server, whatever they are names of: a script, a program, a folder.
const GENERAL: &[&str] = &[
    "__init__",
    "__main__",
    "app",
    "artisan",
    "bin",
    "build",
    "cli",
    "cmd",
    "code",
    "console",
    "current",
    "debug",
    "default",
    "demo",
    "dev",
    "dist",
    "entrypoint",
    "env",
    "esm",
    "cjs",
    "exec",
    "index",
    "init",
    "js",
    "launch",
    "launcher",
    "lib",
    "local",
    "main",
    "manage",
    "mcp",
    "mcp-server",
    "mcp_server",
    "mcpserver",
    "mod",
    "module",
    "node",
    "out",
    "package",
    "prod",
    "program",
    "project",
    "python",
    "release",
    "run",
    "runner",
    "script",
    "scripts",
    "serve",
    "server",
    "server-stdio",
    "server_stdio",
    "service",
    "source",
    "src",
    "start",
    "startup",
    "stdio",
    "target",
    "test",
    "ts",
    "wrapper",
];

/// Folders that tell nothing about the project in them.
const FOLDERS: &[&str] = &[
    "applications",
    "apps",
    "blob",
    "desktop",
    "documents",
    "downloads",
    "etc",
    "github",
    "git",
    "heads",
    "home",
    "internal",
    "jars",
    "libs",
    "master",
    "mnt",
    "node_modules",
    "opt",
    "packages",
    "private",
    "projects",
    "public",
    "raw",
    "refs",
    "repos",
    "root",
    "sbin",
    "servers",
    "services",
    "share",
    "site-packages",
    "srv",
    "tags",
    "tmp",
    "tools",
    "trunk",
    "users",
    "usr",
    "var",
    "venv",
    "volumes",
    "work",
    "workspace",
    "workspaces",
    "www",
    // Platforms that programs are built for.
    "amd64",
    "arm64",
    "linux-arm64",
    "linux-x64",
    "osx-arm64",
    "osx-x64",
    "win-x64",
    "x64",
    "x86_64",
];

/// Endings of scripts and programs, which are no part of a name.
const ENDINGS: &[&str] = &[
    "bash", "bat", "cjs", "class", "cmd", "com", "csproj", "csx", "cts", "dll", "exe", "exs",
    "fsx", "fsproj", "go", "jar", "java", "jl", "js", "jsx", "kts", "lua", "mjs", "mts", "php",
    "pl", "ps1", "py", "pyz", "r", "rb", "sh", "ts", "tsx", "war", "zsh",
];

/// Says whether a word says nothing about which server it is.
pub(super) fn is_general(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    GENERAL.contains(&word.as_str()) || word.is_empty()
}

/// The last part of a path, of Unix or Windows.
pub(super) fn file_name(path: &str) -> &str {
    path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default()
}

/// The last part of a path without its ending, if that is one of a script or a program.
pub(super) fn stem(path: &str) -> &str {
    let name = file_name(path);
    match name.rsplit_once('.') {
        Some((stem, ending)) if ENDINGS.contains(&ending.to_ascii_lowercase().as_str()) => stem,
        _ => name,
    }
}

/// Cuts the last part off a path.
pub(super) fn parent(path: &str) -> &str {
    let path = path.trim_end_matches(['/', '\\']);
    &path[..path.len() - file_name(path).len()]
}

/// Says whether a word is a path, or a file in the working directory.
pub(super) fn is_path(word: &str) -> bool {
    word.contains(['/', '\\']) || word == "." || stem(word) != word
}

/// Says whether a path begins at the working directory.
pub(super) fn is_relative(path: &str) -> bool {
    let drive = path.as_bytes().get(1) == Some(&b':');
    !(path.starts_with(['/', '\\', '~', '$', '%']) || drive)
}

/// The project that a file or folder belongs to: the nearest folder, upwards from `path` itself, that is
/// more than a general word. Never a user's home.
pub(super) fn project(path: &str) -> Option<String> {
    let parts: Vec<_> = path.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    let told = |at: &usize| {
        let (part, above) = (parts[*at], at.checked_sub(1).map_or("", |above| parts[above]));
        let home = ["home", "users"].contains(&above.to_ascii_lowercase().as_str());
        !home && tells(part) && is_plain(part)
    };
    (0..parts.len()).rev().find(told).map(|at| parts[at].to_owned())
}

/// Says whether a folder's name is one of a project: neither general, hidden, a version nor a variable.
fn tells(folder: &str) -> bool {
    let lower = folder.to_ascii_lowercase();
    let known = FOLDERS.contains(&lower.as_str()) || is_general(&lower) || is_version(&lower);
    !(known || lower.ends_with(':') || lower.starts_with(['.', '~', '$', '%', '@']))
}

/// `1.2`, `v3`, `python3.12`, `net8.0`.
fn is_version(word: &str) -> bool {
    let number = ["v", "python", "node", "net"].into_iter().find_map(|of| word.strip_prefix(of));
    let number = number.unwrap_or(word);
    !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Says whether a word has the characters of a name and does not look like a secret.
pub(super) fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@/._-+ ".contains(c);
    let parts =
        |word: &str, of: fn(&str) -> bool| word.split(|c: char| !c.is_ascii_alphanumeric()).any(of);
    let letters = word.bytes().any(|b| b.is_ascii_alphabetic());
    letters && word.chars().all(plain) && !parts(word, is_secret)
}

/// Says whether a part of a name is too random for one: a long run of letters and digits.
fn is_secret(part: &str) -> bool {
    let has = |of: fn(&u8) -> bool| part.as_bytes().iter().any(&of);
    part.len() > 40 || part.len() >= 16 && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}

/// Says whether a part of a URL is a word. In a URL the burden of proof is turned around: what stands in a path is
/// often the key to it.
fn is_word(part: &str) -> bool {
    const SHORT: usize = 6;
    const LONG: usize = 24;
    let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
    let numbered = part.len() - letters.len() <= 3;
    let humps = part.as_bytes().windows(2);
    let humps = humps.filter(|two| two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase());
    part.len() <= SHORT
        || part.len() <= LONG
            && numbered
            && letters.bytes().all(|b| b.is_ascii_alphabetic())
            && humps.count() < 3
}

/// Host and path of a URL: without user and password, query and fragment, and up to the first segment that
/// may be a secret. `None` if it is no URL of HTTP.
pub(super) fn address(url: &str) -> Option<String> {
    let rest = after_scheme(url)?;
    let rest = rest.split(['?', '#']).next()?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next()?;
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    if host.is_empty() || !host.chars().all(is_host) {
        return None;
    }
    let words = |text: &str| text.split(['-', '_', '.', '~', ':', '[', ']']).all(is_word);
    // The name of a host may be a capability, too: what stands before it in the domain stays.
    let labels: Vec<_> = host.split('.').collect();
    let known = labels.iter().rposition(|label| !words(label)).map_or(0, |last| last + 1);
    let mut out = labels[known..].join(".");
    if out.is_empty() {
        return None;
    }
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    for segment in
        segments.take_while(|segment| words(segment.strip_prefix('@').unwrap_or(segment)))
    {
        out.push('/');
        out.push_str(segment);
    }
    Some(out)
}

/// Cuts `http://` or `https://` off a URL.
fn after_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    ["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()).then_some(rest)
}

/// `@scope/name@1.2`, `name==1.2`, `name[extra]>=1` and `name@latest` without what follows the name.
pub(super) fn versionless(name: &str) -> &str {
    let scope = usize::from(name.starts_with('@'));
    let end = name[scope..].find(['@', '=', '[', '<', '>', '~', ',', ' ', '!', ';']);
    end.map_or(name, |end| &name[..end + scope])
}

/// Says whether a file is an archive of Java.
pub(super) fn is_archive(path: &str) -> bool {
    [".jar", ".war"].iter().any(|ending| path.to_ascii_lowercase().ends_with(ending))
}

/// `weather-1.2-SNAPSHOT` without its version.
pub(super) fn unnumbered(name: &str) -> &str {
    let digit = |at: &usize| name[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let end = name.match_indices('-').map(|(at, _)| at).find(digit);
    end.map_or(name, |end| &name[..end])
}

/// `NAME=value`, before a command.
pub(super) fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.is_some_and(|name| !name.is_empty() && name.chars().all(plain))
}

/// Splits a line as shells do, as far as blanks, quotes and separators go. Backslashes stay: they may be
/// part of a path.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, c) if c.is_whitespace() => words.push(String::new()),
            (None, ';') => words.extend([";".to_owned(), String::new()]),
            (_, c) => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
