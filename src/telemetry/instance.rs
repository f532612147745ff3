//! Tells this process from all others that say they are the same service.

use std::sync::OnceLock;

/// Returns the `service.instance.id` of this process, by chance.
pub fn instance_id() -> &'static str {
    static CHOSEN: OnceLock<String> = OnceLock::new();
    CHOSEN.get_or_init(|| uuid(rand::random()))
}

/// A random UUID (RFC 9562, version 4), as the conventions recommend.
fn uuid(chance: u128) -> String {
    let bits = chance & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_a_random_uuid() {
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(instance_id(), instance_id());
    }
}
