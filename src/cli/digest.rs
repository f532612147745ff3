//! `mcpcol digest`: the digest of one JSON text, as the digest processor makes it, or its canonical
//! form.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::privacy::canonical::{Canonicalizer, MAX_BYTES};
use crate::privacy::digest::{Digester, Key, Mode};
use crate::settings::read_key_file;

/// Print the digest of a JSON text, as the digest processor makes it
#[derive(Debug, clap::Args)]
pub(super) struct Digest {
    /// Print the canonical form (RFC 8785) instead of its digest
    #[arg(long)]
    canonical: bool,
    /// File with a key in hex or base64: the digest becomes keyed
    #[arg(long, value_name = "F", conflicts_with = "canonical")]
    key_file: Option<PathBuf>,
    /// What the digest calls the key; default: 8 hex digits made from it
    #[arg(long, value_name = "NAME", requires = "key_file")]
    key_id: Option<String>,
    /// How the digest is made; default: hmac-sha256 with a key file, else sha256
    #[arg(long, value_name = "M", value_parser = modes(), conflicts_with = "canonical")]
    mode: Option<Mode>,
    /// The JSON text; `-` or nothing for stdin
    file: Option<PathBuf>,
}

fn modes() -> impl clap::builder::TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(Mode::ALL.map(Mode::name)).map(|name| {
        let mode = Mode::ALL.into_iter().find(|mode| mode.name() == name);
        mode.expect("the parser lets only these names through")
    })
}

impl Digest {
    /// Reads, prints, and returns the exit code: 1 for a text that has no digest.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (out, err) = (&mut io::stdout().lock(), &mut io::stderr().lock());
        let printed = match self.file.as_deref().filter(|file| file.as_os_str() != "-") {
            None => self.print(io::stdin().lock(), out, err)?,
            Some(file) => {
                let open = File::open(file);
                let text = open.with_context(|| format!("cannot open `{}`", file.display()))?;
                self.print(text, out, err)?
            }
        };
        Ok(if printed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Prints the answer to `out`, or to `err` why there is none. Reads one byte more than the limit
    /// at most.
    fn print(
        &self,
        text: impl Read,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let digester = self.digester()?;
        let mut input = Vec::new();
        text.take(MAX_BYTES as u64 + 1).read_to_end(&mut input).context("cannot read the input")?;
        let mut canonical = Vec::new();
        if let Err(rejected) = Canonicalizer::default().write(&input, &mut canonical) {
            writeln!(err, "no digest: {rejected}")?;
            return Ok(false);
        }
        if !self.canonical {
            canonical = digester.digest(&canonical).into_bytes();
        }
        canonical.push(b'\n');
        out.write_all(&canonical)?;
        out.flush()?;
        Ok(true)
    }

    fn digester(&self) -> anyhow::Result<Digester> {
        let key = match (&self.key_file, self.mode) {
            (None, None | Some(Mode::Sha256)) => None,
            (None, Some(Mode::Ephemeral)) => {
                Some(Key::from_bytes(&rand::random::<[u8; 32]>(), None)?)
            }
            (None, Some(Mode::HmacSha256)) => anyhow::bail!("mode hmac-sha256 needs --key-file"),
            (Some(file), None | Some(Mode::HmacSha256)) => {
                let text = read_key_file(file)?;
                let key = Key::parse(&text, self.key_id.as_deref());
                Some(key.with_context(|| format!("cannot use `{}`", file.display()))?)
            }
            (Some(_), Some(mode)) => anyhow::bail!("mode {mode} does not use --key-file"),
        };
        Ok(Digester::new(key.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        digest: Digest,
    }

    /// Gives what `mcpcol digest ARGS` prints for `text`: stdout, or stderr.
    fn answer(args: &[&str], text: &[u8]) -> Result<String, String> {
        let line = Line::try_parse_from([&["digest"], args].concat()).map_err(|e| e.to_string())?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let printed = line.digest.print(text, &mut out, &mut err).map_err(|e| format!("{e:#}"))?;
        assert_ne!(out.is_empty(), err.is_empty(), "one of the two says something");
        let said = String::from_utf8(if printed { out } else { err }).unwrap();
        if printed { Ok(said) } else { Err(said) }
    }

    fn key_file() -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{}", "0f".repeat(32)).unwrap();
        file
    }

    #[test]
    fn the_digest_or_the_canonical_form_is_printed_as_a_line() {
        let text = br#" { "b": 1.0, "a": [] } "#;
        let canonical = r#"{"a":[],"b":1}"#;
        assert_eq!(answer(&["--canonical"], text), Ok(format!("{canonical}\n")));
        let expected = Digester::default().digest(canonical.as_bytes());
        assert_eq!(answer(&[], text), Ok(format!("{expected}\n")));
        assert_eq!(answer(&["--mode", "sha256"], text), Ok(format!("{expected}\n")));
    }

    #[test]
    fn a_key_file_makes_it_keyed() {
        let file = key_file();
        let path = file.path().to_str().unwrap();
        let key = Key::from_bytes(&[0x0f; 32], Some("k")).unwrap();
        let expected = format!("{}\n", key.digest(b"{}"));
        assert_eq!(answer(&["--key-file", path, "--key-id", "k"], b"{}"), Ok(expected));
        let said = answer(&["--key-file", path, "--mode", "hmac-sha256"], b"{}").unwrap();
        assert!(said.starts_with("hmac-sha256:"));
        answer(&["--key-file", path, "--mode", "sha256"], b"{}").unwrap_err();
        answer(&["--mode", "hmac-sha256"], b"{}").unwrap_err();
        answer(&["--mode", "md5"], b"{}").unwrap_err();
    }

    #[test]
    fn an_ephemeral_digest_is_never_the_same() {
        let args = ["--mode", "ephemeral"];
        assert_ne!(answer(&args, b"{}").unwrap(), answer(&args, b"{}").unwrap());
    }

    #[test]
    fn a_rejected_text_says_why_and_where() {
        let said = answer(&[], br#"{"a":1,"a":2}"#).unwrap_err();
        assert_eq!(said, "no digest: duplicate_key at byte 8\n");
        let long = answer(&[], &vec![b' '; MAX_BYTES + 10]).unwrap_err();
        assert_eq!(long, format!("no digest: size at byte {MAX_BYTES}\n"));
    }

    #[test]
    fn no_more_is_read_than_decides() {
        /// Counts what is taken from an endless text.
        struct Endless<'a>(&'a mut usize);
        impl Read for Endless<'_> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                buf.fill(b'1');
                *self.0 += buf.len();
                Ok(buf.len())
            }
        }
        let line = Line::try_parse_from(["digest"]).unwrap();
        let (mut read, mut out, mut err) = (0, Vec::new(), Vec::new());
        assert!(!line.digest.print(Endless(&mut read), &mut out, &mut err).unwrap());
        assert_eq!(read, MAX_BYTES + 1);
    }
}
