//! Running processes, as others see them: where a tap tells what goes on, and how that is asked.

mod client;
mod calls;

pub(super) use calls::{Calls, as_call, calls};
pub(super) use client::{Peer, ask};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::Record;
use super::state::{self, SOCKET, unique_name};
use crate::extensions::stats::Config;
use crate::pipeline::{ComponentConfig, Id, Plan, Planned};
use crate::settings::{Mark, Node};

/// Gives where a tap of that server with a configuration tells what goes on: in the state directory, if there can be
/// one, unless it is to keep nothing.
pub(super) fn socket(record: Record, server: &str) -> Option<PathBuf> {
    if record == Record::Off {
        return None;
    }
    // Nobody asked for it: what is wrong with the directory is not said.
    let state = state::open(false, &mut Vec::new())?;
    Some(state.dir.join(format!("{}.{SOCKET}", unique_name(server))))
}

/// Has the plan tell what goes on at that socket, again at each reload.
pub(super) fn serve_at(plan: &mut Plan, socket: &Path) {
    let nowhere = Mark { file: "".into(), line: 0, column: 0 };
    plan.extensions.push(Planned {
        // No configuration can have an extension of that name.
        id: Id { kind: "socket of this process".to_owned(), name: None },
        kind: Config::NAME,
        settings: Node::empty(nowhere),
        config: Arc::new(Config::at(socket)),
    });
}

/// Finds the sockets of all running taps of this user.
pub(super) fn sockets() -> Vec<PathBuf> {
    state::found().iter().flat_map(|dir| state::sockets(dir)).collect()
}
