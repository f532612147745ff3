//! Finds components that want the same thing: receivers on one port, exporters on one file, a processor that counts the
//! same calls in two places. Told by what is written
//! and by what lies on the disk; nothing is bound or opened.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::path::{self, Path, PathBuf};

use super::components::Component;
use super::own_telemetry;
use super::pipelines::Defined;
use super::{Opens, Options};
use crate::pipeline::{FileUse, Id, Pipeline, Section};
use crate::settings::{Mark, Problems};

/// Reports every address in use that a component before it, or the same one, has already. Only those that
/// are opened count.
pub(super) fn check_addresses(
    defined: &Defined,
    own_metrics: &[own_telemetry::Written<'_>],
    options: &Options<'_>,
    problems: &mut Problems,
) {
    let opens = options.opens;
    let opened = |kind: &str| match opens {
        Opens::All => true,
        Opens::Kind(one) => one == kind,
        Opens::Nothing => false,
    };
    let mut taken = Taken::default();
    for receiver in defined.receivers.iter().filter(|c| c.used) {
        if receiver.kind.is_some_and(|kind| opened(kind.name)) {
            let binds = receiver.config().map(|config| config.binds());
            taken.add(receiver, binds.unwrap_or_default(), problems);
        }
    }
    // A stdio tap leaves out extensions that have an address.
    if opens != Opens::Nothing && !options.stdout_is_mcp {
        for extension in defined.extensions.iter().filter(|c| c.used) {
            let binds = extension.config().map(|config| config.binds());
            taken.add(extension, binds.unwrap_or_default(), problems);
        }
    }
    if opens != Opens::Nothing {
        for own in own_metrics {
            if let Some(endpoint) = own.endpoint() {
                taken.claim(own.path.clone(), own.mark, endpoint, problems);
            }
        }
    }
}

/// The addresses that components have taken so far, with the settings that say so.
#[derive(Default)]
struct Taken<'a>(Vec<(String, &'a str)>);

impl<'a> Taken<'a> {
    fn add<S: Section + ?Sized>(
        &mut self,
        component: &Component<S>,
        binds: Vec<(&'static str, &'a str)>,
        problems: &mut Problems,
    ) {
        for (field, address) in binds {
            let path = format!("{}::{}::{}", S::NAME, component.id, field.replace('.', "::"));
            self.claim(path, component.mark_of(field), address, problems);
        }
    }

    fn claim(&mut self, path: String, mark: &Mark, address: &'a str, problems: &mut Problems) {
        if let Some((first, there)) = self.0.iter().find(|(_, there)| overlap(there, address)) {
            let message =
                format!("`{first}` listens there already, on `{there}`; choose another port");
            problems.error(mark, path.clone(), message);
        }
        self.0.push((path, address));
    }
}

/// Says whether one process cannot listen on both, as far as names tell. Port 0 is never the same.
fn overlap(a: &str, b: &str) -> bool {
    let (Some((a, a_port)), Some((b, b_port))) = (a.rsplit_once(':'), b.rsplit_once(':')) else {
        return false;
    };
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
    if port(a_port).is_none() || port(a_port) != port(b_port) {
        return false;
    }
    let (a, b) = (bare(a), bare(b));
    a.eq_ignore_ascii_case(b) || takes_of(a, b) || takes_of(b, a)
}

/// Says whether who listens on `host` takes any address of `other`.
fn takes_of(host: &str, other: &str) -> bool {
    let (own, theirs) = (addresses(host), addresses(other));
    let everywhere = own.iter().any(IpAddr::is_unspecified);
    // A name that only a resolver knows is some address of this machine, or it could not be listened on.
    (everywhere && theirs.is_empty())
        || theirs.iter().any(|ip| {
            own.iter().any(|own| match own {
                // The system's default: a socket on `::` takes IPv4, too.
                IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
                IpAddr::V4(Ipv4Addr::UNSPECIFIED) => ip.is_ipv4(),
                own => own == ip,
            })
        })
}

/// Lists the addresses that a host certainly means: none for most names.
fn addresses(host: &str) -> Vec<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    host.parse().into_iter().collect()
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// A file of an exporter in use, and where it is said.
struct Written<'a> {
    exporter: String,
    file: FileUse<'a>,
    real: PathBuf,
    /// Device and inode, if it is there.
    node: Option<(u64, u64)>,
    mark: &'a Mark,
}

/// Reports every exporter in use that writes a file which one before it writes, by whatever spelling, or that one
/// of them moves an older file onto. Devices and pipes may be shared.
pub(super) fn check_files(defined: &Defined, base: &Path, problems: &mut Problems) {
    let mut written: Vec<Written<'_>> = Vec::new();
    for exporter in defined.exporters.iter().filter(|c| c.used) {
        let Some(file) = exporter.config().and_then(|config| config.writes()) else { continue };
        let path = base.join(file.path);
        let there = fs::metadata(&path).ok();
        if file.path.as_os_str().is_empty() || there.as_ref().is_some_and(|m| !m.is_file()) {
            continue;
        }
        let node = there.map(|there| (there.dev(), there.ino()));
        let (mark, real) = (exporter.mark_of(file.field), resolved(&path));
        let exporter = format!("exporters::{}", exporter.id);
        let own = Written { exporter, file, real, node, mark };
        if let Some(first) = written.iter().find(|first| first.is_hurt_by(&own)) {
            let message = format!(
                "`{}` writes `{}`, too: each would empty, move or mix the other's; give each a file of its own, or \
                 name one exporter in both pipelines",
                first.exporter,
                first.file.path.display()
            );
            let at = format!("{}::{}", own.exporter, own.file.field.replace('.', "::"));
            // A tap's server does not wait for that to be put right.
            problems.unready(own.mark, at, message);
        }
        written.push(own);
    }
}

impl Written<'_> {
    fn is_hurt_by(&self, other: &Written<'_>) -> bool {
        let same = self.real == other.real || (self.node.is_some() && self.node == other.node);
        same || self.moves_onto(other) || other.moves_onto(self)
    }

    /// Says whether rotation gives an older file of its own the other's name.
    fn moves_onto(&self, other: &Written<'_>) -> bool {
        let (own, theirs) = (self.real.as_os_str(), other.real.as_os_str());
        let end = theirs.as_encoded_bytes().strip_prefix(own.as_encoded_bytes());
        let number = end.and_then(|end| std::str::from_utf8(end.strip_prefix(b".")?).ok());
        let number = number.filter(|number| !number.starts_with(['0', '+']));
        number.and_then(|n| n.parse().ok()).is_some_and(|n: u32| n <= self.file.backups)
    }
}

/// Reports every processor that counts what passes and stands in two pipelines behind one receiver: it would count twice.
pub(super) fn check_counting(defined: &Defined, pipelines: &[Pipeline], problems: &mut Problems) {
    for processor in defined.processors.iter().filter(|c| c.used) {
        if !processor.config().is_some_and(|config| config.counts()) {
            continue;
        }
        let within: Vec<&Pipeline> =
            pipelines.iter().filter(|p| p.processors.contains(&processor.id)).collect();
        let pairs = within.iter().enumerate().flat_map(|(i, one)| {
            within[i + 1..]
                .iter()
                .filter(|other| one.signal == other.signal)
                .map(move |other| (one, other))
        });
        for (one, other) in pairs {
            let shared = |id: &&Id| other.receivers.contains(id) || other.emitters.contains(id);
            if let Some(both) = one.receivers.iter().chain(&one.emitters).find(shared) {
                let message = format!(
                    "stands in `{}` and in `{}`, which both get what `{both}` makes: each call would count twice; name \
                     it in one of them",
                    one.id, other.id
                );
                let path = format!("processors::{}", processor.id);
                problems.error(&processor.mark, path, message);
            }
        }
    }
}

/// Returns the path without links and detours, also where its end is not there yet.
fn resolved(path: &Path) -> PathBuf {
    let mut missing: Vec<path::Component<'_>> = Vec::new();
    let mut above = path;
    loop {
        let there = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        if let Ok(mut real) = there.canonicalize() {
            for part in missing.iter().rev() {
                match part {
                    path::Component::ParentDir => drop(real.pop()),
                    path::Component::CurDir => {}
                    part => real.push(part),
                }
            }
            return real;
        }
        let mut parts = above.components();
        match parts.next_back() {
            Some(last) => missing.push(last),
            None => return path.to_owned(),
        }
        above = parts.as_path();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_addresses_are_one_where_one_process_cannot_have_both() {
        for (a, b, same) in [
            ("localhost:4317", "localhost:4317", true),
            ("localhost:4317", "127.0.0.1:4317", true),
            ("localhost:4317", "[::1]:4317", true),
            ("localhost:4317", "[127.0.0.1]:4317", true),
            ("0.0.0.0:4317", "127.0.0.1:4317", true),
            ("0.0.0.0:4317", "localhost:4317", true),
            ("[::]:4317", "0.0.0.0:4317", true),
            ("[::]:4317", "10.0.0.1:4317", true),
            ("0.0.0.0:4317", "tools.example.com:4317", true),
            ("Tools.example.com:4317", "tools.example.com:4317", true),
            ("0.0.0.0:4317", "[::1]:4317", false),
            ("127.0.0.1:4317", "127.0.0.2:4317", false),
            ("127.0.0.1:4317", "10.0.0.1:4317", false),
            ("tools.example.com:4317", "10.0.0.1:4317", false),
            ("localhost:4317", "localhost:4318", false),
            ("localhost:0", "localhost:0", false),
            ("localhost", "localhost", false),
        ] {
            assert_eq!(overlap(a, b), same, "{a} {b}");
            assert_eq!(overlap(b, a), same, "{b} {a}");
        }
    }

    #[test]
    fn a_path_is_the_same_by_any_spelling_whether_or_not_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        fs::create_dir(dir.join("in")).unwrap();
        std::os::unix::fs::symlink(dir.join("in"), dir.join("link")).unwrap();
        for same in ["in/a", "in/./a", "in/../in/a", "link/a", "no/../in/a", "in/no/../a"] {
            assert_eq!(resolved(&dir.join(same)), dir.join("in/a"), "{same}");
        }
        assert_eq!(resolved(&dir.join("no/deep/a")), dir.join("no/deep/a"));
        assert_eq!(resolved(Path::new("")), Path::new(".").canonicalize().unwrap());
    }
}
