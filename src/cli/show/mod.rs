//! `mcpcol show SESSION`: one recorded session as a timeline and tree: its calls, what servers handed back below them,
//! progress, and findings.

mod session;
mod tree;
mod page;

use std::path::PathBuf;
use std::process::ExitCode;

use self::page::Page;
use self::session::Session;
use super::records::selection::{Filter, Format, Selection};
use super::records::spans::Spans;
use super::{say, shown};

/// Exit code where it cannot be said which session is meant, or a source cannot be read.
const UNREADABLE: u8 = 2;

/// Arguments of `mcpcol show`.
#[derive(clap::Args, Debug)]
pub(super) struct Show {
    /// The session's id, or as much of its beginning as no other session has
    #[arg(value_name = "SESSION")]
    id: String,
    #[command(flatten)]
    selection: Selection,
}

impl Show {
    /// Prints the session. Exit code 2 if there is none of that id, more than one, or a source cannot be read.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (places, filter) = self.selection.resolve()?;
        let (mut spans, mut session) = (Spans::default(), Session::default());
        session.read(&self.id, &places, &filter, &mut spans)?;
        let Some(id) = self.only(&session) else {
            spans.say(&places);
            return Ok(UNREADABLE.into());
        };
        session.read_findings(&id, &places)?;
        let lines = tree::lines(&session, &id);
        let page = Page::new(&id, &session, &lines);
        let answer = &self.selection.answer;
        answer.write(&match answer.format {
            Format::Text => page.text(answer.colours()),
            Format::Json => page.json(),
        })?;
        spans.say(&places);
        if session.left_out > 0 {
            say(&format!("mcpcol: {} more spans are not shown", session.left_out));
        }
        Ok(if spans.is_incomplete() { UNREADABLE.into() } else { ExitCode::SUCCESS })
    }

    /// Gives the one session that is meant; says on stderr why there is none.
    fn only(&self, session: &Session) -> Option<String> {
        let mut candidates = session.candidates.iter();
        match (candidates.next(), candidates.len()) {
            (Some((id, _)), 0) => Some(id.clone()),
            (None, _) => {
                let id = shown::name(&self.id);
                say(&format!(
                    "mcpcol: no session that begins with `{id}` has a call that was asked for; \
                     `mcpcol sessions` lists them"
                ));
                None
            }
            (Some(_), more) => {
                let id = shown::name(&self.id);
                say(&format!("mcpcol: {} sessions begin with `{id}`:", more + 1));
                for (id, (server, began)) in &session.candidates {
                    let (id, server) = (shown::name(id), shown::name(server));
                    say(&format!("  {id}  {server}  {}", shown::time(*began)));
                }
                None
            }
        }
    }
}

/// Gives the session in a file, as the command prints it with `--tool`.
pub(super) fn of_file(file: PathBuf, tool: &str, colours: bool) -> anyhow::Result<String> {
    let (mut spans, mut session) = (Spans::default(), Session::default());
    let filter = Filter { tool: Some(tool.to_owned()), ..Filter::default() };
    session.read("", &[file], &filter, &mut spans)?;
    let id = session.candidates.keys().next().cloned().unwrap_or_default();
    let lines = tree::lines(&session, &id);
    Ok(Page::new(&id, &session, &lines).text(colours))
}
