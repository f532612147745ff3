//! Reads variables of the environment. They are the agent's, and no reason to keep its server from starting: what is
//! not text counts as unset, and is said.

use std::cell::RefCell;

use super::say;

/// Names the tapped server where the command line does not.
pub(super) const NAME: &str = "MCPCOL_NAME";

/// Reads variables, and remembers which of them are no text.
#[derive(Debug, Default)]
pub(super) struct Variables {
    unreadable: RefCell<Vec<String>>,
}

impl Variables {
    /// Reads a variable; empty counts as unset, as everywhere in OpenTelemetry.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
        let text = value.into_string().ok();
        if text.is_none() && !self.is_unreadable(name) {
            self.unreadable.borrow_mut().push(name.to_owned());
        }
        text
    }

    /// Says whether a variable was read and is no text.
    pub(super) fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.borrow().iter().any(|unreadable| unreadable == name)
    }

    /// Tells of each variable that was read and is no text.
    pub(super) fn notes(&self) -> Vec<String> {
        let note = |name: &String| format!("{name} is not used: it is not UTF-8");
        self.unreadable.borrow().iter().map(note).collect()
    }
}

/// Reads one variable, and says at each call if it is no text.
pub(super) fn variable(name: &str) -> Option<String> {
    let variables = Variables::default();
    let text = variables.get(name);
    variables.notes().iter().for_each(|note| say(&format!("mcpcol: {note}")));
    text
}
