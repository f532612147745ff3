//! Names code by where it comes from: a registry, a repository, a URL, an image, a flake.

use super::Reading;
use crate::receivers::mcp_stdio::name::table;
use crate::receivers::mcp_stdio::name::words::{
    address, file_name, is_path, is_relative, project, stem, unnumbered, versionless,
};

/// Images that are there for what is run in them, beside those called as a launcher.
const BASES: &[&str] = &[
    "alpine",
    "astral-sh/uv",
    "busybox",
    "debian",
    "denoland/deno",
    "fedora",
    "oven/bun",
    "ubuntu",
];
/// Hosts of code: what stands in a path there is a repository and a file, and no key to it.
const CODE_HOSTS: &[&str] = &[
    "cdn.jsdelivr.net",
    "deno.land",
    "esm.sh",
    "gist.githubusercontent.com",
    "github.com",
    "jsr.io",
    "raw.githubusercontent.com",
    "unpkg.com",
];

impl Reading {
    /// A package without registry, version and extras.
    pub(super) fn package(&mut self, word: &str) -> Option<String> {
        // Behind it stands a branch, or what a registry is to check.
        let word = word.split('#').next()?;
        if word.contains("://") {
            let url = word.split('?').next()?;
            let last = file_name(url.split_once("://")?.1.split_once('/')?.1);
            let name = last.split('@').next()?.trim_end_matches(".git");
            return self.specific(name.strip_suffix(".tgz").map_or(name, unnumbered));
        }
        if is_path(word) && (word.starts_with(['.', '/', '~']) || !is_relative(word)) {
            return self.file(word);
        }
        let name = word.split_once(':').map_or(word, |(_, name)| name);
        let name = versionless(name).trim_end_matches(".git");
        self.specific(if name.starts_with('@') { name } else { file_name(name) })
    }

    /// A script, which a runtime may fetch.
    pub(super) fn script(&mut self, word: &str) -> Option<String> {
        if word.contains("://") {
            return self.fetched(word);
        }
        if let Some(package) = ["npm:", "jsr:"].iter().find_map(|from| word.strip_prefix(from)) {
            let package = package.trim_start_matches('/');
            let parts = if package.starts_with('@') { 2 } else { 1 };
            let name: Vec<_> = package.split('/').take(parts).collect();
            return self.package(&name.join("/"));
        }
        // jbang: an alias in somebody's catalogue, or Maven's `group:artifact:version`.
        let alias = word.split_once('@').map(|(alias, _)| alias);
        if let Some(alias) = alias.filter(|a| !a.is_empty() && !a.contains(['/', '\\', ':'])) {
            return self.file(alias);
        }
        if let [_, artifact, _, ..] = word.split(':').collect::<Vec<_>>()[..]
            && !word.contains(['/', '\\'])
        {
            return self.specific(artifact);
        }
        // `server.py:app` names an object in it.
        let object =
            |(path, object): &(&str, &str)| path.len() > 1 && !object.contains(['/', '\\']);
        let path = word.rsplit_once(':').filter(object).map_or(word, |(path, _)| path);
        self.here |= is_relative(path);
        self.file(path)
    }

    /// A script at a URL: the nearest word of its path that says something, if it is a host of code.
    fn fetched(&mut self, url: &str) -> Option<String> {
        let (_, place) = url.split(['?', '#']).next()?.split_once("://")?;
        let (authority, path) = place.split_once('/').unwrap_or((place, ""));
        let host = authority.rsplit('@').next()?;
        let segments = path.split('/').map(versionless).filter(|segment| !segment.is_empty());
        let segments: Vec<_> = segments.collect();
        let Some((file, folders)) = segments.split_last().filter(|_| CODE_HOSTS.contains(&host))
        else {
            return address(url);
        };
        let mut pairs = segments.windows(2);
        if let Some(scoped) = pairs.find(|pair| pair[0].starts_with('@')) {
            return self.specific(&scoped.join("/"));
        }
        self.specific(stem(file)).or_else(|| project(&folders.join("/")))
    }

    /// `SOURCE#OUTPUT` of Nix: the output, or where it comes from if that is the default.
    pub(super) fn flake(&mut self, word: &str, rest: &[&str]) -> Option<String> {
        if word.contains("://") {
            return self.package(word);
        }
        let (source, output) = word.split_once('#').unwrap_or((word, ""));
        let source = source.split('?').next()?;
        let output = output.rsplit('.').next()?;
        if table::find(output).is_some() {
            return self.command(&[&[output], rest].concat());
        }
        if let Some(name) = self.specific(output) {
            return Some(name);
        }
        match source.split_once(':') {
            // `github:OWNER/REPOSITORY/BRANCH`.
            Some((kind, path)) if kind != "path" => self.specific(path.split('/').nth(1)?),
            path => {
                self.project(path.map_or(source, |(_, path)| path));
                None
            }
        }
    }

    /// `registry.example/owner/image:tag@digest` is `owner/image`.
    pub(super) fn image(&mut self, reference: &str, rest: &[&str]) -> Option<String> {
        if reference.contains("://") {
            return None;
        }
        let undigested = reference.split('@').next()?;
        let registry = |part: &str| part.contains(['.', ':']) || part == "localhost";
        let path = match undigested.split_once('/') {
            Some((first, path)) if registry(first) => path,
            _ => undigested,
        };
        let name = path.split(':').next()?;
        let base = table::find(name).is_some() || BASES.contains(&name);
        let meant = if base && !rest.is_empty() { self.command(rest) } else { self.specific(name) };
        // What the working directory is called says nothing about a container.
        self.here = false;
        meant
    }
}
