//! The certificates that the system trusts, or those that the environment names in their place.
//!
//! What `SSL_CERT_FILE` and `SSL_CERT_DIR` name is read here, as every file that settings name: within bounds, and
//! without waiting for one. The library that knows where systems keep theirs opens whatever the variables name.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::tls::MAX_PEM;
use super::{TlsError, read_file};

const FILE: &str = "SSL_CERT_FILE";
const DIRECTORIES: &str = "SSL_CERT_DIR";

/// Bounds how many entries of directories are looked at: systems have some hundred, each under two names.
const MAX_ENTRIES: usize = 4096;

/// Returns the roots to trust where no `ca_file` is written. They are read once.
pub fn system_roots() -> Result<RootCertStore, TlsError> {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let roots = read(&|name| env::var_os(name))?;
    Ok(ROOTS.get_or_init(|| roots).clone())
}

fn read(env: &dyn Fn(&str) -> Option<OsString>) -> Result<RootCertStore, TlsError> {
    let named = |name| env(name).filter(|value| !value.is_empty());
    let (file, directories) = (named(FILE), named(DIRECTORIES));
    let mut read = Read::default();
    if file.is_none() && directories.is_none() {
        read.certificates = rustls_native_certs::load_native_certs().certs;
    }
    if let Some(file) = &file {
        read.file(FILE, Path::new(file));
    }
    for directory in env::split_paths(&directories.unwrap_or_default()) {
        if !directory.as_os_str().is_empty() {
            read.directory(&directory);
        }
    }
    read.roots()
}

/// Gathers certificates, and why there are no others.
#[derive(Default)]
struct Read {
    certificates: Vec<CertificateDer<'static>>,
    entries: usize,
    why: Option<String>,
}

impl Read {
    fn file(&mut self, named_by: &str, path: &Path) {
        let pem = read_file(path, MAX_PEM).map_err(|e| e.to_string());
        let within = |pem: &Vec<u8>| pem.len() as u64 <= MAX_PEM;
        match pem.and_then(|pem| Some(pem).filter(within).ok_or("it is over 1 MiB".to_owned())) {
            // A bundle may hold what is no certificate: the others serve.
            Ok(pem) => self.certificates.extend(CertificateDer::pem_slice_iter(&pem).flatten()),
            Err(why) => self.failed(named_by, path, &why),
        }
    }

    fn directory(&mut self, path: &Path) {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(e) => return self.failed(DIRECTORIES, path, &e.to_string()),
        };
        for entry in entries.flatten() {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return self.failed(DIRECTORIES, path, "there are too many files");
            }
            let path = entry.path();
            // Behind a link, too: most of them are.
            if fs::metadata(&path).is_ok_and(|entry| entry.is_file()) {
                self.file(DIRECTORIES, &path);
            }
        }
    }

    fn failed(&mut self, named_by: &str, path: &Path, why: &str) {
        let said = || format!("cannot use {} of {named_by}: {why}", path.display());
        self.why.get_or_insert_with(said);
    }

    fn roots(mut self) -> Result<RootCertStore, TlsError> {
        self.certificates.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
        self.certificates.dedup();
        let mut roots = RootCertStore::empty();
        // A system's bundle may hold certificates that rustls does not take: the others serve.
        roots.add_parsable_certificates(self.certificates);
        if roots.is_empty() {
            let why = self.why.unwrap_or_else(|| "this system has no root certificates".to_owned());
            return Err(TlsError::new("ca_file", format!("is needed: {why}")));
        }
        Ok(roots)
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn read_from(file: &Path, directories: &str) -> Result<usize, String> {
        let env = |name: &str| match name {
            FILE => Some(file.into()),
            _ => Some(directories.into()),
        };
        read(&env).map(|roots| roots.len()).map_err(|e| e.to_string())
    }

    fn pem() -> String {
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem()
    }

    fn pipe(path: &Path) {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }

    #[test]
    fn the_environment_names_a_file_and_directories() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        let file = dir.path().join("all.pem");
        fs::write(&file, pem() + "junk\n" + &pem()).unwrap();
        for (path, name) in [(&one, "a"), (&other, "b")] {
            fs::create_dir(path).unwrap();
            fs::write(path.join(name), pem()).unwrap();
            std::os::unix::fs::symlink(name, path.join("again")).unwrap();
        }
        let both = format!("{}::{}:/nowhere", one.display(), other.display());
        assert_eq!(read_from(&file, ""), Ok(2));
        assert_eq!(read_from(Path::new(""), &both), Ok(2));
        assert_eq!(read_from(&file, &both), Ok(4));
        assert_eq!(read_from(Path::new("/nowhere"), &both), Ok(2), "the others serve");
    }

    #[test]
    fn nothing_that_the_environment_names_is_waited_for_or_read_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        pipe(&fifo);
        let path = fifo.display();
        let refused = |file: &Path, directories: &str| read_from(file, directories).unwrap_err();
        assert_eq!(
            refused(&fifo, ""),
            format!(
                "ca_file: is needed: cannot use {path} of SSL_CERT_FILE: it is a pipe, not a file"
            )
        );
        assert_eq!(
            refused(Path::new("/dev/zero"), ""),
            "ca_file: is needed: cannot use /dev/zero of SSL_CERT_FILE: it is over 1 MiB"
        );
        let said = refused(Path::new(""), &path.to_string());
        assert!(said.contains(&format!("cannot use {path} of SSL_CERT_DIR: ")), "{said}");
        // In a directory it is passed over.
        fs::write(dir.path().join("ca.pem"), pem()).unwrap();
        assert_eq!(read_from(Path::new(""), &dir.path().display().to_string()), Ok(1));
    }
}
