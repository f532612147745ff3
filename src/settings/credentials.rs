//! Masks what looks like a credential in text that is about a configuration: people write them at wrong places, too.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::privacy::redact::{Found, Preset, Redactor, Settings, StandIn, Under};

/// Stands in the place of a secret wherever a configuration is shown.
pub const REDACTED: &str = "[REDACTED]";

/// Gives the text with [`REDACTED`] in the place of what looks like a credential; borrowed if there is none.
pub fn without_credentials(text: &str) -> Cow<'_, str> {
    static CREDENTIALS: LazyLock<Option<Redactor>> = LazyLock::new(|| {
        let stand_in = StandIn::Mask(REDACTED.into());
        let presets = vec![Preset::Credentials];
        Redactor::new(&Settings { presets, stand_in, ..Settings::default() }).ok()
    });
    let Some(redactor) = &*CREDENTIALS else { return REDACTED.into() };
    let mut scan = redactor.scan();
    match scan.text(text, Under::Open) {
        Found::Nothing => text.into(),
        Found::Masked | Found::Unscanned(_) => scan.output().to_owned().into(),
    }
}
