//! Detects what must not be shown: content, secrets and credentials in names, texts and URIs.
//!
//! Small functions over `&str` that know neither spans nor MCP; who calls them decides what happens to
//! what they find. They judge by looks: names that speak of content or secrets, texts under unknown names
//! that are no labels but prose, texts that look like credentials. Whoever wants to leak can: a short word
//! under a harmless name passes. They keep honest senders from leaking by accident, which is what these do
//! (servers written after the reference implementations put whole results into attributes).

mod credentials;
mod names;
mod texts;
mod uris;

pub use credentials::has_credential;
pub use names::{NameClass, classify_name};
pub use texts::is_harmless;
pub use uris::{generalize_uri, redact_uri, redact_uris};
